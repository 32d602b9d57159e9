"""What one attack came to, in counts that were made by running code; what was not measured stays empty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

COUNTS: Final = ("people", "records", "segments", "canaries", "missing")
NAMES: Final[Mapping[str, str]] = {
    "people": "people_exposed",
    "records": "records_readable",
    "segments": "segments_exposed",
    "canaries": "canaries_exposed",
    "missing": "trail_missing",
    "detect_s": "detect_s",
    "contain_s": "contain_s",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What an attacker had in the end.

    Args:
        people: People about whom something was readable.
        records: Rows that were readable.
        segments: Segments (in a lake: tables) something of which was readable.
        canaries: Planted secrets that were found.
        missing: Entries that a trail lacks.
        detect_s: Seconds from the attempt to the alert.
        contain_s: Seconds from the alert until the same attempt failed.
        wrong: What else did not hold, one sentence each.
        told: What was tried and seen, for readers: small, and nothing of the data.
    """

    people: int | None = None
    records: int | None = None
    segments: int | None = None
    canaries: int | None = None
    missing: int | None = None
    detect_s: float | None = None
    contain_s: float | None = None
    wrong: tuple[str, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def none(cls, **told: Any) -> Exposure:
        """Return that it was looked, and nothing was there."""
        return cls(people=0, records=0, segments=0, canaries=0, told=told)

    def figures(self) -> dict[str, int | float | None]:
        """Return the figures under the names that reports use."""
        return {name: getattr(self, item) for item, name in NAMES.items()}

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        told = {"told": dict(self.told)} if self.told else {}
        return {**self.figures(), "wrong": list(self.wrong), **told}


def merge(parts: Iterable[Exposure]) -> Exposure:
    """Return the worst of several looks at the same: the largest figure, and everything that was wrong."""
    found = list(parts)
    largest: dict[str, Any] = {}
    for item in fields(Exposure):
        if item.name in NAMES:
            known = [getattr(one, item.name) for one in found]
            largest[item.name] = max((one for one in known if one is not None), default=None)
    told: dict[str, Any] = {}
    for one in found:
        told |= one.told
    return Exposure(**largest, wrong=tuple(text for one in found for text in one.wrong), told=told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an attack came to, at rest and live apart.

    Args:
        at_rest: By somebody who has bytes alone; None where the scenario has no such side.
        live: By somebody who speaks to what runs, or looks into it.
    """

    at_rest: Exposure | None = None
    live: Exposure | None = None

    @property
    def whole(self) -> Exposure:
        """The worse of the two, figure by figure."""
        return merge(one for one in (self.at_rest, self.live) if one is not None)

    def with_told(self, **told: Any) -> Findings:
        """Return the same with more that is told of its live side."""
        live = self.live or Exposure()
        return replace(self, live=replace(live, told={**live.told, **told}))


def join(parts: Iterable[Findings]) -> Findings:
    """Return the worst of several places, at rest and live apart."""
    found = list(parts)
    rest = [one.at_rest for one in found if one.at_rest is not None]
    live = [one.live for one in found if one.live is not None]
    return Findings(at_rest=merge(rest) if rest else None, live=merge(live) if live else None)


__all__ = ["COUNTS", "NAMES", "Exposure", "Findings", "join", "merge"]
