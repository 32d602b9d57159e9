"""Where the control database of a home lies, and who may lead.

In the home, in SQLite, unless a file in the outside names a PostgreSQL database. The file does not travel with the
home and holds no password. If it is lost or names another database, no tables are found there, or older ones, and
the keeper does not start: the ledger knows more.
"""

from __future__ import annotations

import os
from types import ModuleType

import sqlalchemy as sa

from safehold import db
from safehold.db.place import schema_of
from safehold.errors import ConflictError, InvalidError, UnavailableError
from safehold.settings import Home


def control_url(home: Home) -> str | None:
    """Return the URL of the control database, or nothing if it is a file of the home.

    Raises:
        InvalidError: It cannot be read.
    """
    try:
        return home.control_url_file.read_text("utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(
            "the outside's control-url cannot be read",
            file=home.control_url_file.name,
            rule="control.url",
        ) from error


def open_control(home: Home, *, lead: db.Lead | None = None) -> sa.Engine:
    """Open the control database of a home at its newest version.

    Args:
        home: The home.
        lead: The right to lead: from now on nobody who led before begins a transaction, and this engine begins none
            once somebody else leads.

    Raises:
        UnavailableError: The database does not answer, or would not keep what it acknowledges.
    """
    url = control_url(home)
    if url is None:
        engine = db.open_engine(home.control)
    else:
        schema = schema_of(home.origin)
        _postgres().make_schema(url, schema=schema)
        engine = _postgres().open_engine(url, schema=schema)
    try:
        db.migrate(engine)
        if lead is not None:
            db.fence(engine, db.advance(engine))
    except BaseException:
        engine.dispose()
        raise
    return engine


def lead_of(home: Home, *, stand_by: bool = False) -> db.Lead | None:
    """Return the right to lead a home.

    Nothing where a file of the home is the control database and nobody stands by: the lock of the ledger keeps a
    second keeper out then.

    Args:
        home: The home.
        stand_by: Whether others may stand by.

    Raises:
        ConflictError: Another keeper leads.
        UnavailableError: The database that says who leads does not answer.
    """
    url = control_url(home)
    if url is not None:
        lead: db.Lead = _postgres().SessionLead(
            url, schema=schema_of(home.origin), patience_s=0.0 if stand_by else 3.0
        )
        return lead
    return db.FileLead(home.lead_file) if stand_by else None


def cut(engine: sa.Engine) -> None:
    """Let nobody wait any longer for a database server that has fallen silent."""
    if engine.dialect.name == "postgresql":
        _postgres().cut(engine)


def choose_control(home: Home, url: str) -> str:
    """Let the control database of a new home lie in PostgreSQL; return the schema it will have there.

    Raises:
        InvalidError: None may lie there, for example because the URL holds a password.
        ConflictError: The home has one.
    """
    _postgres().read_url(url)
    if home.control.exists():
        raise ConflictError("this home has a control database already", rule="control.url")
    handle = os.open(home.control_url_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(url + "\n")
    return schema_of(home.origin)


def _postgres() -> ModuleType:
    try:
        from safehold.db import postgres
    except ImportError as error:
        raise UnavailableError(
            "the driver for PostgreSQL is not installed",
            rule="control.url",
            fix="pip install 'safehold[postgres]'",
        ) from error
    return postgres
