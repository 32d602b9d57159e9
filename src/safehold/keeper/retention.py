"""Retention: what is past its day is shredded, in the keys first and then in the catalogue.

Destroying the key is what ends the data: copies in old backups, bucket versions and snapshots become noise. The
objects are removed afterwards to save space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from safehold.clock import DAY_US
from safehold.keeper.desk import Desk
from safehold.keeper.intake import Intake
from safehold.keeper.server import Report
from safehold.ledger import Entry

PATIENCE_US = 7 * DAY_US  # a source that was begun and not finished is given up after this


class Retention:
    """The verb and the periodic task.

    Args:
        desk: What the keeper works with.
        intake: Knows what is being taken in.
    """

    def __init__(self, desk: Desk, intake: Intake) -> None:
        self._desk = desk
        self._intake = intake

    def sweep(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """End what is past its retention today."""
        desk = self._desk
        today = desk.today()
        abandoned = self._intake.abandon(desk.now_us() - PATIENCE_US)
        answer: dict[str, Any] = {"day": today, "keys": 0, "abandoned": abandoned}
        if desk.vault.due(today):
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
            answer |= {
                "keys": shredded.keys,
                "segments": len(shredded.segments),
                "entry": intent.index,
            }
        # also when no key is due: a crash after the keys leaves rows and objects behind
        empty = desk.catalog.expire(today)
        desk.vault.remove(empty)
        return {**answer, "objects": len(empty)}
