"""What crosses the border of a sandbox: parts go in, frames come out.

The two halves live apart because the boot writes frames and must not wait for Arrow to load.
"""

from __future__ import annotations

from safehold.sandbox.frame import MAX_FRAME, MAX_HEADER, Frame, read_frames, write_frame
from safehold.sandbox.parts import (
    check_sealed,
    pack_parts,
    read_parts,
    seal_bytes,
    seal_memory,
    slice_parts,
)

__all__ = [
    "MAX_FRAME",
    "MAX_HEADER",
    "Frame",
    "check_sealed",
    "pack_parts",
    "read_frames",
    "read_parts",
    "seal_bytes",
    "seal_memory",
    "slice_parts",
    "write_frame",
]
