"""Where the ledger of a home keeps its journal.

In the home, in SQLite, unless a file in the outside names a PostgreSQL database. The file does not
travel with the home and holds no password. If it is lost or names another database, no log is found
there, or an older one, and the ledger does not open.
"""

from __future__ import annotations

from safehold.app.outside import read_url, write_url
from safehold.errors import UnavailableError
from safehold.ledger import Store
from safehold.ledger.store_sqlite import SqliteStore
from safehold.settings import Home


def store_of(home: Home) -> Store:
    """Return the store that holds the journal of a home.

    Raises:
        InvalidError: The outside names something else than a database that a ledger may lie in.
        UnavailableError: It names one, and the driver is not installed.
    """
    url = read_url(home.ledger_url_file, rule="ledger.url")
    return SqliteStore(home.ledger) if url is None else _postgres(home, url)


def choose_database(home: Home, url: str) -> str:
    """Let the journal of a new home lie in a database; return the schema it will have there.

    Raises:
        InvalidError: No ledger may lie there, for example because the URL holds a password.
    """
    _postgres(home, url)
    write_url(home.ledger_url_file, url)

    from safehold.ledger.store_postgres_place import schema_of

    return schema_of(home.origin)


def _postgres(home: Home, url: str) -> Store:
    try:
        from safehold.ledger.store_postgres import PostgresStore
    except ImportError as error:
        raise UnavailableError(
            "the driver for PostgreSQL is not installed",
            rule="ledger.url",
            fix="pip install 'safehold[postgres]'",
        ) from error
    return PostgresStore(url, directory=home.ledger)
