"""Frames: the one way out of a sandbox.

Wire form, all integers big-endian::

    u32 length of what follows | u32 length of the header | header | body

The header is one JSON object in exactly the bytes orjson writes, at most 64 KiB, with a string
``type``. A reader never trusts a length: it is checked against the frame limit and the bytes still
allowed before anything is set aside for it, and a stream that stops inside a frame is an error, not
an end.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from safehold.errors import InvalidError, TamperedError

MAX_HEADER = 64 * 1024
MAX_FRAME = 256 * 1024 * 1024
HEAD = struct.Struct(">II")

Body = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Frame:
    """One message out of a sandbox.

    Args:
        header: A JSON object; ``type`` is always a string.
        body: Read-only bytes, in memory of their own (so Arrow can use them in place).
        size: Bytes it took on the wire, lengths included.
    """

    header: dict[str, Any]
    body: memoryview = field(default_factory=lambda: memoryview(b""), repr=False)
    size: int = 0


def write_frame(fd: int, header: Mapping[str, Any], body: Body | Any = b"") -> int:
    """Write one whole frame, blocking while the reader is behind.

    Args:
        fd: A pipe or file open for writing.
        header: A JSON object with a string ``type``.
        body: Anything that offers contiguous bytes, for example ``bytes`` or a ``pyarrow.Buffer``.

    Returns:
        The number of bytes written.

    Raises:
        InvalidError: The header or the frame does not fit the wire form; nothing was written.
    """
    head, view = pack_frame(header, body)
    length = len(head) + len(view)
    pending = [memoryview(head), view]
    while pending:
        written = os.writev(fd, pending)
        while pending and written >= len(pending[0]):
            written -= len(pending.pop(0))
        if pending:
            pending[0] = pending[0][written:]
    return length


def pack_frame(header: Mapping[str, Any], body: Body | Any = b"") -> tuple[bytes, memoryview]:
    """Return a frame as it stands on the wire: what comes before its body, and the body.

    Raises:
        InvalidError: The header or the frame does not fit the wire form.
    """
    head = dump_header(header)
    if not isinstance(header.get("type"), str):
        raise InvalidError("a frame header needs a type", rule="sandbox.frame.type")
    view = memoryview(body).cast("B")
    length = 4 + len(head) + len(view)
    if length > MAX_FRAME:
        raise InvalidError(
            f"a frame of {length} bytes is over the limit of {MAX_FRAME}",
            rule="sandbox.frame.size",
            fix="emit smaller batches",
        )
    return HEAD.pack(length, len(head)) + head, view


def read_frames(fd: int, *, budget: int, largest: int = MAX_FRAME) -> Iterator[Frame]:
    """Yield the frames of a stream, reading one only when it is asked for.

    Args:
        fd: Where to read; it stays open.
        budget: Bytes the whole stream may have, lengths included.
        largest: Bytes one frame may have after its first length.

    Raises:
        TamperedError: The stream is no sequence of whole frames, or spends more than its budget.
    """
    stream = io.FileIO(fd, "rb", closefd=False)
    left = budget
    while (first := _fill(stream, HEAD.size, may_end=True)) is not None:
        length, head_length = HEAD.unpack(first)
        if length > left - 4:
            raise TamperedError(
                f"the job sends more than its egress budget of {budget} bytes",
                rule="sandbox.egress.budget",
            )
        if length > largest:
            raise _broken("a frame is over the size limit")
        if head_length > MAX_HEADER or head_length > length - 4:
            raise _broken("a header is over the size limit or longer than its frame")
        left -= 4 + length
        header = parse_header(_take(stream, head_length))
        if not isinstance(header.get("type"), str):
            raise _broken("a header has no type")
        body = memoryview(_take(stream, length - 4 - head_length)).toreadonly()
        yield Frame(header, body, 4 + length)


def dump_header(header: Mapping[str, Any]) -> bytes:
    """Return a header in its only form.

    Raises:
        InvalidError: It is no JSON object, or larger than 64 KiB.
    """
    try:
        data = orjson.dumps(dict(header))
    except (TypeError, ValueError) as error:
        raise InvalidError("a header is no JSON object", rule="sandbox.frame.json") from error
    if len(data) > MAX_HEADER:
        raise InvalidError(
            f"a header is over {MAX_HEADER} bytes",
            rule="sandbox.frame.header",
            fix="put what is large into the body",
        )
    return data


def parse_header(data: bytes | bytearray | memoryview) -> dict[str, Any]:
    """Read a header, accepting only the bytes ``dump_header`` would write.

    Demanding that one form refuses doubled keys, odd numbers and stray white space at once.

    Raises:
        TamperedError: It is anything else.
    """
    try:
        header = orjson.loads(data)
    except orjson.JSONDecodeError:
        # The parser's own message may quote what it read, so it is not chained.
        raise _broken("a header is no JSON") from None
    if not isinstance(header, dict) or orjson.dumps(header) != bytes(data):
        raise _broken("a header is no JSON object in its only form")
    return header


def _fill(stream: io.FileIO, size: int, *, may_end: bool = False) -> bytearray | None:
    buffer = bytearray(size)
    view, filled = memoryview(buffer), 0
    while filled < size:
        got = stream.readinto(view[filled:])
        if not got:
            if may_end and filled == 0:
                return None
            raise _broken("the stream ends inside a frame")
        filled += got
    return buffer


def _take(stream: io.FileIO, size: int) -> bytearray:
    buffer = _fill(stream, size)
    if buffer is None:  # cannot be: only a first length may end the stream
        raise _broken("the stream ends inside a frame")
    return buffer


def _broken(message: str) -> TamperedError:
    return TamperedError(message, rule="sandbox.frame")
