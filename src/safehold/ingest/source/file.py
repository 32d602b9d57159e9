"""A file descriptor that is read by position, so that nobody else's offset matters."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any, Final

_BLOCK: Final = 1 << 20


class FileReader(io.RawIOBase):
    """Read an open file without moving its shared offset.

    Args:
        fd: The open file; it stays open.
    """

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._at = 0
        self.size = os.fstat(fd).st_size

    def pread(self, offset: int, length: int) -> bytes:
        """Return the bytes at an offset; fewer at the end of the file."""
        return os.pread(self._fd, length, offset)

    def lines(self, longest: int) -> Iterator[bytes | None]:
        """Yield each line without its end; None, and nothing after it, for one that is longer.

        Args:
            longest: Bytes of the longest line.
        """
        offset, rest = 0, b""
        while piece := self.pread(offset, _BLOCK):
            offset += len(piece)
            first, *others = piece.split(b"\n")
            rest += first
            for line in others:
                if len(rest) > longest:
                    yield None
                    return
                yield rest
                rest = line
            if len(rest) > longest:
                yield None
                return
        if rest:
            yield rest

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be positioned."""
        return True

    def tell(self) -> int:
        """Return the position of the next read."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move the position of the next read."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Read the next bytes into a buffer and return their number."""
        count = os.preadv(self._fd, [buffer], self._at)
        self._at += count
        return count
