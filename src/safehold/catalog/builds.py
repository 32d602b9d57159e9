"""Builds: blocks that were made from those of sources, and are live once the whole build is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from safehold.catalog import tables
from safehold.catalog.parts import LIVE, TELEMETRY
from safehold.catalog.row import Rows
from safehold.vault import SealedObject

STAGING: Final = "staging"
DERIVED: Final = "derived"  # whatever else a block is that came from no source, it is derived too


class Builds:
    """The part of the register that knows them.

    Args:
        engine: The control database.
        rows: Writes rows of blocks.
    """

    def __init__(self, engine: sa.Engine, rows: Rows) -> None:
        self._engine = engine
        self._rows = rows

    def add(self, source: str, objects: Sequence[SealedObject], *, kind: str = DERIVED) -> None:
        """Make derived blocks known; they are staged until the whole build replaces the last one, or is turned live."""
        with self._engine.begin() as connection:
            self._rows.insert(connection, source, objects, kind=kind, state=STAGING)

    def turn_live(self, connection: sa.Connection, source: str) -> None:
        """Turn the staged blocks of something derived live, in the caller's transaction."""
        connection.execute(
            tables.block.update().where(tables.block.c.source == source).values(state=LIVE)
        )

    def replace(self, purpose: str, keep: str) -> list[str]:
        """Turn a build live and forget the earlier ones of its purpose; return their objects."""
        with self._engine.begin() as connection:
            connection.execute(
                tables.block.update().where(tables.block.c.source == keep).values(state=LIVE)
            )
            earlier = tables.object_.c.source
            sources = connection.execute(
                sa.select(earlier)
                .where(earlier.startswith(f"{purpose}:", autoescape=True), earlier != keep)
                .distinct()
            ).scalars()
            return [name for source in list(sources) for name in forget_source(connection, source)]

    def settle(self, build: str) -> None:
        """Turn a build live and leave the earlier ones of its purpose as they are."""
        with self._engine.begin() as connection:
            connection.execute(
                tables.block.update().where(tables.block.c.source == build).values(state=LIVE)
            )

    def drop_unfinished(self) -> list[str]:
        """Forget builds that a crash cut short, and return their objects; no build may be under way."""
        with self._engine.begin() as connection:
            sources = connection.execute(
                sa.select(tables.block.c.source)
                .where(tables.block.c.kind != TELEMETRY, tables.block.c.state == STAGING)
                .distinct()
            ).scalars()
            return [name for source in list(sources) for name in forget_source(connection, source)]

    def forget(self, person: str) -> None:
        """Forget what was derived from one person; the next build leaves out what they left out."""
        with self._engine.begin() as connection:
            connection.execute(
                tables.block.delete().where(
                    tables.block.c.kind != TELEMETRY, tables.block.c.person == person
                )
            )


def forget_source(connection: sa.Connection, source: str) -> list[str]:
    """Forget the blocks of a source or of a build, in the caller's transaction; return their objects."""
    names = list(
        connection.execute(
            sa.select(tables.object_.c.name).where(tables.object_.c.source == source)
        ).scalars()
    )
    for table in (tables.block, tables.object_, tables.extent):
        connection.execute(table.delete().where(table.c.source == source))
    return names
