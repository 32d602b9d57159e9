"""What the ledger says of uses: which intents wait for a result, and what each grant was used for.

A fold over leaves; the trust keeps it under its lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class GrantUses:
    """The uses of one grant.

    Args:
        count: How many intents name it.
        first: Index of the first of them, -1 if there is none.
        last: Index of the last of them, -1 if there is none.
        revoked: Whether the ledger revokes it.
        closed: Whether the ledger closes it: no intent may name it any more.
    """

    count: int = 0
    first: int = -1
    last: int = -1
    revoked: bool = False
    closed: bool = False

    def facts(self, state: str) -> dict[str, int | str]:
        """Return the public facts of the leaf that closes it; without uses there is no range."""
        facts: dict[str, int | str] = {"state": state, "uses": self.count}
        if self.count:
            facts |= {"first": self.first, "last": self.last}
        return facts


class Uses:
    """The fold."""

    def __init__(self) -> None:
        self._open: dict[int, None] = {}  # in the order of the log
        self._grants: dict[int, GrantUses] = {}

    def note(self, index: int, leaf: Mapping[str, Any]) -> None:
        """Take the next leaf."""
        ref = leaf.get("ref")
        match leaf["k"]:
            case "access.intent":
                self.begin(index, ref)
            case "access.result":
                self.answer(leaf["ref"])
            case "grant":
                if ref is None:
                    self.grant(index)
                else:
                    self.grant(ref).revoked = True
            case "grant.closed":
                self.grant(leaf["ref"]).closed = True
            case _:
                pass

    def begin(self, index: int, grant: int | None) -> None:
        """Take an intent."""
        self._open[index] = None
        if grant is not None:
            uses = self.grant(grant)
            uses.count += 1
            uses.first = index if uses.first < 0 else uses.first
            uses.last = index

    def answer(self, intent: int) -> None:
        """Take the result of an intent."""
        self._open.pop(intent, None)

    def unanswered(self) -> list[int]:
        """Return the intents that have no result, oldest first."""
        return list(self._open)

    def grant(self, index: int) -> GrantUses:
        """Return the uses of the grant whose leaf has an index, to change them."""
        return self._grants.setdefault(index, GrantUses())

    def look(self, index: int) -> GrantUses:
        """Return the uses of a grant, to read them; none if there is no such grant."""
        return self._grants.get(index) or GrantUses()

    def grants(self) -> list[int]:
        """Return the indices of the leaves of all grants."""
        return list(self._grants)
