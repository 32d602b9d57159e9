"""How good a model is: top-1 and macro-F1.

Scores are exact for made-up people, differentially private otherwise.

Each held-out person hands in one vector: the share of their examples that was predicted right, and
per action the shares that were hit, that occurred and that were predicted. The vector is clipped
per person and the sum gets noise once; both scores are computed from that sum, which costs nothing
more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from safehold.enclave.model import Examples, Floats, Rows
from safehold.privacy.release import Noise, draw_gaussian, release_sum

# Weight of the share of right predictions in the clipped vector against the per-action shares.
# With the bound, it fixes the noise: bound / HIT_WEIGHT for top-1, bound for each per-action
# share.
HIT_WEIGHT: Final = 0.5
BOUND: Final = 1.0


@dataclass(frozen=True, slots=True)
class Score:
    """Two figures, and what the second is about.

    Args:
        top1: Share of actions predicted right, averaged over people.
        macro_f1: F1 averaged over the actions that occur; under noise, that stand out of it.
        macro_over: Number of those actions.
    """

    top1: float
    macro_f1: float
    macro_over: int


def count_person(target: Rows, guess: Rows, *, tokens: int) -> Floats:
    """Return a person's vector: hit share, then hits, occurrences, predictions per action."""
    if len(target) == 0:
        return np.zeros(1 + 3 * tokens)
    hit = target == guess
    shares = [
        np.bincount(column, minlength=tokens) / len(target)
        for column in (target[hit], target, guess)
    ]
    return np.concatenate([[HIT_WEIGHT * hit.mean()], *shares])


def score_exact(vectors: Floats) -> Score:
    """Return exact scores; for made-up people only."""
    return _score(vectors.sum(axis=0), people=len(vectors), floor=0.0)


def score_private(vectors: Floats, *, multiplier: float, noise: Noise = draw_gaussian) -> Score:
    """Return scores under the promise that ``multiplier`` was calibrated for.

    Args:
        vectors: One row per held-out person.
        multiplier: Noise in units of one person's largest contribution.
        noise: Where the noise comes from; only tests pass another one.
    """
    total = release_sum(vectors, bound=BOUND, multiplier=multiplier, noise=noise)
    # An action whose noisy count is within the noise counts as one that does not occur.
    return _score(total, people=len(vectors), floor=3 * multiplier * BOUND)


def top1_error(*, people: int, multiplier: float) -> float:
    """Return the standard deviation that the noise adds to a private top-1."""
    return multiplier * BOUND / HIT_WEIGHT / people


def guess_majority(train: Sequence[Examples], *, tokens: int) -> int:
    """Return the most frequent action."""
    return int(
        np.bincount(np.concatenate([one.target for one in train]), minlength=tokens).argmax()
    )


def guess_bigram(train: Sequence[Examples], *, tokens: int) -> NDArray[np.int64]:
    """Return the most frequent next action after each action."""
    table = np.zeros((tokens + 1, tokens), dtype=np.int64)
    for one in train:
        np.add.at(table, (one.last, one.target), 1)
    best: NDArray[np.int64] = table.argmax(axis=1)
    best[table.sum(axis=1) == 0] = guess_majority(train, tokens=tokens)
    return best


def _score(total: Floats, *, people: int, floor: float) -> Score:
    hits, occurs, guesses = np.split(total[1:], 3)
    there = occurs > floor
    both = np.maximum(occurs + guesses, 1e-9)
    each = np.clip(2 * hits / both, 0.0, 1.0)[there]
    return Score(
        top1=float(np.clip(total[0] / HIT_WEIGHT / max(1, people), 0.0, 1.0)),
        macro_f1=float(each.mean()) if len(each) else 0.0,
        macro_over=len(each),
    )
