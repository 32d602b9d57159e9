"""Which program runs: its version, and a hash of all of its source."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import safehold


@cache
def name_program() -> str:
    """Return the version of the program that runs, and the SHA-256 of all of its source, hex.

    A recipe is a file of the package and uses others, so the whole of it is what was reviewed.
    """
    root = Path(safehold.__file__).parent
    whole = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        whole.update(f"{file.relative_to(root).as_posix()}\0".encode())
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{version('safehold')}:{whole.hexdigest()}"


__all__ = ["name_program"]
