"""Promises of the charter and attacks of the drill, as the ledger tells of them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Final

from safehold.assurance.control.verdict import Verdict
from safehold.assurance.drill.scenario import BY_ID
from safehold.assurance.probe.facts import Facts, Figure
from safehold.assurance.probe.say import ONE, bad, good, show, unknown
from safehold.charter.value import MICRO

DAY_MS: Final = 86_400_000
FRESH_MS: Final = 2 * DAY_MS  # a promise is measured every day
DRILLED_MS: Final = 8 * DAY_MS  # a whole drill is run every week
COMPARE: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
TESTS: Final = ("tests/unit/test_milestones.py",)
# what a measure must be where the charter promises nothing about it; the others then have no bound
BOUNDS: Final[Mapping[str, tuple[str, int]]] = {
    "drift.unapproved_config": ("==", 0),
    "erasure.p100_hours": ("<=", 24 * MICRO),
    "incident.open_past_clock": ("==", 0),
    "replay.any_employee_records": ("==", 0),
    "replay.max_segments_exposed": ("<=", MICRO),
    "replay.people_exposed": ("==", 0),
    "rights.overdue": ("==", 0),
    "stop.p100_seconds": ("<=", 60 * MICRO),
    "trail.missing_entries": ("==", 0),
}


def promise(measure: str) -> Callable[[Facts], Verdict]:
    """Return the probe of one measure."""

    def judge(facts: Facts) -> Verdict:
        found = facts.figures.get(measure)
        if found is None:
            return unknown(
                f"The charter promises nothing that is measured by {measure}, and it has no bound of its own."
            )
        if found.micro is None:
            why = found.sentence or "it was not measured"
            return unknown(f"{measure}: {why}.")
        if facts.now_ms - found.at_ms > FRESH_MS:
            return unknown(f"{measure} was measured last more than two days ago.")
        return _judge(measure, found, facts)

    return judge


def _judge(measure: str, found: Figure, facts: Facts) -> Verdict:
    kept = found.micro is not None and COMPARE[found.op](found.micro, found.bound)
    bound = f"{found.op}{found.bound / MICRO:g}"
    whose = "promised" if found.promised else "no promise of the charter: Safehold's own bound"
    reason = f"{measure} is {(found.micro or 0) / MICRO:g}; it must be {bound} ({whose})."
    leaf = next((one for one in facts.record.of("milestone") if one.index == found.entry), None)
    shown = (
        ()
        if leaf is None
        else (show(leaf, "promise", "state", "micro", "op", "bound", newest=("promise",)),)
    )
    say = good if kept else bad
    return say(reason, figure=found.micro, unit=measure, shown=shown, tests=TESTS)


def drill(scenario: str) -> Callable[[Facts], Verdict]:
    """Return the probe of one attack of the drill."""
    title = BY_ID[scenario].title

    def judge(facts: Facts) -> Verdict:
        found = [
            one
            for one in facts.record.of("drill", scenario=scenario, of="deployment")
            if "level" not in one.facts
        ]
        if not found:
            return unknown(f"{scenario} ({title}) was never drilled here: safehold drill.")
        newest = found[-1]
        shown = (show(newest, "scenario", "of", "state", newest=("scenario", "of", "level")),)
        state = newest.facts["state"]
        if state == "broken":
            return bad(f"{scenario} ({title}) came through in the newest drill.", shown=shown)
        if state != "held":
            return unknown(f"{scenario} ({title}) could not run in the newest drill.", shown=shown)
        if not 0 <= facts.now_ms - newest.at_ms + DAY_MS <= DRILLED_MS + DAY_MS:
            return unknown(
                f"{scenario} ({title}) was drilled last more than eight days ago.", shown=shown
            )
        return good(
            f"{scenario} ({title}) held in the newest drill.", figure=0, unit="broken", shown=shown
        )

    return judge


def kept(facts: Facts) -> Verdict:
    """Judge whether every promise of the charter was kept when it was measured last."""
    promised = {name: one for name, one in facts.figures.items() if one.promised}
    if not promised:
        return unknown("The charter in force promises nothing that is measured.")
    said = {name: promise(name)(facts) for name in promised}
    shown = tuple(leaf for one in said.values() for leaf in one.shown)
    broken = [name for name, one in said.items() if one.state == "not-satisfied"]
    if broken:
        return bad(
            f"{len(broken)} of {len(said)} promises are broken: {', '.join(sorted(broken))}.",
            figure=len(broken) * ONE,
            unit="broken",
            shown=shown,
        )
    silent = [name for name, one in said.items() if one.state == "not-measured"]
    if silent:
        return unknown(
            f"{len(silent)} of {len(said)} promises have no figure: {', '.join(sorted(silent))}.",
            shown=shown,
        )
    return good(f"All {len(said)} promises are kept.", figure=0, unit="broken", shown=shown)


def series(facts: Facts) -> Verdict:
    """Judge whether promises are measured again and again: on two days at least, the newest within two days."""
    leaves = facts.record.of("milestone")
    days = {one.at_ms // DAY_MS for one in leaves}
    if not leaves:
        return unknown("No promise was ever measured: safehold evidence milestones --measure.")
    newest = leaves[-1]
    shown = (show(newest, "promise", "state"),)
    if facts.now_ms - newest.at_ms > FRESH_MS:
        return bad(
            "No promise was measured for more than two days.",
            figure=len(days) * ONE,
            unit="days",
            shown=shown,
        )
    if len(days) < 2:
        return unknown("Promises were measured on one day only; a series takes two.", shown=shown)
    return good(
        f"Promises were measured on {len(days)} days.",
        figure=len(days) * ONE,
        unit="days",
        shown=shown,
    )
