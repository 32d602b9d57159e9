"""Runs of the drill as they were announced, and what of them was never reported on: a fold over leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from safehold.clock import SECOND_US
from safehold.ledger import Ledger

KIND: Final = "drill"
BEGIN: Final = "drill.begin"
DEPLOYMENT: Final = "deployment"
UNDER_WAY_US: Final = (
    6 * 3600 * SECOND_US
)  # that long a run may take before it counts as one that nobody reports on


@dataclass(slots=True, kw_only=True)
class Begun:
    """One run that was announced.

    Args:
        index: Its leaf.
        run: Its id.
        at_ms: When it began, milliseconds.
        announced: Scenarios that it was going to try.
        told: Those of them that it reported on.
    """

    index: int
    run: str
    at_ms: int
    announced: frozenset[str]
    told: set[str] = field(default_factory=set)

    @property
    def untold(self) -> list[str]:
        """Scenarios that were announced and of which nobody said what came of them."""
        return sorted(self.announced - self.told)

    def under_way(self, now_us: int) -> bool:
        """Whether it may still be running; one that reported on some of it is over."""
        return not self.told and now_us - self.at_ms * 1000 < UNDER_WAY_US


def runs(ledger: Ledger) -> list[Begun]:
    """Return every run that was announced, oldest first, with what it reported on."""
    found: dict[int, Begun] = {}
    for index, leaf in ledger.leaves():
        facts = leaf.get("pub", {})
        if leaf["k"] == BEGIN:
            found[index] = Begun(
                index=index,
                run=facts["run"],
                at_ms=int(leaf["t"]),
                announced=frozenset(facts["scenarios"].split("+")),
            )
        elif leaf["k"] == KIND and facts.get("of") == DEPLOYMENT and "level" not in facts:
            begun = found.get(int(leaf.get("ref", -1)))
            if begun is not None:
                begun.told.add(facts["scenario"])
    return list(found.values())


def owed_results(every: Sequence[Begun]) -> dict[str, int]:
    """Return by scenario the leaf of the newest run that announced it and since which none reported on it.

    A later run makes good for an earlier one. That the earlier was never reported on stays to be seen.
    """
    owed: dict[str, int] = {}
    for one in every:
        owed.update(dict.fromkeys(one.untold, one.index))
        for name in one.told:
            owed.pop(name, None)
    return dict(sorted(owed.items()))


__all__ = ["BEGIN", "DEPLOYMENT", "KIND", "UNDER_WAY_US", "Begun", "owed_results", "runs"]
