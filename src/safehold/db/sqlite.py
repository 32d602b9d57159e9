"""The control database as a file.

SQLite runs in WAL mode with ``synchronous=FULL`` (NORMAL loses acknowledged commits on power loss) and overwrites
what it deletes.

A statement whose rows were not all taken holds its state of the database open beyond its transaction: nothing can be
written on that connection then (``SQLITE_BUSY_SNAPSHOT``), and the log cannot be cut. An error that is raised between
two rows keeps such a statement as long as somebody keeps the error. So it ends where the connection is given back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy import event

from safehold.db.trouble import say_unavailable

_OPEN: Final = "open"  # what may have rows left, among what is known of a connection
PATIENCE_S = 30  # for the write lock; beyond it the database is not available


def open_engine(path: Path) -> sa.Engine:
    """Open (or make) the SQLite control database at a path."""
    engine = sa.create_engine(
        # a name may hold what means something in a URL
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"check_same_thread": False, "timeout": PATIENCE_S},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        # SQLAlchemy, not sqlite3, begins transactions, so that BEGIN IMMEDIATE can be used
        connection.isolation_level = None
        for setting in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "secure_delete=ON",
            "foreign_keys=ON",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        # ``engine.execution_options(reading=True)`` takes a snapshot and no write lock
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    @event.listens_for(engine, "after_cursor_execute")
    def _on_execute(connection: sa.Connection, cursor: Any, *_what: Any) -> None:
        connection.info.setdefault(_OPEN, WeakSet()).add(cursor)

    @event.listens_for(engine, "reset")
    def _on_reset(_connection: Any, record: Any, _state: Any) -> None:
        for cursor in list(record.info.pop(_OPEN, ())):
            cursor.close()

    say_unavailable(engine)
    return engine
