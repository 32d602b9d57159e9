"""What two homes have in common: random ids are numbered in the order in which they first occur."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import orjson
import pyarrow as pa

from safehold.enclave.action import SCHEMA

_OPAQUE = re.compile(r"[0-9a-f]{16,}|[A-Za-z0-9+/_-]{22,}={0,2}|[a-z]+_[0-9a-z]{16,}")


class Names:
    """Numbers random ids in the order in which they first occur."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return _OPAQUE.sub(
            lambda found: self._known.setdefault(found[0], f"#{len(self._known)}"), value
        )

    def deep(self, value: Any) -> Any:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
        return orjson.loads(self.of(text))


def in_order(table: pa.Table) -> pa.Table:
    """Return features with the sessions of a day in an order of their own.

    Rows at rest bear no time of day, so the sessions of a day follow each other by their ids, which the home keys.
    """
    if not table.schema.equals(SCHEMA):
        return table
    sessions: list[list[dict[str, Any]]] = []
    for row in table.to_pylist():
        if row["start"] or not sessions:
            sessions.append([])
        sessions[-1].append(row)
    rows = [row for session in sorted(sessions, key=repr) for row in session]
    columns = []
    for item in SCHEMA:
        values = pa.array([row[item.name] for row in rows])
        if pa.types.is_dictionary(item.type):
            values = values.cast(pa.string()).dictionary_encode()
        columns.append(values.cast(item.type))
    return pa.Table.from_arrays(columns, schema=SCHEMA)


class Ids:
    """Numbers ids in columns: pseudonyms of people, devices, sessions and messages are keyed by the home.

    The same id gets the same number wherever it stands, so what refers to what is compared, across streams and people.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}

    def digest(self, table: pa.Table | pa.RecordBatch) -> str:
        """Return a SHA-256 over the bytes of a table's rows, its ids numbered."""
        if isinstance(table, pa.RecordBatch):
            table = pa.Table.from_batches([table])
        table = in_order(table)
        columns = {
            name: self._numbered(table[name].combine_chunks()) for name in table.column_names
        }
        whole = pa.table(columns)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, whole.schema) as stream:
            stream.write_table(whole.combine_chunks())
        return hashlib.sha256(sink.getvalue()).hexdigest()

    def _numbered(self, column: Any) -> Any:
        if isinstance(column, pa.ChunkedArray):
            column = (
                pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
            )
        if pa.types.is_list(column.type) and pa.types.is_fixed_size_binary(column.type.value_type):
            inner = self._numbered(column.flatten())
            return pa.ListArray.from_arrays(column.offsets, inner) if len(column) else inner
        if not pa.types.is_fixed_size_binary(column.type):
            return column
        coded = column.dictionary_encode()
        numbers = pa.array(
            [self._known.setdefault(one, len(self._known)) for one in coded.dictionary.to_pylist()],
            pa.int64(),
        )
        return numbers.take(coded.indices)


def given_by(parts: Sequence[tuple[dict[str, Any], pa.Table]]) -> list[str]:
    """Return what one sandbox was given, without the names of that run."""
    found = []
    for header, table in parts:
        said = {name: value for name, value in header.items() if name != "person"}
        found.append(f"{Names().deep(said)} {Ids().digest(table)}")
    return sorted(found)
