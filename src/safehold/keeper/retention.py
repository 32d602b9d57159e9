"""Retention: what is past its day is shredded, in the keys first and then in the catalogue.

Destroying the key is what ends the data: copies in old backups, bucket versions and snapshots become noise. The
objects are removed afterwards to save space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from safehold.keeper.desk import Desk
from safehold.keeper.server import Report
from safehold.ledger import Entry


class Retention:
    """The verb and the periodic task.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def sweep(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """End what is past its retention today."""
        desk = self._desk
        today = desk.today()
        if not desk.vault.due(today):
            # a crash after the keys leaves rows and objects behind
            empty = desk.catalog.expire(today)
            desk.vault.remove(empty)
            return {"day": today, "keys": 0, "objects": len(empty)}
        (intent,) = desk.log(
            Entry(
                kind="retention",
                actor="keeper",
                object="expiry",
                detail={"day": today},
                charter=desk.trust.digest(),
                public={"day": today},
                key=f"retention/{today}/{desk.now_us()}",
            )
        )
        shredded = desk.vault.shred(expired_on=today)
        empty = desk.catalog.expire(today)
        desk.vault.remove(empty)
        return {
            "day": today,
            "keys": shredded.keys,
            "segments": len(shredded.segments),
            "objects": len(empty),
            "entry": intent.index,
        }
