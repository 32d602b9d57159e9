"""The rows of a journal in PostgreSQL as they lie: read, carried in, set aside, removed. See ``store_rows``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import psycopg

from safehold.db.postgres import MOVED, prove_room, refuse_pooled
from safehold.errors import ConflictError, MissingError
from safehold.ledger import store_postgres_sql as sql
from safehold.ledger.store_postgres import (
    connect,
    read_url,
    refuse_forgetful,
    take_lock,
    unavailable,
)
from safehold.ledger.store_postgres_place import schema_of
from safehold.ledger.store_rows import TABLES, Row, Source, admit_rows

_TYPES: Final = {
    **dict.fromkeys(("origin", "vkey"), "text"),
    **dict.fromkeys(("body", "data", "root", "note", "key"), "bytea"),
    "count": "int4",
}  # all else has eight bytes
_AT_ONCE: Final = 64  # rows of one read


class PostgresRows:
    """Those of one log in a database.

    Args:
        url: ``postgresql://`` URL without a password.
        origin: Name of the log.

    Raises:
        InvalidError: No ledger may lie there.
    """

    def __init__(self, url: str, *, origin: str) -> None:
        self._options = read_url(url)
        self._origin, self._schema = origin, schema_of(origin)

    def look(self) -> dict[str, Any]:
        """Return what the server is and where the log lies; raises as opening it does, but for the lock."""
        with closing(self._connect()) as base:
            return {"version": _version(base), "schema": self._schema}

    def prove(self) -> dict[str, Any]:
        """Pass if a log can be made there and nothing of this one is; nothing is made.

        Raises:
            ConflictError: Something of it is there.
            UnavailableError: The server does not answer, would not keep a ledger, or lets us make no schema.
        """
        with closing(self._connect()) as base:
            try:
                return prove_room(base, self._schema, _version(base))
            except psycopg.Error as error:
                raise unavailable(error, "the ledger cannot be made") from None

    def hold(self) -> psycopg.Connection[Any]:
        """Return a session that holds the log against every sequencer until it is closed, whether it is there or not.

        Raises:
            ConflictError: A keeper holds it.
        """
        base = self._connect()
        try:
            take_lock(base, self._origin)
        except psycopg.Error as error:
            base.close()
            raise unavailable(error, "the database does not answer") from None
        except BaseException:
            base.close()
            raise
        return base

    def size(self) -> int:
        """See ``Rows``."""
        query = (
            "SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint"
            " FROM pg_statio_user_tables WHERE schemaname = %s"
        )
        with closing(self._connect()) as base:
            row = base.execute(query, (self._schema,)).fetchone()
            return int(row[0]) if row else 0

    def counts(self) -> dict[str, int]:
        """See ``Rows``."""
        found = {}
        with closing(self._connect()) as base:
            for table in TABLES:
                query = f"SELECT count(*) FROM @.{table}"  # noqa: S608 - names of ours
                row = base.execute(sql.at(query, self._schema)).fetchone()
                found[table] = int(row[0]) if row else 0
        return found

    def rows(self, table: str) -> Iterator[Row]:
        """See ``Rows``; a few at a time, from one snapshot."""
        with closing(self._connect()) as base, base.transaction():
            yield from _rows(base, self._schema, table)

    def read(self) -> Reading:
        """Return a session that can see every table as it stands at one moment, while a keeper goes on."""
        return Reading(self._connect(), self._schema)

    def fill(self, source: Source) -> None:
        """See ``Rows``: schema, tables and rows in one transaction.

        Raises:
            ConflictError: The schema is there.
        """
        with closing(self._connect()) as base:
            try:
                with base.transaction():
                    base.execute(sql.at(sql.TABLES, self._schema))
                    for table, columns in TABLES.items():
                        self._copy(base, table, columns, source(table))
            except psycopg.errors.DuplicateSchema:
                raise ConflictError(
                    "the database holds this log already", rule="ledger.create"
                ) from None
            except psycopg.Error as error:
                raise unavailable(error, "the ledger cannot be carried there") from None

    def _copy(
        self,
        base: psycopg.Connection[Any],
        table: str,
        columns: tuple[str, ...],
        rows: Iterator[Row],
    ) -> None:
        command = f"COPY @.{table}({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
        with base.cursor() as cursor, cursor.copy(sql.at(command, self._schema)) as copy:
            copy.set_types([_TYPES.get(one, "int8") for one in columns])
            for row in rows:
                copy.write_row(row)

    def set_aside(self) -> None:
        """Rename the schema, so that no keeper finds the log; nothing if that was done."""
        self._alter(self._schema, f"ALTER SCHEMA {self._schema} RENAME TO {MOVED}{self._schema}")

    def remove(self, *, moved: bool = False) -> None:
        """Remove the log, or what was set aside of it; nothing if it is not there."""
        schema = f"{MOVED if moved else ''}{self._schema}"
        self._alter(schema, f"DROP SCHEMA {schema} CASCADE")

    def _alter(self, schema: str, command: str) -> None:
        query = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s"
        with closing(self._connect()) as base:
            try:
                if base.execute(query, (schema,)).fetchone() is not None:
                    base.execute(command.encode())
            except psycopg.Error as error:
                raise unavailable(error, "the ledger cannot be changed") from None

    def _connect(self) -> psycopg.Connection[Any]:
        base = connect(self._options)
        try:
            refuse_pooled(base)
            refuse_forgetful(base)
            base.execute(
                "SELECT set_config('statement_timeout', '0', false)"
            )  # a whole journal takes its time
        except psycopg.Error as error:
            base.close()
            raise unavailable(error, "the database does not answer") from None
        except BaseException:
            base.close()
            raise
        return base


class Reading:
    """One session that reads a journal.

    Args:
        base: The session; ``close`` ends it.
        schema: Of the log.
    """

    def __init__(self, base: psycopg.Connection[Any], schema: str) -> None:
        self._base, self._schema = base, schema

    def begin(self) -> None:
        """See the journal as it stands now, from now on.

        Raises:
            UnavailableError: The server does not answer.
        """
        try:
            self._base.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._base.execute("SELECT 1")  # takes the snapshot
        except psycopg.Error as error:
            raise unavailable(error, "the database does not answer") from None

    def rows(self, table: str) -> Iterator[Row]:
        """Yield the rows of a table, in order, a few at a time.

        Raises:
            MissingError: The database holds no such log.
            UnavailableError: The server does not answer.
        """
        try:
            yield from _rows(self._base, self._schema, table)
        except psycopg.errors.UndefinedTable:
            raise MissingError("the database holds no such log", rule="ledger.open") from None
        except psycopg.Error as error:
            raise unavailable(error, "the database does not answer") from None

    def close(self) -> None:
        """End the session."""
        self._base.close()


def _rows(base: psycopg.Connection[Any], schema: str, table: str) -> Iterator[Row]:
    """Yield the rows of a table from the snapshot of a transaction that has begun."""
    columns = TABLES[table]
    query = f"SELECT {', '.join(columns)} FROM @.{table} ORDER BY {columns[0]}"  # noqa: S608 - names of ours
    with base.cursor(name="carried", binary=True) as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute(sql.at(query, schema))
        yield from admit_rows(table, cursor)


def _version(base: psycopg.Connection[Any]) -> str:
    row = base.execute("SELECT current_setting('server_version')").fetchone()
    return str(row[0]).split()[0] if row else ""
