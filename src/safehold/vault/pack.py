"""One column as bytes of its own, so that it can be sealed, fetched and opened without the others.

Numbers are cut into planes: the lowest byte of every value, then the second of every one, as many as
any value needs. Integers and times that move by little are replaced before by the difference to the
value in front, folded (zigzag) where that saves a plane. Every plane, and every other buffer, is
compressed for itself, or left as it is where that saves nothing. What has no rule here (lists,
structures, ...) is an Arrow IPC stream of one column.

Nothing is learnt from other rows: how a column is packed depends on its own values alone.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from safehold.errors import InvalidError
from safehold.vault import zstd
from safehold.vault.shape import (
    BITS,
    CODED,
    FIXED,
    FOLDED,
    LENGTHS,
    NUMBER,
    OTHER,
    PIECE,
    RAW,
    REPEATED,
    SHRUNK,
    STEPS,
    STREAM,
    TEXT,
    VALID,
    Bytes,
    Shape,
    is_large,
    shape_of,
)

_SAMPLED: Final = 2048  # bytes of a plane from which a sample decides whether to compress
_SAMPLE: Final = 512  # bytes of each plane
_WORTH_TRYING: Final = 512  # bytes from which compressing is tried
_LOOKED_AT: Final = 512  # values that decide whether differences are taken
_WRITING: Final = ipc.IpcWriteOptions(use_threads=False)


class Packed(NamedTuple):
    """One column, packed.

    Args:
        flags: How.
        planes: How many planes its numbers, or the lengths of its texts, have.
        nulls: Rows without a value.
        words: Values in its dictionary.
        pieces: What the data is made of, in order: method and bytes of each, as ``PIECE`` says.
        data: The bytes.
    """

    flags: int
    planes: int
    nulls: int
    words: int
    pieces: bytes
    data: bytes


class _Packing:
    """Pieces as they come to be."""

    __slots__ = ("parts", "pieces")

    def __init__(self) -> None:
        self.pieces = bytearray()
        self.parts: list[Bytes | np.ndarray] = []

    def put(self, method: int, stored: Bytes | np.ndarray) -> None:
        self.pieces += PIECE.pack(method, len(stored))
        self.parts.append(stored)

    def add(self, plain: Bytes) -> None:
        """Add bytes, compressed if that saves anything.

        Raises:
            InvalidError: More than a reader would take.
        """
        if len(plain) > zstd.LARGEST:
            raise InvalidError(
                "a column of a block holds at most 1 GiB", rule="block.size", fix="split the table"
            )
        if len(plain) >= _WORTH_TRYING:
            small = zstd.compressed(plain)
            if zstd.saves(small, len(plain)):
                return self.put(SHRUNK, small)
        return self.put(RAW, plain)

    def add_planes(self, planes: np.ndarray) -> None:
        """Add planes of numbers, the lowest first.

        Whether compressing long ones saves anything, a sample tells: of all but the highest at
        once, since the low bytes of what is measured are mostly noise.
        """
        compress = zstd.compressed_plane
        count, size = planes.shape
        noise = 0
        if count > 1 and size >= _SAMPLED:
            sample = planes[:-1, size // 2 : size // 2 + _SAMPLE].tobytes()
            if not zstd.saves(compress(sample), len(sample)):
                noise = count - 1
        pieces, parts = self.pieces, self.parts
        if noise:
            pieces += PIECE.pack(RAW, size) * noise
            parts.append(planes[:noise])
            planes = planes[noise:]
        for plane in planes:
            small = compress(plane)
            shrunk = len(small) <= size - (size >> 5)
            pieces += PIECE.pack(SHRUNK, len(small)) if shrunk else PIECE.pack(RAW, size)
            parts.append(small if shrunk else plane)

    def done(self, flags: int, planes: int, nulls: int, words: int = 0) -> Packed:
        return Packed(flags, planes, nulls, words, bytes(self.pieces), b"".join(self.parts))  # type: ignore[arg-type]


def pack(column: pa.Array, shape: Shape | None = None) -> Packed:
    """Return a column as bytes.

    Args:
        column: One chunk; a dictionary holds used values only.
        shape: Of its type, where that is known.

    Raises:
        InvalidError: It is larger than a reader would take.
    """
    if shape is None:
        shape = shape_of(column.type)
    into = _Packing()
    if shape.layout == OTHER or (shape.layout == CODED and column.dictionary.null_count):
        into.add(_stream(column))
        return into.done(STREAM, 0, column.null_count)
    buffers = column.buffers()
    flags, nulls = 0, column.null_count
    if nulls:
        flags = VALID
        into.add(_bits(buffers[0], column.offset, len(column)))
    if shape.layout == BITS:
        into.add(_bits(buffers[1], column.offset, len(column)))
        return into.done(flags, 0, nulls)
    if shape.layout == FIXED:
        _pack_fixed(into, buffers[1], column.offset, len(column), shape.width)
        return into.done(flags, 0, nulls)
    if shape.layout == TEXT:
        planes = _pack_text(into, shape, buffers, column.offset, len(column))
        return into.done(flags, planes, nulls)
    values = numbers_of(buffers[1], shape.unit, column.offset, len(column))
    if (
        shape.steps
        and len(values)
        and (shape.grows or _moves_by_little(values, signed=shape.signed))
    ):
        into.put(RAW, values[:1].tobytes())
        values, how = _steps(values)
        flags |= how
    planes = _pack_planes(into, values)
    if shape.layout == NUMBER:
        return into.done(flags, planes, nulls)
    words = column.dictionary
    into.add(_vocabulary(words))
    return into.done(flags, planes, nulls, len(words))


def numbers_of(
    buffer: pa.Buffer, unit: np.dtype[np.integer], offset: int, count: int
) -> np.ndarray:
    """Return some numbers of a buffer, as they lie there."""
    if not count:
        return np.empty(0, unit)
    return np.frombuffer(buffer, unit, count, offset=offset * unit.itemsize)


def _bits(buffer: pa.Buffer, offset: int, count: int) -> Bytes:
    """Return bits from an offset on, the first in the lowest place, and zeros behind the last."""
    if not count:
        return b""
    if offset % 8:
        whole = np.frombuffer(buffer, np.uint8)
        bits = np.unpackbits(whole, count=offset + count, bitorder="little")[offset:]
        return np.packbits(bits, bitorder="little").tobytes()
    held = bytearray(memoryview(buffer).cast("B")[offset // 8 : (offset + count + 7) // 8])
    if count % 8:
        held[-1] &= (1 << count % 8) - 1
    return held


def _moves_by_little(values: np.ndarray, *, signed: bool) -> bool:
    """Return whether a stretch of values differs less from place to place than over all.

    A difference too wide for its type wraps, which makes this a worse guess and nothing else.
    """
    some = values[:_LOOKED_AT]
    if len(some) < 2:
        return False
    if signed:
        some = some.view(f"<i{some.itemsize}")
    steps = (some[1:] - some[:-1]).view(f"<i{some.itemsize}")
    return _spread(steps) < _spread(some)


def _spread(values: np.ndarray) -> int:
    return int(values[values.argmax()]) - int(values[values.argmin()])  # half the time of reducing


def _steps(values: np.ndarray) -> tuple[np.ndarray, int]:
    unit = values.dtype
    steps = np.empty(len(values), unit)
    steps[0] = (
        0  # what it begins with stands in a piece of its own, or it would take all the planes
    )
    np.subtract(values[1:], values[:-1], out=steps[1:])  # modulo 2^n: nothing is lost
    if int(np.bitwise_or.reduce(steps)) >> (8 * unit.itemsize - 1):
        signs = steps.view(f"<i{unit.itemsize}") >> (8 * unit.itemsize - 1)
        return (steps << unit.type(1)) ^ signs.view(unit), STEPS | FOLDED
    return steps, STEPS


def _pack_planes(into: _Packing, values: np.ndarray) -> int:
    """Add the planes that any value needs, and return how many."""
    count, width = len(values), values.dtype.itemsize
    if not count:
        return 0
    if width == 1:
        into.add_planes(values.reshape(1, count))
        return 1
    planes = width
    if not int(values[-1]) >> 8 * (width - 1):  # otherwise the last value needs all of them
        planes = -(-int(np.bitwise_or.reduce(values)).bit_length() // 8)
    if planes == 1:
        into.add_planes(values.astype(np.uint8).reshape(1, count))
        return 1
    into.add_planes(values.view(np.uint8).reshape(count, width)[:, :planes].T.copy())
    return planes


def _pack_fixed(into: _Packing, buffer: pa.Buffer, offset: int, count: int, width: int) -> None:
    if not count:
        return into.put(RAW, b"")
    data = memoryview(buffer).cast("B")[offset * width : (offset + count) * width]
    if data[:width] == data[-width:] and count > 1:
        each = np.frombuffer(data, np.uint8)
        if np.array_equal(each[width:], each[:-width]):
            return into.put(REPEATED, data[:width])
    return into.add(data)


def _pack_text(
    into: _Packing, shape: Shape, buffers: list[pa.Buffer], offset: int, count: int
) -> int:
    if not count:
        into.put(RAW, b"")
        return 0
    offsets = np.frombuffer(buffers[1], shape.unit, count + 1, offset=offset * shape.width)
    planes = _pack_planes(into, offsets[1:] - offsets[:-1])
    first, last = int(offsets[0]), int(offsets[-1])
    data = memoryview(buffers[2]).cast("B")[first:last] if last > first else b""
    into.add(data)
    return planes


def _vocabulary(words: pa.Array) -> bytes:
    width = 8 if words.type.num_buffers == 3 and is_large(words.type) else 4
    count = len(words)
    if not count:
        return b""
    buffers = words.buffers()
    offsets = np.frombuffer(buffers[1], f"<u{width}", count + 1, offset=words.offset * width)
    first, last = int(offsets[0]), int(offsets[-1])
    text = memoryview(buffers[2]).cast("B")[first:last] if last > first else b""
    lengths: bytes = (offsets[1:] - offsets[:-1]).astype(LENGTHS).tobytes()
    return lengths + bytes(text)


def _stream(column: pa.Array) -> memoryview:
    sink = pa.BufferOutputStream()
    batch = pa.RecordBatch.from_arrays([column], names=[""])
    with ipc.new_stream(sink, batch.schema, options=_WRITING) as writer:
        writer.write_batch(batch)
    return memoryview(sink.getvalue()).cast("B")
