"""Days, clocks and holidays of the regions where the made-up company works."""

import datetime as dt
import functools
import random

DAY = 86_400.0
HOUR = 3_600.0
_BASE = {"us": -5.0, "eu": 1.0, "in": 5.5}


@functools.cache
def _sunday(year: int, month: int, which: int) -> dt.date:
    """The which-th Sunday of a month, counted from 1; the last for -1."""
    days = [dt.date(year, month, day) for day in range(1, 31)]
    days += [dt.date(year, month, 31)] if month in {3, 10} else []
    return [day for day in days if day.weekday() == 6][which - (which > 0)]


class Calendar:
    """The days of one log.

    Attributes:
        days: How many.
        learn: How many of them carry no attack.
        off: Days (from 0) on which a region does not work.
    """

    def __init__(self, rng: random.Random, learn: int) -> None:
        self.days = learn + rng.randint(15, 21)
        self.learn = learn
        self._first = dt.date(2026, 1, 5) + dt.timedelta(days=rng.randrange(300))
        epoch = dt.datetime.combine(self._first, dt.time(), dt.UTC)
        self.zero = epoch.timestamp()
        self.off: dict[str, set[int]] = {}
        for region in sorted(_BASE):
            self.off[region] = {rng.randrange(3, self.days) for _ in range(rng.randint(1, 3))}

    def date(self, day: int) -> dt.date:
        """The date of a day of the log."""
        return self._first + dt.timedelta(days=day)

    def offset(self, region: str, day: int) -> float:
        """Hours by which a region's clocks are ahead of UTC, summer time included."""
        date = self.date(day)
        summer = False
        if region == "eu":
            summer = _sunday(date.year, 3, -1) <= date < _sunday(date.year, 10, -1)
        if region == "us":
            summer = _sunday(date.year, 3, 2) <= date < _sunday(date.year, 11, 1)
        return _BASE[region] + summer

    def weekend(self, day: int) -> bool:
        """Whether a day is a Saturday or a Sunday."""
        return self.date(day).weekday() >= 5

    def works(self, region: str, day: int) -> bool:
        """Whether a region's offices are open."""
        return not self.weekend(day) and day not in self.off[region]

    def month_end(self, day: int) -> bool:
        """Whether the books are being closed: the last two days of a month and the first two."""
        date = self.date(day)
        return date.day <= 2 or (date + dt.timedelta(days=2)).month != date.month

    def at(self, day: int, hour: float, region: str | None = None) -> float:
        """Seconds since the log began for an hour of a day, by a region's clocks or UTC."""
        return day * DAY + (hour - (self.offset(region, day) if region else 0.0)) * HOUR

    def local(self, when: float, region: str) -> float:
        """The hour of the day by a region's clocks."""
        day = min(self.days - 1, max(0, int(when // DAY)))
        return (when / HOUR + self.offset(region, day)) % 24

    def iso(self, when: float) -> str:
        """A moment as ISO-8601 with milliseconds and Z."""
        stamp = dt.datetime.fromtimestamp(self.zero + round(when, 3), dt.UTC)
        return stamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}Z"
