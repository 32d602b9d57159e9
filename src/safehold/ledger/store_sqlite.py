"""The journal: one SQLite file that makes an append durable (WAL, ``synchronous=FULL``).

One row a batch, in the form of an entry bundle. A batch is committed with its tiles, the right edge
and the signed head in one transaction that begins IMMEDIATE and succeeds only if size and root are
what the caller last saw; an OS lock on a file beside it keeps a second process out before that.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from safehold.errors import ConflictError, MissingError, TamperedError, UnavailableError
from safehold.ledger.store import (
    Batch,
    State,
    hold_directory,
    pick_sidecar,
    place_of,
    unpack_batch,
    unpack_sidecars,
)
from safehold.ledger.tree import EMPTY

JOURNAL = "journal.db"

# what SQLite says of a disk that is full, failing or closed to us; the journal may be all right
_DISK = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)

_TABLES = """
CREATE TABLE meta(origin TEXT NOT NULL, vkey TEXT NOT NULL);
CREATE TABLE journal(first INTEGER PRIMARY KEY, count INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE sidecar(first INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE tile(place INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE state(id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, root BLOB NOT NULL,
  time INTEGER NOT NULL, note BLOB NOT NULL, exported INTEGER NOT NULL);
CREATE TABLE head(size INTEGER PRIMARY KEY, note BLOB NOT NULL);
CREATE TABLE idem(key BLOB PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID;
"""


class SqliteStore:
    """One log in one directory, journal and static files together.

    Args:
        directory: Where; made if absent.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def create(self, *, origin: str, vkey: str, note: bytes) -> None:
        """Make the database beside its place and move it there; see ``Store``."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory / JOURNAL
        if path.exists() or (self._directory / "checkpoint").exists():
            raise ConflictError("this directory holds a log already", rule="ledger.create")
        fresh = self.draft()
        with closing(sqlite3.connect(fresh, isolation_level=None)) as base:
            base.execute("BEGIN")
            base.execute("INSERT INTO meta VALUES(?, ?)", (origin, vkey))
            base.execute("INSERT INTO state VALUES(1, 0, ?, 0, ?, -1)", (EMPTY, note))
            base.execute("COMMIT")
        fresh.rename(path)
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def draft(self) -> Path:
        """Make a file with empty tables beside the place of the journal; it counts once it is renamed."""
        fresh = self._directory / f"{JOURNAL}.new"
        fresh.unlink(missing_ok=True)
        with closing(sqlite3.connect(fresh, isolation_level=None)) as base:
            base.execute("PRAGMA page_size=8192")
            base.executescript(f"BEGIN;{_TABLES}COMMIT;")
        fresh.chmod(0o600)
        return fresh

    def open(self, _origin: str) -> SqliteJournal:
        """Lock the directory and open what lies there; see ``Store``."""
        return SqliteJournal(self._directory)

    def published(self, _origin: str, size: int) -> bytes | None:
        """Read beside whoever holds the journal, leaving nothing behind; see ``Store``."""
        path = self._directory / JOURNAL
        if path.is_symlink() or not path.is_file():
            raise TamperedError(f"{JOURNAL} is missing from the ledger", rule="ledger.journal")
        found: list[tuple[Any]] | None = None
        # a reader of a database that nobody has open would leave files beside it
        open_now = (self._directory / f"{JOURNAL}-wal").exists()
        for mode in ("mode=ro", "immutable=1") if open_now else ("immutable=1",):
            try:
                with closing(
                    sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
                ) as base:
                    found = base.execute("SELECT note FROM head WHERE size = ?", (size,)).fetchall()
                break
            except sqlite3.OperationalError:
                continue
            except sqlite3.DatabaseError:
                break
        if found is None:
            raise TamperedError(f"{JOURNAL} cannot be read", rule="ledger.journal")
        return found[0][0] if found and type(found[0][0]) is bytes else None


class SqliteJournal:
    """The journal, held by one process.

    Writing is for one thread at a time (the sequencer's lock sees to it); reading has its own
    connection.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / JOURNAL
        if not path.is_file():
            raise MissingError("there is no log in this directory", rule="ledger.open")
        self._lock_fd = hold_directory(directory)
        try:
            self._writer = connect(path)
            self._reader = connect(path)
        except sqlite3.Error as error:
            os.close(self._lock_fd)
            if error.sqlite_errorcode & 0xFF in _DISK:
                raise UnavailableError(
                    "the disk refuses to open the journal",
                    rule="ledger.open",
                    fix="make room on the disk, then open the ledger again",
                ) from error
            raise TamperedError("the journal cannot be read", rule="ledger.journal") from error
        self._reading = threading.Lock()

    def check(self) -> None:
        """Pass: the lock on the directory lasts as long as this journal does; see ``Journal``."""

    def cut(self) -> None:
        """See ``Journal``; a file is never silent for longer than its lock is waited for."""

    def close(self) -> None:
        """Close both connections and let another process in."""
        self._reader.close()
        self._writer.close()
        os.close(self._lock_fd)

    def identity(self) -> tuple[str, str]:
        """Return the origin and the verifier keys that sign now, newest first, one space between."""
        origin, vkey = self._one("SELECT origin, vkey FROM meta", str, str)
        return origin, vkey

    def state(self) -> State:
        """Return the newest committed state."""
        size, root, time, note, exported = self._one(
            "SELECT size, root, time, note, exported FROM state WHERE id = 1",
            int,
            bytes,
            int,
            bytes,
            int,
        )
        return State(size=size, root=root, time=time, note=note, exported=exported)

    def commit(self, batch: Batch) -> None:
        """Make a batch durable; when this returns it survives a power cut.

        Raises:
            TamperedError: Somebody else has moved the log.
            UnavailableError: The disk or the database refuses; the log must be opened again.
        """
        before, writer = batch.before, self._writer
        try:
            writer.execute("BEGIN IMMEDIATE")
            moved = writer.execute(
                "UPDATE state SET size=?, root=?, time=?, note=? WHERE id=1 AND size=? AND root=?",
                (
                    batch.after.size,
                    batch.root,
                    batch.time,
                    batch.note,
                    before.size,
                    batch.before_root,
                ),
            ).rowcount
            if moved != 1:
                writer.execute("ROLLBACK")
                raise TamperedError(
                    "somebody else has moved the log", rule="ledger.compare_and_set"
                )
            count = batch.after.size - before.size
            writer.execute("INSERT INTO journal VALUES(?, ?, ?)", (before.size, count, batch.body))
            writer.execute("INSERT INTO sidecar VALUES(?, ?)", (before.size, batch.sidecars))
            writer.executemany(
                "INSERT INTO tile VALUES(?, ?)",
                ((place_of(level, number), data) for level, number, data in batch.tiles),
            )
            writer.executemany("INSERT INTO idem VALUES(?, ?)", batch.keys)
            if batch.vkeys is not None:
                writer.execute("UPDATE meta SET vkey = ?", (batch.vkeys,))
            writer.execute("COMMIT")
        except sqlite3.Error as error:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            raise UnavailableError(
                "the ledger cannot commit",
                rule="ledger.commit",
                fix="make room on the disk, then open the ledger again",
            ) from error

    def add_head(self, size: int, note: bytes) -> None:
        """Keep a published head with its cosignatures, for ever."""
        self._write("INSERT OR REPLACE INTO head VALUES(?, ?)", (size, note))

    def set_exported(self, size: int) -> None:
        """Remember how far the static files have come."""
        self._write("UPDATE state SET exported = ? WHERE id = 1", (size,))

    def head(self, size: int | None = None) -> tuple[int, bytes] | None:
        """Return (size, note) of the published head of a size, or of the newest."""
        query = "SELECT size, note FROM head WHERE ? IN (size, -1) ORDER BY size DESC LIMIT 1"
        rows = self._all(query, (-1 if size is None else size,), int, bytes)
        return (rows[0][0], rows[0][1]) if rows else None

    def head_from(self, size: int) -> tuple[int, bytes] | None:
        """Return (size, note) of the smallest published head of at least a size."""
        query = "SELECT size, note FROM head WHERE size >= ? ORDER BY size LIMIT 1"
        rows = self._all(query, (size,), int, bytes)
        return (rows[0][0], rows[0][1]) if rows else None

    def find(self, key: bytes) -> int | None:
        """Return the index that an idempotency key (its hash) stands for."""
        rows = self._all("SELECT place FROM idem WHERE key = ?", (key,), int)
        return rows[0][0] if rows else None

    def tile(self, level: int, number: int) -> bytes | None:
        """Return a full tile."""
        rows = self._all("SELECT data FROM tile WHERE place = ?", (place_of(level, number),), bytes)
        return rows[0][0] if rows else None

    def batches(self, start: int = 0) -> Iterator[tuple[int, list[bytes]]]:
        """Yield (first index, leaves) of every batch from the one that holds ``start``.

        Raises:
            TamperedError: A row is missing, doubled or does not hold what it counts.
        """
        query = "SELECT coalesce(max(first), 0) FROM journal WHERE first <= ?"
        first, expected = self._all(query, (start,), int)[0][0], None
        query = "SELECT first, count, body FROM journal WHERE first >= ? ORDER BY first LIMIT 1"
        while batch := self._all(query, (first,), int, int, bytes):
            at, count, body = batch[0]
            yield at, unpack_batch(at, count, body, expected=expected)
            first = expected = at + count

    def leaf(self, index: int) -> bytes:
        """Return the bytes of one leaf.

        Raises:
            MissingError: There is no such leaf.
        """
        for first, leaves in self.batches(index) if index >= 0 else ():
            if first <= index < first + len(leaves):
                return leaves[index - first]
            break
        raise MissingError(f"there is no leaf {index}", rule="ledger.index")

    def sidecar(self, index: int) -> bytes | None:
        """Return the sealed side-car of a leaf, or nothing if it was deleted."""
        query = "SELECT first, body FROM sidecar WHERE first <= ? ORDER BY first DESC LIMIT 1"
        rows = self._all(query, (index,), int, bytes)
        return pick_sidecar(rows[0][1], index - rows[0][0]) if rows else None

    def sidecars(self, first: int) -> list[bytes]:
        """See ``Journal``."""
        rows = self._all("SELECT body FROM sidecar WHERE first = ?", (first,), bytes)
        return unpack_sidecars(rows[0][0]) if rows else []

    def _one(self, query: str, *types: type) -> tuple[Any, ...]:
        rows = self._all(query, (), *types)
        if len(rows) != 1:
            raise TamperedError("the journal has lost its state", rule="ledger.journal")
        return rows[0]

    def _all(self, query: str, values: tuple[Any, ...], *types: type) -> list[tuple[Any, ...]]:
        """Return rows whose columns have the given types; SQLite itself would take any."""
        try:
            with self._reading:
                rows: list[tuple[Any, ...]] = self._reader.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise TamperedError("the journal cannot be read", rule="ledger.journal") from error
        if any(type(one) is not kind for row in rows for one, kind in zip(row, types, strict=True)):
            raise TamperedError("the journal holds a foreign value", rule="ledger.journal")
        return rows

    def _write(self, query: str, values: tuple[Any, ...]) -> None:
        try:
            self._writer.execute(query, values)
        except sqlite3.Error as error:
            raise UnavailableError("the ledger cannot commit", rule="ledger.commit") from error


def connect(path: Path) -> sqlite3.Connection:
    """Open the file of a journal, syncing as in earnest."""
    base = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    for setting in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "wal_autocheckpoint=20000",
        "secure_delete=ON",  # not every build of SQLite overwrites what is deleted
        "trusted_schema=OFF",
    ):
        base.execute(f"PRAGMA {setting}")
    return base
