"""Rows as the bytes inside a block, by how many they are.

Below 64 KiB the whole Arrow IPC stream is compressed at once, because handling each small buffer
costs more than it saves; plain length and padding are inside the seal. From 64 KiB up each column
is packed and sealed for itself (``pack``, ``paged``), so that a reader can take some only.

Two older codecs are read and not written any more: IPC whose buffers are compressed one by one, and
the same of columns whose wide numbers were turned (the first byte of every value, then the second
of every one, and of integers and times the differences).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from safehold.errors import InvalidError, TamperedError
from safehold.vault import paged, zstd
from safehold.vault.pack import numbers_of
from safehold.vault.pad import bucket

WHOLE: Final = "z"
BUFFERS: Final = "ipc"
TURNED: Final = "ipc-t"
FLAT_CODECS: Final = (WHOLE, TURNED, BUFFERS)
PAGED: Final = "cols"
SMALL: Final = 64 * 1024  # bytes of Arrow data from which columns are sealed one by one
_LENGTH_BYTES: Final = 8
_LOOKS: Final = (0, 64, 1024, None)  # in the first rows every value of a dictionary is mostly seen
_INTEGERS: Final = (
    pa.int32(), pa.uint32(), pa.int64(), pa.uint64(), pa.timestamp("us"), pa.duration("us")
)  # fmt: skip
_FLOATS: Final = frozenset((pa.float32().id, pa.float64().id))
_WIDE: Final = {
    kind.id: np.dtype(f"<u{kind.bit_width // 8}")
    for kind in (*_INTEGERS, pa.float32(), pa.float64())
}

_READING: Final = ipc.IpcReadOptions(use_threads=False)
_WRITING: Final = ipc.IpcWriteOptions(use_threads=False)


def encode(table: pa.Table) -> tuple[str, memoryview | paged.Plan]:
    """Return the codec of a table, and its padded bytes or, packed by columns, what will be sealed.

    Chunks are joined, schema metadata is dropped (other tools keep names there), and dictionaries
    are cut to the values in use: a batch sliced by person would otherwise carry everybody's values
    under one key.

    Raises:
        InvalidError: The table is too large for one block.
    """
    form, columns = _columns(table)
    rows, schema = table.num_rows, form.schema
    if rows * form.width >= SMALL:
        return PAGED, paged.plan(form, rows, columns)
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    if batch.nbytes >= SMALL:
        return PAGED, paged.plan(form, rows, columns)
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, schema, options=_WRITING) as writer:
        writer.write_batch(batch)
    body = zstd.compressed(memoryview(sink.getvalue()).cast("B"))
    fill = bucket(len(body) + _LENGTH_BYTES) - len(body) - _LENGTH_BYTES
    return WHOLE, memoryview(body + bytes(fill) + len(body).to_bytes(_LENGTH_BYTES, "big"))


def decode(
    codec: str, data: bytes | bytearray | memoryview, *, wanted: Sequence[str] | None = None
) -> pa.Table:
    """Return the table of an opened payload.

    Args:
        codec: How it was compressed.
        data: The bytes, with their padding.
        wanted: Columns wanted, in this order; None means all.

    Raises:
        TamperedError: The bytes are no payload, though they opened.
        InvalidError: A column does not exist.
    """
    return read(codec, unwrap(codec, data), wanted)


def unwrap(codec: str, data: bytes | bytearray | memoryview) -> bytes | memoryview:
    """Return the stream of an opened payload: without padding and, if it was compressed whole, expanded.

    Raises:
        TamperedError: The bytes are no payload, though they opened.
    """
    length = int.from_bytes(data[-_LENGTH_BYTES:], "big")
    if not 0 < length <= len(data) - _LENGTH_BYTES or bucket(length + _LENGTH_BYTES) != len(data):
        raise TamperedError("a block's length does not fit its bucket", rule="block.payload")
    body = memoryview(data)[:length]
    return zstd.expanded(body, None) if codec == WHOLE else body


def read(codec: str, body: bytes | memoryview, wanted: Sequence[str] | None) -> pa.Table:
    """Return the table of what ``unwrap`` returned; raises as ``decode`` does."""
    try:
        if codec == WHOLE:
            # what was compressed as a whole is read as a whole: columns are but views of it
            table = _read(pa.py_buffer(body), None)
            return table if wanted is None else table.select(places_of(table.schema, wanted))
        table = _read(pa.py_buffer(body), wanted)
        return _each_wide(table, _turn_back) if codec == TURNED else table
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TamperedError("a block's payload is damaged", rule="block.payload") from error


def compact(table: pa.Table) -> pa.RecordBatch:
    """Return a table as one batch, without metadata, whose dictionaries hold used values only."""
    form, columns = _columns(table)
    return pa.RecordBatch.from_arrays(columns, schema=form.schema)


def _columns(table: pa.Table) -> tuple[paged.Form, list[pa.Array]]:
    """Return the columns of a table in one piece each, and what their schema says, without metadata."""
    schema = table.schema
    form = paged.form_of(schema.remove_metadata() if schema.metadata else schema)
    batches = table.to_batches()
    if len(batches) > 1:
        batches = table.unify_dictionaries().combine_chunks().to_batches()
    if not batches:
        return form, [pa.array([], kind) for kind in form.schema.types]
    columns = batches[0].columns
    for place in form.coded:
        columns[place] = _trim(columns[place])
    return form, columns


def _each_wide(table: pa.Table, change: Callable[[pa.Array], pa.Array]) -> pa.Table:
    """Return a table of one chunk in which wide numbers are changed, where there are no nulls."""
    for place, kind in enumerate(table.schema.types):
        if kind.id in _WIDE:
            column = table.column(place).chunk(0)
            if len(column) and not column.null_count:
                table = table.set_column(place, table.schema.field(place), change(column))
    return table


def _turn_back(column: pa.Array) -> pa.Array:
    count, unit = len(column), _WIDE[column.type.id]
    size, offset = count * unit.itemsize, column.offset * unit.itemsize
    planes = np.frombuffer(column.buffers()[1], np.uint8, size, offset=offset)
    values = np.empty(count, unit)
    parts = values.view(np.uint8).reshape(count, unit.itemsize)
    for place, plane in enumerate(planes.reshape(unit.itemsize, count)):
        parts[:, place] = plane  # one byte after the other: transposing takes four times as long
    if column.type.id not in _FLOATS:
        np.cumsum(values, dtype=unit, out=values)
    return pa.Array.from_buffers(column.type, count, [None, pa.py_buffer(values)], 0)


def _trim(column: pa.DictionaryArray) -> pa.DictionaryArray:
    values = column.dictionary
    if column.null_count:
        held = column.indices.drop_null().to_numpy(zero_copy_only=False)
    else:
        unit = np.dtype(f"i{column.type.index_type.bit_width // 8}")
        held = numbers_of(column.buffers()[1], unit, column.offset, len(column))
    used = np.zeros(len(values), dtype=bool)
    for begin, end in pairwise(_LOOKS):
        used[held[begin:end]] = True
        if used.all():
            return column
    indices = column.indices
    places = (np.cumsum(used) - 1).astype(indices.type.to_pandas_dtype())
    kept = values.filter(pa.array(used))
    if not len(held):
        fresh = pa.nulls(len(indices), indices.type)
    else:
        fresh = pa.array(places).take(indices)
    return pa.DictionaryArray.from_arrays(fresh, kept, ordered=column.type.ordered)


def places_of(schema: pa.Schema, wanted: Sequence[str]) -> list[int]:
    """Return where columns stand.

    Raises:
        InvalidError: One does not exist.
    """
    places = [schema.get_field_index(name) for name in wanted]
    if unknown := places.count(-1):
        raise InvalidError(f"{unknown} columns do not exist", rule="block.columns")
    return places


def _read(buffer: pa.Buffer, wanted: Sequence[str] | None) -> pa.Table:
    if wanted is None:
        return ipc.open_stream(buffer, options=_READING).read_all()
    places = places_of(ipc.open_stream(buffer).schema, wanted)
    options = ipc.IpcReadOptions(included_fields=places, use_threads=False)
    return ipc.open_stream(buffer, options=options).read_all().select(list(wanted))
