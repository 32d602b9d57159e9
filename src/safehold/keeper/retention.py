"""Retention: what is past its day is shredded, in the keys first and then in the catalogue.

Destroying the key is what ends the data: copies in old backups, bucket versions and snapshots become noise. The
objects are removed afterwards to save space.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from safehold.clock import DAY_US
from safehold.errors import UnavailableError
from safehold.keeper.intake import Intake
from safehold.keeper.models import Models
from safehold.keeper.pooled import Pool
from safehold.keeper.rebuilding import Rebuilding
from safehold.keeper.server import Report
from safehold.ledger import Entry

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

_LOG = logging.getLogger(__name__)
PATIENCE_US = 7 * DAY_US  # a source that was begun and not finished is given up after this
REMEMBERED_US = (
    7 * DAY_US
)  # for so long an envelope that came is known by name; its lease ended long before


class Retention:
    """The verb and the periodic task.

    Args:
        desk: What the keeper works with.
        intake: Knows what is being taken in.
        models: Knows which objects artifacts lie in.
        rebuilding: Makes again what erasures have ended.
        pool: Knows which objects tables of several people lie in.
    """

    def __init__(
        self, desk: Desk, intake: Intake, models: Models, rebuilding: Rebuilding, pool: Pool
    ) -> None:
        self._desk = desk
        self._intake = intake
        self._models = models
        self._rebuilding = rebuilding
        self._pool = pool
        self._listed_us = (
            desk.now_us()
        )  # when the store was last searched: at the start of the keeper

    def sweep(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """End what is past its retention today."""
        desk = self._desk
        today = desk.today()
        abandoned = self._intake.abandon(desk.now_us() - PATIENCE_US)
        desk.catalog.parts.forget(desk.now_us() - REMEMBERED_US)
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
        left = desk.vault.remove(empty)
        answer |= {"objects": len(empty) - left, "rebuilt": len(self._rebuilding.work())}
        if desk.now_us() - self._listed_us < DAY_US:  # a large bucket is not listed all day long
            return answer
        self._listed_us = desk.now_us()
        try:
            answer["left_over"] = desk.vault.sweep(self._known, alone=False)
        except UnavailableError as error:  # the keys have ended, and that is what ends the data
            _LOG.warning("what is left over is removed later: %s", error.rule)
        return answer

    def _known(self) -> set[str]:
        found = self._desk.catalog.objects() | self._models.objects()
        return found | self._pool.objects()
