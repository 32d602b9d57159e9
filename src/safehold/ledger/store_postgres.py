"""The journal in PostgreSQL: one schema a log, one session that may write.

What keeps a second sequencer out, first to last: an OS lock on the directory of the static files, a
session-level advisory lock that follows from the origin, and a compare-and-set on size and root
within every commit. The advisory lock lives as long as its session, so a lost connection is a lost
log: nothing is ever connected again behind the caller's back, for somebody else may have gone on.

A server that would forget what it acknowledged (``fsync`` or ``synchronous_commit`` off) is
refused, when the log is opened and at every commit. What the server gives back is checked for its
types and believed in nothing else; whoever administers it can edit rows, and the tree tells.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from safehold.db.place import why_forgetful
from safehold.db.postgres import cut_session, refuse_pooled
from safehold.errors import (
    ConflictError,
    MissingError,
    SafeholdError,
    TamperedError,
    UnavailableError,
    WentAwayError,
)
from safehold.ledger import store_postgres_sql as sql
from safehold.ledger.store import (
    Batch,
    State,
    held_by_another,
    hold_directory,
    pick_sidecar,
    place_of,
    unpack_batch,
    unpack_sidecars,
)
from safehold.ledger.store_postgres_place import check_place, lock_of, schema_of
from safehold.ledger.tree import EMPTY

PATIENCE_S: Final = 3.0  # for the lock of a log
_MOST_ROWS, _MOST_BYTES = 256, 1 << 20  # of one read of the journal, unless one row is larger
_REOPEN: Final = "open the ledger again; an entry with a key is found by it"

Connection = psycopg.Connection[tuple[Any, ...]]


class PostgresStore:
    """Logs in one database, each in a schema of its own.

    Args:
        url: ``postgresql://`` URL without a password.
        directory: Where the static files of the log lie.

    Raises:
        InvalidError: The URL is malformed, holds a password, or crosses a network without proof of
            who answers.
    """

    def __init__(self, url: str, *, directory: Path) -> None:
        self._options = read_url(url)
        self._directory = directory

    def create(self, *, origin: str, vkey: str, note: bytes) -> None:
        """Make schema, tables and first row in one transaction; see ``Store``."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (self._directory / "checkpoint").exists():
            raise ConflictError("this directory holds a log already", rule="ledger.create")
        schema = schema_of(origin)
        with closing(connect(self._options)) as base:
            try:
                refuse_forgetful(base)
                with base.transaction():
                    base.execute(sql.at(sql.TABLES, schema))
                    base.execute(sql.at(sql.NAME, schema), (origin, vkey))
                    base.execute(sql.at(sql.BEGIN, schema), (EMPTY, note))
            except errors.DuplicateSchema:
                raise ConflictError(
                    "the database holds this log already", rule="ledger.create"
                ) from None
            except psycopg.Error as error:
                raise unavailable(error, "the ledger cannot be made") from None

    def open(self, origin: str) -> PostgresJournal:
        """Take the locks, then look at what there is; see ``Store``."""
        if not self._directory.is_dir():
            raise MissingError("there is no log in this directory", rule="ledger.open")
        with ExitStack() as undo:
            held = hold_directory(self._directory)
            undo.callback(os.close, held)
            writer = undo.enter_context(closing(connect(self._options)))
            reader = undo.enter_context(closing(connect(self._options)))
            try:
                _hold(writer, origin)
            except psycopg.Error as error:
                raise unavailable(error, "the ledger cannot be opened") from None
            journal = PostgresJournal(writer, reader, origin=origin, held=held)
            undo.pop_all()
        return journal

    def published(self, origin: str, size: int) -> bytes | None:
        """Ask for a published head through a session of its own; see ``Store``."""
        with closing(connect(self._options)) as base:
            query = sql.at(sql.HEAD_OF, schema_of(origin))
            rows = _read(base, query, (size,), int, bytes)
        return rows[0][1] if rows else None


