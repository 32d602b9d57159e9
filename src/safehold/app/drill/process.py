"""What root sees of processes: their environment, their arguments, their sealed memory files, their memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
LARGEST: Final = 1 << 30  # bytes of one memory file or stretch of memory
PIECE: Final = 16 << 20
OVERLAP: Final = 1 << 12


def processes() -> list[int]:
    """Return every other process that can be seen."""
    pids = (int(one.name) for one in PROC.iterdir() if one.name.isdigit())
    return sorted(pid for pid in pids if pid != os.getpid())


def arguments(pid: int) -> list[bytes]:
    """Return the arguments of a process; none if it has ended."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def family(pid: int) -> list[int]:
    """Return a process and everything that descends from it, as it is now."""
    children: dict[int, list[int]] = {}
    for one in processes():
        with contextlib.suppress(OSError, IndexError, ValueError):
            stat = (PROC / str(one) / "stat").read_text("ascii", "replace")
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(one)
    found, left = [], [pid]
    while left:
        one_pid = left.pop()
        found.append(one_pid)
        left += children.get(one_pid, ())
    return found


def shown(pid: int) -> bytes:
    """Return what everybody who may look is shown of a process: its environment and its arguments."""
    data = b""
    for name in ("environ", "cmdline"):
        with contextlib.suppress(OSError):
            data += (PROC / str(pid) / name).read_bytes() + b"\0"
    return data


def memory_files(pid: int) -> Iterator[bytes]:
    """Yield what is in the memory files that a process holds open."""
    with contextlib.suppress(OSError):
        for link in sorted((PROC / str(pid) / "fd").iterdir()):
            with contextlib.suppress(OSError):
                if link.readlink().as_posix().startswith("/memfd:"):
                    with link.open("rb") as file:
                        size = os.fstat(file.fileno()).st_size
                        yield os.pread(file.fileno(), min(size, LARGEST), 0)


def memory(pid: int) -> Iterator[bytes]:
    """Yield the memory of a process that it may write to, in pieces; nothing where it may not be read."""
    with contextlib.suppress(OSError):
        maps = (PROC / str(pid) / "maps").read_text("utf-8", "replace").splitlines()
        with (PROC / str(pid) / "mem").open("rb", buffering=0) as file:
            for line in maps:
                where, rights, *_ = line.split()
                if not rights.startswith("rw"):
                    continue
                start, end = (int(one, 16) for one in where.split("-"))
                for at in range(start, min(end, start + LARGEST), PIECE):
                    with contextlib.suppress(OSError, ValueError, OverflowError):
                        file.seek(at)
                        yield file.read(min(PIECE + OVERLAP, end - at))


__all__ = ["arguments", "family", "memory", "memory_files", "processes", "shown"]
