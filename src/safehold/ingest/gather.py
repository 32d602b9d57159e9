"""Read a whole file through its mapping, in wire form: for measurements, never for what is stored."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa

from safehold.ingest.chunk import cut_chunks
from safehold.ingest.convert import convert, source_kinds
from safehold.ingest.limits import Limits
from safehold.ingest.mapping import parse_mapping
from safehold.ingest.preview import file_source
from safehold.ingest.session import Sessions
from safehold.ingest.shelf import guess_mapping, load_mapping
from safehold.ingest.source import open_source


def gather(path: Path, mapping: str | None, *, now_us: int) -> dict[str, pa.Table]:
    """Return the events of a file by stream; rows that do not fit the mapping are left out.

    Args:
        path: The file.
        mapping: Name of a shipped mapping, path of a mapping file, or None to recognise it by its columns.
        now_us: The moment relative times count from.

    Raises:
        InvalidError: The file or its mapping does not fit.
    """
    limits = Limits()
    source = file_source(path, mapping)
    parts: dict[str, list[pa.Table]] = {}
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        file = open_source(descriptor, name=path.name, limits=limits, format=source.get("format"))
        raw = source.get("mapping") or guess_mapping(file.schema, name=path.name)
        rules = parse_mapping(load_mapping(raw) if isinstance(raw, str) else raw)
        sessions = Sessions(most=limits.sessions, name=path.name)
        for chunk in cut_chunks(
            file.batches(source_kinds(rules, file.schema, name=path.name)),
            session=rules.session_columns,
            pause="mono" if rules.wire else rules.time.press or rules.time.column,
            limits=limits,
        ):
            converted = convert(
                rules, chunk.table, chunk.rows, sessions=sessions, now_us=now_us, name=path.name
            )
            for stream, events in converted.streams.items():
                parts.setdefault(stream, []).append(events.table)
    finally:
        os.close(descriptor)
    return {stream: pa.concat_tables(tables).combine_chunks() for stream, tables in parts.items()}
