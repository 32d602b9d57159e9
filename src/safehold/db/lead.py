"""One keeper of a home leads; a number fences off everyone who led before.

Two things keep a second keeper from deciding anything. The lock (a file's, or a database session's) says who may
lead, and ends with its process or its session. The number says who led last: it grows each time somebody begins to
lead, and every transaction of the control database reads it first. So a keeper that was cut off, and does not know
yet that another one leads, opens no key and changes no row, however late it wakes up.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import event

from safehold.db.schema import metadata
from safehold.errors import ConflictError, WentAwayError
from safehold.locks import hold_file

table = sa.Table(
    "lead",
    metadata,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
)


class Lead(Protocol):
    """The right to lead, held by one process.

    ``also`` is called when whoever says who leads falls silent: it cuts what else waits for an answer there.
    """

    also: list[Callable[[], None]]

    def check(self) -> None:
        """Pass while it is held.

        Raises:
            UnavailableError: It was lost, and somebody else may lead.
        """

    def close(self) -> None:
        """Let somebody else lead."""


class FileLead:
    """The right to lead on one machine: the lock of a file, which ends with its process.

    Args:
        path: The file; made if it is absent.

    Raises:
        ConflictError: Another process leads.
        UnavailableError: The file system keeps no locks.
    """

    def __init__(self, path: Path) -> None:
        self.also: list[Callable[[], None]] = []
        self._fd = hold_file(path, another_leads())

    def check(self) -> None:
        """See ``Lead``; nobody can take a file's lock away."""
        if self._fd < 0:
            raise lead_lost()

    def close(self) -> None:
        """See ``Lead``."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def another_leads() -> ConflictError:
    """Return the error of a keeper that came second."""
    return ConflictError(
        "another keeper of this home leads",
        rule="keeper.lead",
        fix="ask that one, or end it: safehold serve --name stands by and takes over",
    )


def lead_lost() -> WentAwayError:
    """Return the error of a keeper that leads no longer."""
    return WentAwayError(  # of what it was at, something may be there
        "this keeper leads no longer",
        rule="keeper.lead",
        fix="ask again: the keeper that leads now will answer",
    )


def advance(engine: sa.Engine) -> int:
    """Begin to lead: return a number that nobody had before, once it is durable."""
    with engine.begin() as connection:
        moved = connection.execute(
            sa.update(table).values(number=table.c.number + 1).returning(table.c.number)
        ).scalar_one_or_none()
        if moved is None:
            connection.execute(sa.insert(table).values(one=1, number=1))
            return 1
    return int(moved)


def fence(engine: sa.Engine, number: int) -> None:
    """Let an engine begin no transaction once somebody else has begun to lead.

    It is asked inside each transaction, after its lock: whoever begins to lead waits for those that go on, and those
    that begin later see the new number.
    """

    @event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        found = connection.exec_driver_sql("SELECT number FROM lead").scalar_one_or_none()
        if found != number:
            raise lead_lost()
