"""Messages that were set aside: blocks of a kind of their own, which no use but their repair ever meets.

Holds: each is under one name, so it is set aside once; they end, and are erased, with all other blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import sqlalchemy as sa

from safehold.catalog import tables
from safehold.catalog.parts import LIVE
from safehold.catalog.row import Rows
from safehold.vault import SealedBlock, SealedObject

ASIDE: Final = "set_aside"
_FRONT: Final = "aside"
_LONGEST: Final = 40  # of an envelope's name: 160 bits of a hash


class Aside:
    """The part of the register that knows them.

    Args:
        engine: The control database.
        rows: Writes rows of blocks.
        drop: Forgets blocks and returns the objects that are empty then.
    """

    def __init__(
        self, engine: sa.Engine, rows: Rows, drop: Callable[[sa.ColumnElement[bool]], list[str]]
    ) -> None:
        self._engine = engine
        self._rows = rows
        self._drop = drop

    def add(self, source: str, item: SealedObject) -> None:
        """Make one known."""
        with self._engine.begin() as connection:
            self._rows.insert(connection, source, [item], kind=ASIDE, state=LIVE)

    def known(self, envelope: str, rules: Iterable[str]) -> bool:
        """Return whether an envelope is there, by whichever of some rules it was refused."""
        sources = [source_of(rule, envelope) for rule in rules]
        query = sa.select(tables.block.c.id).where(tables.block.c.source.in_(sources)).limit(1)
        with self._engine.begin() as connection:
            return connection.execute(query).first() is not None

    def count(self, person: str, day: int) -> int:
        """Return how many were set aside of a person on a day and are still there."""
        column = tables.block.c
        query = sa.select(sa.func.count()).where(
            column.kind == ASIDE, column.person == person, column.window == day
        )
        with self._engine.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def counts(self) -> dict[tuple[str, str, int], int]:
        """Return how many are there, by rule, stream and day: nothing of anybody, and nothing of what is in them."""
        column = tables.block.c
        query = sa.select(column.source, column.stream, column.window).where(column.kind == ASIDE)
        found: Counter[tuple[str, str, int]] = Counter()
        with self._engine.begin() as connection:
            for row in connection.execute(query):
                found[rule_of(row.source), row.stream, row.window] += 1
        return dict(found)

    def drop(self, blocks: Sequence[SealedBlock]) -> list[str]:
        """Forget some of them and return the objects to delete."""
        return self._drop(tables.block.c.id.in_([block.block_id for block in blocks]))

    def drop_of(self, person: str) -> list[str]:
        """Forget those of a person and return the objects to delete."""
        return self._drop(sa.and_(tables.block.c.kind == ASIDE, tables.block.c.person == person))


def source_of(rule: str, envelope: str) -> str:
    """Return under what an envelope is set aside: the rule that refused it, and its name."""
    return f"{_FRONT}/{rule}/{envelope[:_LONGEST]}"


def rule_of(source: str) -> str:
    """Return the rule that refused what is set aside under a name."""
    return source.split("/")[1]
