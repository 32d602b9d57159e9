"""What is in force: the board, the signed charter, a stop, and what each purpose has spent.

Holds: the ledger is the truth and this is its fold. A charter counts only if the board's signatures hold over
it *and* it is the newest that the ledger names, so an older signed charter cannot be put back. A stop counts
from the moment its leaf is durable.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from safehold.canonical import unb64
from safehold.charter import (
    Charter,
    Policy,
    Roster,
    Signature,
    SignedCharter,
    verify,
)
from safehold.charter import compile as compile_charter
from safehold.charter.board import check_quorum
from safehold.charter.model import DOMAIN
from safehold.clock import Clock
from safehold.errors import DeniedError, QuorumError, TamperedError
from safehold.keeper.enacted import CharterFile, read_file
from safehold.keeper.order import DIRECTIONS, Orders, read_order
from safehold.ledger import Entry, Ledger, Receipt
from safehold.privacy.budget import Allowed, Amount, Charge, remaining, reserve
from safehold.settings import Home


class Trust:
    """What is in force.

    Args:
        home: Where the charter and the roster lie.
        ledger: The record.
        clock: Time.
    """

    def __init__(self, home: Home, ledger: Ledger, clock: Clock) -> None:
        self._home = home
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.RLock()
        self.roster = Roster.open(read_file(home.roster_file))
        self._spent: list[dict[str, Any]] = []
        self._uses: dict[int, int] = {}
        self._orders = Orders()
        self._revoked: set[int] = set()
        self._granted: list[int] = []
        self._charter_file = CharterFile(home.charter_file)
        self._charter: SignedCharter | None = None
        self._digest = b""
        self._policy: Policy | None = None
        self._home_leaf = False
        roster_leaf = charter_leaf = None
        for index, leaf in ledger.leaves():
            match leaf["k"]:
                case "home":
                    self._check_home(leaf.get("pub", {}))
                case "grant":
                    self._note_grant(index, leaf.get("ref"))
                case "roster":
                    roster_leaf = unb64(leaf["chr"])
                case "charter":
                    charter_leaf = unb64(leaf["chr"])
                case "stop" | "resume":
                    self._orders.note(leaf["k"], int(leaf["t"]) * 1000)
                case "access.intent":
                    self._count(leaf.get("pub", {}), leaf.get("ref"))
                case _:
                    pass
        if roster_leaf != self.roster.digest():
            raise TamperedError("the roster is not the one in the ledger", rule="trust.roster")
        if not self._home_leaf:
            raise TamperedError("the ledger does not name this home", rule="trust.home")
        if charter_leaf is not None:
            self._charter = self._charter_file.open(charter_leaf, self.roster)
            self._digest = self._charter.charter.digest()
            self._policy = compile_charter(self._charter.charter)

    @property
    def stopped(self) -> bool:
        """Whether a stop is in force."""
        return self._orders.stopped

    def stops(self) -> list[tuple[int, int | None]]:
        """Return when the board had stopped everything, microseconds; the last may have no end yet."""
        return self._orders.stops()

    def signed(self) -> SignedCharter:
        """Return the charter in force with its signatures.

        Raises:
            QuorumError: None is in force.
        """
        if self._charter is None:
            raise QuorumError(
                "no signed charter is in force, so nothing is collected and nothing is used",
                rule="charter.unsigned",
                fix="safehold charter sign, then safehold run --charter",
            )
        return self._charter

    def charter(self) -> Charter:
        """Return the charter in force."""
        return self.signed().charter

    def digest(self) -> bytes:
        """Return the digest of the charter in force, or nothing."""
        return self._digest

    def require_running(self) -> None:
        """Pass unless a stop is in force.

        Raises:
            DeniedError: It is.
        """
        self._orders.require_running()

    def policy(self) -> Policy:
        """Return the compiled policy of the charter in force."""
        self.signed()
        if self._policy is None:
            raise QuorumError("no signed charter is in force", rule="charter.unsigned")
        return self._policy

    def enact(self, tree: Any, signatures: Sequence[Any]) -> dict[str, Any]:
        """Put a charter in force that the board signed; it is in the ledger first.

        A later version takes the widening quorum as well: whether it is narrower is decided by the semantic
        difference, which part 3 computes.

        Args:
            tree: The charter's canonical JSON.
            signatures: The seats' signatures as JSON.

        Raises:
            QuorumError: The board's signatures do not suffice.
            DeniedError: It is not newer than the one in force.
            InvalidError: It is no charter, or does not compile to policy.
        """
        with self._lock:
            new = Charter.from_json(tree)
            signed = verify(new, [Signature.from_json(one) for one in signatures], self.roster)
            policy = compile_charter(new)
            if self._charter is not None:
                self._check_board(signed)
                if new.digest() == self.digest():
                    return {"version": new.version, "digest": new.digest().hex(), "new": False}
                old = self._charter.charter
                if new.version <= old.version:
                    raise DeniedError(
                        f"version {new.version} is not newer than version {old.version}",
                        rule="charter.version",
                        fix="give the new charter a higher version and have it signed again",
                    )
            self._charter_file.write_next(signed)
            (receipt,) = self._ledger.append(
                [
                    Entry(
                        kind="charter",
                        actor="board",
                        object=new.id,
                        detail={
                            "version": new.version,
                            "seats": sorted(one.seat for one in signed.signatures),
                        },
                        charter=new.digest(),
                        public={"version": new.version},
                    )
                ]
            )
            self._charter_file.turn()
            self._charter, self._policy, self._digest = signed, policy, new.digest()
            return {
                "version": new.version,
                "digest": new.digest().hex(),
                "new": True,
                "entry": receipt.index,
            }

    def order(self, what: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an order of the board to stop or to resume.

        Args:
            what: ``stop`` or ``resume``.
            arguments: ``order`` (canonical JSON text) and ``signatures`` (seat to base64 text).

        Raises:
            QuorumError: Too few seats signed it.
        """
        text = str(arguments["order"]).encode()
        order = read_order(text, what=what, home=self._home.id)
        now = self._clock.now_us()
        signatures = [Signature.from_json(one) for one in arguments["signatures"]]
        self._orders.check_time(order, now_us=now)
        if self._ledger.find(order.key):
            raise DeniedError("an order of another time", rule="oversight.order")
        seats, bad = self.roster.count(f"safehold.{what}.v1", text, signatures)
        needed = self.roster.needed(DIRECTIONS[what], self.signed().charter)
        check_quorum(seats, bad, needed, rule=f"oversight.{what}")
        with self._lock:
            self._orders.check_turn(order)  # a stop may have come while we were counting
            (receipt,) = self._ledger.append(
                [
                    Entry(
                        kind=what,
                        actor="board",
                        object="everything",
                        detail={
                            "reason": order.reason,
                            "seats": sorted(seat.name for seat in seats),
                        },
                        charter=self.digest(),
                        public={"state": what},
                        key=order.key,
                    )
                ]
            )
            self._orders.note(what, now)
        return {"state": what, "entry": receipt.index}

    def allowed(self, purpose: str) -> Allowed:
        """Return what the charter allows a purpose to reveal in all.

        Raises:
            DeniedError: The purpose may release nothing.
        """
        privacy = self.charter().purpose(purpose).privacy
        if privacy is None:
            raise DeniedError("this purpose may release nothing", rule="purpose.privacy")
        return Allowed(
            purpose=purpose, epsilon_micro=privacy.epsilon_micro, delta_e12=privacy.delta_pico
        )

    def least_people(self, purpose: str) -> int:
        """Return the fewest people anything may be released about."""
        privacy = self.charter().purpose(purpose).privacy
        if privacy is None:
            raise DeniedError("this purpose may release nothing", rule="purpose.privacy")
        return privacy.min_people

    def left(self, purpose: str) -> Amount:
        """Return what a purpose has left."""
        return remaining(self.allowed(purpose), self._spent)

    def log_running(self, entry: Entry) -> Receipt:
        """Append an entry unless a stop is in force; no such entry follows the leaf of a stop.

        Raises:
            DeniedError: Everything is stopped; nothing was appended.
        """
        with self._lock:
            self.require_running()
            (receipt,) = self._ledger.append([entry])
            return receipt

    def log_charged(
        self, entry: Entry, charge: Charge | None, *, most_uses: int | None = None
    ) -> Receipt:
        """Append an intent; stop, revocation, uses and budget are checked in the same step.

        Args:
            entry: The intent; ``ref`` names the grant's leaf.
            charge: What it costs, if it costs anything.
            most_uses: How many intents may name the grant.

        Raises:
            BudgetSpentError: The budget does not cover the charge; nothing was appended.
            DeniedError: Stopped, or the grant was revoked or used up in the meantime.
        """
        with self._lock:
            self.require_running()
            if entry.ref is not None:
                if entry.ref in self._revoked:
                    raise DeniedError("this grant was revoked", rule="grant.revoked")
                if most_uses is not None and self.uses(entry.ref) >= most_uses:
                    raise DeniedError(
                        "this grant is used up", rule="grant.runs", fix="ask for a new one"
                    )
            facts: dict[str, int | str] = dict(entry.public)
            if charge is not None:
                facts |= reserve(self.allowed(charge.purpose), charge, self._spent)
            (receipt,) = self._ledger.append([replace(entry, public=facts)])
            self._count(facts, entry.ref)
            return receipt

    def uses(self, grant: int) -> int:
        """Return how many intents name a grant, by the index of the grant's leaf."""
        return self._uses.get(grant, 0)

    def revoke(self, entry: Entry) -> Receipt:
        """Append the revocation of the grant that ``entry.ref`` names; no intent under it follows."""
        with self._lock:
            (receipt,) = self._ledger.append([entry])
            self._note_grant(receipt.index, entry.ref)
            return receipt

    def note_grant(self, index: int) -> None:
        """Remember a grant's leaf."""
        with self._lock:
            self._note_grant(index, None)

    def grants(self) -> list[int]:
        """Return the indices of the leaves of all grants."""
        with self._lock:
            return list(self._granted)

    def revoked(self, grant: int) -> bool:
        """Return whether the ledger says that a grant was revoked, by the index of its leaf."""
        return grant in self._revoked

    def _note_grant(self, index: int, revokes: int | None) -> None:
        if revokes is None:
            self._granted.append(index)
        else:
            self._revoked.add(revokes)

    def _check_board(self, signed: SignedCharter) -> None:
        # the board that the charter in force asks for decides who may replace it, not the new text alone
        seats, bad = self.roster.count(DOMAIN, signed.charter.encode(), signed.signatures)
        check_quorum(
            seats, bad, self.roster.needed("widen", self.charter()), rule="charter.quorum.widen"
        )

    def _check_home(self, facts: Mapping[str, Any]) -> None:
        self._home_leaf = True
        if facts.get("synthetic") != int(self._home.synthetic):
            raise TamperedError(
                "the record of the home is not what the ledger says of it", rule="trust.home"
            )

    def _count(self, facts: dict[str, Any], grant: int | None) -> None:
        self._spent.append(facts)
        if grant is not None:
            self._uses[grant] = self._uses.get(grant, 0) + 1
