"""One batch of foreign rows, each column brought to the kind that the mapping asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from safehold.errors import InvalidError
from safehold.ingest.limits import Limits
from safehold.ingest.refusal import Refusal, Sieve
from safehold.ingest.source.image import holds_image

_TYPES: Final = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "text": pa.large_string(),
    "texts": pa.list_(pa.string()),
    "bytes": pa.binary(),
}
SPANS: Final = {"span_ms": "ms", "span_s": "s"}  # whole numbers of another unit than microseconds
WORDS: Final = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a source.

    Args:
        table: The columns, by foreign name.
        rows: Number of each row in the source.
        read: How many rows of the source it stands for, with those that were refused.
        refusals: Rows that were refused while reading.
    """

    table: pa.Table
    rows: np.ndarray
    read: int
    refusals: list[Refusal]


def bring(
    table: pa.Table, rows: np.ndarray, kinds: Mapping[str, str], *, name: str, limits: Limits
) -> Batch:
    """Bring a decoded table to the kinds that are asked for; rows that do not fit are refused.

    Args:
        table: Decoded columns.
        rows: Number of each row in the source.
        kinds: Kind of each column to keep; a column that the table lacks becomes null.
        name: Name of the source.
        limits: Longest cell.

    Raises:
        InvalidError: A typed column can never become what is asked for.
    """
    sieve = Sieve(rows)
    columns = []
    for column, wanted in kinds.items():
        kind = "integer" if wanted in SPANS else wanted
        if column not in table.schema.names:
            columns.append(pa.nulls(len(table), _TYPES[kind]))
            continue
        array = table.column(column)
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        if isinstance(array, pa.ChunkedArray):  # nothing but an empty table stays chunked
            array = pa.nulls(0, array.type)
        if pa.types.is_duration(array.type):
            array = array.cast(pa.duration(SPANS.get(wanted, "us")), safe=False).cast(pa.int64())
        columns.append(_bring_column(array, column, kind, sieve, name=name, limits=limits))
    result = pa.table(columns, names=list(kinds))
    kept = rows
    if not sieve.ok.all():
        result, kept = result.filter(pa.array(sieve.ok)), rows[sieve.ok]
    return Batch(result, kept, len(rows), sieve.refusals())


def _bring_column(  # noqa: PLR0911, PLR0912 - one return a pair of types
    array: pa.Array, column: str, kind: str, sieve: Sieve, *, name: str, limits: Limits
) -> pa.Array:
    have = array.type
    if pa.types.is_dictionary(have):
        if kind == "text":
            return _bring_words(array, column, sieve, limits)
        array = array.dictionary_decode()
        have = array.type
    if pa.types.is_null(have):
        return pa.nulls(len(array), _TYPES[kind])
    if kind == "text" and _is_text(have):
        return _bring_text(array, column, sieve, limits)
    if kind in ("integer", "number", "flag") and (_is_text(have)):
        return _read_text(_bring_text(array, column, sieve, limits), column, kind, sieve)
    if kind == "integer":
        if pa.types.is_timestamp(have):
            have = array.type
            if have.tz not in (None, "UTC", "+00:00", "Z"):
                raise _wrong_type(name, column, "a UTC time")
            return _cast(
                array.cast(pa.timestamp("us", have.tz), safe=False), pa.int64(), sieve, column
            )
        if pa.types.is_integer(have):
            return _cast(array, pa.int64(), sieve, column)
        raise _wrong_type(name, column, "a whole number")
    if kind == "number" and (pa.types.is_integer(have) or pa.types.is_floating(have)):
        return array.cast(pa.float64(), safe=False)
    if kind == "flag" and pa.types.is_boolean(have):
        return array
    if kind == "bytes" and (pa.types.is_fixed_size_binary(have) or pa.types.is_binary(have)):
        return array.cast(pa.binary())
    if kind == "bytes" and _is_text(have):
        return _read_hex(array, column, sieve)
    if kind == "texts" and _is_text(have):
        array = pc.split_pattern(_bring_text(array, column, sieve, limits), " ")  # a cell of CSV
        have = array.type
    if kind == "texts" and (pa.types.is_list(have) or pa.types.is_large_list(have)):
        return _bring_texts(array, column, sieve, name=name, limits=limits)
    raise _wrong_type(name, column, kind)


def _wrong_type(name: str, column: str, wanted: str) -> InvalidError:
    return InvalidError(
        f"the column is of the wrong type; {wanted} is expected",
        file=name,
        row=0,
        field=column,
        rule="source.type",
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _cast(array: pa.Array, kind: pa.DataType, sieve: Sieve, column: str) -> pa.Array:
    try:
        return array.cast(kind)
    except pa.ArrowInvalid:
        loose = array.cast(kind, safe=False)
        differs = pc.not_equal(loose.cast(array.type, safe=False), array)
        wrong = pc.or_(differs, pc.less(loose, 0)).fill_null(False)  # noqa: FBT003 - Arrow's word
        sieve.refuse(_mask(wrong), column, "source.range")
        return loose


def _mask(array: pa.Array) -> np.ndarray:
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=bool)


