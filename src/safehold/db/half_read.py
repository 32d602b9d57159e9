"""What an error left half read is closed with its connection.

A statement whose rows were not all taken goes on beyond its transaction for as long as somebody keeps the error that
was raised between two rows. In SQLite it holds its state of the database: nothing can be written on that connection
(``SQLITE_BUSY_SNAPSHOT``), and the log cannot be cut. In PostgreSQL the cursor is gone with its transaction, and what
stands for it here would say so whenever it is thrown away. So both end where the connection is given back.
"""

from __future__ import annotations

from typing import Any, Final
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy import event

_OPEN: Final = "open"  # what may have rows left, among what is known of a connection


def close_half_read(engine: sa.Engine) -> None:
    """Let an engine close what may have rows left whenever a connection is given back."""

    @event.listens_for(engine, "after_cursor_execute")
    def _on_execute(connection: sa.Connection, cursor: Any, *_what: Any) -> None:
        connection.info.setdefault(_OPEN, WeakSet()).add(cursor)

    @event.listens_for(engine, "reset")
    def _on_reset(_connection: Any, record: Any, _state: Any) -> None:
        for cursor in list(record.info.pop(_OPEN, ())):
            cursor.close()
