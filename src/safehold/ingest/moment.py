"""What a mapping says of time, and how a written time is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from safehold.clock import SECOND_US
from safehold.errors import InvalidError

UNITS: Final = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000}
ISO: Final = "iso"  # ISO 8601 and RFC 3339
_TIME: Final = frozenset(
    {"unit", "from", "press", "release", "rebase", "disorder", "format", "zone", "at"}
)
_LONGEST: Final = 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FRACTION: Final = re.compile(r"\.(\d{6})\d+")  # finer than a microsecond


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRule:
    """Where the time of an event comes from.

    Args:
        column: The column with the time of the event, empty with ``press`` and ``release``.
        press: The column with the time a key or button went down.
        release: The column with the time it came up.
        unit_us: Microseconds of one unit.
        rebase: Whether times are relative to the start of a session and are anchored at the import.
        clamp: Whether a time that runs backwards within a session is raised to the one before it.
        written: How a time is written as text: ``iso``, or as ``strptime`` reads it; empty for numbers.
        zone_us: What is taken off a written time that names no zone, microseconds.
        now: Whether every event has the time of the import.
    """

    column: str = ""
    press: str = ""
    release: str = ""
    unit_us: int = 1
    rebase: bool = False
    clamp: bool = False
    written: str = ""
    zone_us: int = 0
    now: bool = False


def parse_time(value: Any) -> TimeRule:
    """Read what a mapping says of time.

    Raises:
        InvalidError: A key is not known, or the keys do not fit together.
    """
    if not isinstance(value, Mapping):
        raise _wrong("time is missing")
    for key in value:
        if key not in _TIME:
            raise InvalidError(
                "this key is not known", field=f"time.{str(key)[:40]}", rule="mapping.unknown_key"
            )
    if "at" in value:
        if value != {"at": "import"}:
            raise _wrong("time is {at: import}, or has from, or press and release")
        return TimeRule(rebase=True, now=True)
    pair = "press" in value and "release" in value
    if pair == ("from" in value) or ("press" in value) != ("release" in value):
        raise _wrong("time has from, or press and release")
    if value.get("unit", "us") not in UNITS:
        raise InvalidError(
            f"a unit is one of {', '.join(UNITS)}", field="time.unit", rule="mapping.time"
        )
    if value.get("rebase", "import") != "import" or value.get("disorder", "clamp") not in (
        "clamp",
        "refuse",
    ):
        raise _wrong("rebase is import; disorder is clamp or refuse")
    written = str(value.get("format", ""))
    if written and ("unit" in value or "rebase" in value or pair or len(written) > _LONGEST):
        raise _wrong("a format reads one column of moments: no unit, no rebase, no press")
    if "zone" in value and not written:
        raise _wrong("a zone belongs to a format")
    return TimeRule(
        column=str(value.get("from", "")),
        press=str(value.get("press", "")),
        release=str(value.get("release", "")),
        unit_us=UNITS[value.get("unit", "us")],
        rebase="rebase" in value,
        clamp=value.get("disorder") == "clamp",
        written=written,
        zone_us=_zone(str(value.get("zone", "+00:00"))),
    )


def read_moment(text: str | None, rule: TimeRule) -> int | None:
    """Return a written time in microseconds since 1970, or None when it is none.

    Args:
        text: The time.
        rule: How it is written.
    """
    if text is None or not 0 < len(text) <= _LONGEST or not text.isascii():
        return None
    try:
        if rule.written == ISO:
            moment = datetime.fromisoformat(_FRACTION.sub(r".\1", text))
        else:
            moment = datetime.strptime(text, rule.written)  # noqa: DTZ007 - the zone is told beside it
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone(timedelta(microseconds=rule.zone_us)))
        return (moment - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError, TypeError, re.error):
        return None


def _zone(text: str) -> int:
    match = re.fullmatch(r"([+-])(\d\d):([0-5]\d)", text)
    if match is None or int(match[2]) > 14:
        raise _wrong("a zone is written as +01:00")
    minutes = int(match[2]) * 60 + int(match[3])
    return (minutes if match[1] == "+" else -minutes) * 60 * SECOND_US


def _wrong(message: str) -> InvalidError:
    return InvalidError(message, field="time", rule="mapping.time")
