"""What the keeper counted, written down for an auditor: uses of grants, budgets, people and blocks of each use.

These are the figures by which it decides, from its own memory, not read off the leaves once more. An auditor counts
the same from the leaves, and every difference is a finding. No name is in it; purposes and numbers are.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from safehold import canonical
from safehold.errors import SafeholdError
from safehold.privacy.budget import fold_charges

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

VERSION: Final = "safehold.counters/1"
UNTOLD: Final = -1  # of a figure whose sealed part is gone


def count_all(desk: Desk, *, first: int, last: int) -> tuple[bytes, int]:
    """Return the counters as canonical JSON, and the size of the ledger they were taken at.

    Args:
        desk: What the keeper works with; its lock is held, so that nothing is begun meanwhile.
        first: First epoch of which single uses are told.
        last: Last of them.
    """
    trust, size = desk.trust, desk.ledger.size
    grants = []
    for entry in trust.grants():
        held = trust.record(entry)
        grants.append(
            [
                entry,
                held.count,
                held.first,
                held.last,
                held.rows,
                held.epsilon_micro,
                int(held.revoked),
                int(held.closed),
            ]
        )
    budgets = [
        [purpose, unit, amount.epsilon_micro, amount.delta_e12]
        for (purpose, unit), amount in sorted(fold_charges(trust.spent()).items())
    ]
    return (
        canonical.encode(
            {
                "v": VERSION,
                "origin": desk.ledger.origin,
                "size": size,
                "grants": grants,
                "budgets": budgets,
                "open": trust.unanswered(),
                "uses": _uses(desk, first=first, last=last),
            }
        ),
        size,
    )


def _uses(desk: Desk, *, first: int, last: int) -> list[list[int]]:
    """Return of each intent: its index, its people as stated, the blocks that it meant, and those opened."""
    epochs = desk.ledger.epochs
    begin, stop = epochs.span(first)[0], epochs.span(last)[1]
    found: dict[int, list[int]] = {}
    for index, leaf in desk.ledger.leaves(begin, desk.ledger.size):
        if leaf["k"] == "access.intent" and index < stop:
            said = _told(desk, index)
            found[index] = [index, _figure(said, "people"), _figure(said, "blocks"), UNTOLD]
        elif leaf["k"] == "access.result" and leaf["ref"] in found:
            found[leaf["ref"]][3] = _figure(_told(desk, index), "blocks")
    return list(found.values())


def _told(desk: Desk, index: int) -> dict[str, Any]:
    with suppress(SafeholdError):
        return dict(desk.ledger.detail(index)["detail"])
    return {}


def _figure(said: dict[str, Any], name: str) -> int:
    found = said.get(name, UNTOLD)
    return found if type(found) is int else UNTOLD
