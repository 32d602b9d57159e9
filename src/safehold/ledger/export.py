"""The static log: tiles, entry bundles and checkpoint as plain files (C2SP tlog-tiles).

The journal is the truth and the files are its picture. New files come first, then the checkpoint,
and only then the partial files that it no longer needs go, so a reader of the old or the new
checkpoint finds all it names. A lock file lets an offline verifier wait for the end of an export.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safehold.errors import InvalidError, TamperedError
from safehold.ledger.files import place_files, replace_file, sync_directories
from safehold.ledger.note import Checkpoint, split_note
from safehold.ledger.store import Journal
from safehold.ledger.tile import pack_entries, partial_paths, paths, tile_path
from safehold.ledger.tree import HASH, HEIGHT, WIDTH, Tree

CHECKPOINT = "checkpoint"
SCRATCH = ".export"


class Exporter:
    """Writes the static files of one journal.

    Args:
        directory: The ledger directory.
        journal: Where the entries and the full tiles come from.
    """

    def __init__(self, directory: Path, journal: Journal) -> None:
        self._root = directory
        self._journal = journal
        self._scratch = directory / SCRATCH
        self._scratch.mkdir(exist_ok=True, mode=0o700)

    def export(self, old: int, *, tree: Tree, note: bytes) -> None:
        """Bring the files from one size to the size of a published head.

        Args:
            old: Size of the checkpoint that lies there now, -1 if there is none.
            tree: The tree of the new head.
            note: The new head with its cosignatures.
        """
        with self._exclusive():
            if tree.size > max(old, 0):
                place_files(self._root, self._files(max(old, 0), tree), scratch=self._scratch)
            replace_file(self._root / CHECKPOINT, note, scratch=self._scratch)
            if 0 < old < tree.size:
                self._drop(sorted(set(partial_paths(old)) - set(partial_paths(tree.size))))

    def check(self, exported: int, *, tree: Tree) -> int:
        """Compare what lies in the directory with the journal; remove what a crash left over.

        Args:
            exported: Size that the journal remembers as exported, -1 if none.
            tree: The whole tree.

        Returns:
            Size of the checkpoint that lies there, -1 if there is none.

        Raises:
            TamperedError: A file is missing, foreign or differs, or the checkpoint is not ours.
        """
        shutil.rmtree(self._scratch)
        self._scratch.mkdir(mode=0o700)
        size = self._checkpoint(exported)
        if size < exported:
            raise TamperedError(
                "an older checkpoint lies in the ledger", rule="ledger.export", fix=_FIX
            )
        there = {
            str(path.relative_to(self._root))
            for path in (self._root / "tile").rglob("*")
            if path.is_symlink() or not path.is_dir()
        }
        named = set(paths(max(size, 0)))
        if lost := sorted(named - there):
            raise TamperedError(
                f"{lost[0]} is missing from the ledger", rule="ledger.export", fix=_FIX
            )
        for name in sorted(there):
            if (self._root / name).is_symlink() or self._content(name, tree) != (
                self._root / name
            ).read_bytes():
                raise TamperedError(
                    f"{name} is not what the journal holds", rule="ledger.export", fix=_FIX
                )
        self._drop(sorted(there - named))
        return size

    def _checkpoint(self, exported: int) -> int:
        try:
            note = (self._root / CHECKPOINT).read_bytes()
        except FileNotFoundError as error:
            if exported >= 0:
                raise TamperedError(
                    "the checkpoint is missing", rule="ledger.export", fix=_FIX
                ) from error
            return -1
        try:
            size = Checkpoint.parse(split_note(note)[0]).size
        except InvalidError as error:
            raise TamperedError("the checkpoint is torn", rule="ledger.export", fix=_FIX) from error
        head = self._journal.head(size)
        if head is None or head[1] != note:
            raise TamperedError(
                "the checkpoint is none that this journal has published",
                rule="ledger.export",
                fix=_FIX,
            )
        return head[0]

    def _files(self, old: int, tree: Tree) -> Iterator[tuple[str, bytes]]:
        size, level = tree.size, 0
        while size >> (level * HEIGHT):
            count, done = size >> (level * HEIGHT), old >> (level * HEIGHT)
            for number in range(done >> HEIGHT, count >> HEIGHT):
                yield tile_path(level, number), self._tile(level, number, WIDTH, tree)
            if rest := count % WIDTH:
                number = count >> HEIGHT
                yield (
                    tile_path(level, number, rest),
                    self._tile(level, number, rest, tree),
                )
            level += 1
        first = old & ~(WIDTH - 1)
        waiting: list[bytes] = []
        for at, leaves in self._journal.batches(first):
            waiting += leaves[max(0, first - at) : size - at]
            while len(waiting) >= WIDTH:
                yield tile_path("entries", first >> HEIGHT), pack_entries(waiting[:WIDTH])
                waiting, first = waiting[WIDTH:], first + WIDTH
            if at + len(leaves) >= size:
                break
        if waiting:
            yield tile_path("entries", first >> HEIGHT, len(waiting)), pack_entries(waiting)

    def _tile(self, level: int, number: int, width: int, tree: Tree) -> bytes:
        full = self._journal.tile(level, number)
        data = tree.edges[level] if full is None else full
        return data[: width * HASH]

    def _content(self, name: str, tree: Tree) -> bytes | None:
        """Return what a file should hold, or nothing if no such file can belong to the tree."""
        label, number, width = _parse(name)
        if number < 0 or (name != tile_path(label, number, width)):
            return None
        if label == "entries":
            start, stop = number * WIDTH, number * WIDTH + width
            if stop > tree.size:
                return None
            found: list[bytes] = []
            for at, leaves in self._journal.batches(start):
                found += leaves[max(0, start - at) : stop - at]
                if at + len(leaves) >= stop:
                    break
            return pack_entries(found)
        level = int(label)
        if number * WIDTH + width > tree.size >> (level * HEIGHT):
            return None
        return self._tile(level, number, width, tree)

    def _drop(self, names: list[str]) -> None:
        folders: set[Path] = set()
        for name in names:
            path = self._root / name
            path.unlink(missing_ok=True)
            folders.add(path.parent)
        for folder in folders:
            if folder.name.endswith(".p") and not any(folder.iterdir()):
                folder.rmdir()
        sync_directories({folder.parent for folder in folders})

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        fd = os.open(self._scratch / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


_FIX = "restore the file, or find out who changed it, before the ledger is opened again"


def _parse(name: str) -> tuple[str, int, int]:
    """Return (label, number, width) of a path under the ledger, number -1 if it is no such path."""
    _, label, *groups = name.split("/")
    width = WIDTH
    if len(groups) > 1 and groups[-2].endswith(".p"):
        last = groups.pop()
        width = int(last) if last.isdecimal() and last.isascii() else 0
        groups[-1] = groups[-1].removesuffix(".p")
    digits = "".join(group.removeprefix("x") for group in groups)
    fits = digits.isdecimal() and digits.isascii() and len(digits) < 19 and 0 < width <= WIDTH
    known = label == "entries" or (label.isdecimal() and label.isascii() and len(label) < 3)
    return (label, int(digits), width) if fits and known else (label, -1, 0)
