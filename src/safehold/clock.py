"""The only source of time, so that tests can hold it still."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US


class Clock(Protocol):
    """Tell the time in microseconds since 1970-01-01 UTC."""

    def now_us(self) -> int:
        """Return the present moment in microseconds."""
        ...


class SystemClock:
    """The wall clock of this machine."""

    def now_us(self) -> int:
        """Return the present moment in microseconds."""
        return time.time_ns() // 1000


class FixedClock:
    """A clock that stands still until it is moved.

    Args:
        at_us: Where it stands, in microseconds.
    """

    def __init__(self, at_us: int) -> None:
        self.at_us = at_us

    def now_us(self) -> int:
        """Return where the clock stands, in microseconds."""
        return self.at_us

    def advance(self, by_us: int) -> None:
        """Move the clock forward (or, to test that, back) by some microseconds."""
        self.at_us += by_us


def day_of(at_us: int) -> int:
    """Return the UTC day number (days since 1970-01-01) of a moment in microseconds."""
    return at_us // DAY_US


def date_of(day: int) -> str:
    """Return a UTC day number as a date, ``YYYY-MM-DD``."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def moment_of(at_us: int) -> str:
    """Return a moment as ISO 8601 text in UTC."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).isoformat()
