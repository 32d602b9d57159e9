"""What a probe says: a state, one sentence, a figure, and what in the record shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

SATISFIED: Final = "satisfied"
NOT_SATISFIED: Final = "not-satisfied"
NOT_MEASURED: Final = "not-measured"
STATES: Final = (SATISFIED, NOT_SATISFIED, NOT_MEASURED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One leaf that shows what a verdict says.

    Args:
        leaf: Its index.
        kind: Its kind.
        facts: Public facts that it must carry.
        newest: Names of the facts that make it one of a series; no later leaf of this kind carries the same values.
        first: True if no earlier leaf of this kind with these facts exists.
    """

    leaf: int
    kind: str
    facts: Mapping[str, int | str] = field(default_factory=dict)
    newest: tuple[str, ...] | None = None
    first: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as canonical JSON values."""
        return {
            "leaf": self.leaf,
            "kind": self.kind,
            "facts": dict(self.facts),
            **({} if self.newest is None else {"newest": list(self.newest)}),
            **({"first": True} if self.first else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a probe found.

    Args:
        state: ``satisfied``, ``not-satisfied`` or ``not-measured``.
        reason: One sentence.
        figure: What was counted, in millionths of ``unit``; None where nothing was.
        unit: Of the figure.
        shown: Leaves that show it.
        order: Leaves that must stand in this order, by index.
        tests: Tests that try the mechanism, by path.
    """

    state: str
    reason: str
    figure: int | None = None
    unit: str = ""
    shown: tuple[Shown, ...] = ()
    order: tuple[int, ...] = ()
    tests: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as canonical JSON values."""
        return {
            "state": self.state,
            "reason": self.reason,
            "figure_micro": self.figure,
            "unit": self.unit,
            "shown": [one.to_json() for one in self.shown],
            "order": list(self.order),
            "tests": list(self.tests),
        }


def worst(states: list[str]) -> str:
    """Return what several states come to: one that is not satisfied outweighs one that is not measured."""
    if NOT_SATISFIED in states:
        return NOT_SATISFIED
    return NOT_MEASURED if NOT_MEASURED in states or not states else SATISFIED
