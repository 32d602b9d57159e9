"""What the keeper owes to people, and until when: erasures that were asked for, keys whose time is over.

An erasure is due within what the charter says of a withdrawal; a key whose day has come, within a day after it. What
is late is an error of the keeper and stays one until it is done: ``status`` and ``doctor`` say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safehold.clock import DAY_US, SECOND_US
from safehold.ids import PersonId

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

UNSTATED_US = DAY_US  # where no charter is in force


def deadline(desk: Desk, asked_us: int) -> int:
    """Return until when an erasure that was asked for at a moment must be through, microseconds."""
    if not desk.trust.digest():
        return asked_us + UNSTATED_US
    within = desk.trust.charter().participation.withdraw.effect.within_s
    return asked_us + within * SECOND_US


def owed(desk: Desk) -> list[dict[str, Any]]:
    """Return everything that is due and not done, the earliest first; nobody is named."""
    found = [
        {"what": "erasure", "request": request, "asked_us": desk.asked[request]}
        | _until(desk, deadline(desk, desk.asked[request]))
        for request in desk.erasing.values()
    ]
    today = desk.today()
    if keys := desk.vault.due(today):
        late = desk.vault.due(today - 1) > 0
        until = today * DAY_US if late else (today + 1) * DAY_US
        found.append({"what": "retention", "keys": keys, **_until(desk, until)})
    return sorted(found, key=lambda one: int(one["due_us"]))


def owed_to(desk: Desk, person: PersonId) -> dict[str, Any]:
    """Return what is due to one person: their erasure if they asked for it, and when their data ends by itself."""
    days = sorted({block.label.expires for block in desk.catalog.blocks_of(person)})
    told: dict[str, Any] = {"ends": {"first_day": days[0], "last_day": days[-1]} if days else None}
    if (request := desk.erasing.get(person)) is not None:
        due = deadline(desk, desk.asked[request])
        told["erasure"] = {"request": request, **_until(desk, due)}
    return told


def _until(desk: Desk, due_us: int) -> dict[str, Any]:
    return {"due_us": due_us, "overdue": desk.now_us() > due_us}
