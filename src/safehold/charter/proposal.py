"""Proposals to change the charter, and what each seat says to one.

1. A proposal names the home, the charter, the charter in force that it would replace (its base), and the roster.
2. A vote names all of these and the leaf of the proposal, so it counts for nothing else: not for another home,
   not for another base, not for a later proposal of the same text.
3. A vote counts while the key that made it speaks for its seat.
4. A refusal stands: the seat that refused does not sign afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.charter.board import Seat, Threshold
from safehold.charter.roster import Roster
from safehold.errors import InvalidError, TamperedError
from safehold.signing import SigningKey

PROPOSAL_DOMAIN: Final = "safehold.proposal.v1"
PROPOSAL_VERSION: Final = "safehold-proposal/1"
VOTE_DOMAIN: Final = "safehold.vote.v1"
VOTE_VERSION: Final = "safehold-vote/1"
DECISIONS: Final = ("sign", "refuse")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What one seat proposes.

    Args:
        home: Id of the home.
        about: ``charter`` or ``roster``.
        digest: Digest of the charter or roster that is proposed, hex.
        version: Its version.
        base: Digest of the charter or roster that it replaces, hex.
        roster: Digest of the roster in force, hex.
        seat: Who proposes it.
        at_us: When, microseconds.
    """

    home: str
    about: str
    digest: str
    version: int
    base: str
    roster: str
    seat: str
    at_us: int

    def message(self) -> bytes:
        """Return what is signed."""
        return canonical.encode({"v": PROPOSAL_VERSION, **asdict(self)})

    def key(self) -> str:
        """Return what its leaf is found by, so that it counts once."""
        return f"proposal/{canonical.digest(self.to_json()).hex()}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: Any) -> Proposal:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is no proposal.
        """
        match tree:
            case {
                "home": str(),
                "about": "charter" | "roster",
                "digest": str(),
                "version": int(),
                "base": str(),
                "roster": str(),
                "seat": str(),
                "at_us": int(),
            } if len(tree) == 8:
                return cls(**tree)
            case _:
                raise InvalidError("not a proposal", rule="proposal.shape")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a vote is about, as the ledger has it.

    Args:
        home: Id of the home.
        proposal: Index of the proposal's leaf.
        leaf: Its RFC 6962 hash, hex.
        digest: What is proposed, hex.
        base: What it would replace, hex.
        roster: The roster that was in force at the time of the vote, hex.
    """

    home: str
    proposal: int
    leaf: str
    digest: str
    base: str
    roster: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, to be handed to the seats."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: Any) -> Question:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is something else.
        """
        match tree:
            case {
                "home": str(),
                "proposal": int(),
                "leaf": str(),
                "digest": str(),
                "base": str(),
                "roster": str(),
            } if len(tree) == 6:
                return cls(**tree)
            case _:
                raise InvalidError("not the question of a proposal", rule="proposal.shape")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One seat's signed word on one proposal.

    Args:
        question: What it is about.
        seat: Whose it is.
        decision: ``sign`` or ``refuse``.
        value: 64 bytes of signature, or the packed assertion of a passkey.
    """

    question: Question
    seat: str
    decision: str
    value: bytes = b""

    def message(self) -> bytes:
        """Return what is signed."""
        return canonical.encode(
            {
                "v": VOTE_VERSION,
                **self.question.to_json(),
                "seat": self.seat,
                "decision": self.decision,
            }
        )

    def holds(self, seat: Seat) -> bool:
        """Tell whether the seat's present key made it; only for counting, never to let something pass."""
        try:
            seat.key.verify(VOTE_DOMAIN, self.message(), self.value)
        except TamperedError:
            return False
        return seat.name == self.seat

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "question": self.question.to_json(),
            "seat": self.seat,
            "decision": self.decision,
            "value": b64(self.value),
        }

    @classmethod
    def from_json(cls, tree: Any) -> Vote:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is no vote.
        """
        match tree:
            case {
                "question": question,
                "seat": str(seat),
                "decision": "sign" | "refuse" as decision,
                "value": str(value),
            } if len(tree) == 4:
                return cls(
                    question=Question.from_json(question),
                    seat=seat,
                    decision=decision,
                    value=unb64(value),
                )
            case _:
                raise InvalidError("not a vote", rule="proposal.vote")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How a proposal stands.

    Args:
        signed: Seats that agree, less those of people who refused.
        refused: Seats that refused.
        reachable: How many people could still have agreed in the end.
    """

    signed: tuple[Seat, ...]
    refused: tuple[Seat, ...]
    reachable: int

    def lost(self, needed: Threshold) -> bool:
        """Tell whether no further signature can reach a threshold."""
        vetoed = {seat.name for seat in self.refused} & set(needed.must_include)
        return bool(vetoed) or self.reachable < needed.approve


def propose(proposal: Proposal, key: SigningKey) -> bytes:
    """Return the signature of the seat that proposes."""
    return key.sign(PROPOSAL_DOMAIN, proposal.message())


def vote(question: Question, seat: str, key: SigningKey, *, decision: str = "sign") -> Vote:
    """Return a seat's signed word on a proposal.

    Raises:
        InvalidError: It is neither ``sign`` nor ``refuse``.
    """
    if decision not in DECISIONS:
        raise InvalidError("sign or refuse", rule="proposal.vote")
    made = Vote(question=question, seat=seat, decision=decision)
    return replace(made, value=key.sign(VOTE_DOMAIN, made.message()))


def tally(votes: Sequence[Vote], roster: Roster) -> Tally:
    """Count votes under a roster; those whose key no longer speaks for its seat do not count."""
    seats = {seat.name: seat for seat in roster.seats}
    valid = [one for one in votes if one.seat in seats and one.holds(seats[one.seat])]
    refused = {one.seat for one in valid if one.decision == "refuse"}
    against = {seats[name].person for name in refused}
    signed = {one.seat for one in valid if one.decision == "sign"}
    return Tally(
        signed=tuple(seats[name] for name in sorted(signed) if seats[name].person not in against),
        refused=tuple(seats[name] for name in sorted(refused)),
        reachable=len({seat.person for seat in roster.seats} - against),
    )
