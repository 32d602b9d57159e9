"""How the board changes the charter, and itself: proposed, voted on, enacted.

1. What a change allows is computed here, from both charters, not taken from whoever proposes it. A change of who
   decides always counts as widening: else one seat could tighten the quorum until nothing passes without it.
2. Widening takes the strictest quorum of roster, charter in force and new charter, and the notice, which is counted by
   the clocks of the witnesses that the roster named when it was proposed: from when a quorum of them knew the
   proposal, to what they say now.
3. A refusal by a seat without which nothing is widened ends a proposal, and so do so many that no quorum is left.
4. One seat narrows, at once. An expired roster narrows too; it widens nothing.
5. The roster changes by votes on a proposal as the charter does, and only a key is rotated without one. Rotating ends
   no proposal and spoils no vote but that of the key that goes; nobody can hold up the board with a single key.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from safehold.canonical import unb64
from safehold.charter import Charter, Roster
from safehold.charter.admission import admit
from safehold.charter.board import Seat
from safehold.charter.difference.words import load
from safehold.charter.explain import LANGUAGES
from safehold.charter.proposal import VOTE_DOMAIN, Proposal, Vote
from safehold.charter.signed import Course, verify_votes
from safehold.charter.succession import Terms
from safehold.charter.turnover import Change, change_of, follow_up
from safehold.errors import DeniedError, InvalidError, UnavailableError
from safehold.keeper.board import Board
from safehold.keeper.enacted import Enacted
from safehold.keeper.proposals import LAPSE_S, Motion, Proposals
from safehold.keeper.requirements import Direction, Requirements, computed
from safehold.ledger import Ledger


class Deliberation:
    """Proposals and what becomes of them.

    Args:
        ledger: The record.
        board: Who may vote.
        enacted: The charter in force.
        proposals: What is open.
        lock: Held from a check to the leaf that records what followed.
        direction_of: Tells whether a charter allows more than another.
        check_widening: Raises while nothing may be widened.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        board: Board,
        enacted: Enacted,
        proposals: Proposals,
        lock: threading.RLock,
        direction_of: Direction = computed,
        check_widening: Callable[[], None] = lambda: None,
    ) -> None:
        self._check_widening = check_widening
        self._ledger = ledger
        self._board = board
        self._enacted = enacted
        self._proposals = proposals
        self._lock = lock
        self._asks = Requirements(
            ledger, board=board, enacted=enacted, proposals=proposals, direction_of=direction_of
        )

    # -- proposing ----------------------------------------------------------------------------------

    def propose(self, tree: Any, said: Any, signature: str) -> dict[str, Any]:
        """Open a proposal to change the charter.

        Args:
            tree: The charter's canonical JSON.
            said: The proposal as JSON.
            signature: The proposing seat's, base64.

        Raises:
            DeniedError: It is about something else than what is in force, or not newer.
            InvalidError: The charter may not be signed at all.
        """
        with self._lock:
            proposal = Proposal.from_json(said)
            if (known := self._proposals.known(proposal)) is not None:
                return self._asks.describe(known)
            new, old = Charter.from_json(tree), self._enacted.signed().charter
            if (proposal.about, proposal.digest) != ("charter", new.digest().hex()):
                raise DeniedError("a proposal of something else", rule="proposal.digest")
            if new.version <= old.version or proposal.version != new.version:
                raise DeniedError(
                    f"version {new.version} is not newer than version {old.version}",
                    rule="charter.version",
                    fix="give the new charter a higher version",
                )
            roster = self._board.present
            self._check(proposal, signature, base=self._enacted.digest)
            admit(new)
            direction = self._asks.direction(old, new)
            if direction == "widen":
                self._board.require_current()
                self._check_widening()
            made = self._proposals.propose(
                proposal,
                unb64(signature),
                person=roster.seat(proposal.seat).person,
                direction=direction,
                text={"charter": new.to_json()},
            )
            return self._asks.describe(made)

    def propose_roster(self, tree: Any, said: Any, signature: str) -> dict[str, Any]:
        """Open a proposal to change the roster; if it takes a notice, that begins.

        Args:
            tree: The change as JSON.
            said: The proposal as JSON.
            signature: The proposing seat's, base64.

        Raises:
            DeniedError: It is about something else than the roster in force.
            InvalidError: It is no such change, or rotates a key, which needs none.
        """
        with self._lock:
            proposal = Proposal.from_json(said)
            if (known := self._proposals.known(proposal)) is not None:
                return self._asks.describe(known)
            roster, rosters = self._board.present, self._board.rosters
            change = Change.from_json(tree)
            if (proposal.about, proposal.digest) != ("roster", change.digest(roster.home).hex()):
                raise DeniedError("a proposal of something else", rule="proposal.digest")
            self._check(proposal, signature, base=roster.standing())
            if change.kind == "rotate":
                raise InvalidError(
                    "a key is rotated without a proposal",
                    rule="roster.change",
                    fix="safehold board rotate",
                )
            if proposal.version != 2 + rosters.digests().index(bytes.fromhex(proposal.roster)):
                raise DeniedError("not the version that would follow", rule="roster.version")
            rosters.check_key(change)
            follow_up(roster, change)
            made = self._proposals.propose(
                proposal,
                unb64(signature),
                person=roster.seat(proposal.seat).person,
                direction="widen",
                text={"change": change.to_json()},
            )
            return self._asks.describe(made)

    def _check(self, said: Proposal, signature: str, *, base: bytes) -> None:
        self._proposals.check(
            said,
            unb64(signature),
            self._board.present,
            base=base,
            boards=self._board.rosters.digests(),
        )

    # -- voting -------------------------------------------------------------------------------------

    def vote(self, said: Any) -> dict[str, Any]:
        """Record what one seat says to a proposal.

        Raises:
            DeniedError: The vote is about something else, or comes after the seat's refusal.
            TamperedError: The seat's present key did not make it.
        """
        with self._lock:
            made = Vote.from_json(said)
            one = self._proposals.get(made.question.proposal)
            asked = self._asks.question(one)
            if replace(
                made.question, roster=asked.roster
            ) != asked or made.question.roster not in self._asks.boards(one):
                raise DeniedError(
                    "a vote about something else: another home, base, roster or proposal",
                    rule="proposal.question",
                    fix="look at what is proposed now and sign that: safehold charter proposals",
                )
            seat = self._voter(one, made)
            seat.key.verify(VOTE_DOMAIN, made.message(), made.value)
            earlier = {
                vote.decision
                for vote in self._proposals.votes(one)
                if vote.seat == made.seat and vote.holds(seat)
            }
            if made.decision in earlier:
                return self._asks.describe(one)
            if "refuse" in earlier:
                raise DeniedError("this seat has refused, and that stands", rule="proposal.refused")
            ends = made.decision == "refuse" and self._asks.lost(one, self._asks.counted(one, made))
            receipt = self._proposals.vote(one, made, person=seat.person, ends=ends)
            return {**self._asks.describe(one), "entry": receipt.index, "ended": ends}

    def _voter(self, one: Motion, made: Vote) -> Seat:
        """Return the seat whose key must have made a vote: of a seat that is replaced, the new key agrees."""
        if one.about == "roster" and made.decision == "sign":
            newcomer = self._proposals.change(one).newcomer()
            if newcomer is not None and newcomer.name == made.seat:
                return newcomer
        return self._board.present.seat(made.seat)

    # -- enacting -----------------------------------------------------------------------------------

    def time_for(self, index: Any) -> int | None:
        """Return the time by the clocks of the witnesses, if a proposal has a notice; seconds.

        It is asked for before any lock is taken, for witnesses may be slow; later it is only later.

        Raises:
            MissingError: There is no such open proposal.
            UnavailableError: The witnesses cannot be asked.
        """
        with self._lock:
            one = self._proposals.get(index)
            notice, by = self._asks.notice(one), self._asks.timekeepers(one)
        return None if notice is None else self._ledger.witnessed_now(by)

    def enact(self, index: Any, now_s: int | None) -> dict[str, Any]:
        """Put a proposed charter in force.

        Args:
            index: Index of the leaf of its proposal.
            now_s: What ``time_for`` returned.

        Raises:
            QuorumError: Too few seats agree.
            DeniedError: The notice is not over, or the proposal has lapsed.
        """
        with self._lock:
            one = self._proposals.get(index, "charter")
            self._check_base(one)
            old, new = self._enacted.signed().charter, self._proposals.charter(one)
            policy = admit(new)
            if self._asks.direction(old, new) != one.direction:
                raise DeniedError(
                    "what this change allows is seen in another way than when it was proposed",
                    rule="proposal.direction",
                    fix="propose it again",
                )
            signed = verify_votes(
                new,
                old,
                self._proposals.votes(one),
                self._board.present,
                course=Course(direction=one.direction, question=self._asks.question(one)),
            )
            if one.direction == "widen":
                self._board.require_current(now_s=now_s or 0)
                self._check_widening()
            self._check_notice(one, now_s)
            others = self._others(one)
            receipt = self._enacted.put(
                signed,
                policy,
                direction=one.direction,
                rosters=self._board.versions,
                proposal=one.index,
                beside=[
                    self._proposals.ending(one, "enacted"),
                    *(self._proposals.ending(other, "lapsed", why="base") for other in others),
                ],
            )
            self._proposals.end([one, *others])
            return {
                "version": new.version,
                "digest": new.digest().hex(),
                "direction": one.direction,
                "seats": signed.seats,
                "new": True,
                "entry": receipt.index,
            }

    def enact_roster(self, index: Any, now_s: int | None) -> dict[str, Any]:
        """Put a proposed change of the roster in force.

        Args:
            index: Index of the leaf of its proposal.
            now_s: What ``time_for`` returned.

        Raises:
            QuorumError: Too few seats agree.
            InvalidError: It does not follow.
            DeniedError: The notice is not over, or the proposal has lapsed.
        """
        with self._lock:
            one = self._proposals.get(index, "roster")
            self._check_base(one)
            self._check_notice(one, now_s)
            others = self._others(one)
            receipt, kind = self._board.put(
                follow_up(self._board.present, self._proposals.change(one)),
                self._proposals.votes(one),
                terms=self._asks.terms(one, notice=self._asks.notice(one) is not None),
                proposal=one.index,
                beside=[
                    self._proposals.ending(one, "enacted"),
                    *(self._proposals.ending(other, "lapsed", why="base") for other in others),
                ],
                now_s=now_s or 0,
            )
            self._proposals.end([one, *others])
            return self._became(kind, receipt.index)

    def rotate(self, tree: Any) -> dict[str, Any]:
        """Give a seat another key, as its holder has signed it with both; open proposals go on.

        Args:
            tree: The roster with its signatures, as JSON.

        Raises:
            QuorumError: The old or the new key did not sign it.
            InvalidError: It does not follow, or changes something else.
        """
        with self._lock:
            new = Roster.from_json(tree)
            if change_of(self._board.present, new).kind != "rotate":
                raise InvalidError(
                    "only a key is changed without a proposal",
                    rule="roster.proposal",
                    fix="safehold board propose",
                )
            receipt, kind = self._board.put(new, terms=Terms(notice=False))
            return self._became(kind, receipt.index)

    def _became(self, kind: str, entry: int) -> dict[str, Any]:
        present = self._board.present
        return {
            "version": present.version,
            "digest": present.digest().hex(),
            "change": kind,
            "entry": entry,
        }

    def _others(self, one: Motion) -> list[Motion]:
        return [other for other in self._proposals if other.about == one.about and other is not one]

    def _check_base(self, one: Motion) -> None:
        present = self._asks.present(one)
        if self._proposals.base(one) != present:
            self._proposals.lapse(one, why="base")
            raise DeniedError(
                "what this proposal would replace is no longer in force",
                rule="proposal.base",
                fix="propose the change again",
            )

    def _check_notice(self, one: Motion, now_s: int | None) -> None:
        """Pass from the end of the notice until the proposal lapses."""
        notice = self._asks.notice(one)
        if notice is None:
            return
        known_s = self._ledger.witnessed(one.index, self._asks.timekeepers(one))
        if known_s is None or now_s is None:
            raise UnavailableError(
                "no quorum of witnesses has cosigned the proposal yet, so its notice has not begun",
                rule="proposal.witnessed",
                fix="safehold ledger publish; safehold status names witnesses that are down",
            )
        if now_s < known_s + notice:
            raise DeniedError(
                f"its notice lasts until {_moment(known_s + notice)}, by the clocks of the witnesses",
                rule="proposal.notice",
                fix="wait; until then every seat can refuse",
            )
        if now_s > known_s + notice + LAPSE_S:
            self._proposals.lapse(one, why="time")
            raise DeniedError(
                f"it has lapsed on {_moment(known_s + notice + LAPSE_S)}",
                rule="proposal.lapsed",
                fix="propose it again",
            )

    def open(self, language: str = "en") -> list[dict[str, Any]]:
        """Return every open proposal, oldest first, told in a language.

        Raises:
            InvalidError: Differences are not told in it.
        """
        if language not in LANGUAGES:
            raise InvalidError("not told in this language", rule="proposal.language")
        words = load(language)
        with self._lock:
            return [self._asks.describe(one, words) for one in self._proposals]


def _moment(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
