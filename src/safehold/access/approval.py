"""Approvals: board seats that agreed to one grant, each with their own key.

1. An approval names the hash of the grant and of its price, the seat, the decision and the moment; changing any of
   them breaks it.
2. Who asked never counts, whichever seat they hold; nor does the operator of an agent that asked.
3. A person counts once. One valid denial ends it. What is not approved within a day has expired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from safehold import canonical
from safehold.access.code import approvers_of
from safehold.access.emergency import approving
from safehold.access.grant import DOMAIN, WAIT_US, Grant, check_grant
from safehold.access.price import Price
from safehold.access.principal import operator_of
from safehold.canonical import b64, unb64
from safehold.charter import Charter, Roster, Seat
from safehold.clock import SECOND_US
from safehold.errors import DeniedError, InvalidError, QuorumError, TamperedError
from safehold.signing import SigningKey

DECISIONS: Final = ("approve", "deny")
SLACK_US: Final = 60 * SECOND_US  # how far a seat's clock may be ahead
LATE: Final = "an approval out of time"
RULES: Final = {
    "a seat that does not exist": "approval.seat",
    "an approval of another grant": "approval.grant",
    "an approval at another price": "approval.price",
    "a signature that does not hold": "approval.signature",
    "an approval by whoever asked": "approval.requester",
    LATE: "approval.time",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One seat's decision on one grant.

    Args:
        grant: Digest of the grant, 32 bytes.
        price: Digest of the price that the seat was shown, 32 bytes.
        seat: Name of the seat.
        decision: ``approve`` or ``deny``.
        at_us: When, microseconds.
        value: 64 bytes of signature, or the packed assertion of a passkey.
    """

    grant: bytes
    price: bytes
    seat: str
    decision: str
    at_us: int
    value: bytes

    def message(self) -> bytes:
        """Return what is signed."""
        return canonical.encode(
            {
                "grant": self.grant.hex(),
                "price": self.price.hex(),
                "seat": self.seat,
                "decision": self.decision,
                "at_us": self.at_us,
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "grant": self.grant.hex(),
            "price": self.price.hex(),
            "seat": self.seat,
            "decision": self.decision,
            "at_us": self.at_us,
            "value": b64(self.value),
        }

    @classmethod
    def from_json(cls, tree: Any) -> Approval:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is no approval.
        """
        match tree:
            case {
                "grant": str(grant),
                "price": str(price),
                "seat": str(seat),
                "decision": "approve" | "deny" as decision,
                "at_us": int(at_us),
                "value": str(value),
            } if len(tree) == 6:
                try:
                    digest, priced = bytes.fromhex(grant), bytes.fromhex(price)
                except ValueError as error:
                    raise InvalidError("not an approval", rule="approval.shape") from error
                return cls(
                    grant=digest,
                    price=priced,
                    seat=seat,
                    decision=decision,
                    at_us=at_us,
                    value=unb64(value),
                )
            case _:
                raise InvalidError("not an approval", rule="approval.shape")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedGrant:
    """A grant that enough people agreed to; only ``verify_approvals`` makes one.

    Args:
        grant: What was approved.
        price: How far it reaches, as the seats were shown.
        approvals: The ones that count, by seat.
        token_s: The longest life of a capability minted from it, seconds.
    """

    grant: Grant
    price: Price
    approvals: tuple[Approval, ...]
    token_s: int


def approve(
    grant: Grant,
    price: Price,
    seat: str,
    key: SigningKey,
    *,
    now_us: int,
    decision: str = "approve",
) -> Approval:
    """Return a seat's signed decision on a grant, at the price that it was shown."""
    if decision not in DECISIONS:
        raise InvalidError("approve or deny", rule="approval.decision")
    draft = Approval(
        grant=grant.digest(),
        price=price.digest(),
        seat=seat,
        decision=decision,
        at_us=now_us,
        value=b"",
    )
    return replace(draft, value=key.sign(DOMAIN, draft.message()))


def verify_approvals(
    grant: Grant,
    price: Price,
    approvals: Sequence[Approval],
    roster: Roster,
    charter: Charter,
) -> ApprovedGrant:
    """Return the grant as approved.

    Args:
        grant: What was asked for.
        price: How far it reaches.
        approvals: In any order; those that do not hold are not counted.
        roster: The board.
        charter: The charter in force; it says how many must agree.

    Raises:
        DeniedError: The charter cannot give this grant, or a seat denied it.
        QuorumError: Too few different people approved it in time.
    """
    rule = check_grant(grant, charter)
    if price.grant != grant.digest().hex():
        raise DeniedError("this is the price of another grant", rule="price.grant")
    excluded = {grant.requester.id, operator_of(grant.requester)}
    counted: dict[str, Approval] = {}
    refused: list[str] = []
    seats = {seat.name: seat for seat in roster.seats}
    for approval in approvals:
        reason = _reason(approval, grant, price, seats, excluded)
        if reason is not None:
            refused.append(reason)
        elif approval.decision == "deny":
            raise DeniedError("a seat of the board denied this grant", rule="approval.denied")
        else:
            counted[approval.seat] = approval
    named = approving(grant, charter, counted)
    if named != set(counted):
        refused.append("a seat that the charter does not name for emergencies")
        counted = {name: one for name, one in counted.items() if name in named}
    people = {seats[name].person for name in counted}
    needed = approvers_of(grant.recipes, rule.approvers)
    if len(people) < needed:
        notes = f"; not counted: {', '.join(sorted(set(refused)))}" if refused else ""
        if len(people) < len(counted):
            notes += "; a person who holds several seats counts once"
        raise QuorumError(
            f"{len(people)} of {needed} approvals{notes}",
            rule="approval.quorum",
            fix="ask further seats of the board: safehold request approve",
        )
    return ApprovedGrant(
        grant=grant,
        price=price,
        approvals=tuple(approval for _, approval in sorted(counted.items())),
        token_s=rule.token_s,
    )


def _reason(
    approval: Approval, grant: Grant, price: Price, seats: dict[str, Seat], excluded: set[str]
) -> str | None:
    """Return why an approval does not count, or nothing."""
    seat = seats.get(approval.seat)
    if seat is None:
        return "a seat that does not exist"
    try:
        seat.key.verify(DOMAIN, approval.message(), approval.value)
    except TamperedError:
        signed = False
    else:
        signed = True
    late = not 0 <= approval.at_us - grant.asked_us <= WAIT_US
    for reason, holds in (
        ("an approval of another grant", approval.grant != grant.digest()),
        ("an approval at another price", approval.price != price.digest()),
        ("a signature that does not hold", not signed),
        ("an approval by whoever asked", seat.person in excluded),
        (LATE, approval.decision == "approve" and late),
    ):
        if holds:
            return reason
    return None


def check_decision(
    approval: Approval, grant: Grant, price: Price, roster: Roster, *, now_us: int
) -> None:
    """Pass if one seat's decision counts now.

    Args:
        approval: The decision.
        grant: What was asked for.
        price: How far it reaches.
        roster: The board.
        now_us: When it arrives, microseconds.

    Raises:
        DeniedError: It does not count; the rule says why.
    """
    seats = {seat.name: seat for seat in roster.seats}
    excluded = {grant.requester.id, operator_of(grant.requester)}
    if (reason := _reason(approval, grant, price, seats, excluded)) is not None:
        raise DeniedError(f"this does not count: {reason}", rule=RULES[reason])
    if not grant.asked_us <= approval.at_us <= now_us + SLACK_US:
        raise DeniedError(f"this does not count: {LATE}", rule=RULES[LATE])
