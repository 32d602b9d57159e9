"""The control database: one engine, one set of tables, durable commits.

Packages declare their tables on ``metadata``; ``migrate`` brings a database to the newest version. SQLite
runs in WAL mode with ``synchronous=FULL`` (NORMAL loses acknowledged commits on power loss) and overwrites
what it deletes.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from safehold.errors import UnavailableError

metadata = sa.MetaData()
NEWEST = "0001"  # the newest revision under ``migrations``; a test compares the two


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
        # ``engine.execution_options(reading=True)`` takes a snapshot and no write lock
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def migrate(engine: sa.Engine, revision: str = "head") -> None:
    """Bring a database to a version of the schema; all steps in one transaction.

    Args:
        engine: The control database.
        revision: ``head``, or an older revision to go back to.
    """
    if revision == "head" and _revision(engine) == NEWEST:
        return
    # loaded only when there is something to do: it would be a third of the keeper's start
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(resources.files("safehold") / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        if revision == "head":
            command.upgrade(config, revision)
        else:
            command.downgrade(config, revision)


def _revision(engine: sa.Engine) -> str | None:
    """Return the version that a database says it has, or None for an empty one."""
    with engine.begin() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars()
        versions = [str(one) for one in found]
    return versions[0] if len(versions) == 1 else None


def truncate_wal(engine: sa.Engine) -> None:
    """Move everything from the write-ahead log into the database and cut the log to nothing.

    Deleted bytes stay in the main file until this runs, even with ``secure_delete``.

    Raises:
        UnavailableError: Another connection holds an old state open, so the log could not be cut.
    """
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        cursor.close()
    finally:
        raw.close()
    if busy:
        raise UnavailableError(
            "the database is held open, so deleted bytes are not scrubbed yet",
            rule="db.scrub",
            fix="end the other connection and try again",
        )
