"""What deleted rows leave behind.

SQLite keeps their bytes in the main file until the log is cut. PostgreSQL keeps them as dead rows until a vacuum,
and after it in its write-ahead log, its archive, its standbys and its base backups, none of which we reach. There
it is the change of the segment's epoch alone that makes them useless.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa

from safehold.db.schema import metadata
from safehold.errors import UnavailableError

_LOG = logging.getLogger(__name__)


def truncate_wal(engine: sa.Engine) -> None:
    """Take away the bytes of deleted rows where that can be done.

    In SQLite everything moves from the write-ahead log into the database, and the log is cut to nothing: deleted
    bytes stay in the main file until this runs, even with ``secure_delete``. In PostgreSQL the tables are vacuumed,
    as far as the keeper's role may.

    Raises:
        UnavailableError: Another connection holds an old state open, so the log could not be cut.
    """
    if engine.dialect.name == "postgresql":
        _vacuum(engine)
        return
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


def _vacuum(engine: sa.Engine) -> None:
    """Vacuum the tables whose rows hold keys or people; a role that does not own them is passed over by the server."""
    names = ", ".join(
        sorted(set(metadata.tables) & {"person", "device", "vault_key", "vault_segment"})
    )
    raw = engine.raw_connection()
    try:
        connection = raw.driver_connection
        if connection is None or not names:
            return
        connection.autocommit = True
        try:
            connection.execute("SET statement_timeout = 0")  # a vacuum takes as long as it takes
            connection.execute(f"VACUUM {names}")
            connection.execute("SET statement_timeout = '120s'")
        finally:
            connection.autocommit = False
    except Exception as error:  # noqa: BLE001 - housekeeping: the epoch has ended before this
        _LOG.warning("dead rows stay until the server vacuums: %s", type(error).__name__)
        raw.invalidate()
    finally:
        raw.close()
