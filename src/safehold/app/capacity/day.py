"""A day of a company: how many events come in each minute, by where people are and when they work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from safehold.errors import InvalidError

MINUTES: Final = 1_440
Curve = npt.NDArray[np.float64]
# share of people, hours from UTC: mostly on two coasts; an assumption, as the shares of streams
ZONES: Final = ((0.45, -8.0), (0.30, -5.0), (0.15, 1.0), (0.10, 5.5))
# events of one person on one working day, by stream; 175,000 together, which is 14 G for 80,000 people
EVENTS: Final = (("key", 17_500.0), ("pointer", 157_000.0), ("other", 500.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What comes in on one day.

    Args:
        people: How many work.
        events: Of one person, by stream.
        zones: Share of people and hours from UTC, each.
        peak: The busiest minute over the mean of the day; found from the zones if it is 0.
    """

    people: int
    events: tuple[tuple[str, float], ...] = EVENTS
    zones: tuple[tuple[float, float], ...] = ZONES
    peak: float = 600_000 / (14e9 / 86_400)

    def __post_init__(self) -> None:
        if self.people < 1 or any(count < 0 for _, count in self.events):
            raise InvalidError("a day has people, and no fewer than no events", rule="capacity.day")

    @property
    def total(self) -> float:
        """Events of the day."""
        return self.people * sum(count for _, count in self.events)

    def active(self) -> Curve:
        """Return what share of all people is at work in each minute of the day, UTC."""
        total: Curve = np.zeros(MINUTES)
        for share, hours in self.zones:
            total += share * np.roll(_hours(), -round(60 * hours))
        return total

    def weights(self) -> Curve:
        """Return what share of the day's events comes in each minute; they add up to one.

        The hours of work are sharpened until the busiest minute is as busy as ``peak`` says.
        """
        shape = self.active()
        if not self.peak:
            even: Curve = shape / shape.sum()
            return even
        low, high = 0.05, 12.0
        for _ in range(60):
            middle = (low + high) / 2
            tried = shape**middle
            if tried.max() / tried.mean() < self.peak:
                low = middle
            else:
                high = middle
        made: Curve = shape**low / (shape**low).sum()
        return made

    def rates(self) -> Curve:
        """Return events a second in each minute."""
        rates: Curve = self.weights() * self.total / 60
        return rates


def _hours() -> Curve:
    """Return how busy somebody is in each minute of their own day: two rises about noon, next to nothing at night."""
    hour = np.arange(MINUTES) / 60
    busy = np.exp(-(((hour - 10.5) / 1.7) ** 2)) + 0.95 * np.exp(-(((hour - 15.0) / 1.9) ** 2))
    made: Curve = busy + 0.01 + 0.05 * np.exp(-(((hour - 20.5) / 1.5) ** 2))
    return made


def at_work(day: Day) -> Curve:
    """Return how many people do something in each minute: 85 of 100 at the busiest one."""
    shape = day.active()
    working: Curve = shape / shape.max() * 0.85 * day.people
    return working
