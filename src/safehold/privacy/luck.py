"""What luck alone explains: so that a gate whose bound is nobody can be passed, and no gate fails by chance."""

from __future__ import annotations

import math
from typing import Final

UNLUCKY: Final = 1e-6  # how seldom luck does more than is put down to it


def most_by_luck(tries: int, chance: float, *, attackers: int = 1) -> int:
    """Return the most hits that so many tries have by luck: more than that come up once in a million attacks.

    The exact tail of the binomial distribution; for the best of several attackers each of them is given a part of it.

    Args:
        tries: Independent tries.
        chance: Chance of a hit in each.
        attackers: Attackers of which the best counts.
    """
    least = UNLUCKY / attackers
    tail, hits = 1.0, 0
    while hits < tries:
        tail -= _exactly(hits, tries, chance)
        if tail <= least and _tail(hits + 1, tries, chance) <= least:
            return hits
        hits += 1
    return hits


def beyond_luck(hits: int, tries: int, chance: float, *, attackers: int = 1) -> int:
    """Return the hits that luck does not explain; none where it does."""
    return max(0, hits - most_by_luck(tries, chance, attackers=attackers))


def _tail(least: int, tries: int, chance: float) -> float:
    """Return the chance of at least so many hits, summed from its largest term down."""
    return math.fsum(_exactly(one, tries, chance) for one in range(least, tries + 1))


def _exactly(hits: int, tries: int, chance: float) -> float:
    ways = math.lgamma(tries + 1) - math.lgamma(hits + 1) - math.lgamma(tries - hits + 1)
    return math.exp(ways + hits * math.log(chance) + (tries - hits) * math.log1p(-chance))


__all__ = ["UNLUCKY", "beyond_luck", "most_by_luck"]
