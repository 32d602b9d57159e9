"""How types of columns are packed, in words that packing and unpacking share."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from safehold.errors import TamperedError

PIECE: Final = struct.Struct(">BI")  # method, bytes

# methods of a piece
RAW: Final = 0
SHRUNK: Final = 1  # one zstd frame
REPEATED: Final = 2  # one value that stands for all

# flags of a column
VALID: Final = 1  # its first piece is a bitmap of validity
STEPS: Final = 2  # differences
FOLDED: Final = 4  # differences, folded so that small negative ones are small
STREAM: Final = 8  # an IPC stream
FLAGS: Final = (0, VALID, STEPS, STEPS | VALID, STEPS | FOLDED, STEPS | FOLDED | VALID, STREAM)

NUMBER, BITS, FIXED, TEXT, CODED, OTHER = range(6)

LENGTHS: Final = np.dtype("<u4")  # of the words of a dictionary

Unit = np.dtype[np.unsignedinteger]
Bytes = bytes | bytearray | memoryview


class Shape(NamedTuple):
    """What a type of column is to this module.

    Args:
        layout: One of the layouts above.
        unit: Type of its numbers, of its places in a dictionary, or of the lengths of its texts.
        width: Bytes of one value.
        signed: Whether its values may be negative numbers.
        steps: Whether differences may be taken.
        grows: Whether they always are: times mostly grow.
    """

    layout: int
    unit: Unit = np.dtype(np.uint8)
    width: int = 0
    signed: bool = False
    steps: bool = False
    grows: bool = False


@lru_cache(maxsize=512)
def shape_of(kind: pa.DataType) -> Shape:  # noqa: PLR0911 - one kind after the other
    """Return how a type is packed."""
    types = pa.types
    if types.is_boolean(kind):
        return Shape(BITS)
    if types.is_dictionary(kind):
        if not _is_text(kind.value_type):
            return Shape(OTHER)
        width = kind.index_type.bit_width // 8
        return Shape(CODED, np.dtype(f"<u{width}"), width)
    if types.is_fixed_size_binary(kind) or types.is_decimal128(kind) or types.is_decimal256(kind):
        width = kind.byte_width
        return Shape(FIXED, width=width) if width else Shape(OTHER)
    if _is_text(kind):
        width = 8 if types.is_large_string(kind) or types.is_large_binary(kind) else 4
        return Shape(TEXT, np.dtype(f"<u{width}"), width)
    if types.is_integer(kind) or types.is_temporal(kind):
        if kind.num_buffers != 2 or kind.bit_width not in (8, 16, 32, 64):
            return Shape(OTHER)
        width = kind.bit_width // 8
        signed = not types.is_unsigned_integer(kind)
        return Shape(
            NUMBER, np.dtype(f"<u{width}"), width, signed, width > 1, types.is_timestamp(kind)
        )
    if types.is_floating(kind):
        width = kind.bit_width // 8
        return Shape(NUMBER, np.dtype(f"<u{width}"), width)
    return Shape(OTHER)


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
    )


def is_large(kind: pa.DataType) -> bool:
    """Return whether texts of a type are counted in 64 bits."""
    return bool(pa.types.is_large_string(kind) or pa.types.is_large_binary(kind))


def damaged() -> TamperedError:
    """Return the error of bytes that opened and are no column."""
    return TamperedError("a block's payload is damaged", rule="block.payload")
