"""zstd at level 1, with contexts that are lent and kept: making one costs more than a small block does.

Planes of numbers hold few repetitions, and short ones are not worth finding: for them a match has
seven bytes or more, and the table of what was seen fits into the first cache.

A context is used by one thread at a time, and holds up to 1.4 MB for good once it has met a long column. A keeper has
a thread for each caller, most of them idle: so there are no more contexts than threads that were at work at once,
and not one for each thread that ever sealed a block.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, Protocol

import zstandard

from safehold.errors import TamperedError

LARGEST: Final = 1 << 30  # bytes that one frame may expand to
_WORTH: Final = 32  # a frame that saves less than one part in so many is not worth undoing

_FOR_PLANES: Final = zstandard.ZstdCompressionParameters(
    window_log=17,
    hash_log=8,
    chain_log=8,
    search_log=1,
    min_match=7,
    target_length=0,  # above zero this strategy leaves out Huffman's code, which is all that helps
    strategy=zstandard.STRATEGY_FAST,
)


class _Compressor(Protocol):
    def compress(self, data: bytes | bytearray | memoryview, /) -> bytes: ...


# of a kind; more than that are let go when they come back
_KEPT: Final = max(4, os.cpu_count() or 1)
# an appended or popped end of a list is one step for all threads
_idle: Final[list[_Compressor]] = []
_idle_for_planes: Final[list[_Compressor]] = []
_idle_expanders: Final[list[zstandard.ZstdDecompressor]] = []


def compressed(data: bytes | bytearray | memoryview) -> bytes:
    """Return one frame of anything."""
    return _compressed(data, _idle, _make)


def compressed_plane(data: bytes | bytearray | memoryview) -> bytes:
    """Return one frame of a plane of numbers."""
    return _compressed(data, _idle_for_planes, _make_for_planes)


def _compressed(
    data: bytes | bytearray | memoryview,
    idle: list[_Compressor],
    make: Callable[[], _Compressor],
) -> bytes:
    try:
        context = idle.pop()
    except IndexError:
        context = make()
    found = context.compress(data)  # what fails is not kept: nobody knows its state
    if len(idle) < _KEPT:
        idle.append(context)
    return found


def _make() -> _Compressor:
    return zstandard.ZstdCompressor(level=1)


def _make_for_planes() -> _Compressor:
    return zstandard.ZstdCompressor(compression_params=_FOR_PLANES)


def _make_expander() -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor()


def saves(frame: bytes, size: int) -> bool:
    """Return whether a frame saves enough of ``size`` bytes to be worth undoing."""
    return len(frame) <= size - size // _WORTH


def expanded(frame: bytes | memoryview, size: int | None) -> bytes:
    """Return what a frame holds.

    Args:
        frame: One frame.
        size: Bytes it must hold; None takes what it says, up to 1 GiB.

    Raises:
        TamperedError: It holds something else, or claims more than a block may hold.
    """
    try:
        claimed = zstandard.frame_content_size(frame)
        if not 0 <= claimed <= LARGEST or (size is not None and claimed != size):
            raise TamperedError("a block expands beyond bounds", rule="block.payload")
        try:
            context = _idle_expanders.pop()
        except IndexError:
            context = _make_expander()
        found = context.decompress(frame, max_output_size=claimed)
        if len(_idle_expanders) < _KEPT:
            _idle_expanders.append(context)
    except zstandard.ZstdError as error:
        raise TamperedError("a block's payload is damaged", rule="block.payload") from error
    if len(found) != claimed:
        raise TamperedError("a block's payload is damaged", rule="block.payload")
    return found
