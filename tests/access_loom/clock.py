"""Days, offices, holidays and chance."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TypeVar

T = TypeVar("T")
DAY = 86_400

OFFICES = [
    ("lisbon", 0.0),
    ("berlin", 1.0),
    ("athens", 2.0),
    ("pune", 5.5),
    ("seoul", 9.0),
    ("toronto", -5.0),
    ("denver", -7.0),
    ("recife", -3.0),
]


def poisson(r: Random, mean: float) -> int:
    """A count about a mean."""
    if mean <= 0:
        return 0
    if mean > 40:
        return max(0, round(r.gauss(mean, math.sqrt(mean))))
    floor, n, p = math.exp(-mean), 0, r.random()
    while p > floor:
        n += 1
        p *= r.random()
    return n


def some(r: Random, of: list[T], least: int, most: int) -> list[T]:
    """Between `least` and `most` of a list, as far as it goes."""
    return r.sample(of, min(len(of), r.randint(least, most)))


@dataclass
class Office:
    """A place with its own time and its own holidays."""

    name: str
    offset: float
    holidays: set[int] = field(default_factory=set)


@dataclass
class Clock:
    """The days of the log."""

    first: datetime
    days: int
    learn: int
    holiday: int
    zero: int = 0  # seconds of the first midnight

    def __post_init__(self) -> None:
        self.zero = int(self.first.timestamp())

    @property
    def learned(self) -> int:
        """Seconds at which the learn days end."""
        return self.zero + self.learn * DAY

    @property
    def end(self) -> int:
        """Seconds at which the log ends."""
        return self.zero + self.days * DAY

    def weekday(self, d: int) -> int:
        """0 is Monday."""
        return (self.first.weekday() + d) % 7

    def date(self, d: int) -> datetime:
        """The date of a day."""
        return self.first + timedelta(days=d)

    def works(self, d: int, office: Office) -> bool:
        """Is this a working day in that office?"""
        return self.weekday(d) < 5 and d != self.holiday and d not in office.holidays

    def at(self, d: int, hour: float, offset: float) -> int:
        """Seconds of a local hour on a day; hours beyond 24 belong to the night after."""
        return self.zero + d * DAY + int((hour - offset) * 3600)

    def month_end(self, d: int) -> bool:
        """Is the day in the close of a month: its last two days, or the two after?"""
        return self.date(d).day <= 2 or self.date(d + 2).day <= 2


def start(r: Random, learn_days: int) -> tuple[Clock, list[Office]]:
    """Sets the days, the offices and their holidays."""
    first = datetime(2026, r.randint(1, 10), r.randint(1, 28), tzinfo=UTC)
    clock = Clock(first, learn_days + r.randint(15, 17), learn_days, -1)
    weekdays = [d for d in range(4, clock.days - 3) if clock.weekday(d) < 5]
    clock.holiday = r.choice(weekdays)
    offices = [Office(n, o) for n, o in r.sample(OFFICES, r.choice([2, 3, 3]))]
    for office in offices:
        if r.random() < 0.7:
            office.holidays.add(r.choice([d for d in weekdays if d != clock.holiday]))
    return clock, offices
