"""Memory for keys: locked against swap where the system allows it, left out of dumps, overwritten at the end.

This is hygiene, not a wall. Python copies what it computes with: a key that was used has passed through objects
that nobody overwrites. What lies here lies here once, and is gone when its last user lets go of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import mmap
from functools import lru_cache
from typing import Any, Final, NoReturn

from safehold.errors import InvalidError, UnavailableError

LARGEST: Final = mmap.PAGESIZE


class Guarded:
    """A small secret in a page of its own.

    Args:
        data: The secret, 1 byte to a page; it is copied, and the original stays the caller's to ``scrub``.
    """

    __slots__ = ("_map", "_size", "locked")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        if not 1 <= len(data) <= LARGEST:
            raise InvalidError("a guarded secret has 1 byte to a page", rule="keys.guarded")
        self._size = len(data)
        self._map = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.locked = _lock(self._map)
        with contextlib.suppress(OSError):  # a kernel without it leaves RLIMIT_CORE and dumpable
            self._map.madvise(mmap.MADV_DONTDUMP)
        self._map[: self._size] = bytes(data) if isinstance(data, memoryview) else data

    def view(self) -> memoryview:
        """Return the secret without a copy; hold the object as long as the view.

        Raises:
            UnavailableError: It was wiped.
        """
        if not self._size:
            raise UnavailableError("this key was wiped", rule="keys.wiped", fix="unlock again")
        return memoryview(self._map)[: self._size].toreadonly()

    def wipe(self) -> None:
        """Overwrite the secret; who uses it after this is refused."""
        if self._size:
            self._size = 0
            self._map[:] = bytes(len(self._map))

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # it was never whole
            self.wipe()

    def __repr__(self) -> str:
        return "Guarded(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a guarded secret is never pickled")


def scrub(data: bytes | bytearray) -> None:
    """Overwrite bytes that the caller alone holds and will not look at again.

    ``bytes`` are immutable to Python code; who shares these would see them change. Best effort: copies stay.
    """
    if isinstance(data, bytearray):
        data[:] = bytes(len(data))
    elif len(data) >= 8:  # shorter ones Python may share
        ctypes.memset(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), 0, len(data))


def _lock(area: mmap.mmap) -> bool:
    held = ctypes.c_char.from_buffer(area)
    try:
        done: int = system().mlock(
            ctypes.c_void_p(ctypes.addressof(held)), ctypes.c_size_t(len(area))
        )
    finally:
        del held
    return done == 0


@lru_cache(1)
def system() -> Any:
    """Return the C library of this process."""
    return ctypes.CDLL(None, use_errno=True)
