"""zstd at level 1, with contexts that are kept: making one costs more than a small block does.

Planes of numbers hold few repetitions, and short ones are not worth finding: for them a match has
seven bytes or more, and the table of what was seen fits into the first cache. Contexts are not
thread-safe, so each thread has its own.
"""

from __future__ import annotations

import threading
from typing import Final

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

_local = threading.local()


def compressor() -> zstandard.ZstdCompressor:
    """Return this thread's compressor."""
    held = getattr(_local, "compressor", None)
    if held is None:
        held = _local.compressor = zstandard.ZstdCompressor(level=1)
    return held


def plane_compressor() -> zstandard.ZstdCompressor:
    """Return this thread's compressor of planes of numbers."""
    held = getattr(_local, "planes", None)
    if held is None:
        held = _local.planes = zstandard.ZstdCompressor(compression_params=_FOR_PLANES)
    return held


def decompressor() -> zstandard.ZstdDecompressor:
    """Return this thread's decompressor."""
    held = getattr(_local, "decompressor", None)
    if held is None:
        held = _local.decompressor = zstandard.ZstdDecompressor()
    return held


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
        found = decompressor().decompress(frame, max_output_size=claimed)
    except zstandard.ZstdError as error:
        raise TamperedError("a block's payload is damaged", rule="block.payload") from error
    if len(found) != claimed:
        raise TamperedError("a block's payload is damaged", rule="block.payload")
    return found
