"""The control database in PostgreSQL: one schema a home.

What ``BEGIN IMMEDIATE`` gives in SQLite, a lock gives here: a transaction that may write first takes the advisory
lock of the schema, and with READ COMMITTED every statement after that sees everything that was committed before.
So transactions follow each other, none fails because of another, and none has to be tried again. A transaction
that only reads takes no lock and sees one state (REPEATABLE READ, READ ONLY).

A server that would forget what it acknowledged (``fsync``, ``full_page_writes`` or ``synchronous_commit`` off) is
refused at every connection.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import event

from safehold.db.half_read import close_half_read
from safehold.db.lead import another_leads, lead_lost
from safehold.db.place import check_place, lock_of, why_forgetful
from safehold.db.trouble import say_unavailable, unavailable
from safehold.errors import ConflictError, SafeholdError, TamperedError, UnavailableError

MOVED: Final = "moved_"  # before the name of a schema that a home was moved away from
PATIENCE_S: Final = 3.0  # for the lead: a server needs a moment to notice that a session has ended
SILENT_S = 10.0  # a server that says nothing for so long is not there, whatever its connection says

SESSIONS: Final = 5  # of one keeper, kept open
MORE_SESSIONS: Final = 10  # when many read at once; closed again
RENEWED_S: Final = 600

Connection = psycopg.Connection[tuple[Any, ...]]
_SESSIONS: Final[WeakKeyDictionary[sa.Engine, WeakSet[Connection]]] = WeakKeyDictionary()

# one statement, so that a connection costs one round trip more; ``pg_temp`` last, or a temporary table would stand
# in for one of ours
_SESSION: Final = """
SELECT set_config('search_path', %s || ', pg_temp', false),
  set_config('idle_session_timeout', '0', false),
  set_config('lock_timeout', '30s', false),
  set_config('statement_timeout', '120s', false),
  pg_backend_pid(), current_setting('server_version_num')::int, current_setting('fsync'),
  current_setting('full_page_writes'), current_setting('synchronous_commit'),
  current_setting('synchronous_standby_names')
"""
_TURN: Final = """
SELECT pg_advisory_xact_lock(%s::bigint), current_setting('fsync'), current_setting('full_page_writes')
"""
_HOLDS: Final = """
SELECT 1 FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()
  AND classid::bigint = %s::bigint AND objid::bigint = %s::bigint AND objsubid = 1
"""
_U32: Final = (1 << 32) - 1


def read_url(url: str) -> dict[str, Any]:
    """Return the connection options of a control URL; the URL itself is never repeated.

    Raises:
        InvalidError: It is malformed, or no control database may lie there; see ``db.place``.
    """
    try:
        said = conninfo_to_dict(url) if url.startswith(("postgresql://", "postgres://")) else {}
    except psycopg.Error:
        said = {}
    return check_place(said, name="control", rule="control.url")


def open_engine(url: str, *, schema: str) -> sa.Engine:
    """Open (or make) the control database of a home; nothing is asked of the server before it is used.

    Args:
        url: ``postgresql://`` URL without a password.
        schema: From ``place.schema_of``.

    Raises:
        InvalidError: The URL is not one that a control database may lie at.
    """
    options = read_url(url)
    turn = lock_of(schema, "turn")
    sessions: WeakSet[Connection] = WeakSet()

    def connect() -> Connection:
        session = _connect(options, schema)
        sessions.add(session)
        return session

    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_pre_ping=True,  # a server that was restarted is found again, before a transaction begins
        pool_size=SESSIONS,
        max_overflow=MORE_SESSIONS,
        # what a session once needed for its largest row and its statements, the driver keeps as long as the session
        pool_recycle=RENEWED_S,
        pool_timeout=30,  # then whoever waits is told that the database is not available
        hide_parameters=True,
    )

    @event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("reading", False):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        else:
            row = connection.exec_driver_sql(_TURN, (turn,)).one()
            if tuple(row[1:]) != ("on", "on"):  # the administrator may switch it off at any time
                raise _forgetful("fsync or full_page_writes is off", "both on")

    close_half_read(engine)
    say_unavailable(engine)
    _SESSIONS[engine] = sessions
    return engine


def cut(engine: sa.Engine) -> None:
    """Cut every connection of an engine: whoever waits for an answer hears that there is none."""
    for session in list(_SESSIONS.get(engine, ())):
        cut_session(session)


def cut_session(session: psycopg.Connection[Any]) -> None:
    """Cut a connection from outside; a thread that waits on it goes on with an error."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(session.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


