"""Days: dates, weeks, clocks and holidays of one log."""

import datetime as dt
import random

DAY = 86400


def _last_sunday(year: int, month: int) -> dt.date:
    """The last Sunday of a month of 31 days."""
    last = dt.date(year, month, 31)
    return last - dt.timedelta(days=(last.weekday() + 1) % 7)


class Days:
    """The calendar: day 0 is the first of the log."""

    def __init__(self, r: random.Random, learn: int) -> None:
        self.learn = learn
        self.count = learn + r.randint(15, 17)
        self.first = dt.date(2025, 1, 6) + dt.timedelta(days=r.randrange(0, 600))
        midnight = dt.datetime.combine(self.first, dt.time(), dt.UTC)
        self.epoch = int(midnight.timestamp())
        self.home = r.choice((0, 1, 1, 2))
        self._summer: dict[int, int] = {}
        self._dates: dict[int, dt.date] = {}
        self.holidays: list[int] = []
        for low, high in ((3, learn - 2), (learn + 2, self.count - 2)):
            weekdays = [d for d in range(low, high) if self.weekday(d) < 5]
            if r.random() < (0.75 if low == 3 else 0.9) and weekdays:
                self.holidays.append(r.choice(weekdays))
        if not self.holidays:
            self.holidays.append(
                next(d for d in range(learn + 3, learn + 9) if self.weekday(d) < 5)
            )
        self.bridge = [
            d + 1 for d in self.holidays if self.weekday(d) == 3 and d + 1 not in self.holidays
        ]
        # one site keeps a day of its own
        self.local = next(d for d in range(r.randint(4, self.count - 5), 99) if self.weekday(d) < 5)

    def date(self, day: int) -> dt.date:
        """The date of a day."""
        found = self._dates.get(day)
        if found is None:
            found = self._dates[day] = self.first + dt.timedelta(days=day)
        return found

    def weekday(self, day: int) -> int:
        """Monday is 0."""
        return self.date(day).weekday()

    def week(self, day: int) -> str:
        """The week as in 2025w07."""
        year, week, _ = self.date(day).isocalendar()
        return f"{year}w{week:02d}"

    def summer(self, day: int) -> int:
        """One hour where clocks are put forward."""
        found = self._summer.get(day)
        if found is None:
            date = self.date(day)
            found = int(_last_sunday(date.year, 3) <= date < _last_sunday(date.year, 10))
            self._summer[day] = found
        return found

    def at(self, day: int, hour: float, zone: float) -> float:
        """Seconds since the first midnight, of a local hour on a day."""
        shift = self.summer(day) if zone < 6 else 0
        return day * DAY + (hour - zone - shift) * 3600

    def local_hour(self, t: float, zone: float) -> tuple[int, float]:
        """The local day and hour of a time."""
        day = int(t // DAY)
        shift = self.summer(day) if zone < 6 else 0
        local = t + (zone + shift) * 3600
        return int(local // DAY), local % DAY / 3600

    def text(self, t: float) -> str:
        """ISO-8601 in UTC."""
        when = dt.datetime.fromtimestamp(self.epoch + int(t), dt.UTC)
        return when.strftime("%Y-%m-%dT%H:%M:%SZ")

    def closed(self, day: int, site: str, local_site: str) -> bool:
        """Whether offices are closed that day."""
        return day in self.holidays or (day == self.local and site == local_site)
