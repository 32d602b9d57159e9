"""A database that cannot be used is an ``UnavailableError``; what its driver said is not repeated.

The text of a driver may quote statements and values. What is kept of it is a code: the SQLSTATE of PostgreSQL, the
result code of SQLite. A violated constraint is left as it is, for it is an answer and not a failure.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy import event

from safehold.errors import UnavailableError

_KINDS: Final = ("OperationalError", "InterfaceError", "InternalError")
_NO_RIGHT: Final = "42501"
_FIXES: Final = {
    "SQLITE_BUSY": "end the other program that holds the control database",
    "SQLITE_FULL": "make room on the disk; nothing was written",
    "SQLITE_READONLY": "let the keeper write to its home again",
    "SQLITE_CANTOPEN": "let the keeper read and write its home again",
    "55P03": "another transaction holds the control database: end it",
    "53100": "make room on the database server's disk; nothing was written",
    "25006": "the database only reads: name the server that is written to",
    _NO_RIGHT: "let this role use the control database: docs/reference/control-database.md",
}


def say_unavailable(engine: sa.Engine) -> None:
    """Let an engine raise ``UnavailableError`` where its database fails."""

    @event.listens_for(engine, "handle_error", retval=True)
    def _on_error(context: sa.engine.ExceptionContext) -> BaseException | None:
        error = context.original_exception
        return unavailable(error) if isinstance(error, Exception) else None


def unavailable(error: Exception) -> UnavailableError | None:
    """Return what a driver's error means, or nothing if it is not that the database failed."""
    code = str(getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None) or "")
    # psycopg has a class for each SQLSTATE, below the kinds of PEP 249
    kinds = {one.__name__ for one in type(error).__mro__}
    if kinds.isdisjoint(_KINDS) and code != _NO_RIGHT:
        return None
    known = next((fix for name, fix in _FIXES.items() if code.startswith(name)), None)
    return UnavailableError(
        f"the control database does not answer ({code or type(error).__name__})",
        rule="db.unavailable",
        fix=known or "see that the control database runs and can be reached: safehold doctor",
    )
