"""Where the control database of a home lies, and who may lead.

In the home, in SQLite, unless a file in the outside names a PostgreSQL database. The file does not travel with the
home and holds no password. If it is lost or names another database, no tables are found there, or older ones, and
the keeper does not start: the ledger knows more.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import sqlalchemy as sa

from safehold import db
from safehold.app.outside import read_url, write_url
from safehold.db.place import schema_of
from safehold.errors import ConflictError, TamperedError, UnavailableError
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
    require_settled(home)
    engine = engine_at(home, control_url(home))
    try:
        if lead is not None:
            db.fence(engine, db.advance(engine))
    except BaseException:
        engine.dispose()
        raise
    return engine


def engine_at(home: Home, url: str | None, *, file: Path | None = None) -> sa.Engine:
    """Open the control database of a home at a place, whatever the outside names; it has the newest tables then.

    Args:
        home: The home.
        url: In PostgreSQL, or nothing for a file.
        file: That file; the home's own by default.

    Raises:
        UnavailableError: The database does not answer, or would not keep what it acknowledges.
    """
    if url is None:
        engine = db.open_engine(file or home.control)
    else:
        schema = schema_of(home.origin)
        postgres_of().make_schema(url, schema=schema)
        engine = postgres_of().open_engine(url, schema=schema)
    try:
        db.migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def require_settled(home: Home, *, since: str | None = "") -> None:
    """Pass if a home is where its outside says, and nothing of it is under way.

    Args:
        home: The home.
        since: What the outside named when the control database was opened; without it nothing is open yet.

    Raises:
        UnavailableError: It is being moved, or was meanwhile; or a backup of it is being put back.
        TamperedError: The outside names files that were moved away.
    """
    require_unmoved(home)
    require_restored(home)
    if since not in ("", control_url(home)):
        raise UnavailableError(
            "this home was moved while a keeper started",
            rule="migrate.unfinished",
            fix="start it again",
        )
    moved = home.moved / home.control.name
    if control_url(home) is None and not home.control.exists() and moved.exists():
        raise TamperedError(
            "the control database of this home was moved, and its outside does not say where to",
            rule="migrate.moved",
            fix="put back control-url, ledger-url and objects-url in the outside",
        )


def require_unmoved(home: Home) -> None:
    """Pass if no move of a home is under way.

    Raises:
        UnavailableError: One is.
    """
    if home.moving_file.exists():
        raise UnavailableError(
            "this home is being moved, so no keeper works on it",
            rule="migrate.unfinished",
            fix="finish it: safehold migrate --yes; or take it back: safehold migrate --back",
        )


def require_restored(home: Home) -> None:
    """Pass if no backup of a home is being put back.

    Raises:
        UnavailableError: One is.
    """
    if home.restoring_file.exists():
        raise UnavailableError(
            "a backup of this home is being put back, so no keeper works on it",
            rule="backup.unfinished",
            fix="finish it: the same safehold backup restore again; or take it back: with --back",
        )


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
        lead: db.Lead = postgres_of().SessionLead(
            url, schema=schema_of(home.origin), patience_s=0.0 if stand_by else 3.0
        )
        return lead
    return db.FileLead(home.lead_file) if stand_by else None


def cut(engine: sa.Engine) -> None:
    """Let nobody wait any longer for a database server that has fallen silent."""
    if engine.dialect.name == "postgresql":
        postgres_of().cut(engine)


def choose_control(home: Home, url: str) -> str:
    """Let the control database of a new home lie in PostgreSQL; return the schema it will have there.

    Raises:
        InvalidError: None may lie there, for example because the URL holds a password.
        ConflictError: The home has one.
    """
    postgres_of().read_url(url)
    if home.control.exists():
        raise ConflictError("this home has a control database already", rule="control.url")
    write_url(home.control_url_file, url)
    return schema_of(home.origin)


def postgres_of(rule: str = "control.url") -> ModuleType:
    """Return the module that speaks to PostgreSQL.

    Raises:
        UnavailableError: The driver is not installed.
    """
    try:
        from safehold.db import postgres
    except ImportError as error:
        raise UnavailableError(
            "the driver for PostgreSQL is not installed",
            rule=rule,
            fix="pip install 'safehold[postgres]'",
        ) from error
    return postgres
