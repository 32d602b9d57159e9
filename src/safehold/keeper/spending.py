"""What is spent and used under what is in force: budgets of purposes, uses of grants.

Holds: stop, revocation, uses and budget are checked in the same step as the leaf of a use is appended, and all of
them are a fold of the ledger.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from safehold.charter import Charter
from safehold.errors import DeniedError, InvalidError
from safehold.keeper.uses import Caps, GrantUses, Totals, Uses
from safehold.ledger import Entry, Ledger, Receipt
from safehold.privacy.budget import Allowed, Amount, Charge, remaining, reserve


class Spending(ABC):
    """Budgets and uses.

    Args:
        ledger: The record.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.RLock()
        self._spent: list[dict[str, Any]] = []
        self._uses = Uses()
        self._bounds: dict[int, Caps] = {}

    @abstractmethod
    def charter(self) -> Charter:
        """Return the charter in force."""

    @abstractmethod
    def now_ms(self) -> int:
        """Return the present moment in milliseconds, as leaves are dated."""

    @abstractmethod
    def require_running(self) -> None:
        """Pass unless a stop is in force."""

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

    def spent(self) -> list[dict[str, Any]]:
        """Return every charge so far, as its leaf says it."""
        with self._lock:
            return [dict(one) for one in self._spent]

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
        (receipt,) = self.log_all_running([entry])
        return receipt

    def log_all_running(self, entries: Sequence[Entry]) -> Sequence[Receipt]:
        """Append entries in one commit, all or none, unless a stop is in force.

        Raises:
            DeniedError: Everything is stopped; nothing was appended.
        """
        with self._lock:
            self.require_running()
            return self._ledger.append(entries)

    def log_charged(
        self, entry: Entry, charge: Charge | None, *, caps: Caps | None = None, rows: int = 0
    ) -> Receipt:
        """Append an intent; stop, revocation, uses and budget are checked in the same step.

        Args:
            entry: The intent; ``ref`` names the grant's leaf.
            charge: What it costs, if it costs anything.
            caps: The most that all uses of the grant may come to.
            rows: Rows that this one opens.

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
                self._check_caps(
                    entry.ref,
                    caps,
                    rows=rows,
                    epsilon=0 if charge is None else charge.epsilon_micro,
                )
            facts: dict[str, int | str] = dict(entry.public)
            if entry.ref is not None:
                facts["rows"] = rows
            if charge is not None:
                facts |= reserve(self.allowed(charge.purpose), charge, self._spent)
            (receipt,) = self._ledger.append([replace(entry, public=facts)])
            self._spent.append(facts)
            self._uses.begin(receipt.index, entry.ref, facts, at_ms=self.now_ms())
            return receipt

    def log_watching(self, entry: Entry) -> Receipt:
        """Append the intent of whoever watches the ledger itself; a stop does not blind them.

        Raises:
            InvalidError: It is about somebody's data, or under a grant: that is ``log_charged`` alone.
        """
        if entry.subjects or entry.ref is not None:
            raise InvalidError("whoever watches opens nobody's data", rule="watch.subjects")
        with self._lock:
            (receipt,) = self._ledger.append([entry])
            facts = dict(entry.public)
            self._spent.append(facts)
            self._uses.begin(receipt.index, None, facts, at_ms=self.now_ms())
            return receipt

    def unanswered(self) -> list[int]:
        """Return the intents that have no result yet, oldest first."""
        with self._lock:
            return self._uses.unanswered()

    def answer(self, intent: int, facts: Mapping[str, Any], *, result: int) -> None:
        """Remember that an intent has its result, and what that says in public."""
        with self._lock:
            self._uses.answer(intent, facts, result=result)

    def check_caps(self, grant: int, caps: Caps, *, rows: int, epsilon_micro: int) -> None:
        """Pass if one more use of a grant stays within its caps; it is asked again as the intent is appended.

        Raises:
            DeniedError: It does not.
        """
        with self._lock:
            self._uses.look(grant).check(
                caps, rows=rows, epsilon_micro=epsilon_micro, now_ms=self.now_ms()
            )

    def send(self, intent: int, count: int, caps: Caps) -> int:
        """Count bytes that a run means to send under a grant, and return what all its runs have sent then.

        Raises:
            DeniedError: The grant does not cover them.
        """
        with self._lock:
            return self._uses.send(intent, count, caps, self._bounds)

    def bound(self, grant: int, caps: Caps) -> None:
        """Remember the caps of a grant that others descend from, by the index of its leaf."""
        with self._lock:
            self._bounds[grant] = caps

    def above(self, grant: int) -> list[int]:
        """Return the leaves of the grants that one descends from, nearest first."""
        with self._lock:
            return self._uses.above(grant)

    def _check_caps(self, grant: int, caps: Caps | None, *, rows: int, epsilon: int) -> None:
        """Pass if a use stays within the caps of its grant, and of all that stand above it and have not ended."""
        now = self.now_ms()
        for one in self._uses.above(grant):
            if self.revoked(one) or self.closed(one) or one not in self._bounds:
                raise DeniedError("the grant above this one has ended", rule="agent.parent-ended")
            self._uses.family(one).check(
                self._bounds[one], rows=rows, epsilon_micro=epsilon, now_ms=now
            )
        if caps is not None:
            self._uses.family(grant).check(caps, rows=rows, epsilon_micro=epsilon, now_ms=now)

    def sent(self, intent: int) -> int | None:
        """Return how many bytes a run that goes on has sent under a grant; None if it has no grant."""
        with self._lock:
            return self._uses.sent(intent)

    def totals(self, grant: int) -> Totals:
        """Return what the uses of a grant come to, by the index of its leaf."""
        with self._lock:
            return self._uses.look(grant).totals(self.now_ms())

    def record(self, grant: int) -> GrantUses:
        """Return a copy of what the ledger says of a grant, by the index of its leaf."""
        with self._lock:
            return deepcopy(self._uses.look(grant))

    def blocks(self, grant: int) -> frozenset[str]:
        """Return the hashes of single tokens of a grant that were revoked, hex."""
        with self._lock:
            return frozenset(self._uses.look(grant).blocks)

    def note(self, index: int, leaf: Mapping[str, Any]) -> None:
        """Take a leaf about a grant that was just appended: a refusal, a review."""
        with self._lock:
            self._uses.note(index, leaf)

    def uses(self, grant: int) -> int:
        """Return how many intents name a grant, by the index of the grant's leaf."""
        return self._uses.look(grant).count

    def revoke(self, entry: Entry) -> Receipt:
        """Append the revocation of the grant that ``entry.ref`` names, or of one token; no intent under it follows."""
        with self._lock:
            (receipt,) = self._ledger.append([entry])
            self._uses.note(
                receipt.index,
                {
                    "k": entry.kind,
                    "ref": entry.ref,
                    "pub": dict(entry.public),
                    "t": self.now_ms(),
                },
            )
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
            uses.closed, uses.ended_ms = True, uses.ended_ms or self.now_ms()
            return receipt

    def note_grant(self, index: int) -> None:
        """Remember a grant's leaf."""
        with self._lock:
            for _, leaf in self._ledger.leaves(index, index + 1):
                self._uses.note(index, leaf)

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
