"""How the time of some work grows: measured at one, ten and a hundred times the size, and the exponent of it."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.bench.board import SHORT

TIMES: Final = (1, 10, 100)
LEAST_S: Final = 0.02  # of CPU time: shorter work is repeated, at most so often
MOST_TURNS: Final = 20


@dataclass(frozen=True, slots=True)
class Curve:
    """Time of some work by its size.

    Args:
        name: What is done.
        unit: What is counted.
        expected: The exponent that it should have: 1 is linear, 0 does not grow.
        points: Size and CPU-seconds, the smallest first.
    """

    name: str
    unit: str
    expected: float
    points: tuple[tuple[int, float], ...]

    @property
    def exponent(self) -> float:
        """The slope of a straight line through the points, both scales logarithmic."""
        return fit(self.points)

    @property
    def last(self) -> float:
        """The slope between the two largest sizes, where what is paid once counts least."""
        return fit(self.points[-2:])

    def to_json(self) -> dict[str, Any]:
        """Return it for the record and for the picture."""
        return {
            "name": self.name, "unit": self.unit, "expected": self.expected, "points": [list(one) for one in self.points],
            "exponent": round(self.exponent, 3), "last": round(self.last, 3),
        }  # fmt: skip


def fit(points: tuple[tuple[int, float], ...]) -> float:
    """Return the exponent that fits best: least squares of logarithms."""
    across = [math.log(size) for size, _ in points]
    down = [math.log(max(spent, 1e-9)) for _, spent in points]
    middle, height = sum(across) / len(across), sum(down) / len(down)
    over = sum((x - middle) * (y - height) for x, y in zip(across, down, strict=True))
    return over / sum((x - middle) ** 2 for x in across)


def measure(
    name: str,
    unit: str,
    base: int,
    prepare: Callable[[int], Callable[[], object]],
    *,
    expected: float = 1.0,
    clock: Callable[[], float] = time.process_time,
) -> Curve:
    """Measure work at each size.

    Args:
        name: What is done.
        unit: What is counted.
        base: The smallest size.
        prepare: Makes the work of a size ready; what it takes does not count. The work may return CPU-seconds of its own.
        expected: The exponent that it should have.
        clock: What tells the time.
    """
    points = []
    for times in TIMES:
        work, best, turns, total = prepare(base * times), math.inf, 0, 0.0
        if not SHORT:  # a collection of everything takes longer than the tiny work
            gc.collect()
        gc.disable()
        try:
            while turns < 1 or (total < LEAST_S and turns < MOST_TURNS):
                start = clock()
                told = work()
                spent = told if isinstance(told, float) else clock() - start
                best, turns, total = min(best, spent), turns + 1, total + spent
        finally:
            gc.enable()
        points.append((base * times, best))
    return Curve(name, unit, expected, tuple(points))
