"""Tables: Parquet and Arrow. Names, metadata and every column of text are scanned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from safehold.dlp.artifact.content import VECTORS, Content
from safehold.dlp.artifact.passage import Passage
from safehold.errors import InvalidError

_ROWS: Final = 4096
_WIDEST: Final = 16  # numbers in a row from which a list is a vector


def is_table(head: bytes) -> bool:
    """Tell whether a file begins as Parquet or Arrow."""
    return head.startswith((b"PAR1", b"ARROW1\x00\x00", b"\xff\xff\xff\xff"))


def read_table(body: memoryview) -> Content:
    """Read a table a few thousand rows at a time.

    Raises:
        InvalidError: It is damaged.
    """
    content = Content("table", ())

    def passages() -> Iterator[Passage]:
        try:
            schema, batches = _open(body)
            yield from _names(schema, content)
            start = 0
            for batch in batches:
                for number, column in enumerate(batch.columns):
                    yield from _values(column, f"column[{number}]", start)
                start += batch.num_rows
        except (pa.ArrowException, OSError, ValueError):
            raise InvalidError(
                "the table is damaged", rule="artifact.damaged", fix="write the file again"
            ) from None

    content.passages = passages()
    return content


def _open(body: memoryview) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    source = pa.BufferReader(pa.py_buffer(body))
    if bytes(body[:4]) == b"PAR1":
        file = pq.ParquetFile(source)
        return file.schema_arrow, file.iter_batches(batch_size=_ROWS)
    if bytes(body[:6]) == b"ARROW1":
        reader = pa.ipc.open_file(source)
        return reader.schema, (reader.get_batch(at) for at in range(reader.num_record_batches))
    stream = pa.ipc.open_stream(source)
    return stream.schema, iter(stream)


def _names(schema: pa.Schema, content: Content) -> Iterator[Passage]:
    for place, metadata in (
        ("metadata", schema.metadata),
        *((f"column[{number}].metadata", item.metadata) for number, item in enumerate(schema)),
    ):
        for number, (key, value) in enumerate((metadata or {}).items()):
            yield Passage(f"{place}.key[{number}]", key.decode("utf-8", "replace"))
            yield Passage(f"{place}[{number}]", value.decode("utf-8", "replace"))
    for number, field in enumerate(schema):
        yield Passage(f"column[{number}].name", field.name)
        kind = field.type
        wide = pa.types.is_fixed_size_list(kind) and kind.list_size >= _WIDEST
        loose = pa.types.is_list(kind) or pa.types.is_large_list(kind)
        if wide or (loose and pa.types.is_floating(kind.value_type)):
            content.notes.add(VECTORS)


def _values(column: Any, place: str, start: int) -> Iterator[Passage]:
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_dictionary(kind):
        for inner, name, first in _inside(column, place, start):
            yield from _values(inner, name, first)
        if pa.types.is_struct(kind):
            for number in range(kind.num_fields):
                yield Passage(f"{place}.[{number}].name", kind.field(number).name)
        return
    for row, text in enumerate(_texts(column), start):
        if text:
            yield Passage(f"{place} row {row}", text)


def _inside(column: Any, place: str, start: int) -> list[tuple[Any, str, int]]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return [(column.dictionary, f"{place}.word", 0)]
    if pa.types.is_struct(kind):
        fields = range(kind.num_fields)
        return [(column.field(number), f"{place}.[{number}]", start) for number in fields]
    if pa.types.is_map(kind):
        return [(column.keys, f"{place}.key", start), (column.items, f"{place}.item", start)]
    return [(column.flatten(), f"{place}[]", start)]


def _texts(column: Any) -> Iterator[str | None]:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield from column.to_pylist()
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        for raw in column.to_pylist():
            yield raw and raw.decode("utf-8", "replace")
    elif pa.types.is_int64(kind):  # a card or account number as a number
        for value in column.to_pylist():
            yield str(value) if value is not None and 10**8 <= abs(value) < 10**19 else None
