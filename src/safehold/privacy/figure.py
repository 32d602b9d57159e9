"""One figure over groups of people, by code that nobody has to trust: sample and aggregate.

Each person is in one group, and code sees one group at a time, so a person moves one group's figure only. Every
figure is clamped to bounds fixed before, put on a grid, and added up in whole numbers; noise is added once. What a
group does not hand in counts as the middle, so that failing tells nothing either.

The promise is epsilon, with delta 0, for replacing everything of one person (Mohan et al. 2012, GUPT, section 4;
Nissim et al. 2007). The noise is a discrete Laplace drawn exactly, in whole numbers, from operating-system entropy
(Canonne, Kamath and Steinke 2020, algorithms 1 and 2), so no rounding of doubles gives it away.

Does not hold: that the figure is near the one over everybody at once. Each group is small, and its figure is biased
where the statistic is no mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from safehold.errors import InvalidError
from safehold.ids import random_bytes

GRID: Final = 1 << 20  # steps between the bounds
LEAST_GROUPS: Final = 10
_MICRO: Final = 1_000_000

Draw = Callable[[int, int], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A mean over groups with noise.

    Args:
        value: Between the bounds, or a little beyond, as the noise has it.
        error: Standard deviation of the noise.
        groups: Number of groups.
    """

    value: float
    error: float
    groups: int


def draw_laplace(numerator: int, denominator: int) -> int:
    """Return a whole number y with probability proportional to exp(-abs(y) * denominator / numerator).

    Args:
        numerator: Of the scale, positive.
        denominator: Of the scale, positive.
    """
    while True:
        start = _below(numerator)
        if not _happens(start, numerator):
            continue
        turns = 0
        while _happens(1, 1):
            turns += 1
        size = (start + numerator * turns) // denominator
        negative = bool(_below(2))
        if not (negative and size == 0):
            return -size if negative else size


def release_mean(
    figures: Sequence[float | None],
    *,
    least: float,
    most: float,
    epsilon_micro: int,
    draw: Draw = draw_laplace,
) -> Figure:
    """Release the mean of one figure per group.

    Args:
        figures: One per group; None, or one that is no number, counts as the middle.
        least: Lower bound, fixed before any data was seen.
        most: Upper bound.
        epsilon_micro: What it costs, millionths.
        draw: Where noise comes from; only tests pass another one.

    Raises:
        InvalidError: There are too few groups, or the bounds are none.
    """
    if len(figures) < LEAST_GROUPS or not least < most or epsilon_micro < 1:
        raise InvalidError(
            f"a figure needs {LEAST_GROUPS} groups, bounds and epsilon", rule="privacy.figure"
        )
    total = sum(_step(one, least, most) for one in figures)
    # one person moves the sum by GRID at most: scale GRID / epsilon
    noisy = total + draw(GRID * _MICRO, epsilon_micro)
    width, parts = most - least, GRID * len(figures)
    return Figure(
        value=least + width * (noisy / parts),
        error=width * math.sqrt(2) * _MICRO / epsilon_micro / len(figures),
        groups=len(figures),
    )


def split_people(people: Sequence[str], groups: int) -> list[list[str]]:
    """Return people in groups of nearly one size, put together by chance.

    Args:
        people: All of them, each once.
        groups: How many groups; fewer where there are fewer people.
    """
    shuffled = sorted(people, key=lambda _: random_bytes(16))
    count = min(groups, len(shuffled))
    return [shuffled[at::count] for at in range(count)]


def _step(figure: float | None, least: float, most: float) -> int:
    if figure is None or not math.isfinite(figure):
        return GRID // 2
    share = (min(max(figure, least), most) - least) / (most - least)
    return min(max(round(share * GRID), 0), GRID)


def _happens(numerator: int, denominator: int) -> bool:
    """Return true with probability exp(-numerator / denominator), a number from 0 to 1 below the exponent."""
    turn = 1
    while _below(denominator * turn) < numerator:
        turn += 1
    return turn % 2 == 1


def _below(limit: int) -> int:
    """Return a whole number from 0 to limit - 1, each as likely."""
    size = (limit.bit_length() + 7) // 8
    edge = (1 << (8 * size)) // limit * limit
    while (drawn := int.from_bytes(random_bytes(size), "big")) >= edge:
        pass
    return drawn % limit
