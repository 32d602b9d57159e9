"""Landlock: a process gives up every file, port and peer it was not handed.

Source: the kernel's userspace-api/landlock documentation and include/uapi/linux/landlock.h. The
three system calls have the same numbers on every architecture. Access a kernel is too old to know
is left out; the ABI version that was used goes into the run record.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_QUERY = 1
RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR, MAKE_REG = (1 << bit for bit in range(4, 9))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

READ = READ_FILE | READ_DIR
# A job may keep plain files and folders of its own: no sockets, pipes, devices, links or programs.
KEEP = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | TRUNCATE
DEVICE = READ_FILE | WRITE_FILE
_ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

_NET_TCP = 0b11  # bind, connect: ABI 4
_SCOPES = 0b11  # abstract Unix sockets, signals: ABI 6


def find_abi(libc: ctypes.CDLL) -> int:
    """Return the Landlock ABI of the running kernel, 0 if there is none."""
    try:
        return call(libc, CREATE_RULESET, 0, 0, VERSION_QUERY)
    except OSError:
        return 0


def confine(libc: ctypes.CDLL, rules: Iterable[tuple[str, int]], *, abi: int) -> None:
    """Deny this thread everything but ``rules``, for good and for all its children.

    The caller has set no-new-privileges and has not started a thread yet.

    Args:
        libc: The C library, opened with ``use_errno``.
        rules: Paths and the access allowed at and beneath each; a path that is missing is no rule.
        abi: What ``find_abi`` said, at least 1.

    Raises:
        OSError: The kernel refused; the process must not go on.
    """
    if abi < 1:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    handled = (1 << 13) - 1
    handled |= (REFER if abi >= 2 else 0) | (TRUNCATE if abi >= 3 else 0)
    handled |= IOCTL_DEV if abi >= 5 else 0
    # struct landlock_ruleset_attr has grown: files, then TCP ports, then scopes.
    attribute = struct.pack("=3Q", handled, _NET_TCP, _SCOPES)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = call(libc, CREATE_RULESET, attribute, size, 0)
    try:
        for path, access in rules:
            _allow(libc, ruleset, path, access & handled)
        call(libc, RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, access: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            access &= _ON_FILES
        call(libc, ADD_RULE, ruleset, RULE_PATH_BENEATH, struct.pack("=Qi", access, fd), 0)
    finally:
        os.close(fd)


def call(libc: ctypes.CDLL, number: int, *arguments: int | bytes) -> int:
    """Make one system call; bytes are passed by address.

    Raises:
        OSError: It failed.
    """
    given = (
        ctypes.c_char_p(argument) if isinstance(argument, bytes) else ctypes.c_long(argument)
        for argument in arguments
    )
    result = int(libc.syscall(ctypes.c_long(number), *given))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
