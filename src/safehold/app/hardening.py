"""What keeps a keeper's memory from others: dumps, debuggers, swap and the environment."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from safehold.errors import UnavailableError

PR_GET_DUMPABLE: Final = 3
PR_SET_DUMPABLE: Final = 4
_CAP_IPC_LOCK: Final = 14
_ARENA_MAX, _MMAP_THRESHOLD, _MMAP_MAX = -8, -3, -4  # parameters of mallopt(3)
_ARENAS: Final = 1
# bytes from which on an allocation goes back to the system as soon as it is freed
_APART: Final = 8 << 10
# how many of them at once: a process may have 65,530 mappings, and its threads need some
_APARTS: Final = 20_000
_ARROW_POOL: Final = "ARROW_DEFAULT_MEMORY_POOL"  # read once, when Arrow is loaded
_MCL: Final = 1 | 2 | 4  # MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT of mlockall(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardening:
    """What holds for this process.

    Args:
        undumped: It writes no core dump, and the same user's debuggers may not look into it.
        locked: ``all`` of its memory stays out of swap, or the ``keys`` in pages of their own, or ``none``.
    """

    undumped: bool
    locked: str

    def payload(self) -> dict[str, Any]:
        """Return it as reports show it."""
        swap = {
            "all": "all of its memory is locked",
            "keys": "keys at rest in memory are locked; copies that are computed with may be swapped:"
            " use encrypted swap or none",
            "none": "nothing is locked: raise the limit of locked memory (RLIMIT_MEMLOCK),"
            " or use encrypted swap or none",
        }
        return {
            "core_dumps": "off" if self.undumped else "on",
            "swap": swap[self.locked],
            "wiping": "best effort: Python copies what it computes with",
        }


def harden() -> Hardening:
    """Keep this process's memory from debuggers and core dumps of the same user, and from swap where it may.

    Raises:
        UnavailableError: The system refuses the first two.
    """
    os.umask(0o077)  # whatever it writes is its owner's alone
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise UnavailableError("the system lets nobody keep their memory", rule="keeper.harden")
    bound_heaps()
    return inspect(lock=True)


def bound_heaps() -> None:
    """Let all threads, and Arrow, share the one heap that can give memory back while it is locked.

    Other heaps return a page by telling the system that its content is not needed (``MADV_DONTNEED``), which it
    refuses for locked memory: so each keeps for good the most that its threads ever needed at once. The first heap
    shrinks from its end (``brk``), and what was mapped apart goes as a whole (``munmap``), locked or not. By default
    there are eight heaps for each core, and Arrow brings an allocator of its own that keeps what it had.

    To be called before anything is imported that starts threads or is Arrow: a heap that there is stays in use, and
    Arrow asks once. Later it does what is left to do.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # other C libraries have one heap
        libc.mallopt(_ARENA_MAX, _ARENAS)
        libc.mallopt(_MMAP_MAX, _APARTS)
        libc.mallopt(_MMAP_THRESHOLD, _APART)  # it grows by itself otherwise, up to 32 MiB
    os.environ[_ARROW_POOL] = "system"


def settle_objects() -> None:
    """Set apart what is there for good, so that what comes and goes from now on is looked through often.

    What refers to itself in a circle (an error that was raised, with the frames that it came through) is freed by the
    collector alone. What survived twice is looked through when it has grown by a quarter. A keeper begins with some
    hundred thousand objects, so that was after a hundred thousand more, and what had been over for a quarter of an
    hour was still there: a megabyte every minute or two. From here on what is there at the beginning is counted no
    more, and costs no look either.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # the count of what survived begins with what is left: nothing


def unsettle_objects() -> None:
    """Let the collector look through everything again: what a keeper that led has made may be over."""
    gc.unfreeze()
    gc.collect()


def inspect(*, lock: bool = False) -> Hardening:
    """Return what holds for this process.

    Args:
        lock: Lock all memory, if no limit can make an allocation fail later.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    undumped = (
        libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0
        and resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
    )
    if lock and _unlimited() and libc.mlockall(_MCL) == 0:
        return Hardening(undumped=undumped, locked="all")
    return Hardening(undumped=undumped, locked="keys" if _locks_a_page(libc) else "none")


def clear_environment(*names: str) -> None:
    """Remove variables from this process's environment, and overwrite them where the kernel shows them.

    For a process that keeps running: what was passed at its start stays in ``/proc/PID/environ`` otherwise.
    """
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    for name in names:
        place = libc.getenv(name.encode())
        if place:
            length = len(ctypes.string_at(place))
            ctypes.memset(place, ord("x"), length)
        os.environ.pop(name, None)


def _unlimited() -> bool:
    """Return whether locking never counts against a limit: with one, a later allocation could fail."""
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    status = Path("/proc/self/status").read_text("ascii", "replace")
    capable = [line for line in status.splitlines() if line.startswith("CapEff:")]
    return bool(capable) and bool(int(capable[0].split()[1], 16) >> _CAP_IPC_LOCK & 1)


def _locks_a_page(libc: Any) -> bool:
    page = ctypes.create_string_buffer(1)
    if libc.mlock(page, ctypes.c_size_t(1)) != 0:
        return False
    libc.munlock(page, ctypes.c_size_t(1))
    return True
