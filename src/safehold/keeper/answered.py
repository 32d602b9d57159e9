"""What portals carry out under a key that a program chose: kept for a day where every portal of the home finds it.

Names and owners are keyed hashes of the portals, answers are sealed by them: the keeper can read neither. A row is
durable before its request is carried out, so neither a portal's end nor a keeper's lets it be carried out twice. As
long as a portal says that it is at work on it, others wait; one that fell silent has left it unknown.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from safehold.canonical import b64, unb64
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import InvalidError
from safehold.keeper.server import Report, Verb
from safehold.keeper.tables import answer as table

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

LIFE_US: Final = DAY_US
HELD_US: Final = 15 * SECOND_US  # for so long a portal that says nothing is believed to be at work
MOST_EACH: Final = 2_000  # of one owner; the oldest that is answered goes first
MOST: Final = 200_000
LARGEST: Final = 2 << 20  # bytes of a sealed answer
PENDING: Final = "pending"
DONE: Final = "done"
UNKNOWN: Final = "unknown"
GONE: Final = "gone"
SPENT: Final = "0" * 64  # stands for the owner of a proof that was used
_SWEEP_US: Final = 60 * SECOND_US


class Answered:
    """The verbs ``portal.begin``, ``portal.end``.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}
        self._began_us = desk.now_us()
        self._swept_us = 0
        self._total = 0

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {"portal.begin": self.begin, "portal.end": self.end}

    def hold(self, names: Iterable[str]) -> None:
        """Note that a portal is still at work on some of them."""
        until = self._desk.now_us() + HELD_US
        with self._lock:
            for name in names:
                if name in self._held or len(self._held) < MOST:
                    self._held[name] = until

    def keep_spent(self, name: str) -> None:
        """Keep for longer than this keeper leads that a proof was used whose time is yet to come."""
        with self._lock, self._desk.engine.begin() as connection:
            self._sweep(connection, now := self._desk.now_us())
            connection.execute(
                sa.insert(table).values(
                    name=name, owner=SPENT, asked=SPENT, at_us=now, state=DONE, status=0, record=b""
                )
            )

    def was_spent(self, name: str) -> bool:
        """Tell whether a proof was kept as used, by this keeper or one that led before."""
        asked = sa.select(table.c.name).where(table.c.name == name, table.c.owner == SPENT)
        with self._desk.engine.connect() as connection:
            return connection.execute(asked).one_or_none() is not None

    def begin(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return how a request stands: ``begun`` if it is the caller's to carry out now.

        Otherwise ``done`` with its answer, ``running`` elsewhere, ``unknown`` how it ended, ``reused`` if another
        request came under this name, ``full`` if its owner has too many open.

        Raises:
            InvalidError: The names are none.
        """
        name, owner = name_of(arguments["name"]), name_of(arguments["owner"])
        asked, now = name_of(arguments["asked"]), self._desk.now_us()
        again = arguments["again"] is True
        with self._lock, self._desk.engine.begin() as connection:
            self._sweep(connection, now)
            row = connection.execute(
                sa.select(table).where(table.c.name == name, table.c.at_us > now - LIFE_US)
            ).one_or_none()
            if row is not None:
                if not hmac.compare_digest(row.asked, asked):
                    return {"state": "reused"}
                if row.state == DONE:
                    return {"state": DONE, "status": row.status, "answer": b64(row.record)}
                if row.state == PENDING and self._lives(name, now):
                    return {"state": "running"}
                if not again:
                    return {"state": UNKNOWN}
            elif not self._room(connection, owner):
                return {"state": "full"}
            connection.execute(sa.delete(table).where(table.c.name == name))
            connection.execute(
                sa.insert(table).values(
                    name=name,
                    owner=owner,
                    asked=asked,
                    at_us=now,
                    state=PENDING,
                    status=0,
                    record=b"",
                )
            )
            self._held[name] = now + HELD_US
            self._total += 1
        return {"state": "begun"}

    def end(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Note how a request ended: ``done`` with its answer, ``unknown``, or ``gone`` if it was not carried out.

        Raises:
            InvalidError: It ended in no way that there is.
        """
        name, state = name_of(arguments["name"]), str(arguments["state"])
        record = unb64(str(arguments.get("answer", "")))
        if state not in {DONE, UNKNOWN, GONE} or len(record) > LARGEST:
            raise InvalidError("a request ends in another way", rule="portal.end")
        with self._lock, self._desk.engine.begin() as connection:
            if state == GONE:
                connection.execute(sa.delete(table).where(table.c.name == name))
            else:
                connection.execute(
                    sa.update(table)
                    .where(table.c.name == name)
                    .values(state=state, status=int(arguments.get("status", 0)), record=record)
                )
            self._held.pop(name, None)
        return {"state": state}

    def _lives(self, name: str, now: int) -> bool:
        """Tell whether a portal may be at work on a request; a keeper that has just begun was told of nobody yet."""
        return now < self._held.get(name, self._began_us + HELD_US)

    def _room(self, connection: sa.Connection, owner: str) -> bool:
        """Tell whether there is room for one more of an owner, after the oldest that is answered made it."""
        if self._total >= MOST:
            return False
        count = sa.select(sa.func.count()).select_from(table)
        if int(connection.execute(count.where(table.c.owner == owner)).scalar_one()) < MOST_EACH:
            return True
        oldest = (
            sa.select(table.c.name)
            .where(table.c.owner == owner, table.c.state == DONE)
            .order_by(table.c.at_us)
            .limit(1)
        )
        gone = connection.execute(sa.delete(table).where(table.c.name == oldest.scalar_subquery()))
        return gone.rowcount == 1

    def _sweep(self, connection: sa.Connection, now: int) -> None:
        if now - self._swept_us > _SWEEP_US:
            self._swept_us = now
            connection.execute(sa.delete(table).where(table.c.at_us <= now - LIFE_US))
            count = sa.select(sa.func.count()).select_from(table)
            self._total = int(connection.execute(count).scalar_one())
            self._held = {name: until for name, until in self._held.items() if until > now}


def name_of(value: object) -> str:
    """Return what a portal names something by: 64 hexadecimal digits.

    Raises:
        InvalidError: It is none.
    """
    if isinstance(value, str) and len(value) == 64 and not value.strip("0123456789abcdef"):
        return value
    raise InvalidError("not a name that portals use", rule="portal.name")
