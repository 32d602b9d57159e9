"""Readers of Parquet, JSONL and CSV: streaming, bounded, strict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

import pyarrow as pa

from safehold.errors import InvalidError
from safehold.ingest.limits import Limits
from safehold.ingest.source.csv import CsvSource
from safehold.ingest.source.file import FileReader
from safehold.ingest.source.jsonl import JsonlSource
from safehold.ingest.source.parquet import ParquetSource
from safehold.ingest.source.table import Batch

FORMATS: Final = ("parquet", "jsonl", "csv")
_ENDINGS: Final = {
    "parquet": "parquet", "pq": "parquet", "jsonl": "jsonl", "ndjson": "jsonl", "csv": "csv",
}  # fmt: skip

__all__ = ["FORMATS", "Batch", "FileReader", "Source", "open_source"]


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
) -> Source:
    """Open a source by its file descriptor.

    Args:
        fd: The open file; it is read by position and never written.
        name: Its name, for messages.
        limits: What it may ask for.
        format: ``parquet``, ``jsonl`` or ``csv``; without it the first bytes and the name decide.

    Raises:
        InvalidError: It is empty, of no known format, or not what it says it is.
    """
    reader = FileReader(fd)
    if reader.size == 0:
        raise InvalidError("the file is empty", file=name, rule="source.empty")
    if format is None:
        format = _detect(reader, name)  # noqa: A001 - as above
    if format == "parquet":
        return ParquetSource(reader, name=name, limits=limits)
    if format == "jsonl":
        return JsonlSource(reader, name=name, limits=limits)
    if format == "csv":
        return CsvSource(reader, name=name, limits=limits)
    raise InvalidError(f"a format is one of {', '.join(FORMATS)}", file=name, rule="source.format")


def _detect(reader: FileReader, name: str) -> str:
    if reader.pread(0, 4) == b"PAR1":
        return "parquet"
    ending = _ENDINGS.get(name.rpartition(".")[2].lower())
    if ending is not None:
        return ending
    if reader.pread(0, 64).lstrip().startswith(b"{"):
        return "jsonl"
    raise InvalidError(
        "the format cannot be told from the name or the first bytes",
        file=name,
        rule="source.format",
        fix=f"name it: one of {', '.join(FORMATS)}",
    )
