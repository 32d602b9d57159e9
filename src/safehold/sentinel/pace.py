"""A number of each day - of uses, of how large they are - and the last week of it held against the time before."""

from __future__ import annotations

from math import copysign, log, sqrt
from typing import Any, Final

from safehold.sentinel.measure import Running

WEEK: Final = 7  # days that are held apart
LEAST: Final = 5  # days before them without which nothing is said
LASTING: Final = (
    3  # days without which nothing is slow: what is over sooner is a burst, and told as one
)
FULL: Final = 1.5  # deviations of one day that count in full, and
BEYOND: Final = 0.5  # the logarithm of what is beyond them, so that no single day tells a week
DOUBT: Final = 0.1  # how well the mean of a week is known at best: weeks differ too


class Pace:
    """One number a day of one principal, and what it was before the last seven days."""

    __slots__ = ("asked", "back", "old", "week")

    def __init__(self) -> None:
        self.old = Running()
        # what the week counts, as it was asked last: worked out again when it is asked otherwise
        self.asked: tuple[float, float, float] | None = None
        self.back: list[tuple[float, float]] = []
        self.week: list[list[Any]] = []  # day, value, whether it may be learned

    def roll(self, day: int, value: float, *, learn: bool) -> None:
        """Close a day.

        Args:
            day: The day that has ended.
            value: Its number.
            learn: False if it must not become habit.
        """
        if learn and self.old.count < LEAST:  # until enough is known, a day is known when it ends
            self.old.learn(value)
        else:
            self.week.append([day, value, learn])
            self.asked = None
        while self.week and self.week[0][0] <= day - WEEK:
            _, gone, usual = self.week.pop(0)
            if usual:
                self.old.learn(gone, 0.05)

    def settle(self) -> None:
        """Close the week: its days become habit, as far as they may."""
        for _, value, usual in self.week:
            if usual:
                self.old.learn(value, 0.05)
        self.week = []
        self.asked = None

    def above(self, day: int, value: float, *, common: float, floor: float) -> float:
        """Return how many deviations the week lies above the time before it; 0 if too little is known of that.

        A rise that began in the middle of the week is held against its own days: the worst of the last three days,
        the last four, and so on. How much one day differs from another is learned, so uses that go together - of one
        task, of one table - are not taken for many signs.

        Args:
            day: Today.
            value: Today's number so far.
            common: By how much all have risen.
            floor: Least deviation of a day.
        """
        old = self.old
        if old.count < LEAST:
            return 0.0
        deviation = sqrt(old.spread + floor * floor)
        usual = old.mean + common
        asked = (day, usual, deviation)
        if asked != self.asked:
            self.asked, self.back = asked, self._back(day, usual, deviation)
        now, best = _held((value - usual) / deviation), 0.0
        for total, part in self.back:
            best = max(best, (now + total) * part)
        return best

    def _back(self, day: int, usual: float, deviation: float) -> list[tuple[float, float]]:
        """Return what the days before this one count together, and by what a sum with this one is multiplied."""
        doubt, total, days = (DOUBT / deviation) ** 2, 0.0, 1
        found = []
        for then, past, _ in reversed(self.week):
            if then <= day - WEEK:
                break
            total += _held((past - usual) / deviation)
            days += 1
            if days >= LASTING:
                found.append((total, 1.0 / (days * sqrt(1.0 / days + doubt))))
        return found

    def to_json(self) -> list[Any]:
        """Return it as JSON."""
        return [self.old.to_json(), self.week]

    @classmethod
    def from_json(cls, tree: list[Any]) -> Pace:
        """Return what ``to_json`` wrote."""
        made = cls()
        made.old, made.week = Running.from_json(tree[0]), tree[1]
        return made


def _held(away: float) -> float:
    """Return what the deviations of one day count."""
    if abs(away) <= FULL:
        return away
    return copysign(FULL + BEYOND * log(1.0 + abs(away) - FULL), away)
