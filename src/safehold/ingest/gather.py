"""Read a whole file through its mapping, in wire form: for measurements, never for what is stored."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from safehold.ingest.preview import read_converted


def gather(path: Path, mapping: str | None, *, now_us: int) -> dict[str, pa.Table]:
    """Return the events of a file by stream; rows that do not fit the mapping are left out.

    Args:
        path: The file.
        mapping: Name of a shipped mapping, path of a mapping file, or None to recognise it by its columns.
        now_us: The moment relative times count from.

    Raises:
        InvalidError: The file or its mapping does not fit.
    """
    parts: dict[str, list[pa.Table]] = {}
    for converted in read_converted(path, mapping, now_us=now_us):
        for stream, events in converted.streams.items():
            parts.setdefault(stream, []).append(events.table)
    return {stream: pa.concat_tables(tables).combine_chunks() for stream, tables in parts.items()}
