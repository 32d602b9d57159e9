"""How sure a share of recognised people is, and whether it fits a bound that a charter sets.

Holds: what passes does so on the upper bound of the share and with enough people; with too few nothing passes.
"""

from __future__ import annotations

import math
from typing import Final

from safehold.charter.value import MICRO, Threshold
from safehold.errors import InvalidError

CONFIDENCE: Final = 0.95  # one-sided
LEAST: Final = 50  # people; fewer say nothing about a company
MEASURE: Final = "reidentify.top1"
PASSED, FAILED, TOO_FEW = "passed", "failed", "too few people"


def upper_bound(hits: int, people: int, *, confidence: float = CONFIDENCE) -> float:
    """Return the one-sided Clopper-Pearson bound: the share at which so few hits are just this unlikely.

    For the worst of several attackers the largest of their bounds holds at the same confidence: the truly worst one's
    own bound holds at it, and the largest is no smaller. So nothing is added for having tried many.

    Args:
        hits: People recognised.
        people: People tried.
        confidence: How sure, between 0 and 1.
    """
    if hits >= people:
        return 1.0
    low, high = hits / people, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(hits, people, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(hits: int, people: int, share: float) -> float:
    """Return the chance of at most ``hits`` of ``people`` at this share."""
    if share <= 0.0 or share >= 1.0:
        return 1.0 if share <= 0.0 else 0.0
    all_ways = math.lgamma(people + 1)
    return math.fsum(
        math.exp(
            all_ways
            - math.lgamma(k + 1)
            - math.lgamma(people - k + 1)
            + k * math.log(share)
            + (people - k) * math.log1p(-share)
        )
        for k in range(hits + 1)
    )


def fewest_people(bound: int) -> int:
    """Return how many people it takes: so many that no hit among them proves the bound, and never under ``LEAST``.

    Args:
        bound: Largest share, in millionths; below one.
    """
    if bound >= MICRO:
        return LEAST
    if bound <= 0:
        raise InvalidError(
            "no number of people proves that nobody is recognised",
            rule="reidentify.bound",
            fix="state a share above 0 in the gate",
        )
    return max(LEAST, math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-bound / MICRO)))


def judge(must_be: Threshold, *, measure: str, hits: int, people: int) -> str:
    """Return whether a share fits: on its upper bound, and with enough people.

    Too few people who are recognised too often fail all the same.

    Args:
        must_be: What the charter asks for.
        measure: What it asks it of.
        hits: People whom the worst attacker recognised.
        people: People tried.

    Raises:
        InvalidError: The charter measures something else, or asks for more rather than less.
    """
    if measure != MEASURE or must_be.op not in ("<=", "<"):
        raise InvalidError(
            "the gate cannot be measured by this attack",
            rule="reidentify.gate",
            fix=f"measure {MEASURE} with <= or <",
        )
    bound = must_be.micro
    if people < fewest_people(bound) and hits * MICRO <= bound * people:
        return TOO_FEW
    upper = upper_bound(hits, people) * MICRO
    return PASSED if (upper < bound if must_be.op == "<" else upper <= bound) else FAILED
