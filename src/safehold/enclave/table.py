"""A table that comes out of a sandbox, read in its only form."""

from __future__ import annotations

import pyarrow as pa

from safehold.errors import TamperedError


def read_table(
    body: bytes | bytearray | memoryview, *, rows: int, schema: pa.Schema, column: str
) -> pa.Table:
    """Read one Arrow stream of one batch of a schema and not a byte more.

    Args:
        body: The stream.
        rows: How many rows were announced.
        schema: The only one, metadata included.
        column: One of its columns, which shows that it is one batch.

    Raises:
        TamperedError: It is anything else, or has holes.
    """
    source = pa.BufferReader(pa.py_buffer(body))
    try:
        with pa.ipc.open_stream(source) as stream:
            if not stream.schema.equals(schema, check_metadata=True):
                raise TamperedError("a table of another form", rule="egress.schema")
            table = stream.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError):
        raise TamperedError("a body is no table", rule="egress.table") from None
    if source.read(1) or len(table) != rows or table[column].num_chunks != 1:
        raise TamperedError("a table is not in its only form", rule="egress.table")
    if any(one.null_count for one in table.columns):
        raise TamperedError("a table has holes", rule="egress.table")
    return table
