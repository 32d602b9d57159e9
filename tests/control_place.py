"""Where the control database of a test lies: in a file of the home, or in a real PostgreSQL.

A suite runs over SQLite; its twin ``..._postgres`` takes the same tests and says ``control = on_postgres``. A bench that
was made once is copied for each test, its database with it, by the server's own means.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from safehold.app.control import choose_control
from safehold.app.journal import choose_database
from safehold.db.place import schema_of
from safehold.settings import Home

if TYPE_CHECKING:
    from tests.postgres import Server


@pytest.fixture(scope="module", name="control")
def on_postgres(postgres: Server) -> Control:
    """Let the control databases of a module lie in PostgreSQL."""
    return Control(postgres)


@pytest.fixture(scope="module", autouse=True, name="whole_module_on_servers")
def on_servers(postgres: Server) -> Iterator[None]:
    """Let both databases of every home that a module makes lie in PostgreSQL; for modules that import it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.control_place.default", lambda: Control(postgres, journal=True))
        yield


def default() -> Control:
    """Return where a home's databases lie if a test does not say: in files, or where the environment says."""
    if os.environ.get("SAFEHOLD_TEST_PROFILE") != "server":
        return Control()
    return Control(_server(), journal=True)


@cache
def _server() -> Server:
    from tests.postgres import find_server

    server = find_server()
    atexit.register(server.remove)
    return server


class Control:
    """The control database of one home.

    Args:
        server: The server, or nothing where it is a file.
        name: Of the database on the server.
        journal: Whether the ledger's journal lies in it too.
    """

    def __init__(
        self, server: Server | None = None, name: str = "", *, journal: bool = False
    ) -> None:
        self.server, self.name, self.journal = server, name, journal

    def new(self) -> Control:
        """Return an empty one of the same kind."""
        return Control() if self.server is None else self._like(self.server.new_database())

    def choose(self, home: Home) -> None:
        """Let a new home have it."""
        if self.server is not None:
            choose_control(home, self.server.url(self.name))
            if self.journal:
                choose_database(home, self.server.url(self.name))

    def copy(self) -> Control:
        """Copy it while nobody uses it; a file is copied with its home."""
        if self.server is None:
            return Control()
        return self._like(self.server.new_database(self.name))

    def point(self, home: Home) -> None:
        """Let a home that was copied have it."""
        if self.server is not None:
            home.control_url_file.write_text(self.server.url(self.name) + "\n")
            if self.journal:
                home.ledger_url_file.write_text(self.server.url(self.name) + "\n")

    def _like(self, name: str) -> Control:
        return Control(self.server, name, journal=self.journal)

    def keep(self, home: Home, path: Path) -> Control | Path:
        """Back it up while nobody uses it."""
        if self.server is not None:
            return self.copy()
        with sqlite3.connect(home.control) as base, sqlite3.connect(path) as copy:
            base.backup(copy)
        base.close()
        copy.close()
        return path

    def put_back(self, home: Home, kept: Control | Path) -> None:
        """Restore a backup while nobody uses it."""
        if isinstance(kept, Control):
            self.name = kept.copy().name
            self.point(home)
            return
        for name in ("-wal", "-shm"):
            home.control.with_name(home.control.name + name).unlink(missing_ok=True)
        home.control.write_bytes(kept.read_bytes())

    def edit(self, home: Home, query: str, *values: Any) -> list[Sequence[Any]]:
        """Read or change it behind the keeper's back; return rows, or as many empty ones as changed."""
        if self.server is None:
            with sqlite3.connect(home.control) as base:
                done = base.execute(query, values)
                rows: list[Sequence[Any]] = (
                    done.fetchall() if done.description else [()] * done.rowcount
                )
            base.close()
            return rows
        with self.server.admin(self.name) as link:
            link.execute(f"SET search_path = {schema_of(home.origin)}".encode())
            cursor = link.execute(query.replace("%", "%%").replace("?", "%s").encode(), values)
            return cursor.fetchall() if cursor.description else [()] * cursor.rowcount

    def tables(self, home: Home) -> list[str]:
        """Return the names of its tables."""
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        if self.server is not None:
            query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        return [str(row[0]) for row in self.edit(home, query)]
