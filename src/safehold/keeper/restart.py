"""What a charter asks for before anything resumes after a stop, and what no charter can waive.

Holds: only what the ledger says since the stop counts in favour. A cause that was published before, or a replay or a
drill that was green before, says nothing about what was stopped; nor does one from before the last change of what runs,
or a replay from before an attack of the drill that came through. What came through before the stop still comes through
until it is tried again. Results of a drill are handed in by whoever operates: once one was red, they open nothing
without what the keeper measured itself since. A run that was announced and never reported on, or in part, keeps
everything stopped until a later one reports on what it left out. What was held by a run that began before the stop, or
before the last change, was not tried since. An open incident that is grave, or whose containment stands, keeps
everything stopped whatever the charter asks for: a charter may ask for more, and cannot ask for less.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from safehold.canonical import unb64
from safehold.charter import Charter
from safehold.keeper.announced import owed_results, runs
from safehold.keeper.incidents import Incidents, blocking
from safehold.ledger import Entry, Ledger

CAUSE: Final = "root-cause"  # name of the document
LONGEST_CAUSE: Final = 100_000  # characters
REPLAY: Final = "replay."  # how the measures of replayed incidents begin
# after one of these something else runs than what was measured
CHANGES: Final = frozenset({"charter", "drift", "home"})
HELD: Final = "held"  # of an attack of the drill: nothing came through
BROKEN: Final = "broken"
# what is tried every night: a home that ever tried it tries it again before anything resumes
NIGHTLY: Final = frozenset({"S01", "S02", "S03", "S04", "S05"})


def cause_entry(charter: Charter, text: str, *, digest: bytes) -> Entry:
    """Return the leaf that publishes a cause: its hash in the clear, its text in the side-car."""
    return Entry(
        kind="document",
        actor="board",
        object=CAUSE,
        detail={"text": text},
        charter=digest,
        public={
            "name": CAUSE,
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "version": charter.version,
        },
    )


def newest_cause(ledger: Ledger, stop: int) -> str:
    """Return the hash of the cause that was published last since a stop, hex; nothing if none was."""
    found = ""
    for _, leaf in ledger.leaves(stop + 1):
        facts = leaf.get("pub", {})
        if leaf["k"] == "document" and facts.get("name") == CAUSE:
            found = str(facts["sha256"])
    return found


def unmet(charter: Charter, ledger: Ledger, *, stop: int, cause: str, published: bool) -> list[str]:
    """Return what is still missing, one sentence each.

    Args:
        charter: The charter in force.
        ledger: The record.
        stop: Index of the leaf of the stop.
        cause: SHA-256 of the cause that the board names, hex, or nothing.
        published: The cause's text is handed in with the order.
    """
    since = _since(charter, ledger, stop)
    incidents = Incidents().follow(ledger)
    missing = blocking(incidents.all())
    # what comes back is opened again by the next look at it, and nobody need have looked
    missing += [
        f"incident {one.index} has come back: entry {shows}"
        for one, shows in incidents.came_back(ledger)
    ]
    if owed := owed_results(runs(ledger)):
        missing.append(
            "a drill was begun and never said what came of"
            f" {', '.join(owed)} (entry {max(owed.values())}): safehold drill"
        )
    if since.red:
        missing.append(
            f"not held by the newest drill since the stop: {', '.join(sorted(since.red))}"
        )
    if since.untried - since.red:
        missing.append(
            "not drilled since the stop and the last change:"
            f" {', '.join(sorted(since.untried - since.red))}"
        )
    replays = [one.id for one in charter.promises if one.measure.startswith(REPLAY)]
    unkept = [name for name in replays if since.measured.get(name) != "kept"]
    stale = (
        "not measured and kept since the stop, the last change and the last red drill:"
        f" {', '.join(unkept)}"
    )
    needs = charter.oversight.restart_after_stop.needs
    if since.reddened and unkept and "incident_replay_green" not in needs:
        missing.append(stale)
    for need in needs:
        match need:
            case "root_cause_published":
                if not cause or not (published or cause in since.causes):
                    missing.append("no root cause was published since the stop")
            case "incident_replay_green":
                if not replays:
                    missing.append("the charter promises no replay that could be green")
                elif unkept:
                    missing.append(stale)
            case _:
                missing.append("the charter asks for something that this version does not know")
    return missing


@dataclass(slots=True)
class Since:
    """What the ledger says since a stop.

    Args:
        causes: Hashes of the causes that were published, hex.
        measured: By promise how it was measured last, since the last change or red drill.
        red: Scenarios of the drill that did not hold when they ran last; of before the stop, those that broke.
        reddened: Whether one did not hold since the stop.
        known: Nightly scenarios that were ever held here.
        untried: Those of them that were not held since the stop and the last change.
    """

    causes: set[str] = field(default_factory=set)
    measured: dict[str, str] = field(default_factory=dict)
    red: set[str] = field(default_factory=set)
    reddened: bool = False
    known: set[str] = field(default_factory=set)
    untried: set[str] = field(default_factory=set)

    def try_out(self, facts: Mapping[str, Any], *, before: bool) -> None:
        """Take the next result of the drill, from before the stop or since."""
        name, state = str(facts["scenario"]), facts.get("state")
        if state == HELD:
            self.red.discard(name)
            self.known |= {name} & NIGHTLY
            self.untried.discard(name)
        elif state == BROKEN or not before:  # of one that could not run once nothing came through
            self.red.add(name)
            self.reddened = self.reddened or not before


def _since(charter: Charter, ledger: Ledger, stop: int) -> Since:
    found = Since()
    changed = -1
    for index, leaf in ledger.leaves():
        facts = leaf.get("pub", {})
        if leaf["k"] == "drill" and _is_result(facts):
            began = int(leaf.get("ref", index))
            # that it held before the stop, or before something else ran, is no news of now
            late = index > stop and began < max(stop, changed)
            if not (late and facts.get("state") == HELD):
                found.try_out(facts, before=index < stop)
        if leaf["k"] in CHANGES:
            changed = index
        if index <= stop:
            if index == stop:
                found.untried = set(found.known)
            continue
        match leaf["k"]:
            case "document" if facts.get("name") == CAUSE:
                found.causes.add(str(facts["sha256"]))
            case "milestone":
                # under another charter other things were measured
                same = unb64(leaf["chr"]) == charter.digest()
                found.measured[facts["promise"]] = (
                    facts["state"] if same else "under another charter"
                )
            case _:
                pass
        if voids(leaf):
            found.measured.clear()
        if leaf["k"] in CHANGES:
            found.untried = set(found.known)
    return found


def voids(leaf: Mapping[str, Any]) -> bool:
    """Tell whether after a leaf nothing that was measured before it says how things stand."""
    facts = leaf.get("pub", {})
    red = leaf["k"] == "drill" and _is_result(facts) and facts.get("state") != HELD
    return red or leaf["k"] in CHANGES


def _is_result(facts: Mapping[str, Any]) -> bool:
    """Whether a leaf of the drill is a result of the running system as it is kept.

    Of the plain lake and of a control it must be red; and what it would come to at another level of the keeper is a
    result besides.
    """
    return (
        "scenario" in facts
        and facts.get("of", "") not in ("lake", "control")
        and "level" not in facts
    )
