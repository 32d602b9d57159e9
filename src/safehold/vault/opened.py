"""A block of version 2 whose head was checked: what to fetch for the columns wanted, and what they hold."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import pyarrow as pa
from pyarrow import ipc

from safehold.errors import InvalidError, TamperedError
from safehold.vault import zstd
from safehold.vault.keys import TAG_BYTES
from safehold.vault.pad import bucket
from safehold.vault.paged import (
    COLUMN,
    FRONT,
    PAGE,
    VERSION,
    Layout,
    PartSeal,
    Span,
    check_spans,
)
from safehold.vault.shape import PIECE, damaged
from safehold.vault.unpack import unpack

# what Arrow and NumPy say of bytes that are no schema and no column
_DAMAGE: Final = (struct.error, pa.ArrowException, OSError, ValueError, OverflowError)


class Opened:
    """A payload whose directory is open: what must be fetched for the columns wanted, and what they hold.

    Args:
        head: Everything before the body; its digest was checked.
        layout: Where what lies.
        start: Where the payload begins in the block.
        seal: Of the block.
        wanted: Names of columns, in this order; None means all, and that every byte is checked.

    Raises:
        TamperedError: The directory does not open or makes no sense.
        InvalidError: A column does not exist.
    """

    __slots__ = (
        "_columns",
        "_ends",
        "_head",
        "_layout",
        "_pieces",
        "_places",
        "_schema",
        "_seal",
        "_types",
        "_whole",
        "rows",
        "spans",
    )

    def __init__(
        self,
        head: memoryview,
        layout: Layout,
        *,
        start: int,
        seal: PartSeal,
        wanted: Sequence[str] | None,
    ) -> None:
        self._head, self._layout, self._seal = head, layout, seal
        data = seal.open(0, head[start + 4 : layout.hashes])
        try:
            version, count, described, pieces, self.rows = FRONT.unpack_from(data)
            at = FRONT.size + described
            after = at + count * COLUMN.size
            end = after + pieces * PIECE.size
            if version != VERSION or end > len(data) or data.count(0, end) != len(data) - end:
                raise damaged()
            self._schema, self._types = _read_schema(data[FRONT.size : at])
            self._columns = list(COLUMN.iter_unpack(data[at:after]))
            self._pieces = list(PIECE.iter_unpack(data[after:end]))
        except _DAMAGE as error:
            raise damaged() from error
        if len(self._types) != count or sum(one[2] for one in self._columns) != pieces:
            raise damaged()
        ends, last = [], 0
        for one in self._columns:
            last += one[5] + TAG_BYTES
            ends.append(last)
        self._ends = ends
        if last + TAG_BYTES > layout.end - layout.body:
            raise damaged()
        self._whole = wanted is None
        self._places = list(range(count)) if wanted is None else self._find(wanted)
        self.spans = self._spans()

    def _find(self, wanted: Sequence[str]) -> list[int]:
        places = [self._schema.get_field_index(name) for name in wanted]
        if unknown := places.count(-1):
            raise InvalidError(f"{unknown} columns do not exist", rule="block.columns")
        return places

    def _spans(self) -> list[Span]:
        """Return which bytes of the body are needed: whole pages, joined where they touch."""
        size = self._layout.end - self._layout.body
        if self._whole:
            return [(0, size)]
        spans: list[Span] = []
        for place in sorted(set(self._places)):
            begin, end = self._span(place)
            begin, end = begin // PAGE * PAGE, min(size, -(-end // PAGE) * PAGE)
            if spans and begin <= spans[-1][1]:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((begin, end))
        return spans

    def _span(self, place: int) -> Span:
        return (self._ends[place - 1] if place else 0), self._ends[place]

    def table(self, parts: Sequence[memoryview]) -> pa.Table:
        """Return the columns wanted.

        Args:
            parts: What lies at ``spans`` of the body.

        Raises:
            TamperedError: Anything is not what was sealed.
        """
        check_spans(self._head, self._layout, self.spans, parts)
        firsts = [0]
        for one in self._columns:
            firsts.append(firsts[-1] + one[2])
        arrays: list[pa.Array] = []
        try:
            for place in self._places:
                flags, planes, _, nulls, words, _ = self._columns[place]
                plain = self._seal.open(place + 1, self._take(self._span(place), parts))
                arrays.append(
                    unpack(
                        self._types[place],
                        self.rows,
                        (flags, planes, nulls, words),
                        self._pieces[firsts[place] : firsts[place + 1]],
                        plain,
                    )
                )
            if self._whole:
                self._check_zeros(parts[0])
                return pa.Table.from_arrays(arrays, schema=self._schema)
        except _DAMAGE as error:
            raise damaged() from error
        if not arrays:
            return pa.table([pa.nulls(self.rows)], names=[""]).select(
                []
            )  # as many rows, of nothing
        fields = [self._schema.field(place) for place in self._places]
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))

    def _take(self, span: Span, parts: Sequence[memoryview]) -> memoryview:
        for (begin, end), part in zip(self.spans, parts, strict=True):
            if begin <= span[0] and span[1] <= end:
                return part[span[0] - begin : span[1] - begin]
        raise damaged()  # pragma: no cover - spans cover every column wanted

    def _check_zeros(self, body: memoryview) -> None:
        last = self._ends[-1] if self._ends else 0
        zeros = self._seal.open(len(self._columns) + 1, body[last:])
        if zeros.count(0) != len(zeros):
            raise damaged()
        if bucket(last + TAG_BYTES) != len(body):
            raise TamperedError("a block's length does not fit its bucket", rule="block.payload")

    def __repr__(self) -> str:
        return "Opened(hidden)"


@lru_cache(maxsize=256)
def _read_schema(described: bytes) -> tuple[pa.Schema, tuple[pa.DataType, ...]]:
    schema = ipc.read_schema(pa.py_buffer(zstd.expanded(described, None)))
    return schema, tuple(schema.types)
