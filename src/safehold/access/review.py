"""The review of a grant after its end, signed by a seat that neither asked nor approved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.charter import Roster
from safehold.clock import DAY_US, day_of
from safehold.errors import DeniedError, InvalidError, TamperedError
from safehold.signing import SigningKey

DOMAIN: Final = "safehold.review.v1"
OUTCOMES: Final = ("as_stated", "differs", "misuse")
WORKING_DAYS: Final = 3
_WEEK: Final = 7
_FRIDAY: Final = 4
_FIRST: Final = 3  # 1970-01-01 was a Thursday; Monday is 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What one seat found.

    Args:
        grant: Id of the grant.
        record: Digest of what it was shown: stated against done, 32 bytes.
        seat: Name of the seat.
        outcome: ``as_stated``, ``differs`` or ``misuse``.
        at_us: When, microseconds.
        value: 64 bytes of signature, or the packed assertion of a passkey.
    """

    grant: str
    record: bytes
    seat: str
    outcome: str
    at_us: int
    value: bytes

    def message(self) -> bytes:
        """Return what is signed."""
        return canonical.encode({**self.to_json(), "value": ""})

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "grant": self.grant,
            "record": self.record.hex(),
            "seat": self.seat,
            "outcome": self.outcome,
            "at_us": self.at_us,
            "value": b64(self.value),
        }

    @classmethod
    def from_json(cls, tree: Any) -> Review:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is no review.
        """
        match tree:
            case {
                "grant": str(grant),
                "record": str(record),
                "seat": str(seat),
                "outcome": "as_stated" | "differs" | "misuse" as outcome,
                "at_us": int(at_us),
                "value": str(value),
            } if len(tree) == 6:
                try:
                    digest = bytes.fromhex(record)
                except ValueError as error:
                    raise InvalidError("not a review", rule="review.shape") from error
                return cls(
                    grant=grant,
                    record=digest,
                    seat=seat,
                    outcome=outcome,
                    at_us=at_us,
                    value=unb64(value),
                )
            case _:
                raise InvalidError("not a review", rule="review.shape")


def review(
    grant: str, record: bytes, seat: str, key: SigningKey, *, outcome: str, now_us: int
) -> Review:
    """Return a seat's signed review of what it was shown."""
    if outcome not in OUTCOMES:
        raise InvalidError(f"one of {', '.join(OUTCOMES)}", rule="review.outcome")
    draft = Review(grant=grant, record=record, seat=seat, outcome=outcome, at_us=now_us, value=b"")
    return replace(draft, value=key.sign(DOMAIN, draft.message()))


def check_review(given: Review, roster: Roster, *, record: bytes, barred: frozenset[str]) -> None:
    """Pass if a review counts.

    Args:
        given: The review.
        roster: The board.
        record: Digest of what there is to be reviewed now.
        barred: People who asked, or whose seats approved.

    Raises:
        DeniedError: It does not; the rule says why.
    """
    seats = {seat.name: seat for seat in roster.seats}
    seat = seats.get(given.seat)
    if seat is None:
        raise DeniedError("there is no such seat", rule="review.seat")
    try:
        seat.key.verify(DOMAIN, given.message(), given.value)
    except TamperedError as error:
        raise DeniedError("a signature that does not hold", rule="review.signature") from error
    if seat.person in barred:
        raise DeniedError(
            "whoever asked or approved does not review",
            rule="review.independent",
            fix="let another seat review it",
        )
    if given.record != record:
        raise DeniedError(
            "this is not the review of what was done",
            rule="review.record",
            fix="look again: safehold grant show",
        )


def due_us(ended_us: int) -> int:
    """Return the end of the third working day after a moment, microseconds; Monday to Friday, UTC."""
    day, left = day_of(ended_us), WORKING_DAYS
    while left:
        day += 1
        left -= (day + _FIRST) % _WEEK <= _FRIDAY
    return (day + 1) * DAY_US
