"""How each promise of a charter is measured: on the running system, never from a setting.

A promise names its measure; the figure comes back with a sentence that says what was looked at. Where there was nothing
to look at (nobody was erased yet, nothing was ever stopped) there is no figure: such a promise is not called kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from safehold.assurance.audited import count_days_since, count_open_findings
from safehold.assurance.drilled import (
    NOBODY,
    WEEK_US,
    count_drilled,
)
from safehold.assurance.exposed import count_open_records, count_open_segments
from safehold.assurance.incidents import count_late, time_containment
from safehold.assurance.measured import Measured
from safehold.assurance.risk import largest_bound
from safehold.charter.value import MICRO
from safehold.clock import SECOND_US
from safehold.errors import MissingError, SafeholdError, TamperedError
from safehold.keeper.choices import newest_choices
from safehold.keeper.desk import Desk
from safehold.keeper.verbs import Verbs
from safehold.keeper.watch_events import WATCH

HOUR_S: Final = 3600
PATIENCE_US: Final = HOUR_S * SECOND_US  # a use that has no result after this is missing one
ENDINGS: Final = frozenset({"access.result", "train.end", "release", "feature", "ingest"})


def count_drift(verbs: Verbs) -> Measured:
    """Measure ``drift.unapproved_config``: in how many clauses what runs differs from what was signed."""
    found = verbs.drift.check()
    return Measured(
        micro=len(found) * MICRO,
        sentence=f"every clause of the charter was compared with what runs; {len(found)} differ",
    )


def time_stops(verbs: Verbs) -> Measured:
    """Measure ``stop.p100_seconds``: the longest time from a stop to the last thing that still ended.

    A use that was under way counts until its result, even if that comes after everything was resumed; one that has no
    result yet counts until now.
    """
    desk, longest_ms, begun_ms = verbs.desk, 0, None
    stops: list[int] = []  # when, milliseconds
    watching: set[int] = set()  # intents of reading the ledger itself
    uses: dict[int, int] = {}  # intent without a result -> how many stops came before it
    for index, leaf in desk.ledger.leaves():
        if leaf["k"] == "stop":
            stops.append(leaf["t"])
            begun_ms = leaf["t"] if begun_ms is None else begun_ms
        elif leaf["k"] == "resume":
            begun_ms = None
        elif leaf["k"] == "access.intent" and leaf.get("pub", {}).get("action") == WATCH:
            watching.add(index)  # a stop does not blind whoever watches: it opens nobody's data
        elif leaf["k"] == "access.intent":
            uses[index] = len(stops)
        elif leaf.get("ref") in watching:
            watching.discard(leaf["ref"])
            continue
        elif begun_ms is not None and leaf["k"] in ENDINGS:
            longest_ms = max(longest_ms, leaf["t"] - begun_ms)
        if leaf["k"] == "access.result":
            longest_ms = max(longest_ms, _outlived(stops, uses.pop(leaf["ref"], None), leaf["t"]))
    if not stops:
        return Measured(micro=None, sentence="nothing was ever stopped")
    now_ms = desk.now_us() // 1000
    longest_ms = max([longest_ms, *(_outlived(stops, before, now_ms) for before in uses.values())])
    return Measured(
        micro=longest_ms * 1000,
        sentence=f"of {len(stops)} stops, the last piece of work ended this long after one",
    )


def _outlived(stops: list[int], before: int | None, ended_ms: int) -> int:
    """Return how long a use went on after the first stop that came since its intent, milliseconds."""
    return 0 if before is None or before == len(stops) else ended_ms - stops[before]


def time_erasures(verbs: Verbs) -> Measured:
    """Measure ``erasure.p100_hours``: the longest time from an erasure's beginning to its end; open ones count."""
    begun: dict[int, int] = {}
    longest_ms, count = 0, 0
    for index, leaf in verbs.desk.ledger.leaves():
        if leaf["k"] != "erasure":
            continue
        if (
            leaf.get("pub", {}).get("state") == "amended"
        ):  # what is made again later holds nothing of them
            continue
        if "ref" in leaf:
            longest_ms = max(longest_ms, leaf["t"] - begun.pop(leaf["ref"], leaf["t"]))
        else:
            begun[index] = leaf["t"]
            count += 1
    if verbs.desk.erasing:  # asked for, and not begun: counted from when it was asked for
        asked = newest_choices(verbs.desk).people
        for number, person in enumerate(verbs.desk.erasing, 1):
            begun[-number] = int(asked[person]["at_us"]) // 1000 if person in asked else 0
    count += sum(index < 0 for index in begun)
    if not count:
        return Measured(micro=None, sentence="nobody has left yet")
    now_ms = verbs.desk.now_us() // 1000
    longest_ms = max([longest_ms, *(now_ms - start for start in begun.values())])
    return Measured(
        micro=longest_ms * 1000 // HOUR_S,
        sentence=f"{count} people left; the longest took this long, {len(begun)} are under way",
    )


