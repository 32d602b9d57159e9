"""The register of live blocks in memory, column by column: what could be opened, asked a million times a day.

Holds: a row counts only after its MAC was checked, once; a row that was changed since is looked at again, and one that
does not hold is counted as such.
"""

from __future__ import annotations

from functools import lru_cache
from sys import intern
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from safehold.catalog import tables
from safehold.catalog.register import LIVE
from safehold.catalog.row import Rows
from safehold.errors import TamperedError
from safehold.vault import SealedBlock

_MANY: Final = 500  # rows looked up in one statement, and names on their way at once
_FEW: Final = 50  # whole rows on their way at once


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
def _shared(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return one tuple for all blocks that may be used for the same, or are of the same sources."""
    return words


@lru_cache(maxsize=4096)
def _same(day: int) -> int:
    """Return one number for all blocks of one day."""
    return day


class Mirror:
    """The register.

    Args:
        engine: The control database.
        key: 32 bytes for the MAC over rows, derived from the root.
    """

    def __init__(self, engine: sa.Engine, *, key: bytes) -> None:
        self._engine = engine
        self._rows = Rows(key)
        self._known: dict[bytes, tuple[bytes, bytes, Held]] = {}  # by name itself, its code
        self.broken = 0  # rows that do not carry the keeper's MAC

    def refresh(self) -> list[Held]:
        """Return every live block.

        The code of every row is read, a piece at a time, and a row only if its code is not known: so what this takes
        for itself is a piece, and one place for each block that is there.
        """
        known = self._known
        with self._engine.execution_options(reading=True).begin() as connection:
            column = tables.block.c
            there = sa.select(column.id, column.mac).where(column.state == LIVE)
            same: set[bytes] = set()  # the names that are known already: none is made anew
            fresh: list[bytes] = []
            for name, mac in connection.execute(there.execution_options(yield_per=_MANY)):
                found = known.get(name)
                if found is not None and found[1] == mac:
                    same.add(found[0])
                else:
                    fresh.append(name)
            if len(same) < len(known):
                for name in [one for one in known if one not in same]:
                    del known[name]
            self.broken = 0
            for start in range(0, len(fresh), _MANY):
                some = column.id.in_(fresh[start : start + _MANY])
                query = sa.select(tables.block).where(column.state == LIVE, some)
                for row in connection.execute(query.execution_options(yield_per=_FEW)):
                    try:
                        block = self._rows.check(row)
                    except TamperedError:
                        self.broken += 1
                        continue
                    known[row.id] = (row.id, row.mac, self._held(row, block))
        return [held for _, _, held in known.values()]

    def _held(self, row: sa.Row[Any], block: SealedBlock) -> Held:
        """Return what is kept: the driver makes every word anew, and many blocks say the same and keep one of each."""
        return Held(
            intern(block.person),
            intern(block.stream),
            intern(block.segment),
            _same(block.window),
            _shared(tuple(sorted({intern(one) for one, _ in self._rows.parts(row)}))),
            intern(row.kind),
            _shared(tuple(block.label.purposes)),
            _same(block.label.expires),
        )
