"""Look at a source before it is taken in: how it would be named to the keeper, and who is in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from safehold.ingest.chunk import cut_chunks
from safehold.ingest.convert import convert, source_kinds
from safehold.ingest.limits import Limits
from safehold.ingest.mapping import parse_mapping
from safehold.ingest.session import Sessions
from safehold.ingest.shelf import guess_mapping, load_mapping
from safehold.ingest.source import open_source


def file_source(path: Path, mapping: str | None) -> dict[str, Any]:
    """Return how a file is named to the keeper; a mapping of the user's own is read and checked here.

    Args:
        path: The file; only its name is used.
        mapping: Name of a shipped mapping, path of a mapping file, or None to recognise it by its columns.
    """
    source: dict[str, Any] = {"kind": "file", "name": path.name}
    if path.suffix in {".parquet", ".jsonl", ".csv"}:
        source["format"] = path.suffix[1:]
    if mapping is not None:
        source["mapping"] = load_mapping(mapping)
    return source


def people_of(path: Path, mapping: str | None, *, now_us: int) -> tuple[set[str], set[str]]:
    """Return the external ids of everybody in a file, and the streams it holds.

    Args:
        path: The file.
        mapping: As for ``file_source``.
        now_us: The moment relative times count from.

    Raises:
        InvalidError: The file or its mapping does not fit.
    """
    people: set[str] = set()
    streams: set[str] = set()
    limits = Limits()
    source = file_source(path, mapping)
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
            people |= {str(key[0]) for key in converted.keys}
            streams |= set(converted.streams)
    finally:
        os.close(descriptor)
    return people, streams
