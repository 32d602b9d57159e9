"""What a proposal takes, and how it stands: direction, quorum, notice, and the words for the board.

1. All of it follows from the two charters, the change of the roster, the votes and the cosignatures; nothing is taken
   from what its author says about it.
2. A change of who decides counts as widening, whatever else it is: else one seat could tighten the quorum until nothing
   passes without it. So does a change of what may be done to watch over the pipeline: else one seat could blind the
   sentinel and call it narrowing.
3. A notice counts by the witnesses that the roster named when the proposal was made, and by no others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from safehold.charter import Charter
from safehold.charter.board import Threshold
from safehold.charter.difference import compare
from safehold.charter.difference.words import ENGLISH, Catalogue
from safehold.charter.pinned import Pinned
from safehold.charter.proposal import Question, Tally, Vote, tally
from safehold.charter.succession import Change, Terms, counted, needed_for
from safehold.errors import QuorumError, SafeholdError
from safehold.keeper.board import Board
from safehold.keeper.enacted import Enacted
from safehold.keeper.proposals import DAY_S, LAPSE_S, Motion, Proposals
from safehold.ledger import Ledger, Timekeepers

REPLACE_NOTICE_S: Final = (
    14 * DAY_S
)  # at least; the charter's notice for widening if that is longer
CONTESTED: Final = 2  # times the notice, if the holder of the seat has refused
Direction = Callable[[Charter, Charter], str]


def computed(old: Charter, new: Charter) -> str:
    """Return the direction of a change as the difference of what both charters mean."""
    return compare(old, new).direction


class Requirements:
    """What proposals take.

    Args:
        ledger: The record.
        board: Who may vote.
        enacted: The charter in force.
        proposals: What is open.
        direction_of: Tells whether a charter allows more than another.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        board: Board,
        enacted: Enacted,
        proposals: Proposals,
        direction_of: Direction,
    ) -> None:
        self._ledger = ledger
        self._board = board
        self._enacted = enacted
        self._proposals = proposals
        self.direction_of = direction_of

    def direction(self, old: Charter, new: Charter) -> str:
        """Return ``narrow`` only where nothing more is allowed; whatever is unknown widens.

        The board's own rules always take the board, but for emergencies: to end or tighten those leaves every other
        rule as it was.
        """
        boards = [replace(one.oversight, break_glass=None) for one in (old, new)]
        if boards[0] != boards[1]:
            return "widen"
        return "narrow" if self.direction_of(old, new) in {"narrow", "same"} else "widen"

    def charters(self) -> list[Charter]:
        """Return the charter in force, if there is one."""
        return [self._enacted.signed().charter] if self._enacted.there else []

    def present(self, one: Motion) -> bytes:
        """Return the digest of what is in force of the kind that a proposal is about."""
        return self._enacted.digest if one.about == "charter" else self._board.present.standing()

    def question(self, one: Motion) -> Question:
        """Return what the seats are asked now."""
        return self._proposals.question(one, base=self.present(one), roster=self._board.present)

    def boards(self, one: Motion) -> list[str]:
        """Return the digests of all rosters since a proposal was made, hex: votes may name any of them."""
        return [digest.hex() for digest in self._board.rosters.digests()[one.rosters - 1 :]]

    def timekeepers(self, one: Motion) -> Timekeepers:
        """Return by whose clocks a notice counts: the witnesses of the roster under which it was proposed."""
        pinned = list(self._board.rosters)[one.rosters - 1].pinned
        return Timekeepers(keys=pinned.keys, need=pinned.quorum)

    def contested(self, one: Motion) -> bool:
        """Tell whether the holder of a seat that is to be replaced has refused, with whatever key spoke for it then."""
        seat = self._proposals.change(one).newcomer()
        return seat is not None and any(
            vote.seat == seat.name and vote.decision == "refuse"
            for vote in self._proposals.votes(one)
        )

    def terms(self, one: Motion, *, notice: bool) -> Terms:
        """Return under which conditions the votes on a change of the roster count."""
        return Terms(notice=notice, contested=self.contested(one), charters=tuple(self.charters()))

    def needed(self, one: Motion) -> Threshold:
        """Return how many people, and which seats, a proposal takes."""
        roster = self._board.present
        if one.about == "charter":
            return roster.needed(one.direction, *self.charters(), self._proposals.charter(one))
        return needed_for(roster, self._proposals.change(one), terms=self.terms(one, notice=True))

    def counted(self, one: Motion, *more: Vote) -> Tally:
        """Count what the seats have said."""
        votes = [*self._proposals.votes(one), *more]
        if one.about == "charter":
            return tally(votes, self._board.present)
        return counted(votes, self._board.present, self._proposals.change(one))

    def notice(self, one: Motion) -> int | None:
        """Return the seconds of notice, or nothing if a proposal counts at once."""
        asked = [charter.oversight for charter in self.charters()]
        if one.about == "roster":
            return self._notice_of(one, [each.widen.notice_s for each in asked])
        asked.append(self._proposals.charter(one).oversight)
        if one.direction == "widen":
            return max(each.widen.notice_s for each in asked)
        return max(each.narrow.notice_s for each in asked) or None

    def _notice_of(self, one: Motion, asked: list[int]) -> int | None:
        """Return the notice of a change of the roster, with what the charter in force asks for widening."""
        match self._proposals.change(one).kind:
            case "replace" if self.contested(one):
                return CONTESTED * max([REPLACE_NOTICE_S, *asked])
            case "replace":
                return None if self._suffices_at_once(one) else max([REPLACE_NOTICE_S, *asked])
            case (
                "witnesses"
            ):  # before there is a charter, nothing is in force that could be widened
                return max(asked) if asked else None
            case _:
                return None

    def _suffices_at_once(self, one: Motion) -> bool:
        """Tell whether so many agree to a replacement that it needs no notice; only for choosing what is asked."""
        change, terms = self._proposals.change(one), self.terms(one, notice=False)
        try:
            needed = needed_for(self._board.present, change, terms=terms)
        except QuorumError:
            return False
        agreed = self.counted(one).signed
        people, names = {seat.person for seat in agreed}, {seat.name for seat in agreed}
        return len(people) >= needed.approve and set(needed.must_include) <= names

    def describe(self, one: Motion, words: Catalogue = ENGLISH) -> dict[str, Any]:
        """Return how a proposal stands, for the board: what, who, how many more, from when.

        Args:
            one: The proposal.
            words: The language in which a difference of charters is told.
        """
        try:
            return self._describe(one, words)
        except SafeholdError as error:  # its base has moved, or its side-car is gone
            return {"proposal": one.index, "about": one.about, "trouble": error.message}

    def _describe(self, one: Motion, words: Catalogue) -> dict[str, Any]:
        votes, needed = self.counted(one), self.needed(one)
        notice, known_s = self.notice(one), self._ledger.witnessed(one.index, self.timekeepers(one))
        from_s = None if notice is None or known_s is None else known_s + notice
        return {
            "proposal": one.index,
            "about": one.about,
            "direction": one.direction,
            "version": one.version,
            "digest": one.digest.hex(),
            "proposed_by": one.seat,
            "signed": [seat.name for seat in votes.signed],
            "refused": [seat.name for seat in votes.refused],
            "needed": needed.approve,
            "must_include": list(needed.must_include),
            "notice_s": notice or 0,
            "enact_from_us": None if from_s is None else from_s * 1_000_000,
            "lapses_us": None if from_s is None else (from_s + LAPSE_S) * 1_000_000,
            **(self._told(one) if one.about == "roster" else self._sentences(one, words)),
            "question": self.question(one).to_json(),
        }

    def _told(self, one: Motion) -> dict[str, Any]:
        """Return what a change of the roster is, in a sentence, and what its newcomer and its holder say."""
        change = self._proposals.change(one)
        found: dict[str, Any] = {"allows": [sentence(change)], "change": change.to_json()}
        if (newcomer := change.newcomer()) is not None:
            found["newcomer_signed"] = any(
                vote.decision == "sign" and vote.holds(newcomer)
                for vote in self._proposals.votes(one)
            )
            found["contested"] = self.contested(one)
        return found

    def _sentences(self, one: Motion, words: Catalogue) -> dict[str, list[str]]:
        """Return in plain sentences what a charter allows and what it ends, as it is computed."""
        old, new = self._enacted.signed().charter, self._proposals.charter(one)
        found = compare(old, new)
        return {
            "allows": [change.words(words) for change in found.allowed],
            "ends": [change.words(words) for change in found.denied],
        }

    def lost(self, one: Motion, votes: Tally) -> bool:
        """Tell whether a proposal can no longer be enacted, whatever else the seats say.

        The holder of a seat that is to be replaced is not asked about that: a thief of the key would refuse.
        """
        needed = self.needed(one)
        if one.about == "charter":
            return votes.lost(needed)
        gone = self._proposals.change(one).seat
        against = {seat.person for seat in votes.refused}
        left = {seat.person for seat in self._board.present.seats if seat.name != gone} - against
        vetoed = {seat.name for seat in votes.refused} & set(needed.must_include)
        return bool(vetoed) or len(left) < needed.approve


def sentence(change: Change) -> str:
    """Return what a change of the roster does, in words."""
    match change.kind:
        case "replace":
            return f"{change.person} holds the seat {change.seat}, with a new key."
        case "renew":
            return "The roster expires later."
        case _:
            pinned = change.pinned or Pinned()
            names = ", ".join(one.name for one in pinned.witnesses)
            return f"A notice counts by {pinned.quorum} of these witnesses: {names}."
