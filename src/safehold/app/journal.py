"""Where the ledger of a home keeps its journal.

In the home, in SQLite, unless a file in the outside names a PostgreSQL database. The file does not
travel with the home and holds no password. If it is lost or names another database, no log is found
there, or an older one, and the ledger does not open.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safehold.app.outside import read_url, write_url
from safehold.errors import UnavailableError
from safehold.ledger import Store
from safehold.ledger.store_rows import SqliteRows
from safehold.ledger.store_sqlite import SqliteStore
from safehold.settings import Home


def store_of(home: Home) -> Store:
    """Return the store that holds the journal of a home.

    Raises:
        InvalidError: The outside names something else than a database that a ledger may lie in.
        UnavailableError: It names one, and the driver is not installed.
    """
    url = read_url(home.ledger_url_file, rule="ledger.url")
    return store_at(home, url)


def store_at(home: Home, url: str | None, *, directory: Path | None = None) -> Store:
    """Return the store of a home's journal at a place, whatever the outside names.

    Args:
        home: The home.
        url: In PostgreSQL, or nothing for a file.
        directory: Of that file, and of the lock; the home's own by default.
    """
    folder = directory or home.ledger
    return SqliteStore(folder) if url is None else _postgres(url, folder)


def rows_at(home: Home, url: str | None, *, directory: Path) -> Any:
    """Return the rows of a home's journal at a place, as they lie; see ``ledger.store_rows``."""
    if url is None:
        return SqliteRows(directory)
    _postgres(url, directory)  # says so if there is no driver

    from safehold.ledger.store_postgres_rows import PostgresRows

    return PostgresRows(url, origin=home.origin)


def choose_database(home: Home, url: str) -> str:
    """Let the journal of a new home lie in a database; return the schema it will have there.

    Raises:
        InvalidError: No ledger may lie there, for example because the URL holds a password.
    """
    _postgres(url, home.ledger)
    write_url(home.ledger_url_file, url)

    from safehold.ledger.store_postgres_place import schema_of

    return schema_of(home.origin)


def _postgres(url: str, directory: Path) -> Store:
    try:
        from safehold.ledger.store_postgres import PostgresStore
    except ImportError as error:
        raise UnavailableError(
            "the driver for PostgreSQL is not installed",
            rule="ledger.url",
            fix="pip install 'safehold[postgres]'",
        ) from error
    return PostgresStore(url, directory=directory)
