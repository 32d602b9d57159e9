"""What ``pack`` made of a column, back as a column.

What was not compressed is not copied either: its buffers are views of what was decrypted. What is
put together anew lies where Arrow allocates, aligned to 64 bytes, so that NumPy, DuckDB and JAX
take it as it lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from safehold.vault import zstd
from safehold.vault.shape import (
    BITS,
    CODED,
    FIXED,
    FLAGS,
    FOLDED,
    LENGTHS,
    NUMBER,
    RAW,
    REPEATED,
    SHRUNK,
    STEPS,
    STREAM,
    TEXT,
    VALID,
    Bytes,
    Shape,
    damaged,
    is_large,
    shape_of,
)

_READING: Final = ipc.IpcReadOptions(use_threads=False)


def unpack(
    kind: pa.DataType,
    rows: int,
    how: tuple[int, int, int, int],
    pieces: Sequence[tuple[int, int]],
    data: Bytes,
) -> pa.Array:
    """Return the column that bytes hold; buffers that were not compressed are views of them.

    Args:
        kind: Its type.
        rows: Its length.
        how: Flags, planes, nulls and words.
        pieces: Method and size of each piece.
        data: The bytes.

    Raises:
        TamperedError: They hold none.
    """
    flags, planes, nulls, words = how
    shape = shape_of(kind)
    reading = _Unpacking(pieces, data)
    if flags not in FLAGS or nulls > rows or bool(flags & VALID) != (nulls > 0 and flags != STREAM):
        raise damaged()
    if flags == STREAM:
        return _from_stream(reading.last(None), kind, rows)
    valid = reading.next(-(-rows // 8)) if flags & VALID else None
    if shape.layout == BITS:
        buffers = [valid, reading.last(-(-rows // 8))]
    elif shape.layout == FIXED:
        buffers = [valid, reading.last(rows * shape.width, unit=shape.width)]
    elif shape.layout == TEXT:
        offsets, size = _offsets(reading, shape, planes, rows)
        buffers = [valid, offsets, reading.last(size)]
    elif shape.layout in (NUMBER, CODED):
        buffers = [valid, _from_planes(reading, shape, planes, rows, flags)]
    else:
        raise damaged()
    if shape.layout == CODED:
        values = _from_vocabulary(kind.value_type, words, reading.last(None))
        places = pa.Array.from_buffers(kind.index_type, rows, buffers, nulls)
        return pa.DictionaryArray.from_arrays(places, values, ordered=kind.ordered)
    reading.end()
    return pa.Array.from_buffers(kind, rows, buffers, nulls)


class _Unpacking:
    """Pieces as they are taken, one after the other; each is a buffer of Arrow's."""

    __slots__ = ("_at", "_buffer", "_data", "_left")

    def __init__(self, pieces: Sequence[tuple[int, int]], data: Bytes) -> None:
        self._left = list(reversed(pieces))
        self._data = memoryview(data)
        self._buffer = pa.py_buffer(data)
        self._at = 0

    def next(self, size: int | None, *, unit: int = 0) -> pa.Buffer:
        """Return the next piece.

        Args:
            size: Bytes it must have; None takes what it says.
            unit: Bytes of one value, where one may stand for all.
        """
        if not self._left:
            raise damaged()
        method, stored = self._left.pop()
        start, end = self._at, self._at + stored
        if end > len(self._data):
            raise damaged()
        self._at = end
        if method == SHRUNK:
            return pa.py_buffer(zstd.expanded(self._data[start:end], size))
        if method == REPEATED and unit and stored == unit and size is not None:
            return pa.py_buffer(bytes(self._data[start:end]) * (size // unit))
        if method != RAW or (size is not None and stored != size):
            raise damaged()
        return self._buffer.slice(start, stored)

    def plane(self, size: int) -> np.ndarray:
        """Return the next piece as so many bytes."""
        return np.frombuffer(self.next(size), np.uint8)

    def last(self, size: int | None, *, unit: int = 0) -> pa.Buffer:
        found = self.next(size, unit=unit)
        self.end()
        return found

    def end(self) -> None:
        if self._left or self._at != len(self._data):
            raise damaged()


def _from_planes(
    reading: _Unpacking, shape: Shape, planes: int, rows: int, flags: int
) -> pa.Buffer:
    unit = shape.unit
    width = unit.itemsize
    if planes > width or flags & ~(VALID | STEPS | FOLDED) or (flags & STEPS and not shape.steps):
        raise damaged()
    if not rows:
        if planes or flags & STEPS:
            raise damaged()
        return pa.py_buffer(b"")
    if width == 1:
        if planes != 1:
            raise damaged()
        return reading.next(rows)
    first = np.frombuffer(reading.next(width), unit)[0] if flags & STEPS else None
    # Arrow aligns what it allocates to 64 bytes, as vectors like it and other libraries ask for
    buffer = pa.allocate_buffer(rows * width)
    values = np.frombuffer(buffer, unit)
    if planes == 1:
        values[:] = reading.plane(rows)
    else:
        if planes < width:
            values.fill(0)
        parts = values.view(np.uint8).reshape(rows, width)
        for place in range(planes):
            parts[:, place] = reading.plane(rows)
    if flags & FOLDED:
        signs = -(values & unit.type(1))
        np.right_shift(values, unit.type(1), out=values)
        np.bitwise_xor(values, signs, out=values)
    if first is not None:
        values[0] = first
        np.cumsum(values, dtype=unit, out=values)
    return buffer


def _offsets(reading: _Unpacking, shape: Shape, planes: int, rows: int) -> tuple[pa.Buffer, int]:
    unit = shape.unit
    buffer = pa.allocate_buffer((rows + 1) * unit.itemsize)
    offsets = np.frombuffer(buffer, unit)
    offsets[0] = 0
    if not rows:
        return buffer, 0
    lengths = np.frombuffer(_from_planes(reading, shape, planes, rows, 0), unit)
    total = int(lengths.sum(dtype=np.uint64))
    # lengths that add up without a turn of the counter cannot point outside the text
    if int(lengths.max()) > zstd.LARGEST or total > zstd.LARGEST:
        raise damaged()
    np.cumsum(lengths, dtype=unit, out=offsets[1:])
    return buffer, total


def _from_vocabulary(kind: pa.DataType, words: int, held: pa.Buffer) -> pa.Array:
    if held.size < 4 * words:
        raise damaged()
    lengths = np.frombuffer(held, LENGTHS, words)
    offsets = np.zeros(words + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    text = held.slice(4 * words)
    if int(offsets[-1]) != text.size:
        raise damaged()
    places = offsets if is_large(kind) else offsets.astype(np.int32)
    return pa.Array.from_buffers(kind, words, [None, pa.py_buffer(places), text], 0)


def _from_stream(held: pa.Buffer, kind: pa.DataType, rows: int) -> pa.Array:
    table = ipc.open_stream(held, options=_READING).read_all()
    if table.num_columns != 1 or table.num_rows != rows or table.schema.types != [kind]:
        raise damaged()
    column = table.column(0)
    column.validate(full=True)  # Arrow reads any offsets from a stream, and follows them anywhere
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], kind)
