"""The exported log over HTTP (C2SP tlog-tiles): checkpoint, tiles and entry bundles, nothing else.

A path is parsed into numbers and written anew before a file is touched, so no name from outside
reaches the disk; every step is opened without following links. A partial tile is the beginning of
every wider one, so one that the export has dropped is still served, as a log must for every
checkpoint that it has shown; and what a path names never changes.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from safehold.errors import MissingError
from safehold.ledger.export import CHECKPOINT
from safehold.ledger.note import parse_decimal
from safehold.ledger.tile import pack_entries, tile_path, unpack_entries
from safehold.ledger.tree import HASH, WIDTH
from safehold.ledger.web import Request, Response

_TILE = re.compile(
    r"/tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)
_FOREVER = "public, max-age=31536000, immutable"
_BYTES = "application/octet-stream"
_TRIES = 8  # a file may be replaced by a wider one while we look


class StaticLog:
    """Answer for the static files of one exported log.

    Args:
        directory: The ledger directory, or a copy of its ``checkpoint`` and ``tile``.

    Raises:
        MissingError: Nothing was exported there.
    """

    def __init__(self, directory: Path) -> None:
        self._root = directory
        if self._read((CHECKPOINT,)) is None:
            raise MissingError("no exported log lies there", rule="ledger.serve")

    def __call__(self, request: Request) -> Response:
        """Return the answer to one request."""
        if request.method not in ("GET", "HEAD"):
            return Response(status=405, body=b"use GET\n", allow="GET, HEAD")
        if request.path == f"/{CHECKPOINT}":
            note = self._read((CHECKPOINT,))
            return _NOT_FOUND if note is None else Response(status=200, body=note)
        found = _TILE.fullmatch(request.path)
        data = None if found is None else self._tile(found[1], found[2], found[3])
        if data is None:
            return _NOT_FOUND
        return Response(status=200, body=data, kind=_BYTES, cache=_FOREVER)

    def _tile(self, label: str, groups: str, part: str | None) -> bytes | None:
        number = int(groups.replace("x", "").replace("/", ""))
        width = WIDTH if part is None else int(part)
        path = f"/{tile_path(label, number, width)}"
        if width > WIDTH or (part is not None and width == WIDTH) or number >= 2**55:
            return None
        if path != f"/tile/{label}/{groups}{'' if part is None else f'.p/{part}'}":
            return None  # a second spelling of the same number
        names = tuple(path[1:].split("/"))
        for _ in range(_TRIES):
            if (data := self._read(names)) is not None:
                return data
            if part is not None and (wider := self._wider(label, number, width)) is not None:
                return wider
        return None

    def _wider(self, label: str, number: int, width: int) -> bytes | None:
        """Return the beginning of a tile that has grown beyond a width."""
        size = self._size() if label == "entries" else self._size() >> (8 * int(label))
        there = min(size - number * WIDTH, WIDTH)
        if there < width:
            return None
        data = self._read(tuple(tile_path(label, number, there).split("/")))
        if data is None:
            return None
        if label == "entries":
            return pack_entries(list(unpack_entries(data))[:width])
        return data[: width * HASH]

    def _size(self) -> int:
        note = self._read((CHECKPOINT,)) or b"\n0\n"
        return parse_decimal(note.split(b"\n", 2)[1].decode("ascii"))

    def _read(self, names: tuple[str, ...]) -> bytes | None:
        """Return a file under the root, or nothing if it or a step to it is absent or a link."""
        try:
            fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            for name in names[:-1]:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                inner = os.open(name, flags, dir_fd=fd)
                os.close(fd)
                fd = inner
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            file = os.open(names[-1], flags, dir_fd=fd)
        except OSError:
            return None
        finally:
            os.close(fd)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                return None
            return b"".join(iter(lambda: os.read(file, 1 << 20), b""))
        finally:
            os.close(file)


_NOT_FOUND = Response(status=404, body=b"not found\n")
