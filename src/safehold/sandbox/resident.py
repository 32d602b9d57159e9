"""Real memory of a whole job where no control group can bound it: looked at from outside, many times a second.

``/proc/PID/statm`` may be read of any process; pages of files and shared memory are left out. A page that several
processes of a job have since they forked counts once for each. It ends a job that stays over its bound, and is no
wall: between two looks a job may be over it.
"""

from __future__ import annotations

import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def measure_memory(pid: int) -> int:
    """Return the bytes of own memory that a process and all its descendants hold.

    Args:
        pid: The process; one that is gone holds nothing.
    """
    total, waiting = 0, [pid]
    while waiting:
        folder = Path("/proc") / str(waiting.pop())
        try:
            _, resident, shared, *_ = (folder / "statm").read_bytes().split()
            tasks = list((folder / "task").iterdir())
        except OSError:
            continue
        total += max(int(resident) - int(shared), 0) * _PAGE
        for task in tasks:
            try:
                waiting += map(int, (task / "children").read_bytes().split())
            except OSError:
                continue
    return total
