"""The register of live blocks in memory, column by column: what could be opened, asked a million times a day.

Holds: a row counts only after its MAC was checked, once; a row that was changed since is looked at again, and one that
does not hold is counted as such.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from sys import intern
from typing import Final, NamedTuple

import sqlalchemy as sa

from safehold.catalog import tables
from safehold.catalog.register import LIVE
from safehold.catalog.row import Rows
from safehold.errors import TamperedError

_MANY: Final = 500  # rows looked up in one statement


class Held(NamedTuple):
    """What is known of one block without opening it.

    Args:
        person: Whose.
        stream: Stream.
        segment: Segment.
        window: UTC day.
        sources: Sources or build that it is of; several where several blocks were joined.
        kind: ``telemetry``, or what it was made as.
        purposes: What it may be used for.
        expires: First day on which it may no longer exist.
    """

    person: str
    stream: str
    segment: str
    window: int
    sources: tuple[str, ...]
    kind: str
    purposes: tuple[str, ...]
    expires: int


@lru_cache(maxsize=4096)
def _shared(purposes: tuple[str, ...]) -> tuple[str, ...]:
    """Return one tuple for all blocks that may be used for the same."""
    return purposes


class Mirror:
    """The register.

    Args:
        engine: The control database.
        key: 32 bytes for the MAC over rows, derived from the root.
    """

    def __init__(self, engine: sa.Engine, *, key: bytes) -> None:
        self._engine = engine
        self._rows = Rows(key)
        self._known: dict[bytes, tuple[bytes, Held]] = {}
        self.broken = 0  # rows that do not carry the keeper's MAC

    def refresh(self) -> list[Held]:
        """Return every live block."""
        column = tables.block.c
        known = self._known
        with self._engine.begin() as connection:
            there = connection.execute(
                sa.select(column.id, column.mac).where(column.state == LIVE)
            ).all()
            fresh = [one for one, mac in there if one not in known or known[one][0] != mac]
            if len(fresh) < len(there):
                names = {one for one, _ in there}
                self._known = known = {one: held for one, held in known.items() if one in names}
            self.broken = 0
            for row in self._select(connection, fresh, every=len(fresh) == len(there)):
                known.pop(row.id, None)
                try:
                    block = self._rows.check(row)
                except TamperedError:
                    self.broken += 1
                    continue
                known[row.id] = (
                    row.mac,
                    # the driver makes every word anew: many blocks say the same, and keep one of each
                    Held(
                        intern(block.person),
                        intern(block.stream),
                        intern(block.segment),
                        block.window,
                        tuple(sorted({intern(one) for one, _ in self._rows.parts(row)})),
                        intern(row.kind),
                        _shared(tuple(block.label.purposes)),
                        block.label.expires,
                    ),
                )
        return [held for _, held in known.values()]

    @staticmethod
    def _select(
        connection: sa.Connection, wanted: list[bytes], *, every: bool
    ) -> Iterable[sa.Row[tuple[object, ...]]]:
        query = sa.select(tables.block).where(tables.block.c.state == LIVE)
        if every:
            yield from connection.execute(query)
            return
        for start in range(0, len(wanted), _MANY):
            some = wanted[start : start + _MANY]
            yield from connection.execute(query.where(tables.block.c.id.in_(some)))
