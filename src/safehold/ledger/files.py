"""Writing files so that a crash leaves the old one or the new one, never a torn one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path


def replace_file(path: Path, data: bytes, *, scratch: Path | None = None) -> None:
    """Put a file in place durably: temporary file, fsync, rename, fsync of the directory.

    Args:
        path: Where it goes.
        data: What it holds.
        scratch: Directory of the temporary file, on the same file system; beside ``path`` if
        absent.
    """
    fresh = (scratch or path.parent) / f".{path.name}.new"
    _write(fresh, data)
    fresh.replace(path)
    sync_directories([path.parent])


def place_files(root: Path, files: Mapping[str, bytes], *, scratch: Path) -> None:
    """Put many files under a directory durably, with one fsync of each directory."""
    fresh: list[tuple[Path, Path]] = []
    for number, (name, data) in enumerate(files.items()):
        temporary = scratch / str(number)
        _write(temporary, data)
        fresh.append((temporary, root / name))
    touched: set[Path] = set()
    for temporary, path in fresh:
        for folder in (path.parent, *path.parent.parents):
            if folder in touched:
                break
            folder.mkdir(parents=True, exist_ok=True)
            touched.add(folder)
            if folder == root:
                break
        temporary.replace(path)
    sync_directories(touched)


def sync_directories(folders: Iterable[Path]) -> None:
    """Make the names in some directories durable."""
    for folder in folders:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _write(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)
