"""The files of a static log, read by name (C2SP tlog-tiles); nothing in the directory is trusted."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import repeat
from pathlib import Path

from safehold_verify.errors import VerificationError
from safehold_verify.merkle import HASH, WIDTH

PATIENCE = 10.0  # seconds to wait for an export that is under way
LARGEST_ENTRY = 65_535  # bytes: a bundle counts them in 16 bits
LARGEST_BUNDLE = WIDTH * (2 + LARGEST_ENTRY)  # bytes
LARGEST_TEXT = 1_000_000  # bytes of a checkpoint, a policy or a proof

_PRIVATE = ("journal.db", "journal.db-wal", "journal.db-shm", "journal.lock", ".export")
_LENGTH = struct.Struct(">H")


class Files:
    """The files of one log.

    Args:
        root: The directory.

    Raises:
        VerificationError: It cannot be read, or holds what is neither file nor directory.
    """

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)
        self.count = 0
        self._there: set[str] = set()
        self._held: dict[str, bytes] = {}
        folders = [""]
        while folders:
            folders += self._gather(folders.pop())

    def _gather(self, lead: str) -> list[str]:
        deeper: list[str] = []
        try:
            with os.scandir(f"{self._root}/{lead}") as found:
                for one in found:
                    name = lead + one.name
                    if not lead and one.name in _PRIVATE:
                        continue
                    if one.is_dir(follow_symlinks=False):
                        deeper.append(name + "/")
                    elif one.is_symlink():
                        raise VerificationError("a link does not belong here", where=name)
                    elif not one.is_file(follow_symlinks=False):
                        raise VerificationError("not a regular file", where=name)
                    else:
                        self._there.add(name)
        except (OSError, ValueError) as error:
            raise VerificationError("cannot be read", where=lead or "log directory") from error
        return deeper

    def check_names(self, size: int, *, others: bool = False) -> int:
        """Compare the names that are there with the names a log of a size has.

        Args:
            size: Entries of the log.
            others: Let other files lie there.

        Returns:
            Number of the others.

        Raises:
            VerificationError: A file is missing, or one does not belong there.
        """
        left = set(self._there)
        left.discard("checkpoint")
        for label, count in _labels(size):
            for number, width in parts(count):
                name = path_of(label, number, width)
                if name not in self._there:  # stops here, however large the size is said to be
                    raise VerificationError("the file is missing", where=name)
                left.discard(name)
        if left and not others:
            raise VerificationError("the file does not belong to this checkpoint", where=min(left))
        return len(left)

    def hold_edge(self, size: int) -> None:
        """Read the partial files now: an export may take their place, full ones stay for ever."""
        for label, count in _labels(size):
            if rest := count % WIDTH:
                name = path_of(label, count // WIDTH, rest)
                self._held[name] = self._load(name, label, rest)

    def read(self, label: str, number: int, width: int) -> bytes:
        """Return the bytes of a file, at most what it may have."""
        self.count += 1
        name = path_of(label, number, width)
        if width != WIDTH and name in self._held:
            return self._held.pop(name)
        return self._load(name, label, width)

    def _load(self, name: str, label: str, width: int) -> bytes:
        limit = LARGEST_BUNDLE if label == "entries" else width * HASH
        return read_file(f"{self._root}/{name}", name, limit=limit)


def read_file(path: Path | str, name: str, *, limit: int) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: Where it is.
        name: What to call it.
        limit: The most bytes that it may have.

    Raises:
        VerificationError: It cannot be read, is no regular file, or is longer.
    """
    try:
        # a pipe put in the place of a file must not make an audit wait for ever
        fd = open_at_once(path)
        try:
            state = os.fstat(fd)
            if not stat.S_ISREG(state.st_mode):
                raise VerificationError("not a regular file", where=name)
            # one more byte than there should be; room for the limit costs more than the rest
            want = min(state.st_size, limit) + 1
            data = os.read(fd, want)
            while len(data) < want - 1 and (more := os.read(fd, want - len(data))):
                data += more
            if len(data) == want <= limit:  # it has grown
                raise VerificationError("it changes while it is read", where=name)
        finally:
            os.close(fd)
    except (OSError, ValueError) as error:
        raise VerificationError("the file is missing or cannot be read", where=name) from error
    if len(data) > limit:
        raise VerificationError("the file is too long", where=f"{name}, byte {limit}")
    return data


