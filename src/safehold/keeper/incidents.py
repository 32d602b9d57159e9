"""Every incident, read from the leaves in order; what came back after its end; what lets nothing resume.

Holds: an incident is what its leaves say and nothing else. The clock of an incident begins when the first leaf tells
of it and only ever moves earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from safehold.errors import SafeholdError
from safehold.keeper.incident import (
    GATE,
    LIFTED,
    OPEN,
    QUIET,
    RECURS_MS,
    STEPS,
    Incident,
    Leaf,
    add,
    severity_of,
    take,
)
from safehold.ledger import Ledger


class Incidents:
    """Every incident, read from the leaves in order."""

    def __init__(self) -> None:
        self._known: dict[int, Incident] = {}
        self._of: dict[int, int] = {}  # leaf of an incident or of a containment -> the incident
        self._alerts: dict[int, tuple[int, str]] = {}  # leaf -> when, signal
        self._targets: dict[int, tuple[str, str]] = {}  # leaf of a containment -> what, target
        self.read = 0

    def follow(self, ledger: Ledger) -> Incidents:
        """Read on to the end of a ledger, and return itself."""
        for index, leaf in ledger.leaves(self.read):
            self.note(index, leaf)
            self.read = index + 1
        return self

    def all(self) -> list[Incident]:
        """Return every incident, oldest first."""
        return list(self._known.values())

    def find(self, index: int) -> Incident | None:
        """Return the incident that a leaf opened."""
        return self._known.get(index)

    def of_alert(self, alert: int) -> Incident | None:
        """Return the incident that was opened for an alert."""
        return next((one for one in self._known.values() if one.alert == alert), None)

    def alert(self, index: int) -> tuple[int, str] | None:
        """Return when an alert was raised (milliseconds), and its signal."""
        return self._alerts.get(index)

    def containment(self, index: int) -> tuple[str, str]:
        """Return what a containment holds back, and its target."""
        return self._targets.get(index, ("", ""))

    def note(self, index: int, leaf: Mapping[str, Any]) -> None:
        """Take notice of the next leaf."""
        match leaf["k"]:
            case "alert" if "ref" not in leaf:
                self._alerts[index] = (int(leaf["t"]), str(leaf.get("pub", {}).get("signal", "")))
            case "incident":
                self._note(index, leaf)
            case "containment":
                self._note_containment(index, leaf)
            case _:
                pass

    def _note(self, index: int, leaf: Mapping[str, Any]) -> None:
        facts, ref, at = leaf.get("pub", {}), leaf.get("ref"), int(leaf["t"])
        if facts.get("state") == OPEN and "step" not in facts and ref not in self._of:
            alert = self._alerts.get(ref) if isinstance(ref, int) else None
            new = Incident(
                index=index,
                opened_ms=at,
                aware_ms=min(at, at if alert is None else alert[0]),
                alert=ref if alert is not None else None,
                severity=severity_of(facts),
                begun=index,
                basis=index,
            )
            self._known[index], self._of[index] = new, index
            add(new, index, at, "open", facts)
            return
        one = self._known.get(self._of.get(ref, -1)) if isinstance(ref, int) else None
        if one is None or facts.get("step") not in STEPS:
            return
        if take(one, Leaf(index, at, int(ref or 0), facts)):
            self._of[index] = one.index
            if facts["step"] not in QUIET:
                one.basis = index
                one.agreed.clear()
            add(one, index, at, str(facts["step"]), facts)

    def _note_containment(self, index: int, leaf: Mapping[str, Any]) -> None:
        facts, ref = leaf.get("pub", {}), leaf.get("ref")
        state = str(facts.get("state", ""))
        owner = self._of.get(ref) if isinstance(ref, int) else None
        if owner is None and isinstance(ref, int) and ref in self._alerts:
            found = self.of_alert(ref)
            owner = None if found is None else found.index
        begun = ref if isinstance(ref, int) and ref in self._targets else index
        if begun == index:
            self._targets[index] = (str(facts.get("what", "")), str(facts.get("target", "")))
        if owner is None:
            return
        one = self._known[owner]
        self._of[index] = owner
        one.held[begun] = state != LIFTED
        if one.held[begun] and not one.contained_ms:
            one.contained_ms = int(leaf["t"])
        one.basis = index
        one.agreed.clear()

    def came_back(self, ledger: Ledger) -> Iterator[tuple[Incident, int]]:
        """Yield the incidents that something has opened again since they ended, with the leaf that shows it.

        That is an alert of the same signal about the same principal, or a containment of the same target, within
        30 days after the end.
        """
        for one in self._known.values():
            if not one.open and (found := self._shows(one, ledger)) is not None:
                yield one, found

    def _shows(self, one: Incident, ledger: Ledger) -> int | None:
        """Return the first leaf that shows that something of an incident has come back; nothing if none does."""
        closed, until = one.ended, one.closed_ms + RECURS_MS
        if one.alert is not None:
            signal, about = self._alerts[one.alert][1], about_alert(ledger, one.alert)
            for index, (at, other) in self._alerts.items():
                near = index > closed and at <= until and other == signal
                if near and about_alert(ledger, index) == about:
                    return index
        held = {self._held(leaf, ledger) for leaf in one.held} - {("", "")}
        for index in self._targets:
            if index > closed and held and self._held(index, ledger) in held:
                at = next(int(leaf["t"]) for _, leaf in ledger.leaves(index, index + 1))
                return index if at <= until else None
        return None

    def _held(self, index: int, ledger: Ledger) -> tuple[str, str]:
        """Return what a containment holds back and by which key; of some that is sealed."""
        what, target = self._targets[index]
        return (what, target or _sealed(ledger, index, "key")) if what else ("", "")


def about_alert(ledger: Ledger, index: int | None) -> str:
    """Return whom an alert is about, as its sealed part says; nobody if that is gone."""
    return "" if index is None else _sealed(ledger, index, "principal")


def _sealed(ledger: Ledger, index: int, name: str) -> str:
    """Return a word of the sealed part of a leaf, or what it is about; nothing if that is gone."""
    try:
        told = ledger.detail(index)
    except SafeholdError:
        return ""
    return str(told["detail"].get(name) or told["object"])


def blocking(incidents: Iterable[Incident]) -> list[str]:
    """Return why incidents let nothing resume, one sentence each."""
    found = []
    for one in incidents:
        if not one.open:
            continue
        if one.grave <= GATE:
            found.append(f"incident {one.index} of severity {one.grave} is open")
        elif any(one.held.values()):
            found.append(f"incident {one.index} is open and what contains it was not lifted")
    return found
