"""What a request could leave out: the same work with fewer days, places, minutes, runs.

It is arithmetic over the request, so that whoever approves sees what they could ask for instead. Nothing here is
asked for or decided: whoever wants the narrower grant asks anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from safehold.access.grant import MINUTE_US, WAIT_US, Grant

WEEK: Final = 7
HOUR: Final = 60


def narrower(grant: Grant, *, today: int) -> list[tuple[str, Grant]]:
    """Return narrower versions of a grant, each with what it leaves out; the last leaves out all of it.

    Args:
        grant: What is asked for.
        today: UTC day number; days that have not come yet are no days to leave out.

    Returns:
        ``days`` (the last week alone), ``place`` (once for each place of several), ``runs`` (one run, with its share of
        epsilon), ``minutes`` (an hour), and ``all`` if more than one of them is there, at the first place.
    """
    found = list(_each(grant, today))
    kinds = {kind for kind, _ in found}
    if len(kinds) > 1:
        together = grant
        for kind in ("place", "days", "runs", "minutes"):
            changed = next((made for name, made in _each(together, today) if name == kind), None)
            together = together if changed is None else changed
        found.append(("all", together))
    return found


def places_of(grant: Grant) -> tuple[str, ...]:
    """Return the places whose segments a grant names, sorted."""
    return tuple(
        sorted(
            {
                name.removesuffix(f".{stream}")
                for name in grant.segments
                for stream in grant.streams
                if name.endswith(f".{stream}")
            }
        )
    )


def _each(grant: Grant, today: int) -> Iterator[tuple[str, Grant]]:
    last = min(grant.last_day, today)
    if last - grant.first_day >= WEEK:
        yield "days", replace(grant, first_day=last - WEEK + 1)
    places = places_of(grant)
    if len(places) > 1:
        for place in places:
            kept = tuple(
                name
                for name in grant.segments
                if any(name == f"{place}.{stream}" for stream in grant.streams)
            )
            yield "place", replace(grant, segments=kept)
    if grant.max_runs > 1:
        yield (
            "runs",
            replace(
                grant,
                max_runs=1,
                max_per_hour=1,
                epsilon_micro=grant.epsilon_micro // grant.max_runs,
            ),
        )
    if grant.minutes > HOUR:
        ends = grant.asked_us + WAIT_US + HOUR * MINUTE_US
        yield "minutes", replace(grant, minutes=HOUR, expires_us=min(grant.expires_us, ends))
