"""How much each row of a slot model should weigh: rare words say more than common ones.

How many people use a word is about people, so it is released with noise of its own, out of the same
promise (``account.divide``). What follows from the noisy counts costs nothing more.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from safehold.privacy.account import Plan
from safehold.privacy.release import Floats, Noise, draw_gaussian, release_sum

_FEWEST: Final = 5.0  # people; below it, or below twice the noise, counts are all alike


def release_counts(used: NDArray[np.bool_], *, plan: Plan, noise: Noise = draw_gaussian) -> Floats:
    """Return about how many people use each word, one release of norm 1 a person.

    Whoever uses n words counts ``n^-1/2`` for each of them: a person who uses many is heard less.

    Args:
        used: People x words.
        plan: The first plan of ``account.divide``: one round.
        noise: Where noise comes from; only tests pass another one.
    """
    lengths = np.maximum(1, used.sum(axis=1, keepdims=True))
    return release_sum(used / np.sqrt(lengths), bound=1.0, multiplier=plan.multiplier, noise=noise)


def weigh_words(counts: Floats, *, people: int, plan: Plan) -> Floats:
    """Return a weight for each word that grows as fewer people use it (inverse document frequency).

    Args:
        counts: From ``release_counts``.
        people: Their number, which is public.
        plan: The plan the counts were released with.
    """
    floor = max(_FEWEST, 2 * plan.multiplier)
    return np.asarray(np.sqrt(np.log1p(people / np.maximum(counts, floor))))
