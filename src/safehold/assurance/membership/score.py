"""Membership inference with few shadow models, a person at a time.

Source: Carlini et al. 2022, Membership Inference Attacks From First Principles (LiRA), section 5, with the variance
pooled over people as they advise for few shadow models. The unit is the person: one figure of all that they did.

Shadow models are trained on random halves of the same people. What a model says of somebody who was in, and of
somebody who was out, is compared with what the model under attack says of them. That model may be noisier than its
shadows or worse than they are, which moves everybody alike; the common move is taken out first.

The threshold is set on the people who were not in: at most ``RATE`` of them lie above it. So its false positive rate
is known, and true positives above it are what the attack gains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from safehold.enclave.model import Floats
from safehold.errors import InvalidError

RATE: Final = 0.05  # of the others that may lie above the threshold
SHADOWS: Final = 8
FEWEST: Final = 20  # people on each side
_LEAST_SPREAD: Final = 1e-6

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What came of an attack, in counts.

    Args:
        members: People who were in the training set.
        others: People who were not.
        hits: Members above the threshold.
        false: Others above it.
        even_hits: Members above the median of the others.
        even_false: Others above it.
    """

    members: int
    others: int
    hits: int
    false: int
    even_hits: int
    even_false: int


def score_people(target: Floats, shadows: Floats, inside: Flags) -> Floats:
    """Return how much more each person looks like somebody who was in.

    Args:
        target: What the model under attack says of each person.
        shadows: What each shadow model says of each person, shadows x people.
        inside: Who was in the training set of each shadow model, of the same shape.

    Raises:
        InvalidError: Somebody was in all shadow models or in none.
    """
    count = inside.sum(axis=0)
    if shadows.shape != inside.shape or target.shape != inside.shape[1:]:
        raise InvalidError("the figures of an attack do not fit together", rule="membership.shape")
    if count.min(initial=1) < 1 or (count == len(inside)).any():
        raise InvalidError("a shadow model must leave somebody out", rule="membership.shadows")
    mean_in = np.where(inside, shadows, 0.0).sum(axis=0) / count
    mean_out = np.where(inside, 0.0, shadows).sum(axis=0) / (len(inside) - count)
    residual = np.where(inside, shadows - mean_in, shadows - mean_out)
    free = max(1, residual.size - 2 * residual.shape[1])
    variance = max(_LEAST_SPREAD, float((residual**2).sum() / free))
    middle = (mean_in + mean_out) / 2
    moved = target - middle
    moved = moved - np.median(moved)
    # of somebody whom the shadows hardly notice, little can be said either way
    gap = mean_in - mean_out
    gap = np.where(np.abs(gap) < gap.mean() / 4, gap.mean() / 4, gap)
    return np.asarray(moved * gap / variance)


def halve_people(people: int, *, shadows: int, draw: NDArray[np.uint64]) -> Flags:
    """Return who is in each shadow model: everybody in half of them, half of the people in each.

    Args:
        people: How many people.
        shadows: How many models; even.
        draw: Random numbers, half the models x people.
    """
    out = np.zeros((shadows, people), dtype=np.bool_)
    for pair in range(shadows // 2):
        order = np.argsort(draw[pair], kind="stable")
        out[2 * pair, order[: people // 2]] = True
        out[2 * pair + 1] = ~out[2 * pair]
    return out


def tally(scores: Floats, member: Flags) -> Tally:
    """Return what an attack comes to: how many lie above a threshold that few of the others pass.

    Args:
        scores: One of each person; more is more like a member.
        member: Who was in.

    Raises:
        InvalidError: There are too few on one side to set a threshold.
    """
    yes, no = scores[member], np.sort(scores[~member])[::-1]
    if min(len(yes), len(no)) < FEWEST:
        raise InvalidError(
            f"at least {FEWEST} people on each side are needed", rule="membership.people"
        )
    allowed = math.floor(RATE * len(no))
    threshold, even = no[allowed], np.median(no)
    return Tally(
        members=len(yes),
        others=len(no),
        hits=int((yes > threshold).sum()),
        false=int((no > threshold).sum()),
        even_hits=int((yes > even).sum()),
        even_false=int((no > even).sum()),
    )
