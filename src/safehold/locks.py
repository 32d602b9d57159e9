"""Locks of files: one process at a time has one, and it ends with that process at the latest."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from safehold.errors import SafeholdError, UnavailableError


def hold_file(path: Path, held: SafeholdError) -> int:
    """Lock a file against other processes and return the descriptor that holds it; to close that is to let it go.

    Args:
        path: The file; made if it is absent.
        held: What is raised if another process has it.

    Raises:
        SafeholdError: Another process has it: what was given.
        UnavailableError: The file system keeps no locks.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise held from error
    except OSError as error:
        # what cannot be known is not taken for held: whoever waits for it to be let go would wait for ever
        os.close(handle)
        raise UnavailableError(
            f"{path.name} cannot be locked where it lies",
            rule=held.rule,
            fix="keep it on a file system that has locks (flock)",
        ) from error
    return handle
