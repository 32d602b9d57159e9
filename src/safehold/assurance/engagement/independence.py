"""Who may audit: rules that can be checked, over what the keeper knows.

What no rule here can see: money, friendship, and an organisation that changed its name. The board says by its
signatures that it has looked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from safehold.assurance.engagement.order import EngagementOrder, fold
from safehold.canonical import b64
from safehold.errors import DeniedError
from safehold.keeper.audits import Engagement

IN_A_ROW: Final = 3  # engagements of one organisation, or of one key
RULES: Final = {
    "audit.seat": "holds no seat of the board, now or in any roster before, and signs with no seat's key",
    "audit.operates": "is nobody whom the register of principals knows, as a person or as an operator",
    "audit.log-key": "signs with no key of the log or of a witness of this home",
    "audit.proposer": "was not drawn up last time by the same seat, or by the same person in another",
    "audit.rotation": f"follows at most {IN_A_ROW - 1} engagements in a row of the same organisation or key",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the keeper knows of people and keys.

    Args:
        seats: Persons who hold or ever held a seat.
        seat_keys: Keys that speak or ever spoke for one, base64.
        principals: Ids of principals, and of whoever operates one.
        log_keys: Keys of the log and of its witnesses, base64 of the raw key.
        person: Person who holds the seat that drew this order up.
        before: Person who drew up the last engagement of the same auditor, if that can still be told.
    """

    seats: Collection[str]
    seat_keys: Collection[str]
    principals: Collection[str]
    log_keys: Collection[str]
    person: str
    before: str | None = None


def check_independent(order: EngagementOrder, known: Known, earlier: Sequence[Engagement]) -> None:
    """Pass if an auditor is independent, as far as rules can tell.

    Args:
        order: The order to engage them.
        known: What the keeper knows.
        earlier: Engagements before, oldest first.

    Raises:
        DeniedError: They are not; the rule says which of ``RULES``.
    """
    key, lead = b64(order.vkey.key), fold(order.lead)
    begun = [one for one in earlier if one.begun >= 0]  # who never began has not audited
    same = [one for one in begun if order.org == one.org or key == one.key]
    row = 0
    for one in reversed(begun):
        if one not in same:
            break
        row += 1
    for rule, holds in (
        ("audit.seat", lead in map(fold, known.seats) or key in known.seat_keys),
        ("audit.operates", lead in map(fold, known.principals)),
        ("audit.log-key", key in known.log_keys),
        (
            "audit.proposer",
            bool(same)
            and (order.seat == same[-1].seat or known.person in (known.before, order.lead)),
        ),
        ("audit.rotation", row >= IN_A_ROW),
    ):
        if holds:
            raise DeniedError(
                f"this auditor is not independent: an auditor {RULES[rule]}",
                rule=rule,
                fix="engage somebody else, or let another seat draw it up"
                if rule == "audit.proposer"
                else "engage somebody else",
            )
