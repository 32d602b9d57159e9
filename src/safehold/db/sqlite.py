"""The control database as a file.

SQLite runs in WAL mode with ``synchronous=FULL`` (NORMAL loses acknowledged commits on power loss) and overwrites
what it deletes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from safehold.db.half_read import close_half_read
from safehold.db.trouble import say_unavailable

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

    close_half_read(engine)
    say_unavailable(engine)
    return engine
