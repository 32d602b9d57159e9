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
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from safehold.errors import InvalidError, TamperedError
from safehold.vault import paged, zstd
from safehold.vault.pad import bucket
from safehold.vault.shape import shape_of

WHOLE: Final = "z"
BUFFERS: Final = "ipc"
TURNED: Final = "ipc-t"
FLAT_CODECS: Final = (WHOLE, TURNED, BUFFERS)
PAGED: Final = "cols"
SMALL: Final = 64 * 1024  # bytes of Arrow data from which columns are sealed one by one
_LENGTH_BYTES: Final = 8
_FIRST_LOOK: Final = 1024  # rows in which every value of a dictionary is mostly seen
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
    batch = compact(table)
    schema = batch.schema
    if batch.num_rows * _least_width(schema) >= SMALL or batch.nbytes >= SMALL:
        return PAGED, paged.plan(batch)
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, schema, options=_WRITING) as writer:
        writer.write_batch(batch)
    body = zstd.compressor().compress(memoryview(sink.getvalue()).cast("B"))
    fill = bucket(len(body) + _LENGTH_BYTES) - len(body) - _LENGTH_BYTES
    return WHOLE, memoryview(body + bytes(fill) + len(body).to_bytes(_LENGTH_BYTES, "big"))


@lru_cache(maxsize=256)
def _least_width(schema: pa.Schema) -> int:
    """Return how many bytes a row takes at least; asking a table for its bytes takes far longer."""
    return sum(shape_of(kind).width for kind in schema.types)


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
    view = memoryview(data)
    length = int.from_bytes(view[-_LENGTH_BYTES:], "big")
    if not 0 < length <= len(view) - _LENGTH_BYTES or bucket(length + _LENGTH_BYTES) != len(view):
        raise TamperedError("a block's length does not fit its bucket", rule="block.payload")
    body: memoryview | bytes = view[:length]
    try:
        if codec == WHOLE:
            # what was compressed as a whole is read as a whole: columns are but views of it
            table = _read(pa.py_buffer(zstd.expanded(body, None)), None)
            return table if wanted is None else table.select(_known(table.schema, wanted))
        table = _read(pa.py_buffer(body), wanted)
        return _each_wide(table, _turn_back) if codec == TURNED else table
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TamperedError("a block's payload is damaged", rule="block.payload") from error


def compact(table: pa.Table) -> pa.RecordBatch:
    """Return a table as one batch, without metadata, whose dictionaries hold used values only."""
    schema = table.schema.remove_metadata() if table.schema.metadata else table.schema
    batches = table.to_batches()
    if len(batches) > 1:
        batches = table.unify_dictionaries().combine_chunks().to_batches()
    if not batches:
        return pa.RecordBatch.from_arrays(
            [pa.array([], kind) for kind in schema.types], schema=schema
        )
    columns = batches[0].columns
    for place in _coded(schema):
        columns[place] = _trim(columns[place])
    return pa.RecordBatch.from_arrays(columns, schema=schema)


@lru_cache(maxsize=256)
def _coded(schema: pa.Schema) -> tuple[int, ...]:
    """Return which columns have a dictionary."""
    kinds = enumerate(schema.types)
    return tuple(place for place, kind in kinds if pa.types.is_dictionary(kind))


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
    indices = column.indices
    held = (indices.drop_null() if indices.null_count else indices).to_numpy(zero_copy_only=False)
    used = np.zeros(len(values), dtype=bool)
    for some in (held[:_FIRST_LOOK], held[_FIRST_LOOK:]):
        used[some] = True
        if used.all():
            return column
    places = (np.cumsum(used) - 1).astype(indices.type.to_pandas_dtype())
    kept = values.filter(pa.array(used))
    if not len(held):
        fresh = pa.nulls(len(indices), indices.type)
    else:
        fresh = pa.array(places).take(indices)
    return pa.DictionaryArray.from_arrays(fresh, kept, ordered=column.type.ordered)


def _known(schema: pa.Schema, wanted: Sequence[str]) -> list[int]:
    places = [schema.get_field_index(name) for name in wanted]
    if unknown := places.count(-1):
        raise InvalidError(f"{unknown} columns do not exist", rule="block.columns")
    return places


def _read(buffer: pa.Buffer, wanted: Sequence[str] | None) -> pa.Table:
    if wanted is None:
        return ipc.open_stream(buffer, options=_READING).read_all()
    places = _known(ipc.open_stream(buffer).schema, wanted)
    options = ipc.IpcReadOptions(included_fields=places, use_threads=False)
    return ipc.open_stream(buffer, options=options).read_all().select(list(wanted))
