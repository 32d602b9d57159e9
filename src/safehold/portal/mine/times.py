"""Moments and days as forms send them; always UTC, and the pages say so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Final

from safehold.errors import InvalidError

ZERO: Final = date(1970, 1, 1)
# seconds of each length that a pause is offered for; 0 is until somebody says otherwise
LENGTHS: Final[Mapping[str, int]] = {
    "half-hour": 1_800,
    "two-hours": 7_200,
    "day": 86_400,
    "week": 604_800,
    "open": 0,
}


def moment_of_text(text: str, field: str) -> int:
    """Return microseconds since 1970 of a moment such as ``2026-11-02T08:15``.

    Raises:
        InvalidError: It is none.
    """
    try:
        found = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError as error:
        raise _wrong(field) from error
    if found.tzinfo is not None:
        raise _wrong(field)
    return int(found.replace(tzinfo=UTC).timestamp()) * 1_000_000


def day_of_text(text: str, field: str) -> int:
    """Return the UTC day number of a date such as ``2026-11-02``.

    Raises:
        InvalidError: It is none.
    """
    try:
        return (date.fromisoformat(text) - ZERO).days
    except ValueError as error:
        raise _wrong(field) from error


def _wrong(field: str) -> InvalidError:
    return InvalidError(
        "a day is written 2026-11-02, a moment 2026-11-02T08:15, in UTC",
        field=field,
        rule="portal.day",
    )
