"""What the newest drill says of a promise, read from the ledger; a drill that is too old says nothing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from safehold.assurance.measured import Measured
from safehold.charter.value import MICRO
from safehold.clock import DAY_US, SECOND_US
from safehold.keeper.announced import owed_results, runs
from safehold.keeper.drills import newest_results
from safehold.keeper.verbs import Verbs

SLACK_US: Final = 3600 * SECOND_US  # a nightly run may begin a little later than the one before
NIGHT_US: Final = DAY_US + SLACK_US
WEEK_US: Final = 7 * DAY_US + SLACK_US
NIGHTLY: Final = ("S01",)  # any employee
WEEKLY: Final = ("S14", "S15", "S25")  # where one segment may be seen
NOBODY: Final = ("S01", "S02", "S03", "S04", "S05", "S16", "S17", "S18")  # where nobody may be


def count_drilled(
    verbs: Verbs, figure: str, scenarios: Collection[str], oldest_us: int
) -> Measured | None:
    """Return the largest figure of some scenarios when they were tried last, or None if they never were.

    One that broke without that figure counts as one; one that could not run, was never tried, or is too old, leaves it
    unmeasured.

    Args:
        verbs: The keeper.
        figure: Which figure of a result.
        scenarios: Which scenarios.
        oldest_us: How long a result says something, microseconds.
    """
    found = newest_results(verbs.desk.ledger)
    known = [found[name] for name in scenarios if name in found]
    silent = _unreported(verbs, scenarios)
    if not known:
        return silent
    worst = max(
        int(one.facts.get(figure, 0)) or int(one.facts["state"] == "broken") for one in known
    )
    if worst == 0:
        if silent is not None:
            return silent
        now_ms = verbs.desk.now_us() // 1000
        oldest_ms, newest_ms = now_ms - oldest_us // 1000, now_ms + SLACK_US // 1000
        untried = [name for name in scenarios if name not in found]
        if untried:  # a run of one attack says nothing of the others
            return Measured(
                micro=None, sentence=f"{', '.join(untried)} were never drilled: safehold drill"
            )
        # what was written by a clock that was ahead would else stay fresh until that time
        stale = [name for name in scenarios if not oldest_ms <= found[name].at_ms <= newest_ms]
        unable = [
            name
            for name in scenarios
            if name in found and found[name].facts["state"] == "could-not-run"
        ]
        if stale or unable:
            why = "are too old" if stale else "could not run"
            return Measured(
                micro=None, sentence=f"drills of {', '.join(stale or unable)} {why}: safehold drill"
            )
    return Measured(
        micro=worst * MICRO,
        sentence=f"the newest drill of {', '.join(one for one in scenarios if one in found)} showed {worst}",
    )


def _unreported(verbs: Verbs, scenarios: Collection[str]) -> Measured | None:
    """Return that nothing is measured where a run was begun and nobody said what it showed; nothing if all was said.

    One that may still be under way does not count yet: what was measured before it stands until it ends.
    """
    now_us = verbs.desk.now_us()
    ended = [one for one in runs(verbs.desk.ledger) if not one.under_way(now_us)]
    owed = owed_results(ended)
    if silent := [name for name in scenarios if name in owed]:
        entry = max(owed[name] for name in silent)
        return Measured(
            micro=None,
            sentence=f"a drill of {', '.join(silent)} was begun at entry {entry} and never reported on: safehold drill",
        )
    return None


def worse_of(seen: Measured, drilled: Measured | None) -> Measured:
    """Return the worse of what the keeper measured itself and what a drill said; nothing found beats no figure."""
    if drilled is None:
        return seen
    sentence = f"{seen.sentence}; {drilled.sentence}"
    if seen.micro and drilled.micro is None:
        return Measured(micro=seen.micro, sentence=sentence)
    if seen.micro is None or drilled.micro is None:
        return Measured(micro=drilled.micro or None, sentence=sentence)
    return Measured(micro=max(seen.micro, drilled.micro), sentence=sentence)


__all__ = ["NIGHTLY", "NIGHT_US", "NOBODY", "WEEKLY", "WEEK_US", "count_drilled", "worse_of"]
