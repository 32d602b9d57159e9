"""Where the buffers of many small Arrow streams lie, looked up in all of them at once.

A small block holds an IPC stream of its own: the schema, its dictionaries, one batch. Reading each
with Arrow costs more than decompressing it, and freeing what was read costs as much again. Streams
whose schemas are alike, byte for byte, differ in lengths only: where the first says how long something
is, all others must say so too, and be the same in everything else. So one look with NumPy finds the
buffers of all. Nothing is believed: each must lie in the body of its own message. A stream that is
made otherwise is no error here; Arrow reads it.

Sources: Arrow, "Serialization and Interprocess Communication" (messages, record batches,
dictionaries); flatbuffers, "FlatBuffer internals".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from safehold.vault.shape import CODED, OTHER, TEXT, Shape, shape_of

_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_MARK: Final = 0xFFFFFFFF  # before the length of every message
_DICTIONARY, _BATCH = 2, 3  # kinds of messages
_SPARE: Final = bytes(1024)  # behind everything: who takes a few values too many stays inside

_U2: Final = struct.Struct("<H")
_U4: Final = struct.Struct("<I")
_U8: Final = struct.Struct("<Q")
_I8: Final = np.dtype("<i8")

Places = np.ndarray  # int64, one for each stream


class Buffers(NamedTuple):
    """Arrays and their buffers in each of many messages.

    Args:
        lengths: Of each array: its length in each stream.
        nulls: Of each array: how many of them have no value.
        starts: Of each buffer: where it begins.
        sizes: Of each buffer: its bytes.
    """

    lengths: np.ndarray
    nulls: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray


class Streams(NamedTuple):
    """Many streams of one schema.

    Args:
        schema: Their schema.
        shapes: How each column lies in memory.
        data: All of them, one behind the other.
        rows: Rows of each.
        columns: Where their columns lie.
        words: Of each column with a dictionary, by its place: where that lies.
    """

    schema: pa.Schema
    shapes: tuple[Shape, ...]
    data: bytes
    rows: Places
    columns: Buffers
    words: dict[int, Buffers]


class _Form(NamedTuple):
    schema: pa.Schema
    shapes: tuple[Shape, ...]
    coded: dict[int, int]  # number of a dictionary: the column that it is of


def look_into(streams: Sequence[bytes], rows: Sequence[int]) -> Streams | None:
    """Return where everything lies, or None where one of them is not made as expected.

    Args:
        streams: Whole IPC streams.
        rows: How many rows each must have.
    """
    first = streams[0]
    start = 8 + int.from_bytes(first[4:8], "little")
    front = first[:start]
    if not all(stream.startswith(front) and stream.endswith(_END) for stream in streams):
        return None
    parts = [memoryview(stream)[start:-8] for stream in streams]
    data = b"".join((*parts, _SPARE))
    try:
        form = _form_of(front)
        return None if form is None else _look(data, form, list(map(len, parts)), np.array(rows))
    except (struct.error, IndexError, OverflowError, pa.ArrowException, OSError, ValueError):
        return None


def _look(data: bytes, form: _Form, sizes: Sequence[int], rows: Places) -> Streams | None:
    ends = np.cumsum(sizes)
    at = ends - np.array(sizes)
    words: dict[int, Buffers] = {}
    for _ in form.coded:
        message = _Message(data, at)
        one = message.header(_DICTIONARY)
        column = form.coded.get(one.number(0, _U8), -1)
        if column < 0 or column in words or one.place(2):
            return None
        words[column] = message.buffers(_Table(one.data, one.place(1)), arrays=1, buffers=3)
        at = message.end
    message = _Message(data, at)
    count = len(form.shapes)
    several = 2 * count + sum(shape.layout == TEXT for shape in form.shapes)
    columns = message.buffers(message.header(_BATCH), arrays=count, buffers=several)
    if (message.end != ends).any() or (columns.lengths != rows).any():
        return None
    return Streams(form.schema, form.shapes, data, rows, columns, words)


@lru_cache(maxsize=256)  # schemas are few and say nothing of anybody
def _form_of(front: bytes) -> _Form | None:
    """Return what the schema at the front of a stream is; None if Arrow must read it."""
    schema = ipc.read_schema(pa.py_buffer(front))
    shapes = tuple(map(shape_of, schema.types))
    if not shapes or any(shape.layout == OTHER for shape in shapes):
        return None
    data = front[8:]
    first, _ = _Table(data, _Table(data, 0).place(2)).vector(1)
    coded: dict[int, int] = {}
    for place, shape in enumerate(shapes):
        field = _Table(data, first + 4 * place)
        if (shape.layout == CODED) != bool(field.place(4)):
            return None
        if shape.layout == CODED:
            coded[_Table(data, field.place(4)).number(0, _U8)] = place
    alone = sum(shape.layout == CODED for shape in shapes)
    return _Form(schema, shapes, coded) if len(coded) == alone else None


class _Table:
    """A table of flatbuffers: it begins with how far before it the list of its fields lies.

    Args:
        data: The message.
        place: Where it says where the table begins.

    Raises:
        struct.error: It does not lie in the message.
    """

    __slots__ = ("_at", "_fields", "_size", "data")

    def __init__(self, data: bytes, place: int) -> None:
        self.data = data
        self._at = place + _U4.unpack_from(data, place)[0]
        # the distance is signed: subtracting modulo 2^32 allows for that
        self._fields = (self._at - _U4.unpack_from(data, self._at)[0]) & _MARK
        self._size = _U2.unpack_from(data, self._fields)[0]

    def place(self, field: int) -> int:
        """Return where a field lies; zero stands for none, which has the value zero."""
        behind = 4 + 2 * field
        if self._size < behind + 2:
            return 0
        offset = _U2.unpack_from(self.data, self._fields + behind)[0]
        return self._at + offset if offset else 0

    def number(self, field: int, unit: struct.Struct) -> int:
        """Return a field that is a number."""
        place = self.place(field)
        return unit.unpack_from(self.data, place)[0] if place else 0

    def vector(self, field: int) -> tuple[int, int]:
        """Return where the items of a field lie, and how many they are."""
        place = self.place(field)
        first = place + _U4.unpack_from(self.data, place)[0]
        return first + 4, _U4.unpack_from(self.data, first)[0]


class _Message:
    """The messages at some places of many streams, which may differ in lengths and in nothing else.

    Args:
        data: All streams.
        at: Where in each the message begins.

    Raises:
        IndexError: They are not of the same length.
        struct.error: There is none.
    """

    __slots__ = ("_body", "_heads", "_length", "_table", "end")

    def __init__(self, data: bytes, at: Places) -> None:
        places = at.tolist()
        self._length = length = _U4.unpack_from(data, places[0] + 4)[0]
        if not 0 < length <= len(data):
            raise IndexError
        view = memoryview(data)
        joined = b"".join([view[place : place + 8 + length] for place in places])
        if len(joined) != len(places) * (8 + length):
            raise IndexError
        self._heads = np.frombuffer(joined, np.uint8).reshape(len(places), 8 + length).copy()
        if joined[:4] != b"\xff\xff\xff\xff":
            raise IndexError
        self._table = _Table(joined[8 : 8 + length], 0)
        self._body = at + 8 + length
        self.end = self._body + self._lengths(self._table.place(3), 1)[0]

    def _lengths(self, place: int, count: int) -> np.ndarray:
        """Take so many lengths out of all messages: a row for each, a column for each message.

        Raises:
            IndexError: They do not lie in it.
        """
        begin, end = 8 + place, 8 + place + 8 * count
        if not place or end > self._heads.shape[1]:
            raise IndexError
        found = np.ascontiguousarray(self._heads[:, begin:end]).view(_I8).T.copy()
        self._heads[:, begin:end] = 0
        return found

    def header(self, kind: int) -> _Table:
        """Return what they say.

        Raises:
            IndexError: They are of another kind.
        """
        place = self._table.place(1)
        if not place or self._table.data[place] != kind:
            raise IndexError
        return _Table(self._table.data, self._table.place(2))

    def buffers(self, batch: _Table, *, arrays: int, buffers: int) -> Buffers:
        """Return the buffers of a batch, each in the body of its own message.

        Raises:
            IndexError: One is not, they are not so many, they are compressed, or the messages differ.
        """
        (first, found), (second, several) = batch.vector(1), batch.vector(2)
        if found != arrays or several != buffers or batch.place(3):
            raise IndexError
        rows = self._lengths(batch.place(0), 1)  # which each of its arrays says again
        nodes = self._lengths(first, 2 * arrays)
        spans = self._lengths(second, 2 * buffers)
        if (self._heads != self._heads[0]).any():
            raise IndexError
        offsets, sizes = spans[0::2], spans[1::2]
        room = self.end - self._body
        if (
            min(int(nodes.min()), int(spans.min()), int(room.min())) < 0
            or (nodes[0::2] != rows).any()
            or (offsets > room).any()
            or (sizes > room - offsets).any()
        ):
            raise IndexError
        return Buffers(nodes[0::2], nodes[1::2], self._body + offsets, sizes)
