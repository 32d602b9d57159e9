"""Reading a log as anybody can: its published files, in a directory or over HTTP (C2SP tlog-tiles).

Nothing here trusts what it reads. Every read has an end: a largest size, a time, no redirect, no
link, no pipe.
"""

from __future__ import annotations

import http.client
import os
import ssl
import stat
import time
from pathlib import Path
from typing import Protocol

from safehold.errors import MissingError, TamperedError, UnavailableError
from safehold.ledger.line import HEADERS, split_url, within
from safehold.ledger.note import LARGEST_NOTE
from safehold.ledger.tile import LARGEST_ENTRY, tile_path
from safehold.ledger.tree import HASH, HEIGHT, WIDTH, Node, node_reader

TIMEOUT = 10.0  # seconds to wait for one answer of the network
DEADLINE = 60.0  # seconds that one file may take in all
PIECE = 65_536  # bytes read at once
LARGEST_BUNDLE = WIDTH * (2 + LARGEST_ENTRY)  # bytes

Row = tuple[int | str, int]  # level of a tile, or "entries"; number


class Published(Protocol):
    """The published files of one log."""

    def read(self, name: str, limit: int) -> bytes:
        """Return a file by its path under the log, such as ``tile/entries/000``.

        Args:
            name: The path.
            limit: Most bytes it may have.

        Raises:
            MissingError: There is no such file.
            TamperedError: It is longer, or no plain file.
            UnavailableError: It cannot be reached.
        """
        ...


class PublishedDirectory:
    """A log that lies in a directory, where others may write meanwhile.

    Args:
        root: Holds ``checkpoint`` and ``tile/``.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str, limit: int) -> bytes:
        """Return a file; see ``Published``."""
        try:
            # a pipe put in the place of a file must not make a reader wait for ever
            handle = os.open(
                self._root / name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
            )
        except (FileNotFoundError, NotADirectoryError) as error:
            if not self._root.is_dir():
                raise UnavailableError("the log is not there", rule="monitor.read") from error
            raise MissingError(f"{name} is missing", rule="monitor.read") from error
        except OSError as error:
            raise TamperedError(f"{name} is no plain file", rule="monitor.read") from error
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise TamperedError(f"{name} is no plain file", rule="monitor.read")
            try:
                data = file.read(limit + 1)
            except OSError as error:
                raise UnavailableError(f"{name} cannot be read", rule="monitor.read") from error
        if len(data) > limit:
            raise TamperedError(f"{name} is too long", rule="monitor.read")
        return data


class PublishedSite:
    """A log behind a URL prefix; one connection, kept while it lasts.

    Args:
        url: Prefix of the paths; ``https``, or ``http`` on this machine.
        plain: Let ``http`` reach other machines as well. Nothing false is believed then either, but
            whoever stands between can show an older state, or nothing.

    Raises:
        InvalidError: Not such a URL.
    """

    def __init__(self, url: str, *, plain: bool = False) -> None:
        self._host, self._port, self._prefix, secure = split_url(
            url, what="log", rule="monitor.url", plain=plain
        )
        self._tls = ssl.create_default_context() if secure else None
        self._line: http.client.HTTPConnection | None = None

    def read(self, name: str, limit: int) -> bytes:
        """Return a file; see ``Published``."""
        end = time.monotonic() + DEADLINE
        while True:
            fresh = self._line is None
            try:
                return self._ask(name, limit, end)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                _check_in_time(name, end, error)
                if fresh:  # a kept connection may have ended; a new one tells
                    raise UnavailableError(
                        "the log cannot be reached", rule="monitor.read"
                    ) from error
            except BaseException:
                self.close()  # what is left of the answer must not be taken for the next one
                raise

    def close(self) -> None:
        """Let go of the connection."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _ask(self, name: str, limit: int, end: float) -> bytes:
        line = self._line = self._line or http.client.HTTPConnection(self._host, self._port)
        left = end - time.monotonic()
        with within(line, left, tls=self._tls, patience_s=TIMEOUT):
            line.request("GET", f"{self._prefix}/{name}", headers=HEADERS)
            answer = line.getresponse()
            _check_in_time(name, end)
            if answer.status in (404, 410):
                self.close()
                raise MissingError(f"{name} is missing", rule="monitor.read")
            if answer.status != 200:
                raise UnavailableError(
                    f"the log answers {answer.status} for {name}", rule="monitor.read"
                )
            data = bytearray()
            while piece := answer.read1(PIECE):
                data += piece
                if len(data) > limit:
                    raise TamperedError(f"{name} is too long", rule="monitor.read")
            _check_in_time(name, end)
        if answer.length:  # it was announced longer than it is
            raise UnavailableError(f"{name} breaks off", rule="monitor.read")
        answer.close()  # read1 does not tell the connection that an answer has ended
        return bytes(data)


def _check_in_time(name: str, end: float, cause: Exception | None = None) -> None:
    """Pass before the deadline: what was cut then must not be taken for what has ended."""
    if time.monotonic() >= end:
        raise UnavailableError(f"{name} takes too long", rule="monitor.read") from cause


def read_checkpoint(log: Published) -> bytes:
    """Return the published head, unverified."""
    return log.read("checkpoint", LARGEST_NOTE)


def read_row(log: Published, row: Row, size: int) -> bytes:
    """Return a tile or an entry bundle as the head of a size names it, unverified.

    Args:
        log: Where it is published.
        row: Level (or ``"entries"``) and number.
        size: Size of the head; it decides how wide the file is. Once a full file lies there the
            partial one may be gone, so that one is looked for as well.

    Raises:
        MissingError: Neither is there.
    """
    label, number = row
    count = size if label == "entries" else size >> (int(label) * HEIGHT)
    width = min(count - number * WIDTH, WIDTH)
    limit = LARGEST_BUNDLE if label == "entries" else WIDTH * HASH
    try:
        return log.read(tile_path(label, number, width), limit)
    except MissingError:
        if width == WIDTH:
            raise
        return log.read(tile_path(label, number), limit)


def published_nodes(log: Published, size: int) -> Node:
    """Return a reader of the nodes that a log publishes for a size, unverified.

    Every tile is read once; a proof needs a few.
    """
    tiles: dict[Row, bytes] = {}

    def tile(level: int, number: int) -> bytes:
        if (level, number) not in tiles:
            tiles[level, number] = read_row(log, (level, number), size)
        return tiles[level, number]

    return node_reader(tile)


def open_published(place: str, *, plain: bool = False) -> Published:
    """Return the log at a URL or in a directory; see ``PublishedSite`` for ``plain``."""
    if place.startswith(("http://", "https://")):
        return PublishedSite(place, plain=plain)
    return PublishedDirectory(Path(place))
