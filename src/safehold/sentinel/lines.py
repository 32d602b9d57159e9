"""Events as lines of JSON, read strictly: a line that is wrong is named by its number, never quoted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from sys import intern
from typing import Any, Final

import orjson

from safehold.errors import InvalidError
from safehold.sentinel.event import KINDS, OUTCOMES, Event

MOST_LINE: Final = 1 << 20  # bytes
MOST_MOMENT: Final = 64
MOST_TEXT: Final = 512  # characters of one name
MOST_OBJECTS: Final = 1_000
MOST_NUMBER: Final = 2**53 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_events(lines: Iterable[bytes], file: str) -> Iterator[Event]:
    """Yield the events of a file, in its order; empty lines are passed over but counted.

    A moment without a zone is UTC. Fields that nobody knows are passed over; of those that are known only ``t``,
    ``principal``, ``kind`` and ``action`` must be there.

    Args:
        lines: The lines.
        file: What the file is called in errors.

    Raises:
        InvalidError: A line is no JSON object, or a field is missing or of the wrong kind.
    """
    for number, line in enumerate(lines, 1):
        if len(line) > MOST_LINE:
            raise _wrong(f"a line of more than {MOST_LINE:,} bytes", file, number)
        if not line.strip():
            continue
        try:
            tree = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise _wrong("not JSON", file, number) from None
        if type(tree) is not dict:
            raise _wrong("not a JSON object", file, number)
        yield event_of(tree, number, file)


def event_of(tree: dict[str, Any], number: int, file: str) -> Event:
    """Return one event.

    Args:
        tree: The JSON object of its line.
        number: The number of its line, from 1.
        file: What the file is called in errors.

    Raises:
        InvalidError: A field is missing or of the wrong kind.
    """
    found = tree.get

    def text(name: str, *, needed: bool = False) -> str:
        value = found(name)
        if type(value) is str and len(value) <= MOST_TEXT and (value or not needed):
            return intern(value)
        if value is None and not needed:
            return ""
        raise _wrong(f"not a text of 1 to {MOST_TEXT} characters", file, number, name)

    def amount(name: str) -> int:
        value = found(name)
        if value is None:
            return 0
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not 0 <= value <= MOST_NUMBER:
            raise _wrong("not a whole number from 0 to 2^53 - 1", file, number, name)
        return value

    def one_of(name: str, known: tuple[str, ...], usual: str | None = None) -> str:
        value = tree.get(name, usual)
        if value not in known:
            raise _wrong(f"not one of {', '.join(known)}", file, number, name)
        return str(value)

    objects = tree.get("objects")
    if objects is None:
        objects = []
    if (
        type(objects) is not list
        or len(objects) > MOST_OBJECTS
        or any(type(item) is not str or len(item) > MOST_TEXT for item in objects)
    ):
        raise _wrong(f"not a list of at most {MOST_OBJECTS:,} texts", file, number, "objects")
    return Event(
        number=number,
        t_us=_moment(tree.get("t"), file, number),
        principal=text("principal", needed=True),
        kind=one_of("kind", KINDS),
        role=text("role"),
        team=text("team"),
        action=text("action", needed=True),
        objects=tuple(map(intern, objects)),
        segment=text("segment"),
        purpose=text("purpose"),
        rows=amount("rows"),
        bytes=amount("bytes"),
        grant=text("grant") or None,
        outcome=one_of("outcome", OUTCOMES, "ok"),
    )


def in_order(events: Iterable[Event]) -> list[Event]:
    """Return events by time, and those of one moment by their number: lines need not be in order.

    Args:
        events: The events.
    """
    return sorted(events, key=lambda event: (event.t_us, event.number))


def _moment(value: Any, file: str, number: int) -> int:
    moment = -1
    if type(value) is str and len(value) <= MOST_MOMENT:
        with suppress(ValueError, OverflowError):
            at = datetime.fromisoformat(value)
            since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
            moment = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if moment < 0:
        raise _wrong("not a moment in ISO 8601, from 1970 on", file, number, "t")
    return moment


def _wrong(what: str, file: str, number: int, field: str | None = None) -> InvalidError:
    return InvalidError(
        what,
        file=file,
        row=number,
        field=field,
        rule="sentinel.line",
        fix="correct that line (the first is 1); docs/reference/sentinel.md tells what a line holds",
    )
