"""Files that are there after a power cut, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from safehold import ids
from safehold.errors import ConflictError, InvalidError


def write_new(path: Path, data: bytes) -> None:
    """Write a new file, readable by its owner alone; it appears whole or not at all.

    Raises:
        ConflictError: The file exists.
    """
    draft = _draft(path, data)
    try:
        os.link(draft, path)  # unlike rename, link never replaces
    except FileExistsError as error:
        raise ConflictError(f"{path.name} exists", rule="file.new") from error
    finally:
        draft.unlink(missing_ok=True)
        sync(path.parent)


def replace(path: Path, data: bytes) -> None:
    """Put a file in the place of another in one step."""
    draft = _draft(path, data)
    draft.replace(path)
    sync(path.parent)


def destroy(path: Path) -> None:
    """Overwrite a small file with noise, make that durable, and remove it; nothing if it is gone.

    On file systems that copy on write and on flash the overwriting is best effort.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        sync(path.parent)
        return
    try:
        os.pwrite(handle, ids.random_bytes(max(os.fstat(handle).st_size, 1)), 0)
        os.fsync(handle)
    finally:
        os.close(handle)
    path.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make a file's bytes, or a directory's entries, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _draft(path: Path, data: bytes) -> Path:
    if not path.parent.is_dir():
        raise InvalidError(f"the folder of {path.name} does not exist", rule="file.new")
    draft = path.parent / f".{path.name}.{ids.random_bytes(6).hex()}"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return draft
