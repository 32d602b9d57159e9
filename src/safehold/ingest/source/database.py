"""A SQLite database as a recorder leaves it: named tables, read only, in memory.

Only plain tables are read, never views or virtual tables; columns that hold pictures are not asked for. SQLite itself
parses the file, inside the sandbox and with its own guards on. File format: https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from safehold.errors import InvalidError
from safehold.ingest.limits import Limits
from safehold.ingest.shape import Lookup
from safehold.ingest.source.file import FileReader
from safehold.ingest.source.record import Document

MAGIC: Final = b"SQLite format 3\0"
PICTURED: Final = ("screenshot", "screenshots")  # tables of pictures: counted, never read
TIME: Final = "timestamp"  # the column that puts the rows of several tables in order
_STEPS: Final = 100_000  # instructions of SQLite between two looks at the count
_PER_BYTE: Final = 64  # instructions allowed for each byte of the file
_LEAST_STEPS: Final = 10_000_000


class Database:
    """Rows of some tables of a SQLite file.

    Args:
        reader: The open file.
        tables: Names of the tables, in the order in which they are read, joined by commas; the first may be followed
            by others.
        name: Name of the source.
        limits: What it may ask for.
        columns: Columns that a mapping asks for; others are not read.

    Raises:
        InvalidError: It is larger than the limit, or no database.
    """

    def __init__(
        self,
        reader: FileReader,
        *,
        tables: str,
        columns: frozenset[str],
        name: str,
        limits: Limits,
    ) -> None:
        self.size = reader.size
        self.pictures = 0
        self._name = name
        self._wanted = [part.strip() for part in tables.split(",") if part.strip()]
        self._columns = columns
        if reader.size > limits.database_bytes:
            raise InvalidError(
                f"a database of more than {limits.database_bytes} bytes",
                file=name,
                rule="source.size",
                fix="record without screenshots: they are never read",
            )
        self._left = max(_LEAST_STEPS, _PER_BYTE * reader.size) // _STEPS
        self.names: list[str] = []
        self._base = sqlite3.connect(":memory:")
        self._base.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            data = bytearray(reader.pread(0, reader.size))
            data[18:20] = b"\1\1"  # a write-ahead log that is not there: read as it was sealed
            self._base.deserialize(bytes(data))
            del data
            self._base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.cell_bytes + (1 << 16))
            self._base.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            self._base.execute("PRAGMA trusted_schema = OFF")
            self._base.execute("PRAGMA cell_size_check = ON")
            self._base.execute("PRAGMA query_only = ON")
            self._base.set_progress_handler(self._tick, _STEPS)
            self._found = self._read_schema()
            self.names = [*self._found, *(one for all_ in self._found.values() for one in all_)]
            self.pictures = sum(self._count(table) for table in PICTURED if table in self._found)
        except (sqlite3.Error, MemoryError, OverflowError) as error:
            raise self._broken() from error

    def table(self, lookup: Lookup) -> Any:
        """Return the rows of a table of the database as a list of objects."""
        if lookup.file not in self._found:
            return None
        return list(self._rows(lookup.file, None))

    def documents(self) -> Iterator[Document | str]:
        """Yield one document a row, all tables together in the order of their time.

        Raises:
            InvalidError: The database is damaged, or asks for too much work.
        """
        tables = [self._timed(table) for table in self._wanted if table in self._found]
        for _, _, table, row in heapq.merge(*tables, key=lambda one: one[:2]):
            yield Document({"@table": table, **row}, {"@file": self._name})

    def _timed(self, table: str) -> Iterator[tuple[float, int, str, dict[str, Any]]]:
        place = self._wanted.index(table)
        for row in self._rows(table, self._columns | {TIME}):
            moment = row.get(TIME)
            yield (moment if isinstance(moment, int | float) else 0.0), place, table, row

    def _rows(self, table: str, columns: frozenset[str] | None) -> Iterator[dict[str, Any]]:
        names = [one for one in self._found[table] if columns is None or one in columns]
        if not names:
            return
        listed = ", ".join(_quoted(one) for one in names)
        order = f" ORDER BY {TIME}" if TIME in self._found[table] else ""
        try:
            for row in self._base.execute(f"SELECT {listed} FROM {_quoted(table)}{order}"):  # noqa: S608
                yield dict(zip(names, row, strict=True))
        except (sqlite3.Error, MemoryError, OverflowError) as error:
            raise self._broken() from error

    def _read_schema(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        plain = self._base.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 LIMIT 1000"
        ).fetchall()
        for name, _ in plain:
            if not isinstance(name, str) or name.startswith("sqlite_"):
                continue
            columns = self._base.execute(f"PRAGMA table_xinfo({_quoted(name)})").fetchall()
            # hidden: 0 for a stored column; a generated one is a computation of the file's own
            found[name] = [column[1] for column in columns if column[6] == 0]
        return found

    def _count(self, table: str) -> int:
        return int(self._base.execute(f"SELECT count(*) FROM {_quoted(table)}").fetchone()[0])  # noqa: S608

    def _tick(self) -> int:
        self._left -= 1
        return int(self._left < 0)

    def _broken(self) -> InvalidError:
        return InvalidError(
            "not a whole database, or one that takes too much work to read",
            file=self._name,
            rule="source.sqlite",
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
