"""What a proposal takes, and how it stands: direction, quorum, notice, and the words for the board.

Holds: all of it follows from the two charters or rosters, the votes and the cosignatures; nothing is taken from what
its author says about it. A change of who decides counts as widening, whatever else it is: else one seat could tighten
the quorum until nothing passes without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from safehold.charter import Charter
from safehold.charter.board import Threshold
from safehold.charter.difference import compare
from safehold.charter.proposal import Question, Tally, tally
from safehold.charter.succession import change_of, needed_for
from safehold.errors import SafeholdError
from safehold.keeper.board import Board
from safehold.keeper.enacted import Enacted
from safehold.keeper.proposals import DAY_S, LAPSE_S, Motion, Proposals
from safehold.ledger import Ledger

REPLACE_NOTICE_S: Final = (
    14 * DAY_S
)  # at least; the charter's notice for widening if that is longer
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
        """Return ``narrow`` only where nothing more is allowed; whatever is unknown widens."""
        if old.oversight != new.oversight:
            return "widen"
        return "narrow" if self.direction_of(old, new) in {"narrow", "same"} else "widen"

    def charters(self) -> list[Charter]:
        """Return the charter in force, if there is one."""
        return [self._enacted.signed().charter] if self._enacted.there else []

    def present(self, one: Motion) -> bytes:
        """Return the digest of what is in force of the kind that a proposal is about."""
        return self._enacted.digest if one.about == "charter" else self._board.present.digest()

    def question(self, one: Motion) -> Question:
        """Return what the seats are asked now."""
        return self._proposals.question(one, base=self.present(one), roster=self._board.present)

    def needed(self, one: Motion) -> Threshold:
        """Return how many people, and which seats, a proposal takes."""
        roster, charters = self._board.present, self.charters()
        if one.about == "charter":
            return roster.needed(one.direction, *charters, self._proposals.charter(one))
        change = change_of(roster, self._proposals.roster(one))
        return needed_for(roster, change, notice=True, charters=charters)

    def notice(self, one: Motion) -> int | None:
        """Return the seconds of notice, or nothing if a proposal counts at once."""
        asked = [charter.oversight for charter in self.charters()]
        if one.about == "roster":
            return max(REPLACE_NOTICE_S, *(each.widen.notice_s for each in asked))
        asked.append(self._proposals.charter(one).oversight)
        if one.direction == "widen":
            return max(each.widen.notice_s for each in asked)
        return max(each.narrow.notice_s for each in asked) or None

    def describe(self, one: Motion) -> dict[str, Any]:
        """Return how a proposal stands, for the board: what, who, how many more, from when."""
        try:
            return self._describe(one)
        except SafeholdError as error:  # its base has moved, or its side-car is gone
            return {"proposal": one.index, "about": one.about, "trouble": error.message}

    def _describe(self, one: Motion) -> dict[str, Any]:
        counted, needed = tally(self._proposals.votes(one), self._board.present), self.needed(one)
        notice, known_s = self.notice(one), self._ledger.witnessed(one.index)
        from_s = None if notice is None or known_s is None else known_s + notice
        return {
            "proposal": one.index,
            "about": one.about,
            "direction": one.direction,
            "version": one.version,
            "digest": one.digest.hex(),
            "proposed_by": one.seat,
            "signed": [seat.name for seat in counted.signed],
            "refused": [seat.name for seat in counted.refused],
            "needed": needed.approve,
            "must_include": list(needed.must_include),
            "notice_s": notice or 0,
            "enact_from_us": None if from_s is None else from_s * 1_000_000,
            "lapses_us": None if from_s is None else (from_s + LAPSE_S) * 1_000_000,
            **self._sentences(one),
            "question": self.question(one).to_json(),
        }

    def _sentences(self, one: Motion) -> dict[str, list[str]]:
        """Return in plain sentences what a proposal allows and what it ends, as it is computed."""
        if one.about == "roster":
            new = self._proposals.roster(one)
            seat = new.seat(change_of(self._board.present, new).seat)
            return {"allows": [f"{seat.person} holds the seat {seat.name}, with a new key."]}
        found = compare(self._enacted.signed().charter, self._proposals.charter(one))
        return {
            "allows": [change.sentence for change in found.allowed],
            "ends": [change.sentence for change in found.denied],
        }

    def lost(self, one: Motion, counted: Tally) -> bool:
        """Tell whether a proposal can no longer be enacted, whatever else the seats say."""
        needed = self.needed(one)
        if one.about == "charter":
            return counted.lost(needed)
        gone = change_of(self._board.present, self._proposals.roster(one)).seat
        against = {seat.person for seat in counted.refused}
        left = {seat.person for seat in self._board.present.seats if seat.name != gone} - against
        vetoed = {seat.name for seat in counted.refused} & {gone, *needed.must_include}
        return bool(vetoed) or len(left) < needed.approve
