"""The recipe the probe runs: try what must not work, and say which of it did."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from safehold.sandbox.boot import Emit


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Emit one ``checked`` frame that lists what was open.

    Args:
        spec: ``canary``: path of a readable file that is no part of the sandbox.
        inputs: None.
        emit: Writes the frame.
    """
    del inputs
    tries: dict[str, Callable[[], object]] = {
        "files": lambda: os.close(os.open(spec["canary"], os.O_RDONLY)),
        "network": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
        "programs": _execute,
    }
    found = []
    for name, attempt in tries.items():
        try:
            attempt()
        except OSError:
            continue
        found.append(name)
    emit({"type": "checked", "open": found})


def _execute() -> None:
    """Start a program that does not exist: allowed, it would be looked for and not be found."""
    try:
        os.execv("/nowhere", ["nowhere"])  # noqa: S606 - nothing is started
    except FileNotFoundError:
        return
