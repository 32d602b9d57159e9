"""Approvals: board seats that agreed to one grant, each with their own key.

1. An approval names the hash of the grant, the seat, the decision and the moment; changing any of
   them breaks it.
2. Who asked never counts, whichever seat they hold; nor does the operator of an agent that asked.
3. A person counts once. One valid denial ends it. What is not approved within a day has expired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from safehold import canonical
from safehold.access.grant import DOMAIN, Grant, check_grant
from safehold.access.principal import operator_of
from safehold.canonical import b64, unb64
from safehold.charter import Charter, Roster, Seat
from safehold.clock import DAY_US
from safehold.errors import DeniedError, InvalidError, QuorumError, TamperedError
from safehold.signing import SigningKey

WAIT_US: Final = DAY_US  # a request that nobody approved in a day is asked again
DECISIONS: Final = ("approve", "deny")


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One seat's decision on one grant.

    Args:
        grant: Digest of the grant, 32 bytes.
        seat: Name of the seat.
        decision: ``approve`` or ``deny``.
        at_us: When, microseconds.
        value: 64 bytes of signature.
    """

    grant: bytes
    seat: str
    decision: str
    at_us: int
    value: bytes

    def message(self) -> bytes:
        """Return what is signed."""
        return canonical.encode(
            {
                "grant": self.grant.hex(),
                "seat": self.seat,
                "decision": self.decision,
                "at_us": self.at_us,
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "grant": self.grant.hex(),
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
                "seat": str(seat),
                "decision": "approve" | "deny" as decision,
                "at_us": int(at_us),
                "value": str(value),
            } if len(tree) == 5:
                try:
                    digest = bytes.fromhex(grant)
                except ValueError as error:
                    raise InvalidError("not an approval", rule="approval.shape") from error
                return cls(
                    grant=digest, seat=seat, decision=decision, at_us=at_us, value=unb64(value)
                )
            case _:
                raise InvalidError("not an approval", rule="approval.shape")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedGrant:
    """A grant that enough people agreed to; only ``verify_approvals`` makes one.

    Args:
        grant: What was approved.
        approvals: The ones that count, by seat.
        token_s: The longest life of a capability minted from it, seconds.
    """

    grant: Grant
    approvals: tuple[Approval, ...]
    token_s: int


def approve(
    grant: Grant, seat: str, key: SigningKey, *, now_us: int, decision: str = "approve"
) -> Approval:
    """Return a seat's signed decision on a grant."""
    if decision not in DECISIONS:
        raise InvalidError("approve or deny", rule="approval.decision")
    draft = Approval(grant=grant.digest(), seat=seat, decision=decision, at_us=now_us, value=b"")
    return Approval(
        grant=draft.grant,
        seat=seat,
        decision=decision,
        at_us=now_us,
        value=key.sign(DOMAIN, draft.message()),
    )


def verify_approvals(
    grant: Grant, approvals: Sequence[Approval], roster: Roster, charter: Charter
) -> ApprovedGrant:
    """Return the grant as approved.

    Args:
        grant: What was asked for.
        approvals: In any order; those that do not hold are not counted.
        roster: The board.
        charter: The charter in force; it says how many must agree.

    Raises:
        DeniedError: The charter cannot give this grant, or a seat denied it.
        QuorumError: Too few different people approved it in time.
    """
    rule = check_grant(grant, charter)
    excluded = {grant.requester.id, operator_of(grant.requester)}
    counted: dict[str, Approval] = {}
    refused: list[str] = []
    seats = {seat.name: seat for seat in roster.seats}
    for approval in approvals:
        reason = _reason(approval, grant, seats, excluded)
        if reason is not None:
            refused.append(reason)
        elif approval.decision == "deny":
            raise DeniedError("a seat of the board denied this grant", rule="approval.denied")
        else:
            counted[approval.seat] = approval
    people = {seats[name].person for name in counted}
    if len(people) < rule.approvers:
        notes = f"; not counted: {', '.join(sorted(set(refused)))}" if refused else ""
        if len(people) < len(counted):
            notes += "; a person who holds several seats counts once"
        raise QuorumError(
            f"{len(people)} of {rule.approvers} approvals{notes}",
            rule="approval.quorum",
            fix="ask further seats of the board: safehold request approve",
        )
    return ApprovedGrant(
        grant=grant,
        approvals=tuple(approval for _, approval in sorted(counted.items())),
        token_s=rule.token_s,
    )


def _reason(
    approval: Approval, grant: Grant, seats: dict[str, Seat], excluded: set[str]
) -> str | None:
    """Return why an approval does not count, or nothing."""
    seat = seats.get(approval.seat)
    if seat is None:
        return "a seat that does not exist"
    if approval.grant != grant.digest():
        return "an approval of another grant"
    try:
        seat.key.verify(DOMAIN, approval.message(), approval.value)
    except TamperedError:
        return "a signature that does not hold"
    if seat.person in excluded:
        return "an approval by whoever asked"
    if approval.decision == "approve" and not 0 <= approval.at_us - grant.asked_us <= WAIT_US:
        return "an approval out of time"
    return None
