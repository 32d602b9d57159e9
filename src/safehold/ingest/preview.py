"""Look at a source before it is taken in: how it would be named to the keeper, and who is in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from safehold.errors import InvalidError
from safehold.ingest.chunk import cut_chunks
from safehold.ingest.convert import convert, source_kinds
from safehold.ingest.folder import open_path
from safehold.ingest.limits import Limits
from safehold.ingest.mapping import GIVEN
from safehold.ingest.opening import open_with
from safehold.ingest.session import Sessions
from safehold.ingest.shelf import load_mapping

_SUFFIXES = frozenset({".parquet", ".jsonl", ".csv"})


def file_source(path: Path, mapping: str | None, person: str | None = None) -> dict[str, Any]:
    """Return how a file is named to the keeper; a mapping of the user's own is read and checked here.

    Args:
        path: The file; only its name is used.
        mapping: Name of a shipped mapping, path of a mapping file, or None to recognise it by its columns.
        person: Whose events they are, where the format does not say.

    Raises:
        InvalidError: A person is given, and the mapping reads one from the file, or none is named.
    """
    source: dict[str, Any] = {"kind": "file", "name": path.name}
    if mapping is not None:
        source["mapping"] = load_mapping(mapping)
    if person is not None:
        if mapping is None or source["mapping"].get("person") != GIVEN:
            raise InvalidError(
                "a person is given for a mapping that does not read one from the file",
                file=path.name,
                rule="mapping.person",
                fix="name such a mapping: --mapping activitywatch, openadapt, opencua or your own",
            )
        source["mapping"]["person"] = {"constant": person}
    stated = source.get("mapping", {}).get("format")
    if stated is None and path.suffix in _SUFFIXES:
        source["format"] = path.suffix[1:]
    return source


def people_of(
    path: Path, mapping: str | None, *, now_us: int, person: str | None = None
) -> tuple[set[str], set[str]]:
    """Return the external ids of everybody in a file, and the streams it holds.

    Args:
        path: The file.
        mapping: As for ``file_source``.
        now_us: The moment relative times count from.
        person: As for ``file_source``.

    Raises:
        InvalidError: The file or its mapping does not fit.
    """
    people: set[str] = set()
    streams: set[str] = set()
    limits = Limits()
    source = file_source(path, mapping, person)
    descriptor = open_path(path)
    try:
        file, rules = open_with(descriptor, source, name=path.name, limits=limits)
        sessions = Sessions(most=limits.sessions, name=path.name)
        for chunk in cut_chunks(
            file.batches(source_kinds(rules, file.schema, name=path.name)),
            session=rules.session_columns,
            pause=rules.pause_column,
            limits=limits,
        ):
            converted = convert(
                rules, chunk.table, chunk.rows, sessions=sessions, now_us=now_us, name=path.name
            )
            for events in converted.streams.values():
                people |= {str(converted.keys[group][0]) for group in set(events.group.tolist())}
            streams |= set(converted.streams)
    finally:
        os.close(descriptor)
    return people, streams
