"""An answer about how far an incident reaches, as it may be told, with what it does not say."""

from __future__ import annotations

from typing import Any, Final

from safehold.incident.blast import Part
from safehold.incident.holdings import Holdings
from safehold.incident.target import SEGMENT, Target
from safehold.keeper.graph import Graph
from safehold.telemetry.stream import STREAM_TO_WHAT

SHOWN: Final = (
    500  # datasets, models and releases that are told one by one; all of them are counted
)
OUTSIDE: Final = (
    "what was opened with a key outside the keeper left no entry: see what could have been opened"
)
LIMITS: Final = (
    "what could have been opened is an upper bound: it does not ask who took part",
    "intents name the first and the last day; the days between count",
    "of people who were erased several entries cannot be told to be about the same: fewest and most",
)


def tell_part(part: Part, *, holdings: Holdings, graph: Graph, exact: bool) -> dict[str, Any]:
    """Return one answer as it may be told: of made-up people exactly, of real ones in tens, or not.

    Args:
        part: The answer.
        holdings: What could be opened.
        graph: Counts people as they may be told.
        exact: Everybody is made up. Else no blocks are told: how many some people have tells how many they are.
    """
    tell = holdings.tell
    counted = graph.counted(len(part.people))
    runs = [one if exact else {**one, "blocks": None} for one in part.runs]
    erased = [graph.counted(one) if one else {"people": 0} for one in part.erased]
    return {
        **counted,
        "erased": {"least": erased[0], "most": erased[1]},
        "untold_runs": part.untold,
        "streams": sorted(part.streams),
        "classes": sorted({STREAM_TO_WHAT.get(one, one) for one in part.streams}),
        "categories": sorted(part.categories),
        "days": {
            "count": len(part.days),
            "first": part.days[0] if part.days else None,
            "last": part.days[-1] if part.days else None,
        },
        "blocks": part.blocks if exact else None,
        "derived": {
            "count": len(part.derived),
            "shown": [tell(one) for one in part.derived[:SHOWN]],
        },
        "models": {
            "count": len(part.models),
            "shown": [tell(one) for one in part.models[:SHOWN]],
        },
        "runs": {"count": part.count, "shown": runs},
        "grants": list(part.grants[:SHOWN]),
        "releases": {"count": len(part.releases), "shown": list(part.releases[:SHOWN])},
    }


def tell_limits(target: Target, *, changed: int) -> list[str]:
    """Return what an answer does not say.

    Args:
        target: What it is about.
        changed: Rows of the register that were changed.
    """
    kind = target.kind
    found = list(LIMITS)
    if kind is not None:
        found.insert(0, OUTSIDE)
        if kind[0] == SEGMENT and kind[2]:
            found.append("of an earlier epoch: keys that were made since are counted too")
        if kind[0] == "root":
            found.append("the root alone opens nothing without the secrets of the epochs")
    if changed:
        found.append(f"{changed} rows of the register were changed: nobody can say whose they are")
    return found
