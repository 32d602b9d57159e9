"""Is the control database as new as the ledger says?

Holds: what was committed before the newest closing leaf is there. An older copy of the database beside a newer
ledger lacks it, and would have its objects swept away as strangers, so a keeper does not start on one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safehold.errors import ShreddedError, TamperedError
from safehold.keeper.desk import Desk
from safehold.keeper.models import Models


def check_register(desk: Desk, models: Models) -> None:
    """Pass if the database knows the newest source, build and model that the ledger tells of.

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
    newest: dict[str, int] = {}
    for index, leaf in desk.ledger.leaves():
        if leaf["k"] == "ingest" and leaf.get("pub", {}).get("rows", 0):
            newest["source"] = index
        elif leaf["k"] == "access.result" and leaf.get("pub", {}).get("outcome", "ok") == "ok":
            newest["result"] = index
    for index in newest.values():
        try:
            said = desk.ledger.detail(index)
        except ShreddedError as error:
            raise older from error
        if not _knows(desk, models, said):
            raise older


def _knows(desk: Desk, models: Models, said: Mapping[str, Any]) -> bool:
    match said:
        case {"object": str(source), "detail": {"step": "live"}}:
            return desk.catalog.is_live(source)
        case {"detail": {"artifact": str(artifact)}}:
            return models.knows(artifact)
        case {"detail": {"dataset": str(build)}}:
            return any(one["id"] == build for one in desk.lineage.show())
        case _:
            return True
