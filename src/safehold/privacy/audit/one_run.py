"""What right guesses about canaries prove: auditing in one run (Steinke, Nasr, Jagielski 2023).

Each of m canaries is in the data or not, by a coin of the auditor. From the outcome the auditor
guesses for r of them. Under (epsilon, delta) the number of right guesses is no larger, in
distribution, than a binomial one with chance e^eps / (1 + e^eps), but for a term in delta (theorem
5.2 of arXiv 2305.08846).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.special import (
    bdtrc,  # not scipy.stats: half a second to load, in each sandbox that trains
)

from safehold.errors import InvalidError

_CONFIDENCE: Final = 0.05
_FINE: Final = 1e-3  # epsilon


def doubt(*, canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Return how likely so many right guesses are at most, if a promise of epsilon and delta holds.

    Args:
        canaries: How many canaries had a coin thrown.
        guesses: For how many of them something was guessed.
        right: How many guesses were right.
        epsilon: Of the promise.
        delta: Of the promise.

    Raises:
        InvalidError: More are right than were guessed, or more guessed than there are.
    """
    if not 0 <= right <= guesses <= canaries:
        raise InvalidError("more guesses than canaries", rule="privacy.audit")
    chance = 1 / (1 + math.exp(-epsilon))
    tail = float(bdtrc(right - 1, guesses, chance))
    if not delta or not right:
        return min(1.0, tail)
    fewer = np.arange(1, right + 1)
    more = bdtrc(right - fewer - 1, guesses, chance) - tail
    return min(1.0, tail + 2 * canaries * delta * float(np.max(more / fewer)))


def epsilon_at_least(
    *, canaries: int, guesses: int, right: int, delta: float, doubtful: float = _CONFIDENCE
) -> float:
    """Return the largest epsilon that the guesses refute with the given error; 0 if none.

    Args:
        canaries: How many canaries had a coin thrown.
        guesses: For how many of them something was guessed.
        right: How many guesses were right.
        delta: Of the promise.
        doubtful: Chance of saying too much.
    """

    def refuted(epsilon: float) -> bool:
        return doubt(
            canaries=canaries, guesses=guesses, right=right, epsilon=epsilon, delta=delta
        ) < doubtful  # fmt: skip

    if not refuted(0.0):
        return 0.0
    low, high = 0.0, 64.0
    while high - low > _FINE:
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low
