"""Every number that the sentinel is set by, in one place, each with what it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from safehold.clock import DAY_US
from safehold.errors import InvalidError

HOUR_US: Final = DAY_US // 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """How one statistic of a signal is judged.

    Args:
        signal: The signal that it speaks for.
        floor: Threshold that calibration never goes below: less than this is no evidence.
        cap: Threshold that calibration never goes above: more than this is always told, so that nobody can
            raise the bar for themselves by making noise first.
        share: Part of the budget of false alerts that it may spend.
        hours: For how long one episode stands before the same is told again.
        lag: Days that must have passed before there is such a statistic at all.
    """

    signal: str
    floor: float
    cap: float
    share: float
    hours: int = 24
    lag: int = 0


CHANNELS: Final[Mapping[str, Channel]] = MappingProxyType(
    {
        "export": Channel(signal="export", floor=0.9, cap=9.0, share=0.08),
        "join": Channel(signal="join", floor=2.7, cap=9.0, share=0.06),
        "artifact": Channel(signal="artifact", floor=1.0, cap=9.0, share=0.05),
        "pair": Channel(signal="artifact", floor=1.0, cap=3.0, share=0.055, hours=1),
        "row-artifact": Channel(signal="artifact", floor=1.5, cap=9.0, share=0.02),
        "row-export": Channel(signal="export", floor=1.0, cap=9.0, share=0.01),
        "exports": Channel(signal="export", floor=2.5, cap=12.0, share=0.025),
        "bulk": Channel(signal="export", floor=5.0, cap=30.0, share=0.015),
        "renamed": Channel(signal="export", floor=2.2, cap=9.0, share=0.02),
        "searches": Channel(signal="export", floor=2.5, cap=12.0, share=0.02),
        "artifacts": Channel(signal="artifact", floor=2.5, cap=12.0, share=0.005),
        "agent": Channel(signal="agent", floor=2.2, cap=9.0, share=0.04),
        "loop": Channel(signal="agent", floor=2.8, cap=9.0, share=0.005),
        "swift": Channel(signal="agent", floor=2.3, cap=12.0, share=0.015),
        "hour": Channel(signal="off-hours", floor=2.2, cap=12.0, share=0.105),
        "segment": Channel(signal="first-time", floor=1.3, cap=9.0, share=0.105),
        "object": Channel(signal="first-time", floor=2.2, cap=9.0, share=0.015),
        "slow": Channel(signal="slow", floor=2.4, cap=6.0, share=0.04, hours=72, lag=15),
        "pace": Channel(signal="slow", floor=2.4, cap=6.0, share=0.05, hours=72, lag=13),
        "larger": Channel(signal="slow", floor=2.4, cap=6.0, share=0.03, hours=72, lag=15),
        "size": Channel(signal="slow", floor=2.2, cap=6.0, share=0.015, hours=72, lag=15),
        "wide": Channel(signal="slow", floor=2.2, cap=6.0, share=0.02, hours=72, lag=15),
        "scope": Channel(signal="scope", floor=1.0, cap=9.0, share=0.1, hours=168, lag=7),
        "reach": Channel(signal="scope", floor=1.2, cap=60.0, share=0.015, hours=168, lag=7),
        "papers": Channel(signal="scope", floor=1.2, cap=30.0, share=0.03, hours=168, lag=7),
        "denied": Channel(signal="denied", floor=3.0, cap=9.0, share=0.01),
        "drift": Channel(signal="drift", floor=3.2, cap=9.0, share=0.05),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the sentinel is set by; the defaults are those of the reference page.

    Args:
        learn_days: Days from the first event (the UTC day it is in is the first) that only teach.
        budget: False alerts that are borne in a day for each 100 principals, over all signals.
        margin: Times the budget that thresholds are set to: what past days would have told was about half as much
            again as the days after them do, because habits grow; each week the share of a statistic is corrected.
        own_days: Active days after which somebody's own habits are trusted; before, they are *learning*.
        fade: What is left of a habit after a week without it.
        forget_days: Days after which an unseen principal, or a use by a colleague, is forgotten.
        most_keys: Most things that are kept of one principal; the least used go first.
        most_today: Most different things of one principal that are told apart in a day.
        most_principals: Most principals that are kept; those that were not seen for the longest go first.
        most_grants: Most grants that are kept.
        held_days: Anomalous days in a row that are not learned; after that many the change is the routine.
        channels: How each statistic is judged.

    Raises:
        InvalidError: A number is out of its range.
    """

    learn_days: int = 14
    budget: float = 2.0
    margin: float = 1.4
    own_days: int = 10
    fade: float = 0.85
    forget_days: int = 42
    most_keys: int = 4_000
    most_today: int = 1_000
    most_principals: int = 20_000
    most_grants: int = 50_000
    held_days: int = 7
    channels: Mapping[str, Channel] = field(default_factory=lambda: CHANNELS)

    def __post_init__(self) -> None:
        if not 0 <= self.learn_days <= 366:
            raise InvalidError(
                "days to learn are 0 to 366", rule="sentinel.learn_days", fix="14 is usual"
            )
        if not 0.01 <= self.budget <= 1_000:
            raise InvalidError(
                "the budget is 0.01 to 1000 false alerts a day per 100 principals",
                rule="sentinel.budget",
                fix="2 is usual",
            )
