"""The rows of many small blocks in columns that they share, and each block's rows as a slice of them.

An array of Arrow costs as much for three hundred rows as for thirty thousand, to make and to free.
So the buffers of many streams are put one behind the other, and a block is a slice. A slice begins
at a multiple of eight rows, so that no byte of bits holds values of two blocks: what is written from
a slice holds nothing of its neighbour's. Dictionaries are never joined: blocks share one only if
each of them has exactly these words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa

from safehold.vault.payload import places_of
from safehold.vault.shape import BITS, CODED, FIXED, NUMBER, TEXT, Shape, is_large
from safehold.vault.streams import Buffers, Streams, look_into

LEAST: Final = 4  # streams from which this is cheaper than Arrow's reading


def read_together(
    streams: Sequence[bytes], rows: Sequence[int], wanted: Sequence[str] | None
) -> list[pa.RecordBatch] | None:
    """Return the rows of each stream, or None where Arrow must read them one by one.

    Args:
        streams: Whole IPC streams.
        rows: How many rows each must have.
        wanted: Names of columns, in this order; None means all.

    Raises:
        InvalidError: A column does not exist.
    """
    if len(streams) < LEAST or 0 in rows:
        return None
    found = look_into(streams, rows)
    if found is None:
        return None
    places = range(len(found.shapes)) if wanted is None else places_of(found.schema, wanted)
    if not places:
        return None  # a batch without columns has no rows
    try:
        words = {place: _Words(found, place) for place in set(places) if place in found.words}
        found_rows: list[pa.RecordBatch] = [None] * len(streams)
        schema = pa.schema([found.schema.field(place) for place in places])
        for group in _groups(len(streams), words.values()):
            gathered = _Gathered(found, group)
            arrays = [gathered.column(place, words.get(place)) for place in places]
            batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
            slices = batch.slice
            for one, start in zip(group, gathered.starts.tolist(), strict=True):
                found_rows[one] = slices(start, rows[one])
    except (IndexError, ValueError, OverflowError, pa.ArrowException):
        return None
    return found_rows


class _Words:
    """The dictionaries of one column.

    Args:
        found: Where they lie.
        place: The column.

    Raises:
        IndexError: One is not there whole.
    """

    __slots__ = ("known", "sets", "which")

    def __init__(self, found: Streams, place: int) -> None:
        held, kind = found.words[place], found.schema.field(place).type
        unit = np.dtype("<i8" if is_large(kind.value_type) else "<i4")
        if held.nulls.any():
            raise IndexError
        numbers: dict[tuple[int, bytes, bytes], int] = {}
        self.known: list[tuple[bytes, ...]] = []
        self.which: list[int] = []  # of each stream, one that is known
        data = found.data
        (_, offsets, texts), (_, widths, sizes) = held.starts.tolist(), held.sizes.tolist()
        for count, at, width, text, size in zip(
            held.lengths[0].tolist(), offsets, widths, texts, sizes, strict=True
        ):
            key = count, data[at : at + width], data[text : text + size]
            if (number := numbers.get(key)) is None:
                number = numbers[key] = len(self.known)
                self.known.append(_split(unit, *key))
            self.which.append(number)
        self.sets = [one if kind.ordered else frozenset(one) for one in self.known]


def _split(
    unit: np.dtype[np.signedinteger], count: int, places: bytes, text: bytes
) -> tuple[bytes, ...]:
    ends = np.frombuffer(places, unit, count + 1).tolist() if count else []
    pairs = list(pairwise(ends))
    if any(not 0 <= begin <= end <= len(text) for begin, end in pairs):
        raise IndexError
    return tuple([text[begin:end] for begin, end in pairs])


def _groups(count: int, words: Iterable[_Words]) -> list[list[int]]:
    """Return which streams may share columns: those of the same words."""
    each = [[one.sets[number] for number in one.which] for one in words]
    if not each:
        return [list(range(count))]
    groups: dict[tuple[object, ...], list[int]] = {}
    for number, key in enumerate(zip(*each, strict=True)):
        groups.setdefault(key, []).append(number)
    return list(groups.values())


class _Gathered:
    """Columns of some streams, one behind the other.

    Args:
        found: Where everything lies.
        group: Which streams.
    """

    __slots__ = ("_all", "_data", "_found", "_gap", "_group", "_held", "_room", "_rows", "starts")

    def __init__(self, found: Streams, group: Sequence[int]) -> None:
        self._found, self._group = found, np.array(group)
        self._data = memoryview(found.data)
        self._rows = found.rows[self._group]
        self._room = (self._rows + 7) & ~7
        ends = np.cumsum(self._room)
        self.starts = ends - self._room
        self._all = int(ends[-1])
        # the places between a block's last row and the next one's first; nobody looks at them
        short = self._room - self._rows
        before = np.cumsum(short) - short
        self._gap = np.repeat(self.starts + self._rows - before, short) + np.arange(short.sum())
        self._held = Buffers(*(part[:, self._group] for part in found.columns))

    def column(self, place: int, words: _Words | None) -> pa.Array:
        """Return one column of all of them.

        Raises:
            IndexError: It does not fit its buffers.
        """
        shape, kind = self._found.shapes[place], self._found.schema.field(place).type
        layouts = [one.layout for one in self._found.shapes[:place]]
        first = 2 * place + layouts.count(TEXT)
        valid = self._valid(place, first)
        if shape.layout == BITS:
            return self._array(kind, [valid, self._take(first + 1, self._room // 8, 1)])
        if shape.layout in (NUMBER, FIXED):
            return self._array(kind, [valid, self._take(first + 1, self._room, shape.width)])
        if shape.layout == CODED:
            if words is None:
                raise IndexError
            return self._coded(kind, shape, first, valid, words)
        return self._array(kind, [valid, *self._text(shape, first)])

    def _array(self, kind: pa.DataType, buffers: list[pa.Buffer | None]) -> pa.Array:
        return pa.Array.from_buffers(kind, self._all, buffers)

    def _take(self, buffer: int, counts: np.ndarray, width: int) -> pa.Buffer:
        """Return so many values of each; those behind its last row may be anything."""
        return pa.py_buffer(self._joined(buffer, counts * width, self._needed(counts, width)))

    def _needed(self, counts: np.ndarray, width: int) -> np.ndarray:
        return (self._rows * width) if counts is self._room else counts * width

    def _joined(self, buffer: int, sizes: np.ndarray, needed: np.ndarray) -> bytes:
        if (self._held.sizes[buffer] < needed).any():
            raise IndexError
        data, starts = self._data, self._held.starts[buffer]
        ends = (starts + sizes).tolist()
        return b"".join([data[a:b] for a, b in zip(starts.tolist(), ends, strict=True)])

    def _valid(self, place: int, buffer: int) -> pa.Buffer | None:
        nulls = self._held.nulls[place]
        if not nulls.any():
            return None
        size = self._room // 8
        if (nulls > self._rows).any() or ((self._held.sizes[buffer] < size) & (nulls > 0)).any():
            raise IndexError
        data, starts = self._data, self._held.starts[buffer].tolist()
        return pa.py_buffer(
            b"".join(
                [
                    data[start : start + some] if null else b"\xff" * some
                    for start, some, null in zip(starts, size.tolist(), nulls.tolist(), strict=True)
                ]
            )
        )

    def _text(self, shape: Shape, first: int) -> tuple[pa.Buffer, pa.Buffer]:
        unit = np.dtype(f"<i{shape.width}")
        width, starts, sizes = shape.width, self._held.starts, self._held.sizes
        needed = (self._rows + 1) * width
        taken = np.frombuffer(self._joined(first + 1, self._room * width, needed), unit)
        data, places = self._found.data, starts[first + 1] + self._rows * width
        last = np.frombuffer(
            b"".join([data[at : at + width] for at in places.tolist()]), unit
        ).astype(np.int64)
        begin = taken[self.starts].astype(np.int64)
        long = last - begin
        if int(begin.min()) < 0 or int(long.min()) < 0 or (last > sizes[first + 2]).any():
            raise IndexError
        base = np.cumsum(long) - long
        offsets = np.empty(self._all + 1, unit)
        np.add(taken, np.repeat((base - begin).astype(unit), self._room), out=offsets[:-1])
        offsets[-1] = base[-1] + long[-1]
        offsets[self._gap] = np.repeat(base + long, self._room - self._rows)
        if (offsets[1:] < offsets[:-1]).any():
            raise IndexError
        at = starts[first + 2]
        ends = (at + last).tolist()
        view = self._data
        text = b"".join([view[a:b] for a, b in zip((at + begin).tolist(), ends, strict=True)])
        return pa.py_buffer(offsets), pa.py_buffer(text)

    def _coded(
        self,
        kind: pa.DictionaryType,
        shape: Shape,
        first: int,
        valid: pa.Buffer | None,
        words: _Words,
    ) -> pa.Array:
        needed = self._rows * shape.width
        codes = np.frombuffer(
            self._joined(first + 1, self._room * shape.width, needed), shape.unit
        ).copy()
        codes[self._gap] = 0
        which = np.array(words.which)[self._group]
        counts = np.array(list(map(len, words.known)))
        # what a row without a value says is nobody's business, unless it points outside
        if (codes >= np.repeat(counts[which].astype(codes.dtype), self._room)).any():
            raise IndexError
        used = np.unique(which).tolist()
        order = words.known[used[0]]
        if len(used) > 1 and not kind.ordered:
            number = {word: place for place, word in enumerate(order)}
            fresh = np.zeros((len(counts), int(counts.max())), shape.unit)
            for one in used:
                fresh[one, : counts[one]] = [number[word] for word in words.known[one]]
            # not in the type of the codes: of 64 bits without a sign NumPy would make fractions
            codes = fresh.ravel().take(
                codes.astype(np.intp) + np.repeat(which * fresh.shape[1], self._room)
            )
        indices = pa.Array.from_buffers(kind.index_type, self._all, [valid, pa.py_buffer(codes)])
        return pa.DictionaryArray.from_arrays(
            indices, _vocabulary(order, kind.value_type), ordered=kind.ordered
        )


def _vocabulary(words: tuple[bytes, ...], kind: pa.DataType) -> pa.Array:
    unit = np.int64 if is_large(kind) else np.int32
    ends = np.cumsum([0, *map(len, words)]).astype(unit)
    text = pa.py_buffer(b"".join(words))
    return pa.Array.from_buffers(kind, len(words), [None, pa.py_buffer(ends), text], 0)
