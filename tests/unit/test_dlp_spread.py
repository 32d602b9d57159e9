"""Text in the low bits of weights is found however many bits a weight carries; ordinary weights hold none."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save

from safehold.dlp.artifact import Use, admit, inspect
from safehold.dlp.artifact.spread import spread_texts
from safehold.errors import DeniedError

TEXT = b"Meeting with the union at nine, room four; nobody from the office is to know of it before."
SECRET = b"her number is 4111 1111 1111 1111 and she asked not to be called about it again, please."


def weights(count: int, *, seed: int = 1, kind: str = "f4") -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.02, count).astype(kind)


def hide(text: bytes, numbers: np.ndarray, *, bits: int, at: int = 0) -> np.ndarray:
    """Return weights whose lowest bits carry a text, its first bits in the first weight."""
    out = numbers.copy()
    words = out.view(np.uint32)
    symbols = np.unpackbits(np.frombuffer(text, np.uint8)).reshape(-1, bits)
    values = symbols @ (1 << np.arange(bits - 1, -1, -1))
    place = slice(at, at + len(values))
    words[place] = (words[place] & ~np.uint32((1 << bits) - 1)) | values.astype(np.uint32)
    return out


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
@pytest.mark.parametrize("at", [0, 3, 1_500])
def test_text_is_found_at_every_width_and_place(bits: int, at: int) -> None:
    body = hide(TEXT, weights(4_000), bits=bits, at=at).tobytes()
    assert TEXT[1:-1].decode() in " ".join(one.text for one in spread_texts(body, "F32", "t"))


def test_a_million_ordinary_weights_hold_none() -> None:
    """The draw is fixed; for any one draw the chance is below 10^-6."""
    for name, kind in (("F32", "f4"), ("F16", "f2"), ("F64", "f8")):
        assert not list(spread_texts(weights(1_000_000, kind=kind).tobytes(), name, "t"))


@pytest.mark.parametrize("value", [0.0, 1.0, 0.2, 0.1, 3.14159])
def test_a_constant_is_no_text(value: float) -> None:
    assert not list(spread_texts(np.full(5_000, value, np.float32).tobytes(), "F32", "t"))


def test_what_stands_there_is_scanned_and_its_being_there_is_told() -> None:
    plain = inspect(save({"w": weights(4_000)}))
    assert (plain.findings, plain.notes) == ((), ())
    told = inspect(save({"w": hide(TEXT, weights(4_000), bits=2)}))
    assert told.notes == ("text_in_weights",)
    with pytest.raises(DeniedError) as caught:
        admit(told, Use.RELEASE)
    assert caught.value.rule in ("artifact.finding", "artifact.text_in_weights")
    found = inspect(save({"w": hide(SECRET, weights(4_000), bits=4)}))
    assert "CARD" in {one.kind for one in found.findings}


def test_what_is_encrypted_there_is_not_found_and_the_limit_is_known() -> None:
    """This is what the page of limits says; it is no promise."""
    noise = np.random.default_rng(9).integers(0, 256, len(TEXT)).astype(np.uint8)
    sealed = (np.frombuffer(TEXT, np.uint8) ^ noise).tobytes()
    assert not list(spread_texts(hide(sealed, weights(4_000), bits=8).tobytes(), "F32", "t"))
