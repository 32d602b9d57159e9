"""The part of the charter about those who watch: board, promises, gates, audit."""

# ruff: noqa: RUF009 - key() only wraps dataclasses.field
from __future__ import annotations

from dataclasses import dataclass

from safehold.charter import value
from safehold.charter.record import key
from safehold.charter.value import Effect, Threshold
from safehold.charter.vocabulary import ASSURANCE, SEATS
from safehold.telemetry.stream import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """How many seats must agree, and which of them always."""

    approve: int = key(value.integer)
    must_include: tuple[str, ...] = key(value.one_of(*SEATS), default=())
    notice_s: int = key(value.duration, key="notice", default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Who can stop everything, and how fast."""

    approve: int = key(value.integer)
    effect: Effect = key(value.effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """What it takes to start again after a stop."""

    approve: int = key(value.integer)
    needs: tuple[str, ...] = key(value.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlass:
    """What a grant in an emergency takes: it lifts waiting, never a red line, and opens an incident."""

    approvers: int = key(value.integer)
    seats: tuple[str, ...] = key(value.one_of(*SEATS))
    max_s: int = key(value.duration, key="max")
    reviews: int = key(value.integer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Oversight:
    """The board."""

    seats: tuple[str, ...] = key(value.one_of(*SEATS))
    widen: Quorum = key()
    narrow: Quorum = key()
    stop: Stop = key()
    restart_after_stop: Restart = key()
    break_glass: BreakGlass | None = key(none="never", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A measurement with a bound, published to employees."""

    id: str = key(value.name)
    says: str = key(value.prose)
    measure: str = key(value.name)
    must_be: Threshold = key(value.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """An attack that must fail before an artifact leaves."""

    id: str = key(value.name)
    attack: str = key(value.one_of("reidentify", "membership", "canary", "invert"))
    level: str | None = key(value.one_of(*(level.name for level in Level)), default=None)
    measure: str = key(value.name)
    must_be: Threshold = key(value.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assurance:
    """The least sandbox level for each sensitivity, 1 to 4."""

    level_1: str = key(value.one_of(*ASSURANCE[1:]), key="sensitivity_1", default="E1")
    level_2: str = key(value.one_of(*ASSURANCE[1:]), key="sensitivity_2", default="E2")
    level_3: str = key(value.one_of(*ASSURANCE[1:]), key="sensitivity_3", default="E3")
    level_4: str = key(value.one_of(*ASSURANCE[1:]), key="sensitivity_4", default="E3")

    def least(self, sensitivity: int) -> int:
        """Return the least level for a sensitivity, as a number."""
        names = (self.level_1, self.level_2, self.level_3, self.level_4)
        return ASSURANCE.index(names[sensitivity - 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """Who outside keeps the head of the log."""

    min: int = key(value.integer)
    includes: str = key(value.one_of(*SEATS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Who checks from outside, and how often."""

    independent_days: int = key(value.every, key="independent")
    bundle: str = key(value.one_of("offline_verifiable"))
    witnesses: Witnesses = key()
