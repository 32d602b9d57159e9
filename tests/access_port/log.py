"""The lines of the log, and how they are written."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(slots=True)
class Event:
    """One use, request or refusal.  `attack` is the number of the attack it belongs to, or -1."""

    at: int  # milliseconds since midnight UTC of the first day
    principal: str
    kind: str
    role: str
    team: str
    action: str
    objects: tuple[str, ...]
    segment: str
    purpose: str
    rows: int
    bytes: int
    grant: str | None
    outcome: str
    attack: int = -1


class Calendar:
    """Days of the log, its clock, and summer time in Europe."""

    def __init__(self, first: date) -> None:
        self.first = first
        self._days: dict[int, str] = {}

    def iso(self, at: int) -> str:
        """The moment in ISO 8601."""
        day, rest = divmod(at, DAY)
        name = self._days.get(day)
        if name is None:
            name = self._days[day] = (self.first + timedelta(days=day)).isoformat()
        seconds, milli = divmod(rest, SECOND)
        minutes, second = divmod(seconds, 60)
        hour, minute = divmod(minutes, 60)
        return f"{name}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"

    def weekday(self, day: int) -> int:
        """Monday is 0."""
        return (self.first.weekday() + day) % 7

    def offset(self, continent: str, day: int) -> int:
        """Hours that a wall clock there is ahead of UTC."""
        if continent == "asia":
            return 8
        today = self.first + timedelta(days=day)
        spring, autumn = (date(today.year, month, 31) for month in (3, 10))
        spring -= timedelta(days=(spring.weekday() + 1) % 7)
        autumn -= timedelta(days=(autumn.weekday() + 1) % 7)
        return 2 if spring <= today < autumn else 1


def line(event: Event, calendar: Calendar) -> dict[str, Any]:
    """The event as it stands in the log."""
    return {
        "t": calendar.iso(event.at),
        "principal": event.principal,
        "kind": event.kind,
        "role": event.role,
        "team": event.team,
        "action": event.action,
        "objects": list(event.objects),
        "segment": event.segment,
        "purpose": event.purpose,
        "rows": event.rows,
        "bytes": event.bytes,
        "grant": event.grant,
        "outcome": event.outcome,
    }


def save(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Write one object a line."""
    dumps = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
    with path.open("w", encoding="ascii", newline="\n") as out:
        out.writelines(dumps(each) + "\n" for each in lines)


def moment(text: str) -> datetime:
    """Read a moment back."""
    return datetime.fromisoformat(text).astimezone(UTC)
