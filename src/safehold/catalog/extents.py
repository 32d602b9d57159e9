"""Extents: which sequence numbers were delivered, so that no event comes in twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from safehold.catalog import tables
from safehold.catalog.state import Extent


class Extents:
    """The part of the register that knows them.

    Args:
        engine: The control database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def overlap(self, source: str, extents: Iterable[Extent]) -> Extent | None:
        """Return the first extent that another source has delivered already, if any."""
        wanted = list(extents)
        column = tables.extent.c
        delivered: dict[tuple[bytes, str], list[tuple[int, int]]] = {}
        with self._engine.begin() as connection:
            for start in range(0, len(wanted), 500):
                some = wanted[start : start + 500]
                for row in connection.execute(
                    sa.select(column.origin, column.stream, column.first, column.last).where(
                        column.origin.in_({extent.origin for extent in some}),
                        column.source != source,
                        column.last >= min(extent.first for extent in some),
                        column.first <= max(extent.last for extent in some),
                    )
                ):
                    delivered.setdefault((row.origin, row.stream), []).append((row.first, row.last))
        for extent in wanted:
            for first, last in delivered.get((extent.origin, extent.stream), ()):
                if first <= extent.last and last >= extent.first:
                    return extent
        return None


def add_extents(connection: sa.Connection, source: str, extents: Sequence[Extent]) -> None:
    """Remember which sequence numbers a source has delivered, in the caller's transaction."""
    if extents:
        connection.execute(
            tables.extent.insert(),
            [
                {
                    "source": source,
                    "origin": extent.origin,
                    "stream": extent.stream,
                    "first": extent.first,
                    "last": extent.last,
                }
                for extent in extents
            ],
        )
