"""How large somebody's uses are: a histogram of the time before the last week, and the last week held against it."""

from __future__ import annotations

from math import log2
from typing import Any, Final

WEEK: Final = 7  # days that are held apart, so that what creeps up is not its own measure
LEAST: Final = 30.0  # uses before the last week without which nothing is said
MOST_LARGE: Final = (
    0.24  # as many as can be, up to this part of the uses, count as large: about a fifth
)


def bucket_of(rows: int, amount: int) -> int:
    """Return the size of a use on a scale of halves of a power of two, of rows times bytes.

    Where one of them is 0, the other counts twice.

    Args:
        rows: Rows opened.
        amount: Bytes that came out.
    """
    opened, left = log2(rows + 1.0), log2(amount + 1.0)
    return int(2.0 * ((opened or left) + (left or opened)))


class Sizes:
    """Sizes of one principal's uses."""

    __slots__ = ("cut", "days", "hits", "old", "share", "total", "tries", "week")

    def __init__(self) -> None:
        self.old: dict[int, float] = {}
        self.total = 0.0
        self.days = 0.0  # active days that ``old`` is made of
        self.week: list[tuple[int, dict[int, int], int]] = []  # day, sizes, how many were large
        self.cut = 1 << 30
        self.share = 0.2
        self.hits = self.tries = 0  # large and all of the days in ``week``

    def roll(self, day: int, sizes: dict[int, int], hits: int, *, learn: bool, fade: float) -> None:
        """Close a day.

        Args:
            day: The day that has ended.
            sizes: How many uses had which size.
            hits: How many of them were large.
            learn: False if the day was anomalous: it then counts in its week and never teaches.
            fade: What is left of the old histogram for each day that joins it.
        """
        if sizes:
            self.week.append((day, sizes if learn else {}, hits))
            self.hits += hits
            self.tries += sum(sizes.values())
            if not learn:
                self.week[-1] = (day, {-1: sum(sizes.values())}, hits)
        changed = False
        while self.week and self.week[0][0] <= day - WEEK:
            _, gone, large = self.week.pop(0)
            self.hits -= large
            self.tries -= sum(gone.values())
            if -1 in gone:
                continue
            changed = True
            for bucket in self.old:
                self.old[bucket] *= fade
            self.total *= fade
            self.days = self.days * fade + 1.0
            for bucket, count in gone.items():
                self.old[bucket] = self.old.get(bucket, 0.0) + count
                self.total += count
        if changed:
            self._cut()

    def _cut(self) -> None:
        if self.total < LEAST:
            return
        above = 0.0
        for bucket in sorted(self.old, reverse=True):
            if above + self.old[bucket] > MOST_LARGE * self.total and above > 0.02 * self.total:
                break
            above += self.old[bucket]
            self.cut = bucket
        self.share = max(min(above / self.total, 0.5), 0.02)
        self.old = {bucket: weight for bucket, weight in self.old.items() if weight > 0.01}

    @property
    def usual(self) -> float:
        """Return how many uses an ordinary active day has."""
        return self.total / self.days if self.days else 0.0

    def to_json(self) -> list[Any]:
        """Return it as JSON."""
        old = [[bucket, weight] for bucket, weight in self.old.items()]
        week = [[day, list(map(list, sizes.items())), hits] for day, sizes, hits in self.week]
        return [old, self.total, self.days, week, self.cut, self.share, self.hits, self.tries]

    @classmethod
    def from_json(cls, tree: list[Any]) -> Sizes:
        """Return what ``to_json`` wrote."""
        made = cls()
        old, made.total, made.days, week, made.cut, made.share, made.hits, made.tries = tree
        made.old = dict(old)
        made.week = [(day, dict(sizes), hits) for day, sizes, hits in week]
        return made
