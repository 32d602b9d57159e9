"""Frames: what goes in comes out, and no byte string makes the reader fail in another way."""

from __future__ import annotations

import contextlib
import os
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from safehold.errors import TamperedError
from safehold.sandbox import channel
from safehold.sandbox.frame import dump_header

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=4
        )
    ),
    max_leaves=10,
)
headers = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8), values, max_size=5
).flatmap(
    lambda extra: st.text("abc", min_size=1, max_size=8).map(lambda name: {**extra, "type": name})
)


def read(data: bytes):
    fd = channel.seal_bytes(data)
    try:
        return list(channel.read_frames(fd, budget=1 << 20))
    finally:
        os.close(fd)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(headers, st.binary(max_size=200)), max_size=5))
def test_frames_round_trip(messages):
    fd = os.memfd_create("out")
    try:
        for header, body in messages:
            channel.write_frame(fd, header, body)
        os.lseek(fd, 0, os.SEEK_SET)
        got = [(f.header, bytes(f.body)) for f in channel.read_frames(fd, budget=1 << 20)]
    finally:
        os.close(fd)
    assert got == messages


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=64), st.integers(0, 40), st.binary(min_size=1, max_size=4))
def test_any_bytes_are_frames_or_tampered(noise, at, patch):
    """Only whole frames or TamperedError, whatever is sent, whole noise or a patched frame."""
    fd = os.memfd_create("out")
    channel.write_frame(fd, {"type": "a", "n": 1}, b"body")
    good = os.pread(fd, 100, 0)
    os.close(fd)
    for data in (noise, good[:at] + patch + good[at + len(patch) :], good + noise):
        with contextlib.suppress(TamperedError):
            got = read(data)
            assert b"".join(wire(frame) for frame in got) == data


def wire(frame: channel.Frame) -> bytes:
    head = dump_header(frame.header)
    length = 4 + len(head) + len(frame.body)
    return struct.pack(">II", length, len(head)) + head + bytes(frame.body)
