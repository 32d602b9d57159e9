"""The three things a probe can say, and leaves as what shows them."""

from __future__ import annotations

from typing import Any, Final

from safehold.assurance.control.verdict import (
    NOT_MEASURED,
    NOT_SATISFIED,
    SATISFIED,
    Shown,
    Verdict,
)
from safehold.assurance.probe.record import Leaf

ONE: Final = 1_000_000  # figures are millionths
NO_CHARTER: Final = "No charter is in force, so nothing is collected and nothing is used."


def good(reason: str, **more: Any) -> Verdict:
    """Return that it is satisfied."""
    return Verdict(state=SATISFIED, reason=reason, **more)


def bad(reason: str, **more: Any) -> Verdict:
    """Return that it is not satisfied."""
    return Verdict(state=NOT_SATISFIED, reason=reason, **more)


def unknown(reason: str, **more: Any) -> Verdict:
    """Return that it was not measured."""
    return Verdict(state=NOT_MEASURED, reason=reason, **more)


def show(
    leaf: Leaf, *names: str, newest: tuple[str, ...] | None = None, first: bool = False
) -> Shown:
    """Return a leaf with some of its public facts; those it does not carry are left out."""
    return Shown(
        leaf=leaf.index,
        kind=leaf.kind,
        facts={name: leaf.facts[name] for name in names if name in leaf.facts},
        newest=newest,
        first=first,
    )
