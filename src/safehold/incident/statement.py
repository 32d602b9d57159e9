"""What a seat says about an incident, signed: that it ends, that it is less grave, that somebody was told.

Holds: a signature counts for one incident, one statement and one state of the incident, for a day. It names the newest
leaf that the decision rests on; if something has happened since, the seat has not seen it, and its word is void.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.charter import Roster
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import DeniedError, InvalidError, TamperedError
from safehold.signing import SigningKey

VERSION: Final = "safehold.incident/1"
DOMAIN: Final = "safehold.incident.v1"
LIFE_US: Final = DAY_US
WHAT: Final = ("close", "lower", "notice", "letters")
TOLD_BY: Final = ("privacy", "legal")  # seats that decide about notices
LISTED_FOR: Final = (
    "privacy"  # the one seat that sees who is on the list; another agrees that it does
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one seat says.

    Args:
        home: Id of the home.
        incident: Leaf that opened it.
        what: One of ``WHAT``.
        facts: What else it says.
        basis: Newest leaf of the incident that it rests on.
        seat: Name of the seat.
        at_us: When, microseconds.
        value: 64 bytes of signature, or the packed assertion of a passkey.
    """

    home: str
    incident: int
    what: str
    facts: Mapping[str, Any]
    basis: int
    seat: str
    at_us: int
    value: bytes = b""

    def message(self) -> bytes:
        """Return what is signed."""
        return canonical.encode({**self.to_json(), "value": ""})

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "v": VERSION,
            "home": self.home,
            "incident": self.incident,
            "what": self.what,
            "facts": dict(self.facts),
            "basis": self.basis,
            "seat": self.seat,
            "at_us": self.at_us,
            "value": b64(self.value),
        }

    def sign(self, key: SigningKey) -> Statement:
        """Return it with a seat's signature."""
        return replace(self, value=key.sign(DOMAIN, self.message()))

    @classmethod
    def from_json(cls, tree: Any) -> Statement:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is no statement.
        """
        match tree:
            case {
                "v": "safehold.incident/1",
                "home": str(home),
                "incident": int(incident),
                "what": str(what),
                "facts": dict(facts),
                "basis": int(basis),
                "seat": str(seat),
                "at_us": int(at_us),
                "value": str(value),
            } if len(tree) == 9 and what in WHAT:
                return cls(
                    home=home,
                    incident=incident,
                    what=what,
                    facts=facts,
                    basis=basis,
                    seat=seat,
                    at_us=at_us,
                    value=unb64(value),
                )
            case _:
                raise InvalidError("not a statement of a seat", rule="incident.statement")


def check_statement(
    given: Statement,
    roster: Roster,
    *,
    home: str,
    incident: int,
    what: str,
    basis: int,
    now_us: int,
) -> str:
    """Return the person who holds the seat, if a statement counts.

    Args:
        given: The statement.
        roster: The board.
        home: Id of this home.
        incident: The incident it must be about.
        what: What it must say.
        basis: The newest leaf that a decision about the incident rests on.
        now_us: Now.

    Raises:
        DeniedError: It does not count; the rule says why.
    """
    if (given.home, given.incident, given.what) != (home, incident, what):
        raise DeniedError("a statement about something else", rule="incident.statement")
    seats = {seat.name: seat for seat in roster.seats}
    seat = seats.get(given.seat)
    if seat is None:
        raise DeniedError("there is no such seat", rule="incident.seat")
    try:
        seat.key.verify(DOMAIN, given.message(), given.value)
    except TamperedError as error:
        raise DeniedError("a signature that does not hold", rule="incident.signature") from error
    if not now_us - LIFE_US <= given.at_us <= now_us + SECOND_US:
        raise DeniedError("a statement of another time", rule="incident.time", fix="sign it again")
    if given.basis != basis:
        raise DeniedError(
            "something has happened since that the seat has not seen",
            rule="incident.basis",
            fix="look again: safehold incident show; then sign again",
        )
    return str(seat.person)
