"""What is asked of an ingest request before anything is opened, and what the sandbox is told of people."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from safehold import canonical
from safehold.charter import Charter
from safehold.errors import InvalidError, MissingError
from safehold.keeper.contained import Contained
from safehold.keeper.terms import recorded_streams
from safehold.subjects import Standing
from safehold.telemetry.stream import segment_name

FOR_EVER = canonical.LARGEST
LONGEST_NAME = 255
LARGEST_SOURCE = 1 << 20  # bytes of a source's description
SOURCES = {
    "file": frozenset({"kind", "name", "format", "mapping"}),
    "synthetic": frozenset({"kind", "spec", "first", "count"}),
}


def roll_entry(
    standing: Standing,
    charter: Charter,
    *,
    places: Sequence[str],
    stops: Sequence[tuple[int, int | None]],
    contained: Contained,
) -> dict[str, Any] | None:
    """Return what the ingestion sandbox is told of one person, or None if nothing may be taken.

    Args:
        standing: What the person chose.
        charter: The charter in force.
        places: Where telemetry is taken in.
        stops: When the board had stopped everything.
        contained: Where and when collection was held back.
    """
    streams = recorded_streams(charter, standing)
    if not streams or standing.jurisdiction not in places:
        return None
    return {
        "streams": sorted(streams),
        "pauses": silences(standing, stops),
        "quiet": quiet_streams(standing, streams, contained),
    }


def quiet_streams(
    standing: Standing, streams: Iterable[str], contained: Contained
) -> dict[str, list[list[int]]]:
    """Return by stream the times, from and to, in which it was not to be recorded where a person works.

    Args:
        standing: What the person chose.
        streams: Streams they are recorded in.
        contained: Where and when collection was held back.
    """
    times = {
        stream: contained.quiet(segment_name(standing.jurisdiction, stream), stream)
        for stream in sorted(streams)
    }
    return {
        stream: [[start, FOR_EVER if end is None else end] for start, end in found]
        for stream, found in times.items()
        if found
    }


def silences(standing: Standing, stops: Sequence[tuple[int, int | None]]) -> list[list[int]]:
    """Return the times, from and to, of which nothing is ever taken: pauses, stops, before a new opt-in or a move."""
    times: list[tuple[int, int | None]] = [
        # whoever came back after a withdrawal begins anew, and so does whoever moved: what is sealed now
        # bears the place where they work now
        *([(0, begun)] if (begun := max(standing.anew_us, standing.moved_us)) else []),
        *((pause.start_us, pause.end_us) for pause in standing.pauses),
        *stops,
    ]
    return [[start, FOR_EVER if end is None else end] for start, end in times]


def with_subject(table: pa.Table, subject: bytes) -> pa.Table:
    """Return a rest-form table whose ``subject`` column holds one pseudonym."""
    place = table.schema.get_field_index("subject")
    rows = table.num_rows
    column = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), rows, [None, pa.py_buffer(subject * rows)]
    )
    return table.set_column(place, table.schema.field(place), column)


def check_source(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the source of an ingest request, checked at the rim.

    Raises:
        InvalidError: It is none, or something else in the request has another shape.
    """
    source, share = arguments.get("source"), arguments.get("tolerate_ppm")
    if share is not None and (type(share) is not int or not 0 <= share < 1_000_000):
        raise InvalidError(
            "a share of rows lies between 0 and 1", field="tolerate_ppm", rule="ingest.tolerate"
        )
    if not isinstance(source, dict) or source.get("kind") not in SOURCES:
        raise InvalidError("a source is a file, or synthetic", rule="ingest.source")
    if not set(source) <= SOURCES[source["kind"]]:
        raise InvalidError("a source has other fields", rule="ingest.source")
    for key in ("name", "format"):
        text = source.get(key)
        if text is not None and (
            not isinstance(text, str) or len(text) > LONGEST_NAME or not text.isprintable()
        ):
            raise InvalidError("not a short printable text", field=key, rule="ingest.source")
    if not isinstance(source.get("mapping"), dict | str | None):
        raise InvalidError(
            "a mapping is a name or an object", field="mapping", rule="ingest.source"
        )
    if not isinstance(source.get("spec", {}), dict):
        raise InvalidError("a spec is an object", field="spec", rule="ingest.source")
    for key in ("first", "count"):
        number = source.get(key, 0)
        if type(number) is not int or not 0 <= number <= canonical.LARGEST:
            raise InvalidError("not a count", field=key, rule="ingest.source")
    if len(orjson.dumps(source)) > LARGEST_SOURCE:
        raise InvalidError("the description of a source is too large", rule="ingest.source")
    return dict(source)


def reopen(descriptor: int) -> int:
    """Return a read-only descriptor of the same regular file, with an offset of its own."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise InvalidError("a source is a regular file", rule="ingest.source")
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    if flags & os.O_PATH or flags & os.O_ACCMODE == os.O_WRONLY:
        # what the caller may not read is not read in its place
        raise InvalidError("a source is open for reading", rule="ingest.source")
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise MissingError("the source cannot be opened", rule="ingest.source") from error
