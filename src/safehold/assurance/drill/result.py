"""What a scenario came to in three places, and what a whole run says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from safehold.assurance.drill.judge import BROKEN, HELD, UNABLE, exceeded, measured
from safehold.assurance.drill.outcome import NAMES, Exposure, Findings
from safehold.assurance.drill.scenario import BY_ID, SCENARIOS, Scenario

LEVELS: Final = ("K1", "K2", "K3", "K4")
LIMITS: Final = (
    "root in a running keeper's machine sees what that keeper has open: at most one segment, never nothing",
    (
        "the twin is made by the same program for made-up people; what an operator changed outside the program is"
        " looked for on the deployment itself, and only there"
    ),
    (
        "at level K4 the witness is a process of another account on the same machine: root there is root over it,"
        " which it would not be on another host"
    ),
    "planted secrets are found by their spelling; what was rewritten beyond all spellings is not found",
    "a scenario that held once says that this attack failed once",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One attack in one place: what it came to, or why it could not be tried.

    Args:
        found: What it came to.
        reason: Why it could not be tried, if it could not.
    """

    found: Findings | None = None
    reason: str = ""

    def state(self, scenario: Scenario) -> str:
        """Return whether it held, broke, or could not run."""
        if self.found is None or not measured(self.found):
            return UNABLE
        return BROKEN if exceeded(scenario.limit, self.found) else HELD

    def to_json(self, scenario: Scenario) -> dict[str, Any]:
        """Return it as JSON: the figures, and at rest and live apart."""
        if self.found is None:
            return {"status": UNABLE, **dict.fromkeys(NAMES.values()), "reason": self.reason}
        rest, live = self.found.at_rest, self.found.live
        state = self.state(scenario)
        return {
            "status": state,
            **self.found.whole.figures(),
            "at_rest": None if rest is None else rest.to_json(),
            "live": None if live is None else live.to_json(),
            "why": exceeded(scenario.limit, self.found),
            **({"reason": "nothing was measured"} if state == UNABLE else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One scenario.

    Args:
        scenario: Which.
        attempt: On the deployment and its twin.
        lake: On the plain lake.
        control: With the guards off.
        levels: At each level of the keeper, where that was tried.
        seconds: How long it all took.
    """

    scenario: Scenario
    attempt: Try
    lake: Try
    control: Try
    levels: Mapping[str, Try] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def status(self) -> str:
        """``held``, ``broken`` or ``could not run``; a baseline that exposes nothing makes the scenario void."""
        states = [self.attempt.state(self.scenario)]
        states += [
            state for one in self.levels.values() if (state := one.state(self.scenario)) != UNABLE
        ]
        if BROKEN in states:
            return BROKEN
        if UNABLE in states or self.lake.state(self.scenario) != BROKEN:
            return UNABLE
        return HELD

    @property
    def reason(self) -> str:
        """Why it could not run, or what broke."""
        if self.status == UNABLE:
            if self.attempt.state(self.scenario) == UNABLE:
                return self.attempt.reason or "nothing was measured"
            return f"the baseline exposes nothing, so this shows nothing: {self.lake.reason or 'it held'}"
        found = [self.attempt, *self.levels.values()]
        return "; ".join(
            text
            for one in found
            if one.found is not None
            for text in exceeded(self.scenario.limit, one.found)
        )

    @property
    def discriminates(self) -> bool | None:
        """Whether it turns red with the guards off; None if that could not be tried."""
        state = self.control.state(self.scenario)
        return None if state == UNABLE else state == BROKEN

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        one = self.scenario
        tried = self.attempt.to_json(one)
        tried.pop("status")
        return {
            "id": one.id,
            "title": one.title,
            "fact": one.fact,
            "attacker": one.attacker,
            "status": self.status,
            **tried,
            "reason": self.reason or None,
            "lake": self.lake.to_json(one),
            "control": self.control.to_json(one),
            "discriminates": self.discriminates,
            "levels": {name: level.to_json(one) for name, level in self.levels.items()},
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run.

    Args:
        run: Its random id.
        results: All 25, in order.
        seconds: How long it took.
        size: People and days of the twin.
        twin: Whose charter it had, and which terms of that were changed.
        recorded: Whether its leaves are in the ledger of the deployment.
    """

    run: str
    results: Sequence[Result]
    seconds: float = 0.0
    size: Mapping[str, int] = field(default_factory=dict)
    twin: Mapping[str, Any] = field(default_factory=dict)
    recorded: bool = False

    @property
    def broken(self) -> list[str]:
        """Scenarios that broke."""
        return [one.scenario.id for one in self.results if one.status == BROKEN]

    @property
    def complete(self) -> bool:
        """Whether every scenario was run."""
        ran = {one.scenario.id for one in self.results if one.status != UNABLE}
        return ran == set(BY_ID)

    def headline(self) -> dict[str, Any]:
        """Return the figures that stand for all."""
        return {
            "held": sum(one.status == HELD for one in self.results),
            "broken": len(self.broken),
            "could_not_run": sum(one.status == UNABLE for one in self.results),
            "of": len(SCENARIOS),
            "people_exposed_at_rest": self._sum("people", "attempt", "at_rest"),
            "people_exposed_live": self._sum("people", "attempt", "live"),
            "people_exposed_in_the_lake": self._sum("people", "lake", "whole"),
            "rewrites_noticed": self._of("S19").told.get("noticed"),
            "trail_missing": self._of("S20").missing,
            "stop_s": self._of("S07").contain_s,
            "over": [one.id for one in SCENARIOS if one.counted],
            "does_not_discriminate": [
                one.scenario.id for one in self.results if one.discriminates is False
            ],
            "control_could_not_run": [
                one.scenario.id for one in self.results if one.discriminates is None
            ],
        }

    def _of(self, scenario: str) -> Exposure:
        """Return what a scenario came to on the deployment; nothing where it was not tried."""
        for one in self.results:
            if one.scenario.id == scenario and one.attempt.found is not None:
                return one.attempt.found.whole
        return Exposure()

    def _sum(self, figure: str, place: str, side: str) -> int:
        total = 0
        for one in self.results:
            tried: Try = getattr(one, place)
            found = None if tried.found is None else getattr(tried.found, side)
            if one.scenario.counted and found is not None:
                total += getattr(found, figure) or 0
        return total

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "run": self.run,
            "headline": self.headline(),
            "scenarios": [one.to_json() for one in self.results],
            "size": dict(self.size),
            "twin": dict(self.twin),
            "seconds": round(self.seconds, 1),
            "recorded": self.recorded,
            "limits": list(LIMITS),
        }


__all__ = ["LEVELS", "LIMITS", "Report", "Result", "Try"]
