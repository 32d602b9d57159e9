"""The board of a home: the chain of its rosters, as file and ledger tell it.

Holds: the chain is checked from its first version on whenever a keeper starts, and is exactly the one whose versions
the ledger names, in their order. So an edited, swapped, cut or older file is refused, and a key that was replaced
speaks for nothing from the leaf of the new version on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from safehold.canonical import unb64
from safehold.charter import Charter, Roster, Rosters
from safehold.charter.roster import LONGEST_LIFE_S
from safehold.clock import SECOND_US, Clock
from safehold.errors import DeniedError, InvalidError, TamperedError
from safehold.keeper.enacted import TurningFile
from safehold.ledger import Entry, Ledger, Receipt
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
        self._rosters: Rosters | None = None

    def note(self, leaf: Mapping[str, Any]) -> None:
        """Take a leaf of a roster."""
        self._named.append(unb64(leaf["chr"]))

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
            if chain.digests() == self._named:
                if following:
                    self._file.turn()
                self._rosters = chain
                return
        raise TamperedError("the roster is not the one in the ledger", rule="trust.roster")

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
        *,
        notice: bool,
        charters: Sequence[Charter] = (),
        proposal: int | None = None,
        beside: Sequence[Entry] = (),
        now_s: int = 0,
    ) -> tuple[Receipt, str]:
        """Let a version follow; it is in the ledger first. Return its receipt and what it changes.

        Args:
            new: The version, signed.
            notice: Its notice has passed.
            charters: The charter in force, if there is one.
            proposal: Index of the leaf of its proposal.
            beside: What becomes durable with it.
            now_s: The time as the witnesses have it, where they were asked.

        Raises:
            InvalidError: It does not follow.
            QuorumError: Too few signed it.
            DeniedError: Its expiry lies too far away, or it has expired already.
        """
        chain, change = self.rosters.follow(new, notice=notice, charters=charters)
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
                    public={"version": new.version},
                    ref=proposal,
                ),
                *beside,
            ]
        )
        self._file.turn()
        self._rosters = chain
        self._named.append(new.digest())
        return receipts[0], change.kind