def open_at_once(path: Path | str) -> int:
    """Open a file for reading, whatever it is, without waiting."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def cut_bundle(data: bytes, width: int, name: str) -> tuple[Sequence[bytes], bytearray | None]:
    """Return the entries of a bundle, which must hold nothing else, each behind a zero byte.

    That byte is what the hash of a leaf begins with (RFC 6962 section 2.1).

    Returns:
        The entries; and if all have one length, the bundle with that zero byte in the place of the
        second byte of every length, otherwise nothing.

    Raises:
        VerificationError: It does not hold that many entries.
    """
    length = _LENGTH.unpack_from(data)[0] if len(data) >= 2 else 0
    step = 2 + length
    if len(data) == step * width and all(
        data[at::step] == data[at : at + 1] * width for at in (0, 1)
    ):
        marked = bytearray(data)
        marked[1::step] = bytes(width)
        return _cutter(length, width).unpack(marked), marked
    entries: list[bytes] = []
    add, at = entries.append, 0
    try:
        for _ in repeat(None, width):
            start = at + 2
            at = start + (data[at] << 8 | data[at + 1])
            add(b"\0" + data[start:at])
    except IndexError:
        at = len(data) + 1
    if at != len(data):  # places only grow, so where the last one ends tells of them all
        raise _broken_bundle(data, width, name)
    return entries, None


def _broken_bundle(data: bytes, width: int, name: str) -> VerificationError:
    """Return what is wrong with a bundle that does not hold a number of entries."""
    at, end = 0, len(data)
    for count in range(width):
        start = at + 2
        if start > end or (at := start + (data[start - 2] << 8 | data[start - 1])) > end:
            return VerificationError("the bundle breaks off", where=f"{name}, entry {count}")
    return VerificationError("bytes after the last entry", where=f"{name}, byte {at}")


@lru_cache(64)
def _cutter(length: int, width: int) -> struct.Struct:
    return struct.Struct(f"x{1 + length}s" * width)


def parts(count: int) -> Iterator[tuple[int, int]]:
    """Yield (number, width) of the tiles that hold a number of hashes."""
    full, rest = divmod(count, WIDTH)
    for number in range(full):
        yield number, WIDTH
    if rest:
        yield full, rest


def path_of(label: str, number: int, width: int) -> str:
    """Return the name of a tile or, under the label ``entries``, of a bundle."""
    name, number = f"{number % 1000:03d}", number // 1000
    while number:
        name, number = f"x{number % 1000:03d}/{name}", number // 1000
    return f"tile/{label}/{name}" + ("" if width == WIDTH else f".p/{width}")


def place_of(index: int, size: int) -> str:
    """Return where an entry of a log of a size stands."""
    number = index // WIDTH
    return f"{path_of('entries', number, min(WIDTH, size - number * WIDTH))}, leaf {index}"


@contextmanager
def settled(root: Path) -> Iterator[None]:
    """Keep an export of a living log out while what it changes is read.

    Raises:
        VerificationError: An export does not end.
    """
    try:
        fd = open_at_once(root / ".export" / "lock")
    except (OSError, ValueError):
        yield
        return
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise VerificationError("an export does not end", where=".export") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(fd)


def _labels(size: int) -> Iterator[tuple[str, int]]:
    level = 0
    while size >> (8 * level):
        yield str(level), size >> (8 * level)
        level += 1
    if size:
        yield "entries", size
