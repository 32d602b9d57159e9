"""Frames and parts: strict, bounded, sealed."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

from safehold.errors import InvalidError, TamperedError
from safehold.sandbox import channel
from safehold.sandbox.parts import SEALS

GIB = 1 << 30


def stream(data: bytes) -> int:
    return channel.seal_bytes(data)


def frames(data: bytes, *, budget: int = GIB, largest: int = channel.MAX_FRAME):
    fd = stream(data)
    try:
        return list(channel.read_frames(fd, budget=budget, largest=largest))
    finally:
        os.close(fd)


def wire(head: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">II", 4 + len(head) + len(body), len(head)) + head + body


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    try:
        yield read, write
    finally:
        os.close(read)
        with contextlib.suppress(OSError):
            os.close(write)


def table(rows: int = 1000) -> pa.Table:
    return pa.table({"n": pa.array(range(rows), pa.int64()), "s": ["word"] * rows})


# --- frames ---


def test_frame_bytes_are_as_documented():
    with pipe() as (read, write):
        count = channel.write_frame(write, {"type": "x"}, b"body")
        got = os.read(read, 100)
    assert got == b"\x00\x00\x00\x14\x00\x00\x00\x0c" + b'{"type":"x"}' + b"body"
    assert count == len(got)


def test_frames_come_back_in_order_with_header_and_body():
    data = wire(b'{"type":"a","n":1}', b"1") + wire(b'{"type":"b"}')
    assert [(f.header, bytes(f.body)) for f in frames(data)] == [
        ({"type": "a", "n": 1}, b"1"),
        ({"type": "b"}, b""),
    ]
    assert frames(b"") == []


def test_a_body_cannot_be_written_to():
    (frame,) = frames(wire(b'{"type":"a"}', b"1"))
    assert frame.body.readonly


def test_a_frame_larger_than_the_pipe_is_written_whole():
    body = os.urandom(3_000_000)
    with pipe() as (read, write):
        got: list[channel.Frame] = []
        reader = threading.Thread(
            target=lambda: got.extend(channel.read_frames(read, budget=GIB)), daemon=True
        )
        reader.start()
        channel.write_frame(write, {"type": "big"}, memoryview(body))
        channel.write_frame(write, {"type": "arrow"}, pa.array([1, 2, 3], pa.int64()).buffers()[1])
        os.close(write)
        reader.join(300)
    assert bytes(got[0].body) == body
    assert len(got[1].body) == 24


def test_a_reader_takes_one_frame_at_a_time():
    """Nothing is read ahead: what is not asked for stays in the pipe and holds the writer up."""
    data = wire(b'{"type":"a"}')
    with pipe() as (read, write):
        os.write(write, data * 3)
        reader = channel.read_frames(read, budget=GIB)
        next(reader)
        os.set_blocking(read, False)
        assert len(os.read(read, 1000)) == 2 * len(data)


@pytest.mark.parametrize("cut", range(1, len(wire(b'{"type":"a"}', b"body"))))
def test_a_stream_that_stops_inside_a_frame_is_tampered(cut):
    with pytest.raises(TamperedError, match="ends inside"):
        frames(wire(b'{"type":"a"}', b"body")[:cut])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"{",
        b"[]",
        b'"type"',
        b"null",
        b"{}",
        b'{"type":1}',
        b'{"type":null}',
        b'{"kind":"a"}',
        b'{"type":"a","type":"b"}',
        b'{"type": "a"}',
        b' {"type":"a"}',
        b'{"type":"a"}\n',
        b'{"type":"a"}{}',
        b'{"type":"a","n":NaN}',
        b'{"type":"a","n":1e999}',
        b'{"type":"a","n":123456789012345678901234567890}',
        b'{"type":"a","n":1.0e0}',
        b'{"type":"\\u0061"}',
        b'{"type":"\xff"}',
        b'{"type":"a","s":"\xed\xa0\x80"}',
        b'{"type":"a","d":' + b"[" * 3000 + b"]" * 3000 + b"}",
    ],
)
def test_a_header_has_one_form(head):
    with pytest.raises(TamperedError) as caught:
        frames(wire(head))
    assert caught.value.__cause__ is None
    assert "kind" not in str(caught.value)


def test_giant_lengths_are_refused_before_memory_is_set_aside():
    for data in (
        struct.pack(">II", 0xFFFFFFFF, 10),
        struct.pack(">II", 0xFFFFFFFF, 0xFFFFFFFF),
        struct.pack(">II", 100, 0xFFFFFFFF),
        struct.pack(">II", 100, 97),
        struct.pack(">II", 0, 0),
        struct.pack(">II", 3, 0),
        struct.pack(">II", 70_000, channel.MAX_HEADER + 1),
    ):
        with pytest.raises(TamperedError, match="over the size limit"):
            frames(data + b"x" * 100, budget=1 << 40)


def test_the_frame_limit_is_exact():
    data = wire(b'{"type":"a"}', b"x" * 100)
    assert len(frames(data, largest=len(data) - 4)) == 1
    with pytest.raises(TamperedError, match="size limit"):
        frames(data, largest=len(data) - 5)


def test_the_budget_counts_every_byte_of_the_stream():
    data = wire(b'{"type":"a"}', b"x" * 100)
    assert len(frames(data * 3, budget=3 * len(data))) == 3
    with pytest.raises(TamperedError) as caught:
        frames(data * 3, budget=3 * len(data) - 1)
    assert caught.value.rule == "sandbox.egress.budget"


def test_the_budget_is_refused_before_the_body_is_read():
    fd = stream(wire(b'{"type":"a"}', b"x" * 1000))
    try:
        with pytest.raises(TamperedError):
            list(channel.read_frames(fd, budget=500))
        assert os.lseek(fd, 0, os.SEEK_CUR) == 8
    finally:
        os.close(fd)


def test_a_header_is_at_most_64_kib():
    text = "x" * (channel.MAX_HEADER - len('{"type":""}'))
    with pipe() as (_, write), pytest.raises(InvalidError):
        channel.write_frame(write, {"type": text + "x"})
    fd = os.memfd_create("out")
    try:
        channel.write_frame(fd, {"type": text})
        os.lseek(fd, 0, os.SEEK_SET)
        (frame,) = channel.read_frames(fd, budget=GIB)
        assert frame.header["type"] == text
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"type": 1},
        {"type": "a", "n": 1 << 70},
        {"type": "a", "o": object()},
        {1: 2, "type": "a"},
    ],
)
def test_a_writer_refuses_what_a_reader_would(header):
    with pipe() as (read, write):
        with pytest.raises(InvalidError):
            channel.write_frame(write, header)
        os.set_blocking(read, False)
        with pytest.raises(BlockingIOError):
            os.read(read, 1)


# --- parts ---


def test_parts_come_back_as_they_went_in():
    given = [({"person": f"p{i}", "n": i}, table(i * 10)) for i in range(5)]
    fd = channel.pack_parts(iter(given))
    got = list(channel.read_parts(fd))
    os.close(fd)
    assert got == given
    fd = channel.pack_parts([])
    assert list(channel.read_parts(fd)) == []
    os.close(fd)


def test_parts_are_read_where_they_lie():
    fd = channel.pack_parts([({}, table(200_000))])
    before = pa.total_allocated_bytes()
    ((_, got),) = channel.read_parts(fd)
    os.close(fd)
    assert pa.total_allocated_bytes() - before < 10_000
    address = got["n"].chunk(0).buffers()[1].address
    assert address % 64 == 0
    assert got["n"].to_numpy().sum() == sum(range(200_000))


def test_sealed_memory_cannot_be_changed():
    fd = channel.pack_parts([({}, table())])
    try:
        assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) == SEALS
        assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        with pytest.raises(OSError):
            os.pwrite(fd, b"x", 0)
        with pytest.raises(PermissionError):
            mmap.mmap(fd, 0, access=mmap.ACCESS_WRITE)
        again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
        try:
            for change in (
                lambda: os.pwrite(again, b"x", 0),
                lambda: os.ftruncate(again, 0),
                lambda: os.ftruncate(again, 1 << 20),
                lambda: mmap.mmap(again, 0, prot=mmap.PROT_WRITE | mmap.PROT_READ),
                lambda: fcntl.fcntl(again, fcntl.F_ADD_SEALS, 0x10),
            ):
                with pytest.raises(PermissionError):
                    change()
        finally:
            os.close(again)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    "missing", [fcntl.F_SEAL_SEAL, fcntl.F_SEAL_SHRINK, fcntl.F_SEAL_GROW, fcntl.F_SEAL_WRITE]
)
def test_a_missing_seal_is_noticed(missing):
    fd = os.memfd_create("loose", os.MFD_ALLOW_SEALING)
    sealed = channel.pack_parts([])
    os.write(fd, os.pread(sealed, 100, 0))
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS & ~missing)
    try:
        with pytest.raises(TamperedError) as caught:
            list(channel.read_parts(fd))
        assert caught.value.rule == "sandbox.parts.sealed"
    finally:
        os.close(fd)
        os.close(sealed)


def test_a_plain_file_is_not_sealed(tmp_path):
    (tmp_path / "parts").write_bytes(b"SHP1\0\0\0\0")
    with (tmp_path / "parts").open("rb") as file, pytest.raises(TamperedError):
        list(channel.read_parts(file.fileno()))


def test_every_cut_and_every_addition_is_noticed():
    fd = channel.pack_parts([({"person": "p"}, table(3)), ({"person": "q"}, table(2))])
    data = os.pread(fd, 1 << 20, 0)
    os.close(fd)
    for bad in [data[:cut] for cut in range(len(data))] + [data + b"\0", data + data]:
        fd = stream(bad)
        try:
            with pytest.raises(TamperedError):
                list(channel.read_parts(fd))
        finally:
            os.close(fd)


@pytest.mark.parametrize(
    "data",
    [
        b"SHP2\0\0\0\0",
        b"SHP1\xff\xff\xff\xff",
        b"SHP1\0\0\0\1\xff\xff\xff\xff",
        b"SHP1\0\0\0\1\0\0\0\2{}\xff\xff\xff\xff\xff\xff\xff\xff",
        b"SHP1\0\0\0\1\0\0\0\2{}\0\0\0\0\0\0\0\4junk",
        b"SHP1\0\0\0\1\0\0\0\3 {}\0\0\0\0\0\0\0\0",
        b"SHP1\0\0\0\1" + struct.pack(">I", 70_002) + b"{}" + b" " * 70_000 + b"\0" * 8,
    ],
)
def test_foreign_bytes_are_no_parts(data):
    fd = stream(data)
    try:
        with pytest.raises(TamperedError):
            list(channel.read_parts(fd))
    finally:
        os.close(fd)


def test_a_part_with_a_giant_header_is_refused():
    with pytest.raises(InvalidError):
        channel.pack_parts([({"x": "y" * channel.MAX_HEADER}, table(1))])


def test_no_descriptor_is_left_when_packing_fails():
    before = set(os.listdir("/proc/self/fd"))

    def parts():
        yield {}, table(1)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        channel.pack_parts(parts())
    assert set(os.listdir("/proc/self/fd")) == before
