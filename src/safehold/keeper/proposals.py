"""Proposals that are open, and what the seats have said to them: a fold of the ledger.

Holds: everything about a proposal is in the ledger, its text and every vote in sealed side-cars; no file and no
database row says whether somebody agreed. A step is durable before it counts, and is taken once, so a crash between
any two of them loses and doubles nothing. A proposal ends once: enacted, or lapsed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from safehold.canonical import b64, unb64
from safehold.charter import Charter, Roster
from safehold.charter.proposal import PROPOSAL_DOMAIN, Proposal, Question, Vote
from safehold.charter.turnover import Change
from safehold.clock import SECOND_US, Clock
from safehold.errors import DeniedError, MissingError, TamperedError
from safehold.keeper.order import ORDER_LIFE_US
from safehold.ledger import Entry, Ledger, Receipt
from safehold.ledger.tree import leaf_hash
from safehold.settings import Home

DAY_S: Final = 86_400
LAPSE_S: Final = 60 * DAY_S  # after its notice a proposal can be enacted for this long
MOST_OPEN: Final = 3  # proposals of one seat at a time


@dataclass(slots=True, kw_only=True)
class Motion:
    """One proposal that is open.

    Args:
        index: Index of its leaf.
        leaf: RFC 6962 hash of that leaf.
        about: ``charter`` or ``roster``.
        digest: Digest of what is proposed: of a charter, or of a change of the roster.
        version: Its version.
        direction: ``widen`` or ``narrow``; a roster always widens.
        seat: Who proposed it.
        at_s: Time of its leaf, by the keeper's clock.
        rosters: How many versions of the roster there were when it was made.
        votes: Indices of the leaves of votes.
    """

    index: int
    leaf: bytes
    about: str
    digest: bytes
    version: int
    direction: str
    seat: str
    at_s: int
    rosters: int
    votes: list[int] = field(default_factory=list)


class Proposals:
    """The open proposals of a home.

    Args:
        home: The home they are for.
        ledger: The record.
        clock: Time.
        rosters: Returns how many versions of the roster there are.
    """

    def __init__(
        self, home: Home, ledger: Ledger, clock: Clock, *, rosters: Callable[[], int]
    ) -> None:
        self._home = home
        self._ledger = ledger
        self._clock = clock
        self._rosters = rosters
        self._open: dict[int, Motion] = {}

    def note(self, index: int, leaf: Mapping[str, Any]) -> None:
        """Take a leaf of a proposal."""
        facts, about = leaf["pub"], leaf.get("ref")
        match facts["state"]:
            case "proposed":
                self._open[index] = Motion(
                    index=index,
                    leaf=leaf_hash(self._ledger.leaf(index)),
                    about=facts["about"],
                    digest=unb64(leaf["chr"]),
                    version=facts["version"],
                    direction=facts["direction"],
                    seat=facts["seat"],
                    at_s=int(leaf["t"]) // 1000,
                    rosters=self._rosters(),
                )
            case "signed" | "refused" if about in self._open:
                self._open[about].votes.append(index)
            case "enacted" | "lapsed" if about in self._open:
                del self._open[about]
            case _:
                pass

    def __iter__(self) -> Iterator[Motion]:
        return iter(list(self._open.values()))

    def get(self, index: Any, about: str = "") -> Motion:
        """Return an open proposal.

        Raises:
            MissingError: There is none with this leaf about such a thing.
        """
        found = self._open.get(index) if type(index) is int else None
        if found is None and self._was_open(index):
            raise MissingError(
                "this proposal has ended",
                rule="proposal.open",
                fix="safehold charter log says how; propose it again",
            )
        if found is None or about not in {"", found.about}:
            raise MissingError(
                f"no open proposal{f' about the {about}' if about else ''} has this entry",
                rule="proposal.open",
                fix="safehold charter proposals",
            )
        return found

    def _was_open(self, index: Any) -> bool:
        if type(index) is not int or not 0 <= index < self._ledger.size:
            return False
        ((_, leaf),) = self._ledger.leaves(index, index + 1)
        return bool(leaf["k"] == "proposal" and leaf["pub"]["state"] == "proposed")

    def question(self, one: Motion, *, base: bytes, roster: Roster) -> Question:
        """Return what the seats are asked now."""
        return Question(
            home=self._home.id,
            proposal=one.index,
            leaf=one.leaf.hex(),
            digest=one.digest.hex(),
            base=base.hex(),
            roster=roster.digest().hex(),
        )

    def text(self, one: Motion) -> dict[str, Any]:
        """Return the JSON of the charter or change that is proposed, and the proposal.

        Raises:
            ShreddedError: The side-car's key was destroyed: nobody can know what was proposed.
        """
        return dict(self._ledger.detail(one.index)["detail"])

    def charter(self, one: Motion) -> Charter:
        """Return the charter that is proposed; raises as ``text`` does."""
        found = Charter.from_json(self.text(one)["charter"])
        if found.digest() != one.digest:
            raise TamperedError("a proposal holds another charter", rule="proposal.text")
        return found

    def change(self, one: Motion) -> Change:
        """Return the change of the roster that is proposed; raises as ``text`` does."""
        found = Change.from_json(self.text(one)["change"])
        if found.digest(self._home.id) != one.digest:
            raise TamperedError("a proposal holds another change", rule="proposal.text")
        return found

    def base(self, one: Motion) -> bytes:
        """Return the digest of what a proposal would replace; raises as ``text`` does."""
        return bytes.fromhex(Proposal.from_json(self.text(one)["proposal"]).base)

    def votes(self, one: Motion) -> list[Vote]:
        """Return what the seats have said, oldest first; raises as ``text`` does."""
        return [Vote.from_json(self._ledger.detail(at)["detail"]["vote"]) for at in one.votes]

    def check(
        self,
        said: Proposal,
        signature: bytes,
        roster: Roster,
        *,
        base: bytes,
        boards: Sequence[bytes],
    ) -> None:
        """Check who proposes, and that it is about what is in force now, in this home.

        Args:
            said: The proposal.
            signature: Of the seat that makes it.
            roster: The roster in force, whose key must have signed.
            base: Digest of what is in force of the kind that it would change.
            boards: Digests of all rosters: a key that somebody rotated a moment ago ends nobody's proposal.

        Raises:
            DeniedError: It is for another home, base or roster, of another time, or one too many.
            TamperedError: The seat did not sign it.
        """
        if said.home != self._home.id:
            raise DeniedError("a proposal for another home", rule="proposal.home")
        if said.base != base.hex() or said.roster not in {one.hex() for one in boards}:
            raise DeniedError(
                "a proposal to change what is no longer in force",
                rule="proposal.base",
                fix="draw it up again: safehold charter propose, or safehold board propose",
            )
        roster.seat(said.seat).key.verify(PROPOSAL_DOMAIN, said.message(), signature)
        now = self._clock.now_us()
        if not now - ORDER_LIFE_US <= said.at_us <= now + SECOND_US:
            raise DeniedError("a proposal of another time", rule="proposal.time")
        if sum(one.seat == said.seat for one in self._open.values()) >= MOST_OPEN:
            raise DeniedError(
                f"{said.seat} has {MOST_OPEN} open proposals",
                rule="proposal.many",
                fix="wait until one is enacted or lapses",
            )

    def known(self, said: Proposal) -> Motion | None:
        """Return the open proposal that this very statement made, if it was handed in before.

        Raises:
            DeniedError: It was, and has ended: an old proposal is not opened again.
        """
        receipt = self._ledger.find(said.key())
        if receipt is None:
            return None
        if receipt.index not in self._open:
            raise DeniedError("this proposal has ended", rule="proposal.ended")
        return self._open[receipt.index]

    def propose(
        self, said: Proposal, signature: bytes, *, person: str, direction: str, text: dict[str, Any]
    ) -> Motion:
        """Open a proposal that was checked; durable when this returns."""
        (receipt,) = self._ledger.append(
            [
                Entry(
                    kind="proposal",
                    actor=person,
                    object=said.about,
                    detail={"proposal": said.to_json(), "signature": b64(signature), **text},
                    charter=bytes.fromhex(said.digest),
                    public={
                        "state": "proposed",
                        "about": said.about,
                        "direction": direction,
                        "version": said.version,
                        "seat": said.seat,
                    },
                    key=said.key(),
                )
            ]
        )
        self._take(receipt)
        return self._open[receipt.index]

    def vote(self, one: Motion, made: Vote, *, person: str, ends: bool) -> Receipt:
        """Record a vote that was checked, and the end of the proposal if the vote is its end."""
        state = "signed" if made.decision == "sign" else "refused"
        entries = [
            self._step(
                one,
                state,
                person=person,
                seat=made.seat,
                detail={"vote": made.to_json()},
                key=f"vote/{one.index}/{made.decision}/{made.value.hex()}",
            )
        ]
        if ends:
            entries.append(self.ending(one, "lapsed", why="refused"))
        receipts = self._ledger.append(entries)
        for receipt in receipts:
            self._take(receipt)
        return receipts[0]

    def lapse(self, one: Motion, *, why: str) -> None:
        """End a proposal that can no longer be enacted."""
        (receipt,) = self._ledger.append([self.ending(one, "lapsed", why=why)])
        self._take(receipt)

    def ending(self, one: Motion, state: str, *, why: str = "") -> Entry:
        """Return the leaf that ends a proposal: ``enacted`` or ``lapsed``; ``end`` lets it count."""
        return self._step(one, state, person="keeper", detail={"why": why}, key=f"end/{one.index}")

    def end(self, ended: Sequence[Motion]) -> None:
        """Let the leaves count that ended some proposals."""
        for one in ended:
            self._open.pop(one.index, None)

    def _step(
        self,
        one: Motion,
        state: str,
        *,
        person: str,
        detail: Mapping[str, Any],
        key: str,
        seat: str = "",
    ) -> Entry:
        facts: dict[str, int | str] = {
            "state": state,
            "about": one.about,
            "direction": one.direction,
            "version": one.version,
        }
        return Entry(
            kind="proposal",
            actor=person,
            object=one.about,
            detail=detail,
            charter=one.digest,
            public=facts | ({"seat": seat} if seat else {}),
            ref=one.index,
            key=key,
        )

    def _take(self, receipt: Receipt) -> None:
        ((index, leaf),) = self._ledger.leaves(receipt.index, receipt.index + 1)
        if index not in self._open and not any(index in one.votes for one in self._open.values()):
            self.note(index, leaf)
