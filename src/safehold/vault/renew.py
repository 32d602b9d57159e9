"""Another epoch for segments whose keys all live on: noted here, carried out by the eraser's steps."""

from __future__ import annotations

import sqlalchemy as sa

from safehold.errors import MissingError
from safehold.vault import tables
from safehold.vault.epoch import Epochs


def note_renewal(engine: sa.Engine, segment: str | None) -> None:
    """Note a rotation for one segment, or for each, in one transaction; nothing is deleted.

    Raises:
        MissingError: There is no such segment.
    """
    query = sa.select(tables.segment)
    if segment is not None:
        query = query.where(tables.segment.c.segment == segment)
    with engine.begin() as connection:
        rows = connection.execute(query).all()
        if segment is not None and not rows:
            raise MissingError(
                "no such segment", rule="vault.segment", fix="safehold key list shows them"
            )
        for row in rows:
            connection.execute(
                sa.insert(tables.rotation).values(
                    segment=row.segment,
                    old_epoch=row.epoch,
                    old_secret=row.secret,
                    new_secret=Epochs.new_name(),
                    deleted=0,
                )
            )
