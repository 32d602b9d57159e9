"""A source and the mapping it is read by, opened together; and what the names of things in it give away."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from typing import Any, Final

from safehold.dlp import scan_names
from safehold.errors import InvalidError
from safehold.ingest.limits import Limits
from safehold.ingest.mapping import FLAT, Mapping, parse_mapping
from safehold.ingest.shelf import guess_mapping, load_mapping, mapping_of_format
from safehold.ingest.source import Source, find_format, open_source
from safehold.ingest.source.jsonl import JsonlSource
from safehold.ingest.source.record import RecordSource

HIDDEN: Final = "[name withheld]"


def open_with(
    fd: int, source: AnyMapping[str, Any], *, name: str, limits: Limits
) -> tuple[Source, Mapping]:
    """Open a source together with its mapping; either may have to be recognised.

    Args:
        fd: The open file.
        source: ``format`` and ``mapping``, either of them missing or None.
        name: Its name, for messages.
        limits: What it may ask for.

    Raises:
        InvalidError: The file or the mapping does not fit, or the mapping reads another format.
    """
    raw, form = source.get("mapping"), source.get("format")
    if raw is None:
        form = form or find_format(fd, name=name)
        if form in FLAT:
            file = open_source(fd, name=name, limits=limits, format=form)
            raw = guess_mapping(file.schema, name=name)
        else:
            raw = mapping_of_format(form, name=name)
    mapping = parse_mapping(load_mapping(raw) if isinstance(raw, str) else raw)
    stated = mapping.shape.format
    if form and stated and form != stated:
        raise InvalidError(
            f"mapping {mapping.name} reads {stated}", file=name, rule="mapping.format"
        )
    form = form or stated or find_format(fd, name=name)
    file = open_source(fd, name=name, limits=limits, format=form, shape=mapping.shape)
    if isinstance(file, JsonlSource):
        file.ignore = mapping.ignore
    return file, mapping


def names_in(file: Source) -> list[str]:
    """Return the names of a source's columns, and of the folders and files in it."""
    if isinstance(file, RecordSource):  # its columns are the mapping's own words
        return file.names
    return list(file.schema.names)


def telling_names(names: list[str]) -> set[int]:
    """Return which names hold something that is sensitive, by their place."""
    return set(scan_names(names).column("row").to_pylist())
