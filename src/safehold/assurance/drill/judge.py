"""Whether what an attack came to is within the limit of its scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from safehold.assurance.drill.outcome import NAMES, Exposure, Findings

HELD, BROKEN, UNABLE = "held", "broken", "could not run"
STATES: Final = (HELD, BROKEN, UNABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The most that may be exposed; None bounds nothing."""

    people: int | None = None
    records: int | None = None
    segments: int | None = None
    canaries: int | None = None
    missing: int | None = None


NOTHING: Final = Bound(people=0, records=0, segments=0, canaries=0, missing=0)
# a running segment is all that is there to take; how many people and rows that is depends on the segment
ONE_SEGMENT: Final = Bound(segments=1, canaries=0, missing=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a scenario allows.

    Args:
        at_rest: To somebody who has bytes alone.
        live: To somebody inside what runs.
        detect_s: Seconds until it must be noticed; None if noticing is not asked for.
        contain_s: Seconds from then until it must fail.
    """

    at_rest: Bound = NOTHING
    live: Bound = NOTHING
    detect_s: float | None = None
    contain_s: float | None = None


def exceeded(limit: Limit, found: Findings) -> list[str]:
    """Return what an attack came to beyond the limit, one sentence each; empty if it held.

    A figure that was not measured exceeds nothing; whether the attack ran at all is another question.
    """
    beyond: list[str] = []
    for where, bound, one in (
        ("at rest", limit.at_rest, found.at_rest),
        ("live", limit.live, found.live),
    ):
        if one is not None:
            beyond += [f"{where}: {text}" for text in [*_over(bound, one), *one.wrong]]
    whole = found.whole
    for name, most, seconds in (
        ("detected", limit.detect_s, whole.detect_s),
        ("contained", limit.contain_s, whole.contain_s),
    ):
        if most is not None and seconds is not None and seconds > most:
            beyond.append(f"{name} after {seconds:.1f} s, not {most:g}")
    return beyond


def _over(bound: Bound, one: Exposure) -> list[str]:
    over = []
    for name in Bound.__dataclass_fields__:
        most, count = getattr(bound, name), getattr(one, name)
        if most is not None and count is not None and count > most:
            over.append(f"{NAMES[name]} is {count}, at most {most}")
    return over


def measured(found: Findings) -> bool:
    """Return whether an attack counted anything at all, or found something wrong."""
    whole = found.whole
    return bool(whole.wrong) or any(
        getattr(whole, name) is not None for name in Bound.__dataclass_fields__
    )


__all__ = [
    "BROKEN", "HELD", "NOTHING", "ONE_SEGMENT", "STATES", "UNABLE",
    "Bound", "Limit", "exceeded", "measured",
]  # fmt: skip
