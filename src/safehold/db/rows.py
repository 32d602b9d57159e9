"""The rows of a control database as they lie, so that it can be carried from one server to another.

Nothing is opened, sealed or computed: rows that are sealed or under a MAC are what they were. Whoever uses this holds
the right to lead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import sqlalchemy as sa

from safehold.db.schema import metadata

_AT_ONCE: Final = 500  # rows in memory


def digest(rows: Iterable[Iterable[Any]]) -> tuple[int, str]:
    """Return how many rows there are and a SHA-256 over all of them, each value behind its type and length."""
    running, count = hashlib.sha256(), 0
    for row in rows:
        count += 1
        for value in row:
            data = value if isinstance(value, bytes) else repr(value).encode()
            running.update(f"{type(value).__name__}:{len(data)}:".encode())
            running.update(data)
    return count, running.hexdigest()


def count_rows(engine: sa.Engine) -> dict[str, int]:
    """Return how many rows each table has."""
    with engine.execution_options(reading=True).begin() as connection:
        return {
            str(table.name): connection.execute(
                sa.select(sa.func.count()).select_from(table)
            ).scalar_one()
            for table in metadata.sorted_tables
        }


def digest_tables(engine: sa.Engine) -> dict[str, tuple[int, str]]:
    """Return count and digest of each table, in an order that all databases agree on."""
    with engine.execution_options(reading=True).begin() as connection:
        return {
            str(table.name): digest(tuple(row) for row in _sorted(connection, table))
            for table in metadata.sorted_tables
        }


def carry(source: sa.Engine, target: sa.Engine, *, told: Callable[[int], None]) -> None:
    """Copy every row of one control database into another that has none, in one transaction.

    Args:
        source: Read in one snapshot.
        target: At the same version of the tables.
        told: How many rows came since the last call.
    """
    with source.execution_options(reading=True).begin() as old:
        carry_seen(old, target, told=told)


def carry_seen(old: sa.Connection, target: sa.Engine, *, told: Callable[[int], None]) -> None:
    """Copy every row that a reading transaction sees; otherwise as ``carry``."""
    with target.begin() as new:
        for table in metadata.sorted_tables:
            for some in _sorted(old, table).mappings().partitions(_AT_ONCE):
                new.execute(sa.insert(table), [dict(row) for row in some])
                told(len(some))
        if target.dialect.name == "postgresql":
            _go_on_counting(new)


def sealed_erasures(engine: sa.Engine) -> int:
    """Return how many changes of a segment's epoch are under way."""
    with engine.execution_options(reading=True).begin() as connection:
        table = metadata.tables["vault_rotation"]
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def _sorted(connection: sa.Connection, table: sa.Table) -> sa.CursorResult[Any]:
    # a database sorts text by its own language unless it is told not to
    plain = connection.dialect.name == "postgresql"
    keys = [
        one.collate("C") if plain and isinstance(one.type, sa.String) else one
        for one in table.primary_key
    ]
    query = sa.select(table).order_by(*keys)
    return connection.execution_options(yield_per=_AT_ONCE).execute(query)


def _go_on_counting(connection: sa.Connection) -> None:
    """Let the sequences of PostgreSQL go on where the rows end."""
    for table, column in _counted():
        query = (
            f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max({column}))"  # noqa: S608 - names of ours
            f" FROM {table} HAVING max({column}) IS NOT NULL"
        )
        connection.exec_driver_sql(query)


def _counted() -> Iterator[tuple[str, str]]:
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is not None:
            yield table.name, column.name


Digests = Mapping[str, tuple[int, str]]
