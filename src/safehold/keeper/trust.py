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
from safehold.charter.board import check_quorum
from safehold.charter.model import DOMAIN
from safehold.charter.prove import enforceable
from safehold.clock import Clock
from safehold.errors import DeniedError, QuorumError, TamperedError
from safehold.keeper.enacted import CharterFile, read_file
from safehold.keeper.order import DIRECTIONS, Orders, read_order
from safehold.keeper.uses import Uses
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
        self._uses = Uses()
        self._orders = Orders()
        self._charter_file = CharterFile(home.charter_file)
        self._charter: SignedCharter | None = None
        self._digest = b""
        self._policy: Policy | None = None
        self._home_leaf = False
        roster_leaf = charter_leaf = None
        for index, leaf in ledger.leaves():
            self._uses.note(index, leaf)
            match leaf["k"]:
                case "home":
                    self._check_home(leaf.get("pub", {}))
                case "roster":
                    roster_leaf = unb64(leaf["chr"])
                case "charter":
                    charter_leaf = unb64(leaf["chr"])
                case "stop" | "resume":
                    self._orders.note(leaf["k"], int(leaf["t"]) * 1000)
                case "access.intent":
                    self._spent.append(leaf.get("pub", {}))
                case _:
                    pass
        if roster_leaf != self.roster.digest():
            raise TamperedError("the roster is not the one in the ledger", rule="trust.roster")
        if not self._home_leaf:
            raise TamperedError("the ledger does not name this home", rule="trust.home")
        if charter_leaf is not None:
            self._charter = self._charter_file.open(charter_leaf, self.roster)
            self._digest = self._charter.charter.digest()
            self._policy = enforceable(self._charter.charter)

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
            InvalidError: It is no charter, does not compile to policy, or is not proved.
            ReachableError: One of its promises can be broken.
        """
        with self._lock:
            new = Charter.from_json(tree)
            signed = verify(new, [Signature.from_json(one) for one in signatures], self.roster)
            policy = enforceable(new)
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
            DeniedError: Stopped, or the grant was revoked, used up or closed in the meantime.
        """
        with self._lock:
            self.require_running()
            if entry.ref is not None:
                if self.revoked(entry.ref):
                    raise DeniedError("this grant was revoked", rule="grant.revoked")
                if self.closed(entry.ref):
                    raise DeniedError(
                        "this grant is closed", rule="grant.closed", fix="ask for a new one"
                    )
                if most_uses is not None and self.uses(entry.ref) >= most_uses:
                    raise DeniedError(
                        "this grant is used up", rule="grant.runs", fix="ask for a new one"
                    )
            facts: dict[str, int | str] = dict(entry.public)
            if charge is not None:
                facts |= reserve(self.allowed(charge.purpose), charge, self._spent)
            (receipt,) = self._ledger.append([replace(entry, public=facts)])
            self._spent.append(facts)
            self._uses.begin(receipt.index, entry.ref)
            return receipt

    def unanswered(self) -> list[int]:
        """Return the intents that have no result yet, oldest first."""
        with self._lock:
            return self._uses.unanswered()

    def answer(self, intent: int) -> None:
        """Remember that an intent has its result."""
        with self._lock:
            self._uses.answer(intent)

    def uses(self, grant: int) -> int:
        """Return how many intents name a grant, by the index of the grant's leaf."""
        return self._uses.look(grant).count

    def revoke(self, entry: Entry) -> Receipt:
        """Append the revocation of the grant that ``entry.ref`` names; no intent under it follows."""
        with self._lock:
            (receipt,) = self._ledger.append([entry])
            if entry.ref is not None:
                self._uses.grant(entry.ref).revoked = True
            return receipt

    def close_grant(self, grant: int, entry: Entry, *, state: str) -> Receipt | None:
        """Append the leaf that closes a grant, with the range of its uses; no intent under it follows.

        A grant is closed once; nothing is returned the second time.

        Args:
            grant: Index of the grant's leaf.
            entry: The leaf, without its reference and its public facts.
            state: Why it ends: ``expired``, ``revoked`` or ``used``.
        """
        with self._lock:
            uses = self._uses.grant(grant)
            if uses.closed:
                return None
            closing = replace(entry, ref=grant, public=uses.facts(state))
            (receipt,) = self._ledger.append([closing])
            uses.closed = True
            return receipt

    def note_grant(self, index: int) -> None:
        """Remember a grant's leaf."""
        with self._lock:
            self._uses.grant(index)

    def grants(self, *, only_open: bool = False) -> list[int]:
        """Return the indices of the leaves of all grants, or of those that are not closed."""
        with self._lock:
            return [one for one in self._uses.grants() if not (only_open and self.closed(one))]

    def closed(self, grant: int) -> bool:
        """Return whether the ledger says that a grant was closed, by the index of its leaf."""
        return self._uses.look(grant).closed

    def revoked(self, grant: int) -> bool:
        """Return whether the ledger says that a grant was revoked, by the index of its leaf."""
        return self._uses.look(grant).revoked

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
