"""Who decides nothing about a request, and why: conflicts of interest, in one place for whoever shows them.

It says beforehand what ``approval`` refuses; whether a decision counts is checked there, whatever is said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safehold.access.emergency import approving
from safehold.access.grant import Grant
from safehold.access.principal import operator_of
from safehold.charter import Charter, Roster


def standing_of_seats(
    grant: Grant, roster: Roster, charter: Charter, decided: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return of each seat whether its approval would count now, and why not.

    Args:
        grant: What is asked for.
        roster: The board.
        charter: The charter in force.
        decided: What seats have said, ``approve`` or ``deny``.

    Returns:
        A seat each: ``seat``, ``said`` and ``why``: ``asked`` (its holder asks), ``operates`` (an agent of its
        holder asks), ``decided``, ``person`` (its holder approved through another seat and counts once), ``emergency``
        (the charter does not name it for one), or empty if its approval would count.
    """
    people = {seat.name: seat.person for seat in roster.seats}
    agreed = {
        people[name] for name, said in decided.items() if said == "approve" and name in people
    }
    named = approving(grant, charter, people)

    def why(seat: str, person: str) -> str:
        for reason, holds in (
            ("asked", person == grant.requester.id),
            ("operates", person == operator_of(grant.requester)),
            ("decided", seat in decided),
            ("person", person in agreed),
            ("emergency", seat not in named),
        ):
            if holds:
                return reason
        return ""

    return [
        {"seat": name, "said": decided.get(name, ""), "why": why(name, person)}
        for name, person in people.items()
    ]
