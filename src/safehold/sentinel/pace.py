"""A number of each day - of uses, of bytes a row - and the last week of it held against the time before."""

from __future__ import annotations

from math import sqrt
from typing import Any, Final

from safehold.sentinel.measure import Running

WEEK: Final = 7  # days that are held apart
LEAST: Final = 5  # days before them without which nothing is said


class Pace:
    """One number a day of one principal, and what it was before the last seven days."""

    __slots__ = ("old", "week")

    def __init__(self) -> None:
        self.old = Running()
        self.week: list[list[Any]] = []  # day, value, whether it may be learned

    def roll(self, day: int, value: float, weight: float, *, learn: bool) -> None:
        """Close a day.

        Args:
            day: The day that has ended.
            value: Its number.
            weight: How many uses it is the mean of; 1 for a number of a day.
            learn: False if it must not become habit.
        """
        self.week.append([day, value, weight, learn])
        while self.week and self.week[0][0] <= day - WEEK:
            _, gone, _, usual = self.week.pop(0)
            if usual:
                self.old.learn(gone, 0.05)

    def above(
        self, day: int, value: float, weight: float, *, common: float, spread: float, doubt: float
    ) -> float:
        """Return how many deviations the week lies above the time before it; 0 if too little is known of that.

        A rise that began in the middle of the week is held against its own days: the worst of the last day, the last
        two, and so on.

        Args:
            day: Today.
            value: Today's number so far.
            weight: What it is the mean of so far.
            common: By how much all have risen.
            spread: Variance of one use, or of one day.
            doubt: How well the mean of a week is known at best: weeks differ too.
        """
        old = self.old
        if old.count < LEAST:
            return 0.0
        total, number = (value - old.mean) * weight, weight
        best = (total / number - common) / sqrt(spread / number + doubt * doubt)
        for then, past, uses, _ in reversed(self.week):
            if then <= day - WEEK:
                break
            total += (past - old.mean) * uses
            number += uses
            best = max(best, (total / number - common) / sqrt(spread / number + doubt * doubt))
        return best

    def to_json(self) -> list[Any]:
        """Return it as JSON."""
        return [self.old.to_json(), self.week]

    @classmethod
    def from_json(cls, tree: list[Any]) -> Pace:
        """Return what ``to_json`` wrote."""
        made = cls()
        made.old, made.week = Running.from_json(tree[0]), tree[1]
        return made
