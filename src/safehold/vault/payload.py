"""Rows as the bytes inside a block: Arrow IPC, compressed by size, padded to a bucket.

Below 64 KiB the whole IPC stream is compressed at once, because compressing each small buffer costs
ten times as much; from 64 KiB up buffers are compressed one by one, so that a reader can take some
columns only. From 256 KiB up, columns of 32-bit and 64-bit numbers and times without nulls are
turned: the first byte of every value, then the second of every one, and of integers and times the
differences, since what grows by little leaves most bytes zero. Below 256 KiB undoing that costs a
reader more than it saves. Plain length and padding are inside the seal; outside only the bucket
shows.

Source of the buckets: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and
Communication with PURBs", PoPETs 2019 (Padme: at most 12 % longer, falling with size).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa
import zstandard
from pyarrow import ipc

from safehold.errors import InvalidError, TamperedError

WHOLE: Final = "z"
BUFFERS: Final = "ipc"
TURNED: Final = "ipc-t"
CODECS: Final = (WHOLE, BUFFERS, TURNED)
SMALL: Final = 64 * 1024  # bytes of Arrow data from which buffers are compressed one by one
LARGE: Final = 256 * 1024  # bytes of Arrow data from which numbers are turned
LARGEST: Final = 1 << 30  # bytes of plain payload
SMALLEST_BUCKET: Final = 512  # bytes
_LENGTH_BYTES: Final = 8
_INTEGERS: Final = (
    pa.int32(), pa.uint32(), pa.int64(), pa.uint64(), pa.timestamp("us"), pa.duration("us")
)  # fmt: skip
_FLOATS: Final = frozenset((pa.float32().id, pa.float64().id))
_WIDE: Final = {
    kind.id: np.dtype(f"<u{kind.bit_width // 8}")
    for kind in (*_INTEGERS, pa.float32(), pa.float64())
}

# zstd objects are not thread-safe, and making one costs more than a small block
_local = threading.local()


def bucket(size: int) -> int:
    """Return the padded length for a number of bytes."""
    if size <= SMALLEST_BUCKET:
        return SMALLEST_BUCKET
    exponent = size.bit_length() - 1
    low = exponent - exponent.bit_length()
    mask = (1 << low) - 1
    return (size + mask) & ~mask


def encode(table: pa.Table) -> tuple[str, memoryview]:
    """Return the codec and the padded bytes of a table: body, zeros, and the body's length.

    Chunks are joined, schema metadata is dropped (other tools keep names there), and dictionaries
    are cut to the values in use: a batch sliced by person would otherwise carry everybody's values
    under one key.

    Raises:
        InvalidError: The table is too large for one block.
    """
    table = compact(table)
    size = table.nbytes
    codec = WHOLE if size < SMALL else BUFFERS if size < LARGE else TURNED
    options = ipc.IpcWriteOptions(
        compression=pa.Codec("zstd", compression_level=1) if codec != WHOLE else None,
        use_threads=False,
    )
    if codec == TURNED:
        table = _each_wide(table, _turn)
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    if codec == WHOLE:
        body = _compressor().compress(memoryview(sink.getvalue()).cast("B"))
        return codec, memoryview(body + _end(len(body)))
    length = sink.tell()
    if length > LARGEST:
        raise InvalidError("a block holds at most 1 GiB", rule="block.size", fix="split the table")
    sink.write(_end(length))
    # cryptography refuses Arrow buffers, and memoryviews of them that are not bytes
    return codec, memoryview(sink.getvalue()).cast("B")


def decode(
    codec: str, data: bytes | bytearray | memoryview, *, columns: list[str] | None = None
) -> pa.Table:
    """Return the table of an opened payload.

    Args:
        codec: How it was compressed.
        data: The bytes, with their padding.
        columns: Columns wanted, in this order; None means all.

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
            size = zstandard.frame_content_size(body)
            if not 0 <= size <= LARGEST:
                raise TamperedError("a block expands beyond bounds", rule="block.payload")
            body = _decompressor().decompress(body, max_output_size=size)
        table = _read(pa.py_buffer(body), columns)
        return _each_wide(table, _turn_back) if codec == TURNED else table
    except (zstandard.ZstdError, pa.ArrowException, ValueError) as error:
        raise TamperedError("a block's payload is damaged", rule="block.payload") from error


