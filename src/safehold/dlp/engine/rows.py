"""Arrow text as buffers: chunks of bounded size, and rows laid out for matching."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
CHUNK: Final = 1 << 22  # bytes of text looked at together; a longer row is a chunk of its own
_BORDER: Final = pa.scalar("\0", pa.large_string())
_NOTHING: Final = pa.scalar("", pa.large_string())


def large_texts(texts: Any) -> Any:
    """Return texts as one ``large_string`` array.

    Args:
        texts: Arrow strings or a dictionary of them; sliced arrays, chunks and nulls are fine.
    """
    return whole_of(texts).cast(pa.large_string())


def whole_of(column: Any) -> Any:
    """Return a column as one array."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            empty = pa.array([], column.type)
            column = pa.concat_arrays(column.chunks) if column.num_chunks else empty
    return column


def offsets_of(array: Any) -> Ints:
    """Return where each row begins in the buffer of the array, and where the last one ends.

    Args:
        array: ``large_string`` or ``string``, sliced or not; a null has no bytes.
    """
    if not len(array):
        return np.zeros(1, np.int64)
    if pa.types.is_string(array.type):
        short = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4)
        return short.astype(np.int64)
    return np.frombuffer(array.buffers()[1], np.int64, len(array) + 1, array.offset * 8)


def constant_of(array: Any) -> bytes | None:
    """Return the bytes of the one text that every row holds; None where rows differ or one is null.

    Args:
        array: ``string`` or ``large_string``.
    """
    if not len(array) or array.null_count or array.buffers()[2] is None:
        return None
    offsets = offsets_of(array)
    low, size = int(offsets[0]), int(offsets[1] - offsets[0])
    if int(offsets[-1]) - low != size * len(array) or (np.diff(offsets) != size).any():
        return None
    data = array.buffers()[2].slice(low, size * len(array))
    value: bytes = data.slice(0, size).to_pybytes()
    return value if data.equals(pa.py_buffer(value * len(array))) else None


def bytes_of(array: Any) -> tuple[bytes, Ints]:
    """Return the bytes of the rows end to end, and the borders of each."""
    offsets = offsets_of(array)
    data = array.buffers()[2]
    if data is None:
        return b"", np.zeros(len(array) + 1, np.int64)
    low, high = int(offsets[0]), int(offsets[-1])
    return data.slice(low, high - low).to_pybytes(), offsets - low


def chunks_of(array: Any) -> Iterator[tuple[int, Any]]:
    """Yield slices of at most ``CHUNK`` bytes, but one row at least, with the number of their first row."""
    offsets = offsets_of(array)
    begin = 0
    while begin < len(array):
        end = int(np.searchsorted(offsets, offsets[begin] + CHUNK, side="right")) - 1
        end = min(len(array), max(begin + 1, end))
        yield begin, array.slice(begin, end - begin)
        begin = end


def laid_out(array: Any) -> tuple[bytes, Ints]:
    """Return rows in one buffer, each between two zero bytes of its own, and where each such stretch begins.

    A zero byte is no sign of a word and in no class that rules repeat, so that a rule sees a row
    as if it stood alone.
    """
    joined = pc.binary_join_element_wise(_BORDER, pc.fill_null(array, ""), _BORDER, _NOTHING)
    return bytes_of(joined)


def points_before(data: bytes) -> Ints:
    """Return how many code points begin before each byte, and how many there are."""
    if data.isascii():
        return np.arange(len(data) + 1)
    code = np.frombuffer(data, np.uint8)
    points = np.zeros(len(code) + 1, np.int64)
    np.cumsum((code & 0xC0) != 0x80, out=points[1:])
    return points
