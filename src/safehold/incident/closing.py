"""What is missing before an incident may end, one sentence each."""

from __future__ import annotations

from collections.abc import Collection

from safehold.charter import Charter
from safehold.incident.clocks import undecided
from safehold.keeper.incident import CLOSED, NEXT, RECOVERING, Incident


def missing(one: Incident, charter: Charter, *, keeps: Collection[int] = ()) -> list[str]:
    """Return what is missing before an incident may end; who agrees is another question.

    Args:
        one: The incident.
        charter: The charter in force.
        keeps: Containments that those who close it leave in force for good.
    """
    if not one.open:
        return ["it has ended already"]
    found = []
    if CLOSED not in NEXT[one.state]:
        found.append(f"it is {one.state}, and ends from {RECOVERING} only")
    if one.severity is None or not any(step.step in ("severity", "lower") for step in one.steps):
        found.append("no person has set its severity")
    now_held = [index for index, in_force in one.held.items() if in_force]
    since = [step.index for step in one.steps if step.index >= one.begun]
    if one.uncontained is None and not any(index >= min(since) for index in one.held):
        found.append("nothing was contained, and nobody has stated why")
    if left := [index for index in now_held if index not in keeps]:
        found.append(
            f"containments in force are neither lifted nor kept for good: {', '.join(map(str, left))}"
        )
    if not one.caused():
        found.append("no root cause was published since it began")
    if todo := [index for index, done in one.actions.items() if not done]:
        found.append(f"actions that are not done: {', '.join(map(str, todo))}")
    if open_notices := undecided(one, charter):
        found.append(f"nobody has decided about the notices: {', '.join(open_notices)}")
    return found
