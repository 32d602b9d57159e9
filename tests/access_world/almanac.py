"""Days: working weeks by site, summer time, public holidays, days on which few come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.access_world.dice import Dice

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday, six days before clocks change in America
START_US = int(START.timestamp()) * 1_000_000
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
SITES = {"sfo": -8.0, "nyc": -5.0, "dub": 0.0, "ber": 1.0, "blr": 5.5}
SHARES = {"sfo": 0.34, "nyc": 0.22, "dub": 0.12, "ber": 0.2, "blr": 0.12}
SUMMER = {"sfo": 6, "nyc": 6, "dub": 27, "ber": 27}  # day from which clocks are an hour ahead
WEEK = (1.0, 1.08, 1.04, 1.0, 0.72, 0.0, 0.0)  # Friday is thin


def at(site: str, day: int, hour: float) -> int:
    """Moment in microseconds of an hour of local time."""
    offset = SITES[site] + (1.0 if day >= SUMMER.get(site, 10**6) else 0.0)
    return START_US + day * DAY_US + int((hour - offset) * HOUR_US)


def local_hour(site: str, moment: int, day: int) -> float:
    offset = SITES[site] + (1.0 if day >= SUMMER.get(site, 10**6) else 0.0)
    return (moment - START_US) / HOUR_US % 24 + offset


def written(moment: int) -> str:
    return (START + timedelta(microseconds=moment - START_US)).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Almanac:
    """What kind of day it is at a site."""

    holidays: dict[str, frozenset[int]]
    storms: dict[int, float]  # company-wide days that are busier or quieter than others

    def load(self, site: str, day: int) -> float:
        """How much of an ordinary day's work is done."""
        if day in self.holidays[site]:
            return 0.02
        after = 1.25 if day - 1 in self.holidays[site] and day % 7 < 5 else 1.0
        return WEEK[day % 7] * after * self.storms.get(day, 1.0)

    def works(self, site: str, day: int) -> bool:
        return day % 7 < 5 and day not in self.holidays[site]


def draw(seed: int, days: int) -> Almanac:
    dice = Dice.of(seed, "almanac")
    shared = {
        dice.randrange(5, days) // 7 * 7 + dice.choice((0, 4)) for _ in range(max(1, days // 40))
    }
    holidays = {}
    for site in SITES:
        own = {dice.randrange(days) for _ in range(max(1, days // 30))}
        holidays[site] = frozenset(day for day in shared | own if day % 7 < 5)
    storms = {dice.randrange(days): dice.choice((0.6, 1.4, 1.7)) for _ in range(max(1, days // 15))}
    return Almanac(holidays, storms)
