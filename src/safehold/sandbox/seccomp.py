"""Seccomp: system calls a job can never make, whatever it holds.

Source: the kernel's userspace-api/seccomp_filter documentation, seccomp(2). The filter is classic
BPF over struct seccomp_data: number at offset 0, architecture at 4, low half of the first argument
at 16 (both architectures are little-endian).
"""

from __future__ import annotations

import ctypes
import struct

from safehold.sandbox.landlock import call
from safehold.sandbox.tables import DENIED, NEWEST, Table

ALLOW, KILL_PROCESS, ERRNO = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
EPERM, ENOSYS = 1, 38
# CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}: a thread may be made, a namespace may not.
CLONE_NEW = 0x7E02_0000

_SECCOMP = {0xC000_003E: 317, 0xC000_00B7: 277}
_SET_MODE_FILTER, _TSYNC = 1, 1
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06


def compile_filter(table: Table) -> bytes:
    """Return the filter program of an architecture, as an array of struct sock_filter."""
    program = [
        _step(_LOAD, 4),
        _step(_EQUAL, table.audit, 1, 0),
        _step(_RETURN, KILL_PROCESS),
        _step(_LOAD, 0),
    ]
    if table.compat:
        program += [_step(_AT_LEAST, table.compat, 0, 1), _step(_RETURN, KILL_PROCESS)]
    # Threads are made by clone3, whose flags a filter cannot see; "no such call" makes the C
    # library fall back to clone, whose flags it can.
    program += [
        _step(_AT_LEAST, NEWEST + 1, 0, 1),
        _step(_RETURN, ERRNO | ENOSYS),
        _step(_EQUAL, table.numbers["clone3"], 0, 1),
        _step(_RETURN, ERRNO | ENOSYS),
        _step(_EQUAL, table.numbers["clone"], 0, 4),
        _step(_LOAD, 16),
        _step(_ANY_BIT, CLONE_NEW, 0, 1),
        _step(_RETURN, ERRNO | EPERM),
        _step(_RETURN, ALLOW),
        # Limits of its own only: without a process namespace the same user's others are in reach.
        _step(_EQUAL, table.numbers["prlimit64"], 0, 4),
        _step(_LOAD, 16),
        _step(_EQUAL, 0, 1, 0),
        _step(_RETURN, ERRNO | EPERM),
        _step(_RETURN, ALLOW),
    ]
    for number in sorted(table.numbers[name] for name in DENIED & table.numbers.keys()):
        program += [_step(_EQUAL, number, 0, 1), _step(_RETURN, ERRNO | EPERM)]
    program.append(_step(_RETURN, ALLOW))
    return b"".join(program)


def confine(libc: ctypes.CDLL, table: Table) -> None:
    """Put the filter on every thread of this process, for good and for all its children.

    The caller has set no-new-privileges.

    Args:
        libc: The C library, opened with ``use_errno``.
        table: The architecture that runs.

    Raises:
        OSError: The kernel refused; the process must not go on.
    """
    program = compile_filter(table)
    memory = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(memory))
    call(libc, _SECCOMP[table.audit], _SET_MODE_FILTER, _TSYNC, head)


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)
