"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

from safehold.clock import SECOND_US
from safehold.errors import InvalidError


def moment_us(text: str, *, field: str) -> int:
    """Return the microseconds of a moment such as ``2026-11-02T09:00:00``; without a zone it is UTC.

    Raises:
        InvalidError: It is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidError(
            "a moment is written 2026-11-02T09:00:00", field=field, rule="cli.moment"
        ) from error
    found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return int(found.timestamp()) * SECOND_US + found.microsecond
