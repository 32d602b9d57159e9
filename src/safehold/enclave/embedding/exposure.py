"""Canaries: planted in somebody's text, sought in their vector by an attacker who knows all the rest of it.

Two kinds are planted: a word that exists nowhere else, and a phrase of public words such as a passphrase is. The
attacker knows the window around it and the encoder, and ranks the canary among decoys of its own kind by how near
each would have come to the vector. It is exposed where it comes nearer than every decoy; a tie exposes nothing.

Source: Carlini et al. 2019, "The Secret Sharer", section 4 (exposure, by rank among decoys).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from safehold.dlp.redact import mask_text
from safehold.enclave.embedding.encoder import Encoder, Vectors
from safehold.enclave.embedding.text import WINDOW, Codes, split_words
from safehold.ids import random_bytes

KINDS: Final = ("word", "phrase")
PLANTED: Final = 32  # of each kind
DECOYS: Final = 1_023
_LETTERS: Final = "bcdfghjkmnpqrstvwxz"  # no vowels: in no language a word
_LONG: Final = 12  # letters of a word that exists nowhere else
_PHRASE: Final = 4  # words

Blur = Callable[[Vectors], Vectors]


@dataclass(frozen=True, slots=True)
class Exposed:
    """How many canaries were exposed.

    Args:
        hits: By kind.
        planted: Of each kind.
        chance: Chance of a hit without any leak, at most.
    """

    hits: dict[str, int]
    planted: int
    chance: float = 1 / (DECOYS + 1)


def expose(
    encoder: Encoder, windows: Sequence[Codes], blur: Blur, *, planted: int = PLANTED
) -> Exposed:
    """Return how many planted canaries an attacker finds again.

    Args:
        encoder: What makes the vectors.
        windows: The windows of each person, at least one in all.
        blur: Adds the noise that vectors are sealed with.
        planted: Canaries of each kind.
    """
    carriers = np.concatenate(list(windows))
    hits = dict.fromkeys(KINDS, 0)
    for kind in KINDS:
        for _ in range(planted):
            carrier = carriers[_below(len(carriers))]
            traces = _traces(encoder, _draw(kind, encoder, DECOYS + 1))
            longest = _PHRASE if kind == "phrase" else 1
            clean = encoder.table[carrier[: WINDOW - longest]].sum(axis=0) + traces
            clean /= np.maximum(np.linalg.norm(clean, axis=1, keepdims=True), 1e-12)
            (sealed,) = blur(clean[:1])
            away = np.linalg.norm(clean.astype(np.float64) - sealed, axis=1)
            hits[kind] += bool((away[0] < away[1:] - 1e-9).all())
    return Exposed(hits, planted)


def _draw(kind: str, encoder: Encoder, count: int) -> pa.Array:
    """Return so many canaries of a kind, each as likely as the other."""
    if kind == "word":
        signs = np.array(list(_LETTERS))[_many(len(_LETTERS), count * _LONG)]
        return pa.array(["".join(one) for one in signs.reshape(count, _LONG)], pa.large_string())
    words = encoder.words.take(pa.array(_many(len(encoder.words), count * _PHRASE))).to_pylist()
    starts = range(0, len(words), _PHRASE)
    return pa.array([" ".join(words[at : at + _PHRASE]) for at in starts], pa.large_string())


def _traces(encoder: Encoder, canaries: pa.Array) -> Vectors:
    """Return what each canary adds to the sum of its window.

    A canary goes the way of all text: it is scanned, cut into words and looked up.
    """
    words = split_words(mask_text(canaries).text)
    codes = encoder.code(words.flatten())
    owner = np.repeat(np.arange(len(canaries)), pc.list_value_length(words).to_numpy())
    traces = np.zeros((len(canaries), encoder.dims), dtype=np.float32)
    np.add.at(traces, owner[codes >= 0], encoder.table[codes[codes >= 0]])
    return traces


def _many(limit: int, count: int) -> NDArray[np.int64]:
    drawn = np.frombuffer(random_bytes(8 * count), dtype=np.uint64) % np.uint64(limit)
    return drawn.astype(np.int64)


def _below(limit: int) -> int:
    return int.from_bytes(random_bytes(8), "big") % limit


__all__ = ["DECOYS", "KINDS", "PLANTED", "Exposed", "expose"]
