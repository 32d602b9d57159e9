"""What the modes of files let another user of this machine do, where nobody can be asked to try it."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

# of a group, of everybody: to go through a folder, to read a file, to write to a socket
_WHO: Final = (
    (stat.S_IXGRP, stat.S_IRGRP, stat.S_IWGRP),
    (stat.S_IXOTH, stat.S_IROTH, stat.S_IWOTH),
)


def reachable(places: Iterable[Path]) -> Iterator[Path]:
    """Yield every file and socket in or at some places that another user of this machine reaches.

    Another user is in some group that a file names, or in none. A file counts if its mode lets such a user read it (a
    socket: write to it) and each folder above it lets them through.

    Args:
        places: Folders, files or sockets.

    Raises:
        OSError: A folder cannot be read, so nothing is known of what is in it.
    """
    for place in places:
        whole = place.resolve()
        for through, read, write in _WHO:
            if all(_mode(folder) & through for folder in whole.parents):
                yield from _below(whole, through, read, write)


def _below(place: Path, through: int, read: int, write: int) -> Iterator[Path]:
    try:
        mode = place.lstat().st_mode
    except FileNotFoundError:
        return  # it went meanwhile
    if stat.S_ISDIR(mode):
        if mode & through:
            for inner in list(place.iterdir()):
                yield from _below(inner, through, read, write)
    elif (stat.S_ISREG(mode) and mode & read) or (stat.S_ISSOCK(mode) and mode & write):
        yield place


def _mode(folder: Path) -> int:
    return folder.stat().st_mode
