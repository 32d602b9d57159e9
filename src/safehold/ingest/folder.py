"""Open what a user points at: a file as it is, a folder of JSON as one archive in memory.

The archive never touches a disk. It is the same for the same files, so that a folder is known again.
"""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path
from typing import Final

from safehold.errors import InvalidError

_MOST_BYTES: Final = 1 << 30
_MOST_FILES: Final = 100_000
_DEPTH: Final = 4
_DATE: Final = (1980, 1, 1, 0, 0, 0)  # the first that ZIP knows


def open_path(path: Path) -> int:
    """Return a descriptor of a regular file, or of an archive of a folder's JSON files; the caller closes it.

    Args:
        path: The file or the folder.

    Raises:
        InvalidError: It cannot be opened, is neither, holds a link, or is too large.
    """
    try:
        # without O_NONBLOCK a pipe would be waited for, for ever
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise InvalidError(
            "the file cannot be opened", file=path.name, rule="source.open"
        ) from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if not stat.S_ISDIR(mode):
        raise InvalidError("a source is a regular file", file=path.name, rule="ingest.source")
    return _pack(path)


def _pack(root: Path) -> int:
    members = _members(root)
    descriptor = os.memfd_create("folder", os.MFD_CLOEXEC)
    try:
        with (
            os.fdopen(os.dup(descriptor), "wb") as sink,
            zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive,
        ):
            for path in members:
                info = zipfile.ZipInfo(path.relative_to(root).as_posix(), _DATE)
                archive.writestr(info, path.read_bytes())
    except (OSError, ValueError, UnicodeEncodeError) as error:
        os.close(descriptor)
        raise InvalidError(
            "the folder cannot be read", file=root.name, rule="source.folder"
        ) from error
    return descriptor


def _members(root: Path) -> list[Path]:
    """Return the JSON files of a folder, in order; a link is refused, wherever it points to."""
    found: list[Path] = []
    size = 0
    todo = [(root, 0)]
    while todo:
        folder, depth = todo.pop()
        with os.scandir(folder) as entries:
            inside = list(entries)
        for entry in inside:
            if entry.is_symlink():
                raise InvalidError("a link in a folder", file=root.name, rule="source.link")
            if entry.is_dir() and depth < _DEPTH:
                todo.append((Path(entry.path), depth + 1))
            elif entry.is_file() and entry.name.endswith(".json"):
                found.append(Path(entry.path))
                size += entry.stat().st_size
            if size > _MOST_BYTES or len(found) > _MOST_FILES or len(todo) > _MOST_FILES:
                raise InvalidError(
                    f"a folder of more than {_MOST_BYTES} bytes or {_MOST_FILES} files",
                    file=root.name,
                    rule="source.size",
                    fix="make a ZIP archive of it",
                )
    return sorted(found)
