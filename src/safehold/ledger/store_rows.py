"""The rows of a journal as they lie, so that a journal can be carried from one store to another.

Whoever uses this holds the log's locks. What is carried is every byte of every row: leaves, side-cars, tiles, heads
with their cosignatures, idempotency keys. Nothing of it is believed afterwards either: opening computes everything
again from the leaves.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Protocol

from safehold.errors import TamperedError
from safehold.ledger.store_sqlite import JOURNAL, SqliteStore, connect

# columns of each table; the first is what its rows are sorted by
TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "meta": ("origin", "vkey"),
    "journal": ("first", "count", "body"),
    "sidecar": ("first", "body"),
    "tile": ("place", "data"),
    "head": ("size", "note"),
    "idem": ("key", "place"),
    "state": ("size", "root", "time", "note", "exported"),
}
_TYPES: Final[Mapping[str, type]] = {
    **dict.fromkeys(("origin", "vkey"), str),
    **dict.fromkeys(("body", "data", "root", "note", "key"), bytes),
}  # all else is a number
Row = tuple[Any, ...]
Source = Callable[[str], Iterator[Row]]


class Rows(Protocol):
    """The rows of one journal in one store."""

    def size(self) -> int:
        """Return about how many bytes they take."""

    def counts(self) -> dict[str, int]:
        """Return how many rows each table has."""

    def rows(self, table: str) -> Iterator[Row]:
        """Yield the rows of a table, in order."""

    def fill(self, source: Source) -> None:
        """Make the journal from rows, whole or not at all; durable when this returns."""


class SqliteRows:
    """Those of a file.

    Args:
        directory: Where the file lies.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def path(self) -> Path:
        """The file."""
        return self._directory / JOURNAL

    def size(self) -> int:
        """See ``Rows``."""
        return sum(file.stat().st_size for file in self._directory.glob(f"{JOURNAL}*"))

    def counts(self) -> dict[str, int]:
        """See ``Rows``."""
        with closing(connect(self.path)) as base:
            return {
                table: base.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - names of ours
                for table in TABLES
            }

    def rows(self, table: str) -> Iterator[Row]:
        """See ``Rows``."""
        columns = TABLES[table]
        with closing(connect(self.path)) as base:
            query = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {columns[0]}"  # noqa: S608 - names of ours
            try:
                yield from admit_rows(table, base.execute(query))
            except sqlite3.DatabaseError as error:
                raise TamperedError("the journal cannot be read", rule="ledger.journal") from error

    def fill(self, source: Source) -> None:
        """See ``Rows``; what lay at its place is replaced."""
        fresh = SqliteStore(self._directory).draft()
        with closing(sqlite3.connect(fresh, isolation_level=None)) as base:
            base.execute("PRAGMA synchronous=FULL")
            base.execute("BEGIN IMMEDIATE")
            for table, columns in TABLES.items():
                marks = ", ".join("?" * len(columns))
                base.executemany(
                    f"INSERT INTO {table}({', '.join(columns)}) VALUES({marks})",
                    source(table),
                )
            base.execute("COMMIT")
        fresh.replace(self.path)
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def admit_rows(table: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows whose columns have the types that a journal writes; an altered table could hold any.

    Raises:
        TamperedError: One holds something else.
    """
    types = [_TYPES.get(column, int) for column in TABLES[table]]
    for row in rows:
        if [type(value) for value in row] != types:
            raise TamperedError("the journal holds a foreign value", rule="ledger.journal")
        yield row
