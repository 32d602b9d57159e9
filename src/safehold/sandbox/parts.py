"""Parts: data on its way into a sandbox, in memory nobody can change any more.

Wire form, all integers big-endian::

    "SHP1" | u32 count | count times: u32 header length | header | u64 body length | body

A body is one Arrow IPC stream. The writer pads a header with blanks so that each body starts on a
64-byte line, which lets Arrow use it where it lies. The memory is a memfd with all its seals
(memfd_create(2), fcntl(2) F_ADD_SEALS), opened a second time read-only; the writable descriptor is
gone before anybody else sees it.
"""

from __future__ import annotations

import fcntl
import io
import mmap
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from safehold.errors import InvalidError, TamperedError
from safehold.sandbox.frame import MAX_HEADER, dump_header, parse_header

MAGIC = b"SHP1"
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
LINE = 64
_COUNT = struct.Struct(">I")
_SIZE = struct.Struct(">Q")


def seal_memory(write: Callable[[io.BufferedRandom], None]) -> int:
    """Return a read-only descriptor of sealed memory that holds what ``write`` wrote.

    Args:
        write: Called once with an empty, seekable file.
    """
    fd = os.memfd_create("parts", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    try:
        with io.BufferedRandom(io.FileIO(fd, "r+b", closefd=False), 1 << 20) as file:
            write(file)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(fd)


def seal_bytes(data: bytes | bytearray | memoryview) -> int:
    """Return a read-only descriptor of sealed memory that holds ``data``."""

    def write(file: io.BufferedRandom) -> None:
        file.write(data)

    return seal_memory(write)


def pack_parts(parts: Iterable[tuple[Mapping[str, Any], pa.Table | pa.RecordBatch | bytes]]) -> int:
    """Write tables and their headers to sealed memory.

    What came as bytes is written as it came: whether it is a table is for the sandbox to find out.

    Args:
        parts: Taken one at a time; none is kept.

    Returns:
        A read-only descriptor, which the caller closes.

    Raises:
        InvalidError: A header is no JSON object of at most 64 KiB.
    """

    def write(file: io.BufferedRandom) -> None:
        count = 0
        file.write(MAGIC + _COUNT.pack(0))
        for header, table in parts:
            head = dump_header(header)
            head += b" " * (-(file.tell() + _COUNT.size + len(head) + _SIZE.size) % LINE)
            if len(head) > MAX_HEADER:
                raise InvalidError(
                    f"a part's header is over {MAX_HEADER - LINE} bytes",
                    rule="sandbox.parts.header",
                )
            file.write(_COUNT.pack(len(head)) + head)
            place = file.tell()
            file.write(_SIZE.pack(0))
            if isinstance(table, bytes):
                file.write(table)
            else:
                with pa.ipc.new_stream(pa.PythonFile(file, mode="w"), table.schema) as stream:
                    stream.write(table)
            end = file.tell()
            file.seek(place)
            file.write(_SIZE.pack(end - place - _SIZE.size))
            file.seek(end)
            count += 1
        file.seek(len(MAGIC))
        file.write(_COUNT.pack(count))

    return seal_memory(write)


def read_parts(fd: int) -> Iterator[tuple[dict[str, Any], pa.Table]]:
    """Yield headers and tables out of sealed memory, without copying a column.

    The tables keep the memory mapped for as long as they live; the descriptor may be closed.

    Args:
        fd: A descriptor made by ``pack_parts``.

    Raises:
        TamperedError: The memory is not sealed, or holds anything but whole parts.
    """
    for header, part in slice_parts(fd):
        try:
            table = pa.ipc.open_stream(part).read_all()
        except pa.ArrowException:
            raise _broken() from None
        yield header, table


def slice_parts(fd: int, *, inherit: bool = True) -> Iterator[tuple[dict[str, Any], pa.Buffer]]:
    """Yield headers, and tables as the bytes that they are, out of sealed memory.

    Args:
        fd: A descriptor made by ``pack_parts``.
        inherit: Whether a process that is forked from this one has the memory too.

    Raises:
        TamperedError: The memory is not sealed, or holds anything but whole parts.
    """
    check_sealed(fd)
    size = os.fstat(fd).st_size
    if size < len(MAGIC) + _COUNT.size:
        raise _broken()
    mapped = mmap.mmap(fd, size, prot=mmap.PROT_READ)
    if not inherit:
        mapped.madvise(mmap.MADV_DONTFORK)
    data = pa.py_buffer(mapped)
    view = memoryview(data)
    if view[: len(MAGIC)] != MAGIC:
        raise _broken()
    (count,) = _COUNT.unpack_from(view, len(MAGIC))
    at = len(MAGIC) + _COUNT.size
    for _ in range(count):
        at, length = _length(view, at, _COUNT)
        if length > MAX_HEADER:
            raise _broken()
        header = parse_header(bytes(view[at : at + length]).rstrip(b" "))
        at, length = _length(view, at + length, _SIZE)
        yield header, data.slice(at, length)
        at += length
    if at != size:
        raise _broken()


def check_sealed(fd: int) -> None:
    """Return only if nobody can change the memory behind ``fd`` any more.

    Raises:
        TamperedError: It is no memfd, or a seal is missing.
    """
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError:
        seals = 0
    if seals & SEALS != SEALS:
        raise TamperedError(
            "the memory handed to a sandbox is not sealed", rule="sandbox.parts.sealed"
        )


def _length(view: memoryview, at: int, form: struct.Struct) -> tuple[int, int]:
    """Return where the bytes announced at ``at`` start, and how many there are."""
    if at + form.size > len(view):
        raise _broken()
    (length,) = form.unpack_from(view, at)
    if length > len(view) - at - form.size:
        raise _broken()
    return at + form.size, length


def _broken() -> TamperedError:
    return TamperedError("sealed parts are not in their only form", rule="sandbox.parts")
