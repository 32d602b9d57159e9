"""What the modes of files let another user of this machine do, where nobody can be asked to try it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

# to go through a folder, to read a file, to write to a socket: as a member of its group, and as anybody else
_THROUGH: Final = (stat.S_IXGRP, stat.S_IXOTH)
_READ: Final = (stat.S_IRGRP, stat.S_IROTH)
_WRITE: Final = (stat.S_IWGRP, stat.S_IWOTH)
# a group -> whether a member of it gets this far, and whether anybody else does; never neither
_Who = Mapping[int, tuple[bool, bool]]


def reachable(places: Iterable[Path]) -> Iterator[Path]:
    """Yield every file and socket in or at some places that another user of this machine reaches.

    Another user may be in any of the groups that files and folders name, and in none. A file counts if some such
    user may read it (a socket: write to it) and go through each folder above it. What belongs to another user than
    this one, and not to root, stands open to that one: an owner may change the mode.

    Args:
        places: Folders, files or sockets.

    Raises:
        OSError: A folder cannot be read, so nothing is known of what is in it.
    """
    for place in places:
        whole = place.resolve()
        who: _Who | None = {}
        for folder in whole.parents:
            who = None if who is None else _past(who, folder.stat(), _THROUGH)
        if who is not None:
            yield from _below(whole, who)


def _below(place: Path, who: _Who) -> Iterator[Path]:
    try:
        found = place.lstat()
    except FileNotFoundError:
        return  # it went meanwhile
    if stat.S_ISDIR(found.st_mode):
        further = _past(who, found, _THROUGH)
        if further is not None:
            for inner in list(place.iterdir()):
                yield from _below(inner, further)
    elif (stat.S_ISREG(found.st_mode) and _past(who, found, _READ) is not None) or (
        stat.S_ISSOCK(found.st_mode) and _past(who, found, _WRITE) is not None
    ):
        yield place


def _past(who: _Who, found: os.stat_result, bits: tuple[int, int]) -> _Who | None:
    """Return who of some users gets past a folder or at a file; None for nobody."""
    if found.st_uid not in (0, os.geteuid()):
        return who
    before = who.get(found.st_gid, (True, True))
    member, other = (
        far and bool(found.st_mode & bit) for far, bit in zip(before, bits, strict=True)
    )
    return {**who, found.st_gid: (member, other)} if member or other else None
