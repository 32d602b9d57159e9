"""How large somebody's uses are, of each action apart: what was usual before the last week."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container
from math import log2
from typing import Any, Final

WEEK: Final = 7  # days that are held apart, so that what creeps up is not its own measure
LEAST: Final = 30.0  # uses before the last week without which nothing is large
MOST_LARGE: Final = (
    0.24  # as many as can be, up to this part of the uses, count as large: about a fifth
)
MOST_ACTIONS: Final = 32  # that are told apart; of what is beyond nothing is known
MOST_SIZES: Final = 64  # sizes of an action in one day that are told apart
LEAST_WEIGHT: Final = 0.01


def bucket_of(rows: int, amount: int) -> int:
    """Return the size of a use on a scale of halves of a power of two, of rows times bytes.

    Where one of them is 0, the other counts twice.

    Args:
        rows: Rows opened.
        amount: Bytes that came out.
    """
    opened, left = log2(rows + 1.0), log2(amount + 1.0)
    return int(2.0 * ((opened or left) + (left or opened)))


class Spread:
    """How often each size came: of one action, by one principal or by all of a kind."""

    __slots__ = ("above", "found", "total", "weights")

    def __init__(self, weights: dict[int, float] | None = None) -> None:
        self.weights = weights or {}
        self.total = 0.0
        self.found: list[int] = []
        self.above: list[float] = []
        self.settle()

    def add(self, sizes: dict[int, int], weight: float = 1.0) -> None:
        """Take in how many uses had which size; ``settle`` must follow.

        Args:
            sizes: How many of each.
            weight: What one of them counts.
        """
        for bucket, count in sizes.items():
            self.weights[bucket] = self.weights.get(bucket, 0.0) + count * weight

    def fade(self, fade: float) -> None:
        """Let it count less; ``settle`` must follow."""
        self.weights = {
            bucket: weight * fade
            for bucket, weight in self.weights.items()
            if weight * fade > LEAST_WEIGHT
        }

    def settle(self) -> None:
        """Sum up, so that to ask costs little."""
        self.found = sorted(self.weights)
        self.above, total = [], 0.0
        for bucket in reversed(self.found):
            total += self.weights[bucket]
            self.above.append(total)
        self.above.reverse()
        self.total = total

    def at_least(self, bucket: int) -> float:
        """Return how many were larger, and half of those that were as large."""
        place = bisect_right(self.found, bucket)
        larger = self.above[place] if place < len(self.above) else 0.0
        return larger + 0.5 * self.weights.get(bucket, 0.0)

    def to_json(self) -> list[list[float]]:
        """Return it as JSON."""
        return [[bucket, self.weights[bucket]] for bucket in self.found]

    @classmethod
    def from_json(cls, tree: list[list[float]]) -> Spread:
        """Return what ``to_json`` wrote."""
        return cls({int(bucket): weight for bucket, weight in tree})


class Sizes:
    """Sizes of one principal's uses."""

    __slots__ = ("cut", "old", "total", "week")

    def __init__(self) -> None:
        self.old: dict[str, Spread] = {}
        self.total = 0.0
        # the last days: which, and of each action how many uses had which size
        self.week: list[tuple[int, dict[str, dict[int, int]]]] = []
        self.cut = 1 << 30  # what is larger is large, whatever the action

    def roll(
        self, day: int, sizes: dict[str, dict[int, int]], *, fade: float
    ) -> list[dict[str, dict[int, int]]]:
        """Close a day; return those that have become old with it.

        Args:
            day: The day that has ended.
            sizes: Of each action how many uses had which size; empty if the day must not become habit.
            fade: What is left of what is old for each day that joins it.
        """
        gone = []
        if sizes and self.total < LEAST:
            gone.append(sizes)  # until enough is known, a day is known when it ends
        elif sizes:
            self.week.append((day, sizes))
        while self.week and self.week[0][0] <= day - WEEK:
            gone.append(self.week.pop(0)[1])
        for past in gone:
            for spread in self.old.values():
                spread.fade(fade)
            for action in sorted(past):  # a restart must change nothing
                if action in self.old or len(self.old) < MOST_ACTIONS:
                    self.old.setdefault(action, Spread()).add(past[action])
        if gone:
            for spread in self.old.values():
                spread.settle()
            self.old = {action: spread for action, spread in self.old.items() if spread.total}
            self._cut()
        return gone

    def _cut(self) -> None:
        every: dict[int, float] = {}
        for _, spread in sorted(self.old.items()):
            for bucket, weight in spread.weights.items():
                every[bucket] = every.get(bucket, 0.0) + weight
        self.total = sum(every[bucket] for bucket in sorted(every))
        if self.total < LEAST:
            return
        above = 0.0
        for bucket in sorted(every, reverse=True):
            if above + every[bucket] > MOST_LARGE * self.total and above > 0.02 * self.total:
                break
            above += every[bucket]
            self.cut = bucket

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "old": {action: spread.to_json() for action, spread in self.old.items()},
            "week": [[day, as_lists(sizes)] for day, sizes in self.week],
            "total": self.total,
            "cut": self.cut,
        }

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Sizes:
        """Return what ``to_json`` wrote."""
        made = cls()
        made.old = {action: Spread.from_json(one) for action, one in tree["old"].items()}
        made.week = [(day, from_lists(sizes)) for day, sizes in tree["week"]]
        made.total, made.cut = tree["total"], tree["cut"]
        return made


def note(
    sizes: dict[str, dict[int, int]], action: str, bucket: int, known: Container[str] = ()
) -> None:
    """Count a use among those of its day.

    Args:
        sizes: Those of the day.
        action: What was done.
        bucket: Its size.
        known: Actions for which there is room always, so that invented ones push out none of them.
    """
    counts = sizes.get(action)
    if counts is None:
        if len(sizes) >= MOST_ACTIONS and action not in known:
            return
        counts = sizes[action] = {}
    if bucket in counts or len(counts) < MOST_SIZES:
        counts[bucket] = counts.get(bucket, 0) + 1


def as_lists(sizes: dict[str, dict[int, int]]) -> dict[str, list[list[int]]]:
    """Return sizes as JSON, whose keys are texts."""
    return {action: [[*one] for one in counts.items()] for action, counts in sizes.items()}


def from_lists(tree: dict[str, list[tuple[int, int]]]) -> dict[str, dict[int, int]]:
    """Return what ``as_lists`` wrote."""
    return {action: dict(counts) for action, counts in tree.items()}
