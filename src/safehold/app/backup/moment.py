"""Both databases of a home as they stood at one moment, wherever each lies, while a keeper works.

The control database must not change between the moment that is copied of it and that of the journal. A file tells
afterwards whether it did, and then it is tried again. In PostgreSQL whoever writes takes turns: for the blink in
which both snapshots are taken the turn is ours, so nothing is under way and nothing begins.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import sqlalchemy as sa

# each makes its tables known, and a backup holds all of them
import safehold.catalog.tables
import safehold.keeper.tables
import safehold.subjects.tables
import safehold.vault.tables  # noqa: F401
from safehold import db
from safehold.app.control import postgres_of
from safehold.app.journal import rows_at
from safehold.app.profile import Places
from safehold.app.relocation.parts import fold
from safehold.db import rows as control_rows
from safehold.db.place import schema_of
from safehold.errors import MissingError, TamperedError, UnavailableError
from safehold.ledger.store_rows import SqliteRows
from safehold.ledger.store_sqlite import JOURNAL
from safehold.settings import Home

TRIES: Final = 50
BETWEEN_S: Final = 0.05
Unchanged = Callable[[], bool]


class Snapshot(Protocol):
    """A database as it stood when ``begin`` was called."""

    def begin(self) -> None:
        """See it as it stands now, from now on."""

    def copy(self, to: Path) -> None:
        """Write it into one new file."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Both, as one moment left them.

    Args:
        control: The control database.
        journal: The journal of the ledger.
    """

    control: Snapshot
    journal: Snapshot


@contextmanager
def hold_moment(home: Home, places: Places) -> Iterator[Moment]:
    """Yield both databases as one moment left them.

    Raises:
        UnavailableError: The home changes too fast, a database does not answer, or its tables are another version's.
        MissingError: No control database of this home lies where its outside says.
    """
    for _ in range(TRIES):
        with ExitStack() as undo:
            control = undo.enter_context(_control(home, places.control))
            journal = undo.enter_context(_journal(home, places.journal))
            with control.still() as unchanged:
                control.begin()
                journal.begin()
                good = unchanged()
            if good:
                yield Moment(control, journal)
                return
        time.sleep(BETWEEN_S)
    raise UnavailableError(
        "the home changes too fast to be copied",
        rule="backup.busy",
        fix="try again when less goes on",
    )


class _File:
    """A database that is a file."""

    def __init__(self, file: Path, undo: ExitStack) -> None:
        if not file.is_file():
            raise MissingError(
                f"no {file.name} lies where the outside of this home says", rule="backup.missing"
            )
        uri = f"{file.absolute().as_uri()}?mode=ro"  # a name may hold what means something in a URI
        self._link, self._watch = (
            undo.enter_context(closing(sqlite3.connect(uri, uri=True, isolation_level=None)))
            for _ in range(2)
        )

    @contextmanager
    def still(self) -> Iterator[Unchanged]:
        """Yield what tells whether somebody wrote since."""
        before = self._version()
        yield lambda: self._version() == before

    def begin(self) -> None:
        """See ``Snapshot``."""
        self._link.execute("BEGIN")
        self._link.execute("SELECT count(*) FROM sqlite_master").fetchone()  # takes the snapshot

    def copy(self, to: Path) -> None:
        """See ``Snapshot``."""
        with closing(sqlite3.connect(to)) as copy:
            self._link.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        to.chmod(0o600)

    def _version(self) -> int:
        return int(self._watch.execute("PRAGMA data_version").fetchone()[0])


class _ServerControl:
    """A control database in PostgreSQL."""

    def __init__(self, url: str, schema: str, undo: ExitStack) -> None:
        self._undo = undo
        self._engine: sa.Engine = postgres_of().open_engine(url, schema=schema)
        undo.callback(self._engine.dispose)
        self._reading = undo.enter_context(
            closing(self._engine.execution_options(reading=True).connect())
        )

    @contextmanager
    def still(self) -> Iterator[Unchanged]:
        """Have the turn of whoever writes: nobody else has it."""
        with self._engine.begin():
            yield lambda: True

    def begin(self) -> None:
        """See ``Snapshot``."""
        self._reading.begin()
        self._reading.exec_driver_sql("SELECT 1")  # takes the snapshot

    def copy(self, to: Path) -> None:
        """See ``Snapshot``; every row as it lies, in a file with the same tables."""
        self._require_same_tables()
        target = db.open_engine(to)
        try:
            db.migrate(target)
            control_rows.carry_seen(self._reading, target, told=lambda _more: None)
        finally:
            target.dispose()
        fold(to)
        to.chmod(0o600)

    def _require_same_tables(self) -> None:
        # nothing is brought up to date here: a keeper of another version may be at work on it
        found = db.revision(self._reading)
        if found is None:
            raise MissingError(
                "no control database of this home lies where its outside says",
                rule="backup.missing",
                fix="see that control-url in the outside names where it lies",
            )
        if found != db.NEWEST:
            raise UnavailableError(
                "the tables of this home are another version's",
                rule="backup.version",
                fix="start the keeper of this version once, or back up with the version that runs",
            )
        known = {*db.metadata.tables, "alembic_version"}
        if set(sa.inspect(self._reading).get_table_names()) != known:
            raise TamperedError(
                "the control database holds other tables than it was made with",
                rule="backup.tables",
            )


class _ServerJournal:
    """A journal in PostgreSQL."""

    def __init__(self, home: Home, url: str, undo: ExitStack) -> None:
        rows = rows_at(home, url, directory=home.ledger)
        self._reading = undo.enter_context(closing(rows.read()))

    def begin(self) -> None:
        """See ``Snapshot``."""
        self._reading.begin()

    def copy(self, to: Path) -> None:
        """See ``Snapshot``; every row as it lies."""
        if (
            to.name != JOURNAL
        ):  # pragma: no cover - what a journal is called is not for a caller to choose
            raise ValueError(to.name)
        SqliteRows(to.parent).fill(self._reading.rows)


@contextmanager
def _control(home: Home, url: str | None) -> Iterator[_File | _ServerControl]:
    with ExitStack() as undo:
        if url is None:
            yield _File(home.control, undo)
        else:
            yield _ServerControl(url, schema_of(home.origin), undo)


@contextmanager
def _journal(home: Home, url: str | None) -> Iterator[_File | _ServerJournal]:
    with ExitStack() as undo:
        if url is None:
            yield _File(home.ledger / JOURNAL, undo)
        else:
            yield _ServerJournal(home, url, undo)
