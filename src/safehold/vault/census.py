"""How many keys there are of which kind, and in which epoch every segment is; never a key."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from safehold.vault import tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What a vault holds.

    Args:
        segments: Epoch of each segment.
        keys: Number of keys of each kind.
        secrets: Number of small secrets.
    """

    segments: dict[str, int]
    keys: dict[str, int]
    secrets: int


def take_census(engine: sa.Engine) -> Census:
    """Count the keys of a vault."""
    column = tables.key.c
    with engine.execution_options(reading=True).begin() as connection:
        segments = connection.execute(
            sa.select(tables.segment.c.segment, tables.segment.c.epoch).order_by(
                tables.segment.c.segment
            )
        ).all()
        counts = connection.execute(
            sa.select(column.kind, sa.func.count().label("number"))
            .group_by(column.kind)
            .order_by(column.kind)
        ).all()
        secrets: int = connection.execute(
            sa.select(sa.func.count()).select_from(tables.secret)
        ).scalar_one()
    return Census(
        segments={row.segment: row.epoch for row in segments},
        keys={row.kind: row.number for row in counts},
        secrets=secrets,
    )
