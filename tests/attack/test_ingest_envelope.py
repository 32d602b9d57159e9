"""An envelope opens for the right lease and the right device, unchanged, and once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safehold.access.envelope import (
    LeaseKey,
    open_envelope,
    read_envelope,
    seal_envelope,
)
from safehold.canonical import encode
from safehold.errors import InvalidError, SafeholdError, TamperedError
from safehold.signing import SigningKey

DEVICE = SigningKey(b"d" * 32)
LEASE = LeaseKey(b"l" * 32)
HEADER: dict[str, Any] = {
    "lease": "lea_1", "number": 0, "stream": "key", "rows": 3, "sealed_us": 5,
}  # fmt: skip
BODY = b"the batch" * 40


def sealed(**more: Any) -> bytes:
    return seal_envelope({**HEADER, **more}, BODY, to=LEASE.public, device=DEVICE)


def test_round_trip() -> None:
    envelope = read_envelope(sealed(), device=DEVICE.public)
    assert open_envelope(envelope, LEASE) == BODY
    assert (envelope.lease, envelope.rows, envelope.stream) == ("lea_1", 3, "key")
    assert BODY not in sealed()


def test_the_same_batch_seals_differently_each_time() -> None:
    assert sealed() != sealed()


def test_another_lease_key_opens_nothing() -> None:
    envelope = read_envelope(sealed(), device=DEVICE.public)
    with pytest.raises(TamperedError) as caught:
        open_envelope(envelope, LeaseKey.generate())
    assert caught.value.rule == "envelope.seal"


def test_another_device_is_refused() -> None:
    with pytest.raises(TamperedError):
        read_envelope(sealed(), device=SigningKey.generate().public)


def test_a_device_cannot_speak_for_another() -> None:
    """Signed by the right key, but the header names somebody else."""
    other = SigningKey.generate()
    data = sealed()
    forged = data.replace(encode(DEVICE.public.text()), encode(other.public.text()))
    body = forged[:-64]
    forged = body + DEVICE.sign("safehold.envelope.v1", body)
    with pytest.raises(TamperedError) as caught:
        read_envelope(forged, device=DEVICE.public)
    assert caught.value.rule == "envelope.device"


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_every_flipped_bit_is_noticed(at: int, bit: int) -> None:
    data = bytearray(sealed())
    data[at % len(data)] ^= 1 << bit
    with pytest.raises(SafeholdError):
        open_envelope(read_envelope(bytes(data), device=DEVICE.public), LEASE)


def test_a_header_changed_and_signed_again_does_not_open() -> None:
    """The header is bound to the ciphertext, not only to the signature."""
    data = sealed(rows=3)
    swapped = data[:-64].replace(b'"rows":3', b'"rows":4')
    swapped += DEVICE.sign("safehold.envelope.v1", swapped)
    envelope = read_envelope(swapped, device=DEVICE.public)
    with pytest.raises(TamperedError):
        open_envelope(envelope, LEASE)


@pytest.mark.parametrize("cut", [0, 4, 11, 80, -1, -64])
def test_a_cut_envelope_is_no_envelope(cut: int) -> None:
    with pytest.raises((InvalidError, TamperedError)):
        read_envelope(sealed()[:cut], device=DEVICE.public)


def test_a_signature_for_another_use_does_not_count() -> None:
    body = sealed()[:-64]
    with pytest.raises(TamperedError):
        read_envelope(body + DEVICE.sign("safehold.lease.v1", body), device=DEVICE.public)


@pytest.mark.parametrize("change", [{"number": -1}, {"rows": "3"}, {"rows": True}])
def test_a_header_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        read_envelope(sealed(**change), device=DEVICE.public)


def test_the_private_key_is_not_in_its_repr() -> None:
    assert "6c6c" not in repr(LEASE)
    assert "llll" not in repr(LEASE)