def _bring_words(array: pa.DictionaryArray, column: str, sieve: Sieve, limits: Limits) -> pa.Array:
    """Check each distinct value once, before anything is spread over the rows."""
    inner = Sieve(np.arange(len(array.dictionary)))
    values = _bring_text(array.dictionary, column, inner, limits)
    index = array.indices
    if not inner.ok.all():
        spread = index.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        present = ~_mask(index.is_null())
        sieve.refuse(~inner.ok[spread] & present, column, inner.refusals()[0].rule)
        keep = pa.array(inner.ok)
        values = pc.if_else(keep, values, pa.scalar("", values.type))
    return pa.DictionaryArray.from_arrays(index.cast(pa.int32()), values.cast(pa.string()))


def _bring_text(array: pa.Array, column: str, sieve: Sieve, limits: Limits) -> pa.Array:
    """Check length, UTF-8 and NUL of text."""
    raw = array.cast(pa.large_binary(), safe=False) if array.type != pa.large_binary() else array
    longest = pc.max(pc.binary_length(raw)).as_py()
    if longest is not None and longest > limits.cell_bytes:
        wrong = pc.greater(pc.binary_length(raw), limits.cell_bytes).fill_null(False)  # noqa: FBT003
        sieve.refuse(_mask(wrong), column, "source.cell_size")
        raw = pc.if_else(wrong, pa.scalar(b"", pa.large_binary()), raw)
    text = raw.view(pa.large_string())
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        cells = raw.to_pylist()
        pictures = np.array([bool(cell and holds_image(cell)) for cell in cells], dtype=bool)
        sieve.refuse(pictures, column, "source.image")
        wrong_rows = np.array([not _is_utf8(cell) for cell in cells], dtype=bool)
        sieve.refuse(wrong_rows, column, "source.utf8")
        raw = pc.if_else(pa.array(wrong_rows), pa.scalar(b"", pa.large_binary()), raw)
        text = raw.view(pa.large_string())
    if _holds_nul(raw):
        wrong = pc.match_substring(raw, b"\0").fill_null(False)  # noqa: FBT003
        sieve.refuse(_mask(wrong), column, "source.nul")
        text = pc.if_else(wrong, pa.scalar("", pa.large_string()), text)
    return text


def _is_utf8(cell: bytes | None) -> bool:
    if cell is None:
        return True
    try:
        cell.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _holds_nul(raw: pa.Array) -> bool:
    data = raw.buffers()[2]
    if data is None or len(raw) == 0:
        return False
    offsets = np.frombuffer(raw.buffers()[1], dtype=np.int64)[
        raw.offset : raw.offset + len(raw) + 1
    ]
    window = memoryview(data)[int(offsets[0]) : int(offsets[-1])]
    return bytes(window).find(b"\0") >= 0


def _read_text(text: pa.Array, column: str, kind: str, sieve: Sieve) -> pa.Array:
    """Read numbers and flags written as text; an empty cell is null."""
    shape = {
        "integer": r"^-?(0|[1-9][0-9]{0,17})$",
        "number": r"^-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,3})?$",
        "flag": r"^(true|false|0|1)$",
    }[kind]
    blank = pc.equal(text, "").fill_null(True)  # noqa: FBT003
    good = pc.match_substring_regex(text, shape).fill_null(False)  # noqa: FBT003
    wrong = pc.and_(pc.invert(good), pc.invert(blank))
    sieve.refuse(_mask(wrong), column, "source.type")
    clean = pc.if_else(good, text, pa.scalar(None, pa.large_string()))
    if kind == "flag":
        return pc.is_in(clean, pa.array(["true", "1"], pa.large_string()))
    return clean.cast(_TYPES[kind])


def _read_hex(text: pa.Array, column: str, sieve: Sieve) -> pa.Array:
    values, wrong = [], []
    for cell in text.cast(pa.large_binary()).to_pylist():
        try:
            values.append(None if cell in (None, b"") else bytes.fromhex(cell.decode("ascii")))
            wrong.append(False)
        except (ValueError, UnicodeDecodeError):
            values.append(None)
            wrong.append(True)
    sieve.refuse(np.array(wrong, dtype=bool), column, "source.hex")
    return pa.array(values, pa.binary())


def _bring_texts(
    array: pa.Array, column: str, sieve: Sieve, *, name: str, limits: Limits
) -> pa.Array:
    if not _is_text(array.type.value_type):
        raise _wrong_type(name, column, "a list of texts")
    flat = array.flatten()
    parents = pc.list_parent_indices(array).to_numpy(zero_copy_only=False)
    inner = Sieve(np.arange(len(flat)))
    values = _bring_text(flat, column, inner, limits)
    if not inner.ok.all():
        wrong = np.zeros(len(array), dtype=bool)
        wrong[parents[~inner.ok]] = True
        sieve.refuse(wrong, column, inner.refusals()[0].rule)
    lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(offsets),
        values.cast(pa.string()),
        mask=array.is_null() if array.null_count else None,
    )
