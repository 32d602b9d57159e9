"""A charter and the signatures under it: what the board has agreed to.

The first charter of a home is signed together with that home's id. Every later one is proposed, and what the seats sign
is their vote on that proposal, which names the charter, its base and the home. What counts is checked again whenever
it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from safehold import canonical
from safehold.charter.board import Signature, check_quorum
from safehold.charter.model import DOMAIN, Charter
from safehold.charter.proposal import Question, Vote, tally
from safehold.charter.roster import Roster
from safehold.errors import InvalidError, TamperedError
from safehold.signing import SigningKey

SIGNED_VERSION: Final = "safehold-signed-charter/2"
FIRST_VERSION: Final = "safehold-first-charter/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How the ledger says that a charter came into force.

    Args:
        direction: ``first``, ``widen`` or ``narrow``.
        question: What the seats were asked, but for the roster of each vote; nothing for the first charter.
    """

    direction: str = "first"
    question: Question | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCharter:
    """A charter that the board has agreed to; only ``verify`` and ``verify_votes`` make one.

    Args:
        charter: What was signed.
        direction: What the signatures were counted for; the first charter counts as widening.
        roster: Digest of the roster they were checked against.
        signatures: Those over the charter itself, for a first one.
        base: The charter it replaced, for a later one.
        votes: Those that counted, for a later one.
    """

    charter: Charter
    direction: str
    roster: bytes
    signatures: tuple[Signature, ...] = ()
    base: Charter | None = None
    votes: tuple[Vote, ...] = ()

    @property
    def seats(self) -> list[str]:
        """The seats behind it, sorted."""
        return sorted({one.seat for one in self.signatures} | {one.seat for one in self.votes})

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, to be stored."""
        return {
            "v": SIGNED_VERSION,
            "charter": self.charter.to_json(),
            "direction": self.direction,
            "signatures": [made.to_json() for made in self.signatures],
            "base": None if self.base is None else self.base.to_json(),
            "votes": [made.to_json() for made in self.votes],
        }

    @classmethod
    def from_json(cls, tree: Any, roster: Roster, course: Course | None = None) -> SignedCharter:
        """Read what ``to_json`` made, and check the signatures again.

        Args:
            tree: JSON.
            roster: The roster in force when it was enacted.
            course: What the ledger says of it.

        Raises:
            InvalidError: It is no signed charter.
            TamperedError: It came into force in another way than the ledger says.
            QuorumError: The signatures do not suffice.
        """
        course = course or Course()
        match tree:
            case {
                "v": str(version),
                "charter": charter,
                "direction": str(),
                "signatures": list(signatures),
                "base": base,
                "votes": list(votes),
            } if version == SIGNED_VERSION and len(tree) == 6:
                pass
            case _:
                raise InvalidError("not a signed charter", rule="board.signed_charter")
        if course.question is None:
            if base is not None or votes:
                raise TamperedError("the ledger knows no such proposal", rule="board.proposal")
            return verify(
                Charter.from_json(charter),
                [Signature.from_json(made) for made in signatures],
                roster,
            )
        return verify_votes(
            Charter.from_json(charter),
            Charter.from_json(base),
            [Vote.from_json(made) for made in votes],
            roster,
            course=course,
        )


def first_message(charter: Charter, home: str) -> bytes:
    """Return what is signed of the first charter of a home: what one home was promised, no other home can be given."""
    return canonical.encode({"v": FIRST_VERSION, "home": home, "digest": charter.digest().hex()})


def sign(charter: Charter, seat: str, key: SigningKey, *, home: str) -> Signature:
    """Return a seat's signature of the first charter of a home.

    Args:
        charter: What is signed.
        seat: Name of the seat.
        key: Its key.
        home: Id of the home, as the roster names it.
    """
    return Signature(seat=seat, value=key.sign(DOMAIN, first_message(charter, home)))


def verify(
    charter: Charter,
    signatures: Sequence[Signature],
    roster: Roster,
    *,
    direction: str = "widen",
) -> SignedCharter:
    """Return the first charter of a home as signed.

    Args:
        charter: What was signed.
        signatures: In any order; those that do not hold are not counted.
        roster: The board; the home that it names is part of what was signed.
        direction: What they are counted for; a first charter counts as widening.

    Raises:
        QuorumError: Too few different people signed, a seat that must sign did not, or nobody
            signed at all.
    """
    needed = roster.needed(direction, charter)
    good, bad = roster.count(DOMAIN, first_message(charter, roster.home), signatures)
    check_quorum(good, bad, needed, rule=f"charter.quorum.{direction}")
    kept = {made.seat: made for made in signatures if _holds(roster, charter, made)}
    return SignedCharter(
        charter=charter,
        signatures=tuple(made for _, made in sorted(kept.items())),
        direction=direction,
        roster=roster.digest(),
    )


def verify_votes(
    charter: Charter,
    base: Charter,
    votes: Sequence[Vote],
    roster: Roster,
    *,
    course: Course,
) -> SignedCharter:
    """Return a later charter as agreed to.

    Args:
        charter: What was proposed.
        base: The charter in force.
        votes: In any order; those about anything else, and those that do not hold, are not counted.
        roster: The board.
        course: The proposal, and its direction.

    Raises:
        TamperedError: Charter or base are not those of the proposal.
        QuorumError: Too few different people agreed, or a seat that must agree did not. Roster, base and
            the new charter each say how many it takes; the strictest of them counts.
    """
    asked = course.question
    if asked is None or (charter.digest().hex(), base.digest().hex()) != (asked.digest, asked.base):
        raise TamperedError("this is not what was proposed", rule="board.proposal")
    about = [one for one in votes if _about(one.question, asked)]
    counted = tally(about, roster)
    check_quorum(
        counted.signed,
        sorted({one.seat for one in votes} - {seat.name for seat in counted.signed}),
        roster.needed(course.direction, base, charter),
        rule=f"charter.quorum.{course.direction}",
    )
    agreed = {seat.name: seat for seat in counted.signed}
    return SignedCharter(
        charter=charter,
        base=base,
        direction=course.direction,
        roster=roster.digest(),
        votes=tuple(
            sorted(
                (
                    one
                    for one in about
                    if one.decision == "sign" and one.seat in agreed and one.holds(agreed[one.seat])
                ),
                key=lambda one: one.seat,
            )
        ),
    )


def _about(asked: Question, proposal: Question) -> bool:
    """Tell whether two questions are about one proposal; the roster may have changed between votes."""
    return all(
        getattr(asked, name) == getattr(proposal, name)
        for name in ("home", "proposal", "leaf", "digest", "base")
    )


def _holds(roster: Roster, charter: Charter, made: Signature) -> bool:
    good, _ = roster.count(DOMAIN, first_message(charter, roster.home), [made])
    return bool(good)