def compact(table: pa.Table) -> pa.Table:
    """Return a table of one chunk, without metadata, whose dictionaries hold used values only."""
    if table.schema.metadata:
        table = table.replace_schema_metadata(None)
    if not table.num_rows:
        return table.schema.empty_table()
    if any(column.num_chunks != 1 for column in table.columns):
        table = table.unify_dictionaries().combine_chunks()
    for place, item in enumerate(table.schema):
        if pa.types.is_dictionary(item.type):
            column = table.column(place).chunk(0)
            trimmed = _trim(column)
            if trimmed is not column:
                table = table.set_column(place, item, trimmed)
    return table


def _end(length: int) -> bytes:
    """Return the zeros that fill the bucket, and the length of what they follow."""
    fill = bucket(length + _LENGTH_BYTES) - length - _LENGTH_BYTES
    return bytes(fill) + length.to_bytes(_LENGTH_BYTES, "big")


def _each_wide(table: pa.Table, change: Callable[[pa.Array], pa.Array]) -> pa.Table:
    """Return a table of one chunk in which wide numbers are changed, where there are no nulls."""
    for place, kind in enumerate(table.schema.types):
        if kind.id in _WIDE:
            column = table.column(place).chunk(0)
            if len(column) and not column.null_count:
                table = table.set_column(place, table.schema.field(place), change(column))
    return table


def _turn(column: pa.Array) -> pa.Array:
    count, unit = len(column), _WIDE[column.type.id]
    offset = column.offset * unit.itemsize
    values = np.frombuffer(column.buffers()[1], unit, count, offset=offset)
    if column.type.id not in _FLOATS:
        steps = np.empty(count, unit)
        steps[0] = values[0]
        np.subtract(values[1:], values[:-1], out=steps[1:])  # modulo 2^32 or 2^64: nothing is lost
        values = steps
    planes = np.ascontiguousarray(values.view(np.uint8).reshape(count, unit.itemsize).T)
    return pa.Array.from_buffers(column.type, count, [None, pa.py_buffer(planes)], 0)


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
    used[held] = True
    if used.all():
        return column
    places = (np.cumsum(used) - 1).astype(indices.type.to_pandas_dtype())
    kept = values.filter(pa.array(used))
    if not len(held):
        fresh = pa.nulls(len(indices), indices.type)
    else:
        fresh = pa.array(places).take(indices)
    return pa.DictionaryArray.from_arrays(fresh, kept, ordered=column.type.ordered)


def _read(buffer: pa.Buffer, columns: list[str] | None) -> pa.Table:
    if columns is None:
        return ipc.open_stream(buffer, options=ipc.IpcReadOptions(use_threads=False)).read_all()
    schema = ipc.open_stream(buffer).schema
    if unknown := [name for name in columns if name not in schema.names]:
        raise InvalidError(f"{len(unknown)} columns do not exist", rule="block.columns")
    options = ipc.IpcReadOptions(
        included_fields=[schema.get_field_index(name) for name in columns], use_threads=False
    )
    return ipc.open_stream(buffer, options=options).read_all().select(columns)


def _compressor() -> zstandard.ZstdCompressor:
    held = getattr(_local, "compressor", None)
    if held is None:
        held = _local.compressor = zstandard.ZstdCompressor(level=1)
    return held


def _decompressor() -> zstandard.ZstdDecompressor:
    held = getattr(_local, "decompressor", None)
    if held is None:
        held = _local.decompressor = zstandard.ZstdDecompressor()
    return held
