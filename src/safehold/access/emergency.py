"""Break-glass: what a grant in an emergency takes, and what it never lifts.

It lifts waiting: fewer approvals, by seats that the charter names. Everything else stands, and more is asked: one
person, one segment, one run, minutes, an incident that opens by itself, and reviews by several people. No policy knows
of it but by the least number of approvals.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from safehold.access.principal import Human
from safehold.errors import DeniedError

if TYPE_CHECKING:
    from safehold.access.grant import Grant
    from safehold.charter import Charter
    from safehold.charter.model import GrantRule
    from safehold.charter.oversight import BreakGlass

SEVERITY: Final = (
    1  # of the incident that it opens, until people say otherwise: 0 is the gravest, 5 the least
)
LEAST_REVIEWS: Final = 2  # where a grant's leaf tells the charter's number no more


def require_allowed(charter: Charter) -> BreakGlass:
    """Return what a charter says about emergencies.

    Raises:
        DeniedError: It says never.
    """
    glass = charter.oversight.break_glass
    if glass is None:
        raise DeniedError(
            "the charter knows no emergencies",
            rule="emergency.never",
            fix="ask for an ordinary grant: safehold request new",
        )
    return glass


def check_emergency(grant: Grant, charter: Charter, rule: GrantRule) -> GrantRule:
    """Return what a charter demands of a grant in an emergency.

    Args:
        grant: What is asked for.
        charter: The charter in force.
        rule: What it demands of the role otherwise.

    Raises:
        DeniedError: It gives none such; the rule says why.
    """
    glass = require_allowed(charter)
    for wrong, message, name in (
        (
            not isinstance(grant.requester, Human) or grant.depth or grant.parent,
            "only a person asks in an emergency, for themselves",
            "emergency.person",
        ),
        (len(grant.segments) != 1, "an emergency covers one segment", "emergency.segment"),
        (
            grant.minutes * 60 > glass.max_s,
            "longer than an emergency may last",
            "emergency.length",
        ),
        (grant.max_runs != 1, "an emergency covers one run", "emergency.runs"),
    ):
        if wrong:
            raise DeniedError(message, rule=name)
    return replace(
        rule,
        approvers=min(rule.approvers, glass.approvers),
        max_s=min(rule.max_s, glass.max_s),
        token_s=min(rule.token_s, glass.max_s),
    )


def approving(grant: Grant, charter: Charter, seats: Iterable[str]) -> frozenset[str]:
    """Return those of some seats whose approvals count for a grant: in an emergency, only those the charter names."""
    glass = charter.oversight.break_glass
    named = frozenset(seats)
    if not grant.break_glass:
        return named
    return frozenset() if glass is None else named & frozenset(glass.seats)
