"""Canaries: made-up people whose actions mean nothing and stand nowhere else.

A canary is one person, with one session of actions drawn evenly from the public lists. It is trained on like anybody;
the recipe cannot tell it from somebody. Who knows the key can draw the same canaries again when the model is searched
for them, so none is kept; and can draw as many candidates as are needed, that were never trained on.

Keys are 32 bytes of the keeper, one for each training; what is drawn with them is SHAKE-256 (FIPS 202).
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from safehold.enclave.action import Actions
from safehold.enclave.model import Examples, Shape, make_examples
from safehold.errors import InvalidError

LENGTH: Final = 65  # actions: the first has none before it, so 64 examples
FEWEST, MOST, SHARE = 8, 32, 20  # canaries: one for twenty people, within these
CANDIDATES: Final = 16_383  # so the largest exposure is 14 bits

_PLANTED, _CANDIDATE = b"planted", b"candidate"


def count_for(people: int) -> int:
    """Return how many canaries are planted among so many people."""
    return max(FEWEST, min(MOST, people // SHARE))


def draw_planted(key: bytes, count: int, *, tokens: int, apps: int) -> list[Actions]:
    """Return the canaries of a training.

    Args:
        key: 32 bytes that only the keeper knows.
        count: How many.
        tokens: Number of action words of the public vocabulary.
        apps: Number of applications.
    """
    return [_actions(key, _PLANTED, at, tokens=tokens, apps=apps) for at in range(count)]


def draw_candidates(key: bytes, count: int, *, tokens: int, apps: int) -> list[Actions]:
    """Return sequences that were drawn like the canaries and never trained on."""
    return [_actions(key, _CANDIDATE, at, tokens=tokens, apps=apps) for at in range(count)]


def examples_of(one: Actions, shape: Shape) -> Examples:
    """Return the examples of one sequence, as training makes them."""
    return make_examples(one, shape)


def _actions(key: bytes, what: bytes, at: int, *, tokens: int, apps: int) -> Actions:
    if len(key) != 32:
        raise InvalidError("a key of canaries has 32 bytes", rule="canary.key")
    seed = key + b"safehold.canary/1" + what + at.to_bytes(4, "big")
    raw = hashlib.shake_256(seed).digest(8 * (LENGTH + 1))
    words = np.frombuffer(raw, dtype=">u8")
    start = np.zeros(LENGTH, dtype=np.bool_)
    start[0] = True
    return Actions(
        token=_below(words[:LENGTH], tokens),
        app=np.full(LENGTH, int(words[LENGTH]) % apps, dtype=np.int64),
        start=start,
    )


def _below(words: NDArray[np.uint64], limit: int) -> NDArray[np.int64]:
    # 64 bits over a few hundred words: the bias is below 2^-55
    return np.asarray(words.astype(np.uint64) % np.uint64(limit), dtype=np.int64)
