"""What an ingestion sandbox sends, believed only as far as it can be checked.

The sandbox parses bytes of strangers, so it may have been taken over. Every frame is held against what it was
told: people and streams of its roll, days that have come, the schema at rest, and counters whose names are short
words. So a mistake in a parser puts no text of a source into a counter or a refusal. A parser that was taken over
still could spell something in counts and short words: they are a channel, bounded in number and size, and
SECURITY.md says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from safehold.canonical import LARGEST
from safehold.catalog import Extent
from safehold.errors import TamperedError
from safehold.keeper.ports import Frame
from safehold.telemetry.schema import REST
from safehold.telemetry.stream import STREAMS

GROUPS = frozenset({"taken", "masked", "dropped", "refused", "clamped"})
MOST_NAMES = 500  # different counters in one group
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_RULE = re.compile(r"[a-z0-9_.-]{1,100}")
LONGEST_FIELD = 128

Tally = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Rows of one person, one stream and one day.

    Args:
        person: The company's name for the person.
        stream: The stream.
        window: The UTC day.
        table: The rows in rest form.
        extents: Runs of sequence numbers among them.
    """

    person: str
    stream: str
    window: int
    table: pa.Table
    extents: tuple[Extent, ...]


def read_batch(frame: Frame, roll: Mapping[str, Mapping[str, Any]], *, last_day: int) -> Arrival:
    """Return the rows of a batch frame.

    Args:
        frame: The frame.
        roll: Who may be in it, with their streams.
        last_day: The newest day that may be in it.

    Raises:
        TamperedError: It is not a batch that this sandbox may send.
    """
    match frame.header:
        case {
            "person": str(person),
            "stream": str(stream),
            "window": int(window),
            "rows": int(rows),
            "extents": list(extents),
        } if (
            person in roll
            and stream in REST
            and stream in roll[person]["streams"]
            and 0 <= window <= last_day
        ):
            pass
        case _:
            raise TamperedError("a batch of nobody on the roll", rule="ingest.frames")
    try:
        table = pa.ipc.open_stream(pa.py_buffer(frame.body)).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise TamperedError("a batch is no table", rule="ingest.frames") from error
    if not table.schema.equals(REST[stream]) or table.num_rows != rows or not rows:
        raise TamperedError("a batch has another schema or size", rule="ingest.frames")
    return Arrival(
        person=person,
        stream=stream,
        window=window,
        table=table,
        extents=tuple(_extent(stream, item) for item in extents),
    )


def read_chunk(frame: Frame) -> tuple[int, Tally, int]:
    """Return number, counters and rows read of a chunk frame.

    Raises:
        TamperedError: It is none.
    """
    match frame.header:
        case {"chunk": int(number), "tally": dict(tally), "rows_read": int(rows)} if (
            _is_count(number) and _is_count(rows) and set(tally) <= GROUPS
        ):
            pass
        case _:
            raise TamperedError("a chunk has another shape", rule="ingest.frames")
    for group, counts in tally.items():
        if (
            not isinstance(counts, dict)
            or len(counts) > MOST_NAMES
            or not all(_is_count(count) for count in counts.values())
            or not all(_WORD.fullmatch(name) for name in counts)
            or (group == "taken" and not set(counts) <= set(STREAMS))
        ):
            raise TamperedError("a tally that is none", rule="ingest.frames")
    return number, tally, rows


def read_refusal(frame: Frame) -> dict[str, Any]:
    """Return row, field and rule of a refusal.

    Raises:
        TamperedError: It is none.
    """
    match frame.header:
        case {"row": int(row), "field": str() | None as field, "rule": str(rule)} if _is_count(
            row
        ) and _RULE.fullmatch(rule):
            shown = field is None or (len(field) <= LONGEST_FIELD and field.isprintable())
            return {"row": row, "field": field if shown else "?", "rule": rule}
        case _:
            raise TamperedError("a refusal has another shape", rule="ingest.frames")


def _extent(stream: str, item: Any) -> Extent:
    match item:
        case [str(device), str(session), int(first), int(last)] if (
            _is_count(first) and _is_count(last) and first <= last
        ):
            try:
                origin = bytes.fromhex(device) + bytes.fromhex(session)
            except ValueError as error:
                raise TamperedError("an extent of nothing", rule="ingest.frames") from error
            return Extent(origin=origin, stream=stream, first=first, last=last)
        case _:
            raise TamperedError("an extent has another shape", rule="ingest.frames")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST
