"""Readers of every format: streaming where rows stand alone, bounded where they nest, strict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

import pyarrow as pa

from safehold.errors import InvalidError
from safehold.ingest.limits import Limits
from safehold.ingest.shape import Shape
from safehold.ingest.source.archive import Archive
from safehold.ingest.source.csv import CsvSource
from safehold.ingest.source.database import MAGIC, Database
from safehold.ingest.source.document import JsonArchive, JsonDocument, JsonLines
from safehold.ingest.source.file import FileReader
from safehold.ingest.source.image import holds_image
from safehold.ingest.source.jsonl import JsonlSource
from safehold.ingest.source.mbox import Mailbox
from safehold.ingest.source.parquet import ParquetSource
from safehold.ingest.source.record import Documents, RecordSource
from safehold.ingest.source.table import Batch
from safehold.ingest.source.webvtt import Transcript

FLAT: Final = ("parquet", "jsonl", "csv")
NESTED: Final = ("json", "zip-json", "mbox", "webvtt", "sqlite")
FORMATS: Final = (*FLAT, *NESTED)
_ENDINGS: Final = {
    "parquet": "parquet", "pq": "parquet", "jsonl": "jsonl", "ndjson": "jsonl", "csv": "csv",
    "json": "json", "zip": "zip-json", "mbox": "mbox", "vtt": "webvtt", "db": "sqlite", "sqlite": "sqlite",
}  # fmt: skip
_HEADS: Final = (
    (b"PAR1", "parquet"),
    (MAGIC, "sqlite"),
    (b"PK\x03\x04", "zip-json"),
    (b"PK\x05\x06", "zip-json"),
    (b"WEBVTT", "webvtt"),
    (b"\xef\xbb\xbfWEBVTT", "webvtt"),
    (b"From ", "mbox"),
)

__all__ = [
    "FLAT",
    "FORMATS",
    "NESTED",
    "Batch",
    "FileReader",
    "Source",
    "find_format",
    "open_source",
]


class Source(Protocol):
    """An open source of rows."""

    name: str
    schema: pa.Schema

    def batches(self, kinds: Mapping[str, str]) -> Iterator[Batch]:
        """Yield the rows in order, each column as the kind that is asked for."""
        ...


def open_source(
    fd: int,
    *,
    name: str,
    limits: Limits,
    format: str | None = None,  # noqa: A002 - the word of the job
    shape: Shape | None = None,
) -> Source:
    """Open a source by its file descriptor.

    Args:
        fd: The open file; it is read by position and never written.
        name: Its name, for messages.
        limits: What it may ask for.
        format: One of ``FORMATS``; without it the first bytes and the name decide.
        shape: Where rows and cells are, for formats that nest.

    Raises:
        InvalidError: It is empty, of no known format, or not what it says it is.
    """
    reader = FileReader(fd)
    if format is None:
        format = find_format(fd, name=name)  # noqa: A001 - as above
    _check_head(reader, name)
    if shape is not None and (format in NESTED or (format == "jsonl" and shape.nests)):
        documents = _open_nested(reader, format, name=name, limits=limits, shape=shape)
        return RecordSource(documents, name=name, shape=shape, limits=limits)
    if format == "parquet":
        return ParquetSource(reader, name=name, limits=limits)
    if format == "jsonl":
        return JsonlSource(reader, name=name, limits=limits)
    if format == "csv":
        return CsvSource(reader, name=name, limits=limits)
    raise InvalidError(f"a format is one of {', '.join(FORMATS)}", file=name, rule="source.format")


def _open_nested(
    reader: FileReader,
    format: str,  # noqa: A002 - as above
    *,
    name: str,
    limits: Limits,
    shape: Shape,
) -> Documents:
    match format:
        case "zip-json":
            archive = Archive(reader, name=name, limits=limits)
            return JsonArchive(archive, files=shape.files, name=name, limits=limits)
        case "mbox":
            return Mailbox(reader, name=name, limits=limits)
        case "webvtt":
            return Transcript(reader, name=name, limits=limits)
        case "sqlite":
            asked = frozenset(part for cell in shape.cells.values() for part in cell.reads)
            return Database(reader, tables=shape.files, columns=asked, name=name, limits=limits)
        case "jsonl":
            return JsonLines(reader, name=name, limits=limits)
        case _:
            return JsonDocument(reader, name=name, limits=limits)


def _check_head(reader: FileReader, name: str) -> None:
    if reader.size == 0:
        raise InvalidError("the file is empty", file=name, rule="source.empty")
    if holds_image(reader.pread(0, 16)):
        raise InvalidError(
            "the file is a picture, and pictures of screens are never taken in",
            file=name,
            rule="source.image",
        )


def find_format(fd: int, *, name: str) -> str:
    """Return the format that the first bytes of a file, or its name, tell.

    Raises:
        InvalidError: Neither tells one.
    """
    reader = FileReader(fd)
    _check_head(reader, name)
    head = reader.pread(0, 64)
    for magic, kind in _HEADS:
        if head.startswith(magic):
            return kind
    ending = _ENDINGS.get(name.rpartition(".")[2].lower())
    if ending is not None:
        return ending
    if head.lstrip().startswith(b"{"):
        return "jsonl"
    raise InvalidError(
        "the format cannot be told from the name or the first bytes",
        file=name,
        rule="source.format",
        fix=f"name it: one of {', '.join(FORMATS)}",
    )
