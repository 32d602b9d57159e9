"""The control database: one engine, one set of tables, durable commits.

Packages declare their tables on ``metadata``; ``migrate`` brings a database to the newest version. SQLite
runs in WAL mode with ``synchronous=FULL`` (NORMAL loses acknowledged commits on power loss) and overwrites
what it deletes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

metadata = sa.MetaData()


def open_engine(path: Path) -> sa.Engine:
    """Open (or make) the SQLite control database at a path."""
    engine = sa.create_engine(
        f"sqlite:///{path}", connect_args={"check_same_thread": False, "timeout": 30}
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
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def truncate_wal(engine: sa.Engine) -> None:
    """Move everything from the write-ahead log into the database and cut the log to nothing.

    Deleted bytes stay in the main file until this runs, even with ``secure_delete``.
    """
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        raw.close()
