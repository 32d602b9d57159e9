"""Where the control database of a home lies, and who may lead.

In the home, in SQLite, unless a file in the outside names a PostgreSQL database. The file does not travel with the
home and holds no password. If it is lost or names another database, no tables are found there, or older ones, and
the keeper does not start: the ledger knows more.
"""

from __future__ import annotations

from types import ModuleType

import sqlalchemy as sa

from safehold import db
from safehold.app.outside import read_url, write_url
from safehold.db.place import schema_of
from safehold.errors import ConflictError, UnavailableError
from safehold.settings import Home


def control_url(home: Home) -> str | None:
    """Return the URL of the control database, or nothing if it is a file of the home.

    Raises:
        InvalidError: It cannot be read.
    """
    return read_url(home.control_url_file, rule="control.url")


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
    write_url(home.control_url_file, url)
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
