"""Writing files so that a crash leaves the old one or the new one, never a torn one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

_TOGETHER: Final = 64  # files whose content is in memory at once
_THREADS: Final = 8
_T = TypeVar("_T")


def replace_file(path: Path, data: bytes, *, scratch: Path | None = None) -> None:
    """Put a file in place durably: temporary file, fsync, rename, fsync of the directory.

    Args:
        path: Where it goes.
        data: What it holds.
        scratch: Directory of the temporary file, on the same file system; beside ``path`` if
            absent.
    """
    fresh = (scratch or path.parent) / f".{path.name}.new"
    _write_all({fresh: data})
    fresh.replace(path)
    sync_directories([path.parent])


def place_files(root: Path, files: Iterable[tuple[str, bytes]], *, scratch: Path) -> None:
    """Put many files under a directory durably, with one fsync of each directory.

    Args:
        root: The directory.
        files: (path below it, content) of each; taken a few at a time, so they may be many.
        scratch: Directory of the temporary files, on the same file system.
    """
    fresh: list[tuple[Path, Path]] = []
    waiting = enumerate(files)
    while some := list(islice(waiting, _TOGETHER)):
        parts = {scratch / str(number): data for number, (_, data) in some}
        _write_all(parts)
        fresh += zip(parts, (root / name for _, (name, _) in some), strict=True)
    touched: set[Path] = set()
    for _, path in fresh:
        for folder in (path.parent, *path.parent.parents):
            if folder in touched:
                break
            folder.mkdir(parents=True, exist_ok=True)
            touched.add(folder)
            if folder == root:
                break
    _each(lambda place: place[0].replace(place[1]), fresh)
    sync_directories(touched)


def sync_directories(folders: Iterable[Path]) -> None:
    """Make the names in some directories durable."""
    for folder in folders:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _write_all(files: Mapping[Path, bytes]) -> None:
    """Write files and sync them."""

    def write(part: tuple[Path, bytes]) -> None:
        fd = _write(*part)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    _each(write, list(files.items()))


def _each(work: Callable[[_T], object], things: Sequence[_T]) -> None:
    """Do something to each thing; to many of them from several threads.

    The disk takes syncs that come together as one; one after the other they take ten times as long.
    And a thread that comes back from the disk waits for its turn beside those that append.
    """

    def work_through(some: Sequence[_T]) -> None:
        for thing in some:
            work(thing)

    if len(things) < _THREADS:
        work_through(things)
        return
    with ThreadPoolExecutor(_THREADS, "ledger-files") as pool:
        # a share for each thread: handing over thing by thing costs as much as a short write
        for _ in pool.map(work_through, [things[at::_THREADS] for at in range(_THREADS)]):
            pass


def _write(path: Path, data: bytes) -> int:
    """Write a file and return it open, for its sync."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(data)
    except BaseException:
        os.close(fd)
        raise
    return fd
