"""Bring columns to their wire types."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from safehold.ingest.refusal import Sieve

COORDINATES: Final = frozenset({"x", "y", "left", "top", "width", "height"})
_FAR: Final = float(2**53)
_BOUNDS: Final = {
    kind: (np.iinfo(kind.to_pandas_dtype()).min, np.iinfo(kind.to_pandas_dtype()).max)
    for kind in (pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16(), pa.uint32())
}


def fit_column(column: Any, target: pa.Field, sieve: Sieve) -> pa.Array:
    """Bring one column to its wire type; what does not fit is refused, coordinates are clamped.

    Args:
        column: The column, of the kind the source was asked for.
        target: The wire field.
        sieve: Where refusals go.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.nulls(0, array.type)
    kind = target.type
    if not target.nullable and array.null_count:
        sieve.refuse(find_nulls(array), target.name, "wire.missing")
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if kind in _BOUNDS and pa.types.is_floating(array.type):
        array = _whole(array, target, sieve)
    if kind in _BOUNDS and pa.types.is_integer(array.type):
        return _fit_integer(array, target, sieve)
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return array.cast(pa.int64()).cast(kind)
    if pa.types.is_fixed_size_binary(kind) and _is_text(array.type):
        array = _fit_hex(array, target, sieve)
    if pa.types.is_fixed_size_binary(kind) and pa.types.is_binary(array.type):
        wrong = pc.not_equal(pc.binary_length(array), kind.byte_width).fill_null(False)  # noqa: FBT003
        bad = np.asarray(wrong.to_numpy(zero_copy_only=False), dtype=bool)
        sieve.refuse(bad, target.name, "wire.length")
        array = pc.if_else(pa.array(bad), pa.scalar(b"\0" * kind.byte_width, pa.binary()), array)
    return array.cast(kind)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _whole(array: pa.Array, target: pa.Field, sieve: Sieve) -> pa.Array:
    """Round numbers to whole ones; what is not finite is refused, and so is what no integer holds."""
    present = ~find_nulls(array)
    values = array.fill_null(0).to_numpy(zero_copy_only=False)
    if target.name in COORDINATES:
        values = np.clip(values, -_FAR, _FAR)
    wrong = present & ~(np.abs(values) <= _FAR)
    sieve.refuse(wrong, target.name, "wire.range")
    return pa.array(np.where(wrong, 0, np.round(values)).astype(np.int64), mask=~present)


def _fit_hex(array: pa.Array, target: pa.Field, sieve: Sieve) -> pa.Array:
    """Read bytes that are written as hexadecimal digits; what is none of it is refused."""
    values: list[bytes | None] = []
    wrong = np.zeros(len(array), dtype=bool)
    for at, cell in enumerate(array.to_pylist()):
        try:
            values.append(None if cell is None else bytes.fromhex(cell))
        except ValueError:
            values.append(None)
            wrong[at] = True
    sieve.refuse(wrong, target.name, "source.hex")
    return pa.array(values, pa.binary())


def _fit_integer(array: pa.Array, target: pa.Field, sieve: Sieve) -> pa.Array:
    low, high = _BOUNDS[target.type]
    present = ~find_nulls(array) if array.null_count else np.ones(len(array), dtype=bool)
    values = array.fill_null(0).to_numpy(zero_copy_only=False)
    outside = present & ((values < low) | (values > high))
    if outside.any():
        if target.name not in COORDINATES:
            sieve.refuse(outside, target.name, "wire.range")
        values = np.clip(values, low, high)
    mask = None if array.null_count == 0 else ~present
    return pa.array(values.astype(target.type.to_pandas_dtype()), target.type, mask=mask)


def find_nulls(column: Any) -> np.ndarray:
    """Return which rows of a column are null."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False), dtype=bool)