def make_schema(url: str, *, schema: str) -> None:
    """Make the schema of a home, unless it is there; nobody else may use it."""
    base = _connect(read_url(url), schema)
    try:
        found = base.execute("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (schema,))
        if found.fetchone() is None:
            moved = base.execute(
                "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (MOVED + schema,)
            )
            if moved.fetchone() is not None:
                raise _moved()
            base.execute(f"CREATE SCHEMA {schema}".encode())
            base.commit()
    except psycopg.Error as error:
        raise _failed(error) from None
    finally:
        base.close()


def look(url: str, *, schema: str) -> dict[str, Any]:
    """Return what a server is and where in it a home lies; every promise of a connection was checked then.

    Raises:
        UnavailableError: It does not answer, or would not keep what it acknowledges.
    """
    with closing(_connect(read_url(url), schema)) as base:
        return {"version": _version(base), "schema": schema}


def prove(url: str, *, schema: str) -> dict[str, Any]:
    """Pass if the control database of a home can be made on a server, and nothing of it is there; nothing is made.

    Raises:
        ConflictError: Something of this home lies there.
        UnavailableError: The server does not answer, would not keep what it acknowledges, or lets us make no schema.
    """
    with closing(_connect(read_url(url), schema)) as base:
        try:
            return prove_room(base, schema, _version(base))
        except psycopg.Error as error:
            raise _failed(error) from None


def prove_room(base: psycopg.Connection[Any], schema: str, version: str) -> dict[str, Any]:
    """Pass if a schema can be made and is not there, nor one of that name that was moved away."""
    names = [schema, MOVED + schema]
    found = base.execute(
        "SELECT nspname::text FROM pg_catalog.pg_namespace WHERE nspname = ANY(%s)", (names,)
    ).fetchall()
    if found:
        raise ConflictError(
            "the database holds something of this home already",
            rule="profile.there",
            fix="safehold migrate --remove-old, or name another database",
        )
    may = base.execute("SELECT has_database_privilege(current_database(), 'CREATE')").fetchone()
    if may != (True,):
        raise UnavailableError(
            "this role may make no schema in the database",
            rule="profile.rights",
            fix="GRANT CREATE ON DATABASE ... TO the role, for this once",
        )
    return {"version": version, "schema": schema, "durable": True}


def set_aside(url: str, *, schema: str) -> None:
    """Rename the schema of a home, so that no keeper finds it; nothing if that was done."""
    _alter(url, schema, f"ALTER SCHEMA {schema} RENAME TO {MOVED}{schema}", of=schema)


def drop(url: str, *, schema: str) -> None:
    """Remove a schema and everything in it; nothing if it is not there."""
    _alter(url, schema, f"DROP SCHEMA IF EXISTS {schema} CASCADE", of=schema)


def _alter(url: str, schema: str, command: str, *, of: str) -> None:
    with closing(_connect(read_url(url), schema)) as base:
        try:
            base.execute("SELECT set_config('statement_timeout', '0', true)")
            found = base.execute("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (of,))
            if found.fetchone() is not None:
                base.execute(command.encode())
            base.commit()
        except psycopg.Error as error:
            raise _failed(error) from None


def size_of(url: str, *, schema: str) -> int:
    """Return how many bytes the tables of a schema take, indexes and all."""
    with closing(_connect(read_url(url), schema)) as base:
        row = base.execute(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_catalog.pg_class c"
            " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relkind = 'r'",
            (schema,),
        ).fetchone()
        return int(row[0]) if row else 0


def _version(base: psycopg.Connection[Any]) -> str:
    row = base.execute("SELECT current_setting('server_version')").fetchone()
    return str(row[0]).split()[0] if row else ""


def _moved() -> TamperedError:
    return TamperedError(
        "the control database of this home was moved away from here",
        rule="migrate.moved",
        fix="let control-url in the outside name where it lies now",
    )


class SessionLead:
    """The right to lead, wherever a keeper runs: an advisory lock of a database session, which ends with it.

    Args:
        url: Of the control database.
        schema: Of the home.
        patience_s: How long to wait for whoever held it before, seconds.

    Raises:
        ConflictError: Another keeper leads.
        UnavailableError: The database does not answer.
    """

    def __init__(self, url: str, *, schema: str, patience_s: float = PATIENCE_S) -> None:
        # a network that went away is noticed within seconds here: until then this keeper believes that it leads
        self.also: list[Callable[[], None]] = []  # what to cut beside it when the server is silent
        hurried = {"tcp_user_timeout": "5000", "keepalives_idle": "2", "keepalives_interval": "1"}
        self._session = _connect({**read_url(url), **hurried}, schema)
        self._lock = lock_of(schema, "lead")
        try:
            self._session.autocommit = True
            self._take(time.monotonic() + patience_s)
        except psycopg.Error as error:
            self._session.close()
            raise _failed(error) from None
        except BaseException:
            self._session.close()
            raise

    def _take(self, deadline: float) -> None:
        query = "SELECT pg_try_advisory_lock(%s::bigint)"
        while self._session.execute(query, (self._lock,)).fetchone() != (True,):
            if time.monotonic() > deadline:
                raise another_leads()
            time.sleep(0.05)

    def check(self) -> None:
        """See ``Lead``: ask the session whether it still holds the lock; a silent server is no answer."""
        silence = threading.Timer(SILENT_S, self._cut)
        silence.daemon = True
        silence.start()
        try:
            held = self._session.execute(_HOLDS, (self._lock >> 32 & _U32, self._lock & _U32))
            if held.fetchone() is not None:
                return
        except psycopg.Error:
            pass
        finally:
            silence.cancel()
        raise lead_lost()

    def _cut(self) -> None:
        cut_session(self._session)
        for one in self.also:
            one()

    def close(self) -> None:
        """See ``Lead``: end the session, and with it the lock."""
        self._session.close()


def _connect(options: dict[str, Any], schema: str) -> Connection:
    """Return a session that sees the tables of one home, on a server that keeps what it acknowledges."""
    try:
        base = psycopg.connect(**options)
    except psycopg.Error as error:
        raise _failed(error) from None
    try:
        row: tuple[Any, ...] = base.execute(_SESSION, (schema,)).fetchone() or ()
        _, _, _, _, pid, version, fsync, pages, commit, standbys = row
        _check_own(base, pid)
        _check_durable(version, fsync, pages, commit, standbys)
        # held fast for the session; what waits for a standby today waits for it tomorrow
        base.execute("SELECT set_config('synchronous_commit', %s, false)", (commit,))
        base.commit()
    except psycopg.Error as error:
        base.close()
        raise _failed(error) from None
    except BaseException:
        base.close()
        raise
    return base


def _check_durable(*settings: Any) -> None:
    if why := why_forgetful(*settings):
        raise _forgetful(*why)


def refuse_pooled(base: psycopg.Connection[Any]) -> None:
    """Pass if it is the server itself that answers.

    A pooler gives its clients a number of its own. One that hands out sessions in turn would hand the lock that says
    who leads to somebody else, and settings of one session to another; whether it does cannot be told from here.

    Raises:
        UnavailableError: It is a pooler.
    """
    row = base.execute("SELECT pg_backend_pid()").fetchone()
    _check_own(base, row[0] if row else 0)


def _check_own(base: psycopg.Connection[Any], pid: int) -> None:
    if pid != base.info.backend_pid:
        raise UnavailableError(
            "something between us and the database answers in its place",
            rule="db.pooled",
            fix="connect to the server itself: a pooler cannot carry the lock that says who leads",
        )


def _forgetful(wrong: str, fix: str) -> UnavailableError:
    return UnavailableError(
        f"the database would not keep what it acknowledges: {wrong}", rule="db.durable", fix=fix
    )


def _failed(error: psycopg.Error) -> SafeholdError:
    return unavailable(error) or UnavailableError(
        f"the control database refuses (SQLSTATE {error.sqlstate or 'none'})",
        rule="db.unavailable",
        fix="see that the control database runs and its role may use it",
    )
