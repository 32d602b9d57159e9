"""Is the control database as new as the ledger says?

Holds: what was committed before the newest closing leaf is there. An older copy of the database beside a newer
ledger lacks it, and would have its objects swept away as strangers, so a keeper does not start on one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safehold.catalog.rewriting import Rewriting
from safehold.errors import ShreddedError, TamperedError
from safehold.keeper.models import Models
from safehold.keeper.packing import KIND as COMPACTION
from safehold.keeper.watch_events import WATCH

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


class Closings:
    """The newest leaf of each kind that follows a transaction of the control database; fed with every leaf."""

    def __init__(self) -> None:
        self.newest: dict[str, int] = {}
        self._watching: set[int] = (
            set()
        )  # intents of reading the ledger: no transaction follows one

    def note(self, index: int, leaf: Mapping[str, Any]) -> None:
        """Take the next leaf."""
        facts = leaf.get("pub", {})
        if leaf["k"] == "access.intent" and facts.get("action") == WATCH:
            self._watching.add(index)
        elif leaf["k"] == "access.result" and leaf["ref"] in self._watching:
            self._watching.discard(leaf["ref"])
        elif leaf["k"] == "ingest" and facts.get("rows", 0):
            self.newest["source"] = index
        elif leaf["k"] == "access.result" and facts.get("outcome", "ok") == "ok":
            self.newest["result"] = index
        elif leaf["k"] == "derived":
            self.newest["derived"] = index
        elif leaf["k"] == COMPACTION and facts["state"] == "done":
            self.newest[COMPACTION] = index


def check_register(desk: Desk, models: Models, rewriting: Rewriting, closings: Closings) -> None:
    """Pass if the database knows the newest source, build, model and join of blocks that the ledger tells of.

    A closing leaf follows its transaction, and transactions are durable in order; so one of each kind suffices.

    Raises:
        TamperedError: It lacks one: an older copy was restored. So it is if it lacks the key to what a leaf says:
            nothing ends the details of leaves yet.
    """
    older = TamperedError(
        "the control database is older than the ledger",
        rule="catalog.rollback",
        fix="put back the newest control database",
    )
    for index in closings.newest.values():
        try:
            said = desk.ledger.detail(index)
        except ShreddedError as error:
            raise older from error
        if not _knows(desk, models, rewriting, said):
            raise older


def _knows(desk: Desk, models: Models, rewriting: Rewriting, said: Mapping[str, Any]) -> bool:
    match said:
        case {"detail": {"compaction": int(number)}}:
            return rewriting.number() >= number
        case {"object": str(source), "detail": {"step": "live"}}:
            return desk.catalog.is_live(source)
        case {"detail": {"node": {"id": str(made)}}}:
            return any(one["id"] == made for one in desk.lineage.show())
        case {"detail": {"artifact": str(artifact)}}:
            return models.knows(artifact)
        case {"detail": {"dataset": str(build)}}:
            return any(one["id"] == build for one in desk.lineage.show())
        case _:
            return True