class PostgresJournal:
    """One log, held by the session of ``writer``; made by ``PostgresStore.open``.

    Args:
        writer: The session that holds the lock and commits.
        reader: A session for everything else, so that nobody reads within a commit.
        origin: Name of the log.
        held: Descriptor of the locked file.
    """

    def __init__(self, writer: Connection, reader: Connection, *, origin: str, held: int) -> None:
        self._writer, self._reader, self._held = writer, reader, held
        self._pid, self._lock = writer.info.backend_pid, lock_of(origin)
        self._sql = sql.Statements(schema_of(origin))
        self._lost: SafeholdError | None = None
        self._warned = False
        writer.add_notice_handler(self._notice)

    def check(self) -> None:
        """Ask, over the other session, whether the lock is still held by ours."""
        if not self._all(sql.HOLDS, (self._pid, self._lock >> 32 & _U32, self._lock & _U32), int):
            self._lose(
                UnavailableError(
                    "the database has ended the ledger's session", rule="ledger.lost", fix=_REOPEN
                )
            )
            self._refuse_if_lost()

    def cut(self) -> None:
        """Cut both sessions from outside: the server is silent, and whoever waits for it goes on with an error."""
        self._lose(UnavailableError("the database is silent", rule="ledger.lost", fix=_REOPEN))
        for session in (self._reader, self._writer):
            cut_session(session)

    def close(self) -> None:
        """End both sessions, and with them the lock."""
        self._lose(UnavailableError("the ledger is closed", rule="ledger.closed"))
        self._reader.close()
        self._writer.close()
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    def identity(self) -> tuple[str, str]:
        """See ``Journal``."""
        origin, vkey = self._one(sql.IDENTITY, str, str)
        return origin, vkey

    def state(self) -> State:
        """See ``Journal``."""
        size, root, time, note, exported = self._one(sql.STATE, int, bytes, int, bytes, int)
        return State(size=size, root=root, time=time, note=note, exported=exported)

    def commit(self, batch: Batch) -> None:
        """Send one statement, which is one transaction; see ``Journal``.

        A commit whose answer never came may or may not be there. Then the journal is lost, and
        opening it again finds out.
        """
        self._refuse_if_lost()
        self._warned = False
        try:
            row = self._writer.execute(
                self._sql[sql.COMMIT], self._values(batch), prepare=True
            ).fetchone()
        except errors.IntegrityError as error:
            self._lose(unavailable(error, "the ledger cannot commit"))
            raise TamperedError(
                "the journal holds rows that the log did not write", rule="ledger.journal"
            ) from None
        except psycopg.Error as error:
            failed = self._lose(unavailable(error, "the ledger cannot commit"))
            if self._writer.closed or isinstance(error, psycopg.InterfaceError):
                # a portal that took it for nothing begun would let it be done again
                said = "the connection was lost: whether the commit is there is not known"
                raise WentAwayError(said, rule=failed.rule, fix=failed.fix) from None
            raise failed from None
        except BaseException:
            self._lose(UnavailableError("a commit was interrupted", rule="ledger.commit"))
            raise
        moved, pid, syncs = row or (0, 0, False)
        if pid != self._pid:
            raise self._lose(
                UnavailableError(
                    "something between us and the database hands out sessions in turn",
                    rule="ledger.lost",
                    fix="connect to the server itself, or pool by session",
                )
            )
        if moved != 1:
            raise TamperedError("somebody else has moved the log", rule="ledger.compare_and_set")
        if not syncs or self._warned:
            # it is there, but what was promised of it is not: nobody may be told that it is durable
            raise self._lose(
                UnavailableError(
                    "the database committed without syncing as it was set up to",
                    rule="ledger.durable",
                    fix="set fsync=on, let the standbys answer, then open the ledger again",
                )
            )

    def add_head(self, size: int, note: bytes) -> None:
        """See ``Journal``."""
        self._write(sql.ADD_HEAD, (size, note))

    def set_exported(self, size: int) -> None:
        """See ``Journal``."""
        self._write(sql.EXPORTED, (size,))

    def head(self, size: int | None = None) -> tuple[int, bytes] | None:
        """See ``Journal``."""
        if size is None:
            rows = self._all(sql.NEWEST_HEAD, (), int, bytes)
        else:
            rows = self._all(sql.HEAD_OF, (size,), int, bytes)
        return (rows[0][0], rows[0][1]) if rows else None

    def head_from(self, size: int) -> tuple[int, bytes] | None:
        """See ``Journal``."""
        rows = self._all(sql.HEAD_FROM, (size,), int, bytes)
        return (rows[0][0], rows[0][1]) if rows else None

    def find(self, key: bytes) -> int | None:
        """See ``Journal``."""
        rows = self._all(sql.FIND, (key,), int)
        return rows[0][0] if rows else None

    def tile(self, level: int, number: int) -> bytes | None:
        """See ``Journal``."""
        rows = self._all(sql.TILE, (place_of(level, number),), bytes)
        return rows[0][0] if rows else None

    def batches(self, start: int = 0) -> Iterator[tuple[int, list[bytes]]]:
        """See ``Journal``. Small rows are read many at once, for each question is a round trip."""
        first, expected, most = self._all(sql.ROW_START, (start,), int)[0][0], None, 1
        while rows := self._all(sql.ROWS, (first, most), int, int, bytes):
            for at, count, body in rows:
                yield at, unpack_batch(at, count, body, expected=expected)
                first = expected = at + count
            small = sum(len(body) for _, _, body in rows) < _MOST_BYTES
            most = min(most * 4, _MOST_ROWS) if small else max(most // 4, 1)

    def leaf(self, index: int) -> bytes:
        """See ``Journal``."""
        rows = self._all(sql.ROW_OF, (index,), int, int, bytes) if index >= 0 else []
        for first, count, body in rows:
            for at, leaf in enumerate(unpack_batch(first, count, body, expected=None), first):
                if at == index:
                    return leaf
        raise MissingError(f"there is no leaf {index}", rule="ledger.index")

    def sidecar(self, index: int) -> bytes | None:
        """See ``Journal``."""
        rows = self._all(sql.SIDECAR, (index,), int, bytes)
        return pick_sidecar(rows[0][1], index - rows[0][0]) if rows else None

    def sidecars(self, first: int) -> list[bytes]:
        """See ``Journal``."""
        rows = self._all(sql.SIDECAR, (first,), int, bytes)
        return unpack_sidecars(rows[0][1]) if rows and rows[0][0] == first else []

    def _values(self, batch: Batch) -> dict[str, Any]:
        return {
            "pid": self._pid,
            "before": batch.before.size,
            "before_root": batch.before_root,
            "after": batch.after.size,
            "root": batch.root,
            "time": batch.time,
            "note": batch.note,
            "body": batch.body,
            "sidecars": batch.sidecars,
            "places": [place_of(level, number) for level, number, _ in batch.tiles],
            "tiles": b"".join(data for _, _, data in batch.tiles),
            "indexes": [index for _, index in batch.keys],
            "keys": b"".join(key for key, _ in batch.keys),
            "vkeys": batch.vkeys,
        }

    def _one(self, query: str, *types: type) -> tuple[Any, ...]:
        rows = self._all(query, (), *types)
        if len(rows) != 1:
            raise TamperedError("the journal has lost its state", rule="ledger.journal")
        return rows[0]

    def _all(self, query: str, values: tuple[Any, ...], *types: type) -> list[tuple[Any, ...]]:
        self._refuse_if_lost()
        try:
            return _read(self._reader, self._sql[query], values, *types)
        except UnavailableError as error:
            if self._reader.closed:
                self._lose(error)
            raise

    def _write(self, query: str, values: tuple[Any, ...]) -> None:
        self._refuse_if_lost()
        try:
            self._writer.execute(self._sql[query], values)
        except psycopg.Error as error:
            failed = unavailable(error, "the ledger cannot commit")
            if self._writer.closed:
                self._lose(failed)
            raise failed from None

    def _lose(self, error: SafeholdError) -> SafeholdError:
        """Remember the first reason why nothing more may be asked of this journal."""
        self._lost = self._lost or error
        return error

    def _refuse_if_lost(self) -> None:
        if self._lost is not None:
            raise self._lost

    def _notice(self, notice: errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":  # such as: committed, but not replicated
            self._warned = True


_U32: Final = (1 << 32) - 1


def read_url(url: str) -> dict[str, Any]:
    """Return the connection options of a ledger URL; the URL itself is never repeated.

    Raises:
        InvalidError: It is malformed, or no ledger may lie there; see ``check_place``.
    """
    try:
        said = conninfo_to_dict(url) if url.startswith(("postgresql://", "postgres://")) else {}
    except psycopg.Error:
        said = {}
    return check_place(said)


def connect(options: dict[str, Any]) -> Connection:
    """Return a session of its own with the settings of a ledger."""
    try:
        base = psycopg.connect(**options, autocommit=True)
    except psycopg.Error as error:
        raise unavailable(error, "the database does not let us in") from None
    try:
        base.execute(sql.SESSION)
    except psycopg.Error as error:
        base.close()
        raise unavailable(error, "the database does not answer") from None
    return base


def take_lock(base: Connection, origin: str) -> None:
    """Take the lock of a log; it lasts as long as the session.

    Raises:
        ConflictError: Another process holds it.
    """
    # the server may need a moment to notice that a process which held it has died
    deadline = time.monotonic() + PATIENCE_S
    query, values = "SELECT pg_try_advisory_lock(%s::bigint)", (lock_of(origin),)
    while base.execute(query, values).fetchone() != (True,):
        if time.monotonic() > deadline:
            raise held_by_another()
        time.sleep(0.05)


def _hold(base: Connection, origin: str) -> None:
    """Take the lock of a log, then see that server and tables would keep it."""
    refuse_pooled(base)
    take_lock(base, origin)
    refuse_forgetful(base)
    found = base.execute(sql.RELATIONS, (schema_of(origin),)).fetchall()
    if not found:
        raise MissingError("the database holds no such log", rule="ledger.open")
    if sorted(found) != [(name, "r", "p") for name in sql.NAMES]:
        raise TamperedError(
            "the journal's tables are not those that it was made with", rule="ledger.journal"
        )


def refuse_forgetful(base: Connection) -> None:
    """Pass if the server keeps what it acknowledges, and hold it to that for this session."""
    row = base.execute(sql.DURABLE).fetchone() or ()
    version, fsync, whole_pages, commit, standbys = row
    if why := why_forgetful(version, fsync, whole_pages, commit, standbys):
        raise UnavailableError(
            f"the database would not keep a ledger: {why[0]}", rule="ledger.durable", fix=why[1]
        )
    base.execute("SELECT set_config('synchronous_commit', %s, false)", (commit,))


def _read(
    base: Connection, query: bytes, values: tuple[Any, ...], *types: type
) -> list[tuple[Any, ...]]:
    """Return rows whose columns have the given types; an altered table could hold any."""
    try:
        rows = base.execute(query, values, binary=True).fetchall()
    except psycopg.Error as error:
        # tables that are gone or were altered, values and pages that cannot be read
        if (error.sqlstate or "")[:2] in ("22", "42", "XX") and error.sqlstate != "42501":
            raise TamperedError("the journal cannot be read", rule="ledger.journal") from None
        raise unavailable(error, "the journal cannot be read") from None
    if any(len(row) != len(types) for row in rows) or any(
        type(one) is not kind for row in rows for one, kind in zip(row, types, strict=True)
    ):
        raise TamperedError("the journal holds a foreign value", rule="ledger.journal")
    return rows


def unavailable(error: psycopg.Error, what: str) -> UnavailableError:
    """Return an error that names the SQLSTATE: what the server says may quote rows and names."""
    return UnavailableError(
        f"{what} (SQLSTATE {error.sqlstate or 'none'})",
        rule="ledger.commit" if "commit" in what else "ledger.database",
        fix=_REOPEN if "commit" in what else "see that the database runs and its role may use it",
    )
