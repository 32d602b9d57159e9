"""By when somebody has to be answered: the clocks of the law, in whole calendar months.

GDPR Art. 12(3): one month from the receipt of a request, counted by calendar months as Regulation 1182/71 Art. 3
counts them: the day of the same number, or the last day of a shorter month, and to its end. CCPA section 1798.130:
45 days. Where a charter names both, the shorter one counts; where it names neither, a month does.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from safehold.clock import DAY_US, SECOND_US

CCPA_DAYS = 45
MONTH = frozenset({"eu-gdpr", "uk-gdpr"})  # regimes that say a month


def due_us(at_us: int, regimes: Collection[str]) -> int:
    """Return the last moment at which an answer is in time, microseconds.

    Args:
        at_us: When somebody asked.
        regimes: Those of the charter in force.
    """
    by_days = at_us + CCPA_DAYS * DAY_US
    if "ccpa" in regimes and not MONTH & set(regimes):
        return by_days
    month = _month_later(at_us)
    return min(month, by_days) if "ccpa" in regimes else month


def _month_later(at_us: int) -> int:
    asked = datetime.fromtimestamp(at_us // SECOND_US, UTC)
    year, month = divmod(asked.year * 12 + asked.month, 12)
    last = monthrange(year, month + 1)[1]
    day = datetime(year, month + 1, min(asked.day, last), tzinfo=UTC) + timedelta(days=1)
    return int(day.timestamp()) * SECOND_US - 1


__all__ = ["due_us"]