def count_missing(verbs: Verbs) -> Measured:
    """Measure ``trail.missing_entries``: uses without a result, and epochs whose index leaves somebody out."""
    desk = verbs.desk
    oldest_ms = (desk.now_us() - PATIENCE_US) // 1000
    late = sum(
        leaf["t"] < oldest_ms
        for intent in desk.trust.unanswered()
        for _, leaf in desk.ledger.leaves(intent, intent + 1)
    )
    closed, wrong = desk.index.closed(), 0
    for one in closed:
        try:
            desk.index.tree(one.epoch)
        except (TamperedError, MissingError):
            wrong += 1
    unknown, unreadable = _made_of_nothing(desk)
    if unknown and unreadable and not late + wrong:
        return Measured(
            micro=None,
            sentence=(
                f"{unknown} derived things may have no use behind them: {unreadable} entries that would"
                " tell cannot be read"
            ),
        )
    return Measured(
        micro=(late + wrong + unknown) * MICRO,
        sentence=(
            f"{late} uses lack a result, {wrong} of {len(closed)} closed epochs lack an entry,"
            f" {unknown} derived things have no use behind them"
        ),
    )


def _made_of_nothing(desk: Desk) -> tuple[int, int]:
    """Return how much was derived without an entry that says so, and how many entries cannot be read."""
    told: set[str] = set()
    unreadable = 0
    answered: set[str] = set()  # intents; a result that was published is named by its own
    for index, leaf in desk.ledger.leaves():
        if leaf["k"] == "derived" or (
            leaf["k"] == "access.result" and leaf["pub"].get("outcome") == "ok"
        ):
            try:
                said = desk.ledger.detail(index)
            except SafeholdError:
                unreadable += 1  # it may have told of any of them
                continue
            if leaf["k"] == "derived":
                told.add(str(said["object"]))
                continue
            answered.add(str(leaf["ref"]))
            detail = said["detail"]
            told |= {str(detail[name]) for name in ("dataset", "artifact") if name in detail}
    unknown = sum(
        one["kind"] != "source"
        and one["id"] not in told
        and not (one["kind"] == "aggregate" and one["id"].rpartition(":")[2] in answered)
        for one in desk.lineage.show()
    )
    return unknown, unreadable


def read_risk(verbs: Verbs) -> Measured:
    """Measure ``reidentify.top1``: the largest upper bound of whom an attack recognises in what the home holds."""
    micro, sentence = largest_bound(verbs.work.release.gates.listing())
    return Measured(micro=micro, sentence=sentence)


def count_overdue(verbs: Verbs) -> Measured:
    """Measure ``rights.overdue``: how many requests of people have not been answered in time."""
    clock = verbs.rights.clock()
    return Measured(
        micro=clock["overdue"] * MICRO,
        sentence=f"of {clock['open']} requests that wait for an answer, so many are late",
    )


def count_exposed_people(verbs: Verbs) -> Measured:
    """Measure ``replay.people_exposed``: people shown by attacks of the drill that must show nobody."""
    found = count_drilled(verbs, "people", NOBODY, WEEK_US)
    return found or Measured(micro=None, sentence="no drill was ever run")


MEASURES: Final[dict[str, Callable[[Verbs], Measured]]] = {
    "audit.days_since": count_days_since,
    "audit.open_findings": count_open_findings,
    "drift.unapproved_config": count_drift,
    "stop.p100_seconds": time_stops,
    "erasure.p100_hours": time_erasures,
    "trail.missing_entries": count_missing,
    "replay.any_employee_records": count_open_records,
    "replay.max_segments_exposed": count_open_segments,
    "replay.people_exposed": count_exposed_people,
    "reidentify.top1": read_risk,
    "rights.overdue": count_overdue,
    "incident.p100_hours_to_contain": time_containment,
    "incident.open_past_clock": count_late,
}


def take(measure: str, verbs: Verbs) -> Measured:
    """Take a measurement by its name in the charter; one that nobody knows how to take has no figure."""
    known = MEASURES.get(measure)
    if known is None:
        return Measured(micro=None, sentence="this version cannot take this measure")
    return known(verbs)


def names() -> tuple[str, ...]:
    """Return the measures that a promise of a charter can name."""
    return tuple(sorted(MEASURES))


__all__ = ["MEASURES", "Measured", "names", "take"]
