"""The board of a home: the chain of its rosters, as file and ledger tell it.

Holds: the chain is checked from its first version on whenever a keeper starts, and is exactly the one whose versions
the ledger names, in their order, each with the proposal that its votes are on. So an edited, swapped, cut or older
file is refused, and a key that was replaced speaks for nothing from the leaf of the new version on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from safehold.canonical import unb64
from safehold.charter import Roster, Rosters
from safehold.charter.proposal import Vote
from safehold.charter.roster import LONGEST_LIFE_S
from safehold.charter.succession import Terms
from safehold.clock import SECOND_US, Clock
from safehold.errors import DeniedError, InvalidError, TamperedError
from safehold.keeper.enacted import TurningFile
from safehold.ledger import Entry, Ledger, Receipt
from safehold.ledger.tree import leaf_hash
from safehold.settings import Home


class Board:
    """Who holds which seat.

    Args:
        home: Where the chain lies.
        ledger: The record.
        clock: Time.
    """

    def __init__(self, home: Home, ledger: Ledger, clock: Clock) -> None:
        self._home = home
        self._ledger = ledger
        self._clock = clock
        self._file = TurningFile(home.roster_file)
        self._named: list[bytes] = []
        self._behind: list[int | None] = []  # of each version the leaf of its proposal
        self._rosters: Rosters | None = None

    def note(self, leaf: Mapping[str, Any]) -> None:
        """Take a leaf of a roster."""
        self._named.append(unb64(leaf["chr"]))
        self._behind.append(leaf.get("ref"))

    def open(self) -> None:
        """Read the chain and compare it with the ledger.

        Raises:
            TamperedError: It breaks, belongs to another home, or is not what the ledger names.
        """
        for following, tree in self._file.candidates():
            try:
                chain = Rosters.open(tree)
            except InvalidError as error:
                raise TamperedError("the roster file is damaged", rule="trust.roster") from error
            if chain.present.home != self._home.id:
                raise TamperedError("the roster of another home", rule="trust.roster")
            if chain.digests() == self._named and chain.proposals() == self._proposals():
                if following:
                    self._file.turn()
                self._rosters = chain
                return
        raise TamperedError("the roster is not the one in the ledger", rule="trust.roster")

    def _proposals(self) -> list[tuple[int, str] | None]:
        """Return of each version the leaf of its proposal and its hash, as the ledger has them."""
        return [
            None if index is None else (index, leaf_hash(self._ledger.leaf(index)).hex())
            for index in self._behind
        ]

    @property
    def rosters(self) -> Rosters:
        """All versions."""
        if self._rosters is None:
            raise TamperedError("this home has no board", rule="trust.roster")
        return self._rosters

    @property
    def present(self) -> Roster:
        """The roster that counts now."""
        return self.rosters.present

    @property
    def versions(self) -> int:
        """How many versions the ledger names."""
        return len(self._named)

    def require_current(self, *, now_s: int = 0) -> None:
        """Pass unless the roster has expired; what it stops and narrows does not ask this.

        Args:
            now_s: The time as the witnesses have it, where they were asked; the later of theirs and ours counts.

        Raises:
            DeniedError: It has.
        """
        if max(now_s, self._clock.now_us() // SECOND_US) >= self.present.expires_s:
            raise DeniedError(
                "the roster has expired: it can stop and narrow, and allow nothing more",
                rule="roster.expired",
                fix="renew it: safehold board renew",
            )

    def put(
        self,
        new: Roster,
        votes: Sequence[Vote] = (),
        *,
        terms: Terms,
        proposal: int | None = None,
        beside: Sequence[Entry] = (),
        now_s: int = 0,
    ) -> tuple[Receipt, str]:
        """Let a version follow; it is in the ledger first. Return its receipt and what it changes.

        Args:
            new: The version; signed, if it rotates a key.
            votes: What the seats say to its proposal; refusals among them count against it.
            terms: Under which conditions they do.
            proposal: Index of the leaf of its proposal; a rotation has none.
            beside: What becomes durable with it.
            now_s: The time as the witnesses have it, where they were asked.

        Raises:
            InvalidError: It does not follow.
            QuorumError: Too few agreed.
            DeniedError: Its expiry lies too far away, or it has expired already.
        """
        chain, change = self.rosters.follow(new, votes, terms=terms)
        facts: dict[str, int | str] = {"version": new.version, "change": change.kind}
        now_s = max(now_s, self._clock.now_us() // SECOND_US)
        if change.kind == "renew" and not now_s < new.expires_s <= now_s + LONGEST_LIFE_S:
            raise DeniedError(
                "a roster expires within 400 days",
                rule="roster.expires",
                fix="choose an earlier day: safehold board renew --days",
            )
        self._file.write_next(chain.to_json())
        receipts = self._ledger.append(
            [
                Entry(
                    kind="roster",
                    actor="board",
                    object=change.seat or "roster",
                    detail={"version": new.version, "change": change.kind, "seat": change.seat},
                    charter=new.digest(),
                    public=facts | ({"seat": change.seat} if change.seat else {}),
                    ref=proposal,
                ),
                *beside,
            ]
        )
        self._file.turn()
        self._rosters = chain
        self._named.append(new.digest())
        self._behind.append(proposal)
        return receipts[0], change.kind
