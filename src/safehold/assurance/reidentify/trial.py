"""One measurement: a stream of many people, at each level, by every attacker, beside what the level is good for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from safehold.assurance.reidentify.attackers import Arms, attack, read_trail
from safehold.assurance.reidentify.protect import protect
from safehold.assurance.reidentify.score import Figure
from safehold.assurance.reidentify.trail import Trail, place_in
from safehold.assurance.reidentify.utility import Utility, measure_utility
from safehold.assurance.reidentify.verdict import Verdict, gate_of, judge_gate
from safehold.charter.oversight import Gate
from safehold.errors import InvalidError
from safehold.privacy.recognition import CONFIDENCE, FAILED, PASSED
from safehold.telemetry.stream import Level

STREAMS: Final = ("key", "pointer")
LIMITS: Final = (
    "a gate passed by these attackers is not passed by all: a stronger one may come",
    "the figure holds for as many events of as many people as were looked at; more of either changes it",
    "people sat at one device each, so part of what is recognised may be the device",
)

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is measured.

    Args:
        levels: Levels, each with its own attackers.
        arms: Which attackers.
        cap: Most events of a probe: what one pseudonym holds before it changes. None sets no limit.
        enrol: Most events of a person that the attacker knows beforehand. None sets no limit.
        gates: Gates of the charter.
    """

    levels: tuple[Level, ...]
    arms: Arms
    cap: int | None = None
    enrol: int | None = None
    gates: tuple[Gate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a level left to the attackers.

    Args:
        stream: The stream.
        level: The level.
        people: People who were to be recognised.
        probe: Median number of events of a probe.
        enrolled: Median number of events enrolled of a person.
        figures: One an attacker.
        utility: What the level is good for.
        verdict: How it stands against the charter's gate; None where it sets none.
    """

    stream: str
    level: Level
    people: int
    probe: int
    enrolled: int
    figures: tuple[Figure, ...]
    utility: Utility | None
    verdict: Verdict | None

    @property
    def worst(self) -> Figure:
        """Return the figures of the attacker who recognises most."""
        return max(self.figures, key=lambda one: (one.hits, one.among_ten))

    @property
    def upper(self) -> float:
        """Return the upper bound of the worst attacker."""
        return max(one.upper for one in self.figures)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "stream": self.stream,
            "level": self.level.name,
            "people": self.people,
            "events": {"probe": self.probe, "enrolled": self.enrolled},
            "chance": round(1 / max(self.people, 1), 4),
            "worst": self.worst.to_json(),
            "upper": round(self.upper, 4),
            "confidence": CONFIDENCE,
            "attackers": [one.to_json() for one in self.figures],
            "utility": None if self.utility is None else self.utility.to_json(),
            "verdict": None if self.verdict is None else self.verdict.to_json(),
        }


def run_trial(
    tables: Mapping[str, pa.Table], trial: Trial, progress: Progress = lambda _message: None
) -> list[Found]:
    """Attack each stream at each level.

    Args:
        tables: Events in wire form by stream, whole sittings; streams other than keys and pointer are passed over.
        trial: What is measured.
        progress: Is told how far it is.

    Raises:
        InvalidError: There is no stream to attack, or fewer than two people in it.
    """
    streams = [name for name in STREAMS if name in tables and tables[name].num_rows]
    if not streams:
        raise InvalidError(
            "there are neither keys nor pointer events to attack",
            rule="reidentify.stream",
            fix="hand in a file of keys or of pointer events",
        )
    found = []
    steps = len(streams) * len(trial.levels)
    for number, (stream, level) in enumerate(
        (stream, level) for stream in streams for level in trial.levels
    ):
        progress({"done": number, "of": steps, "title": f"{stream} {level.name}"})
        found.append(_attack_level(stream, tables[stream], level, trial, progress))
    progress({"done": steps, "of": steps})
    return found


def _attack_level(
    stream: str, wire: pa.Table, level: Level, trial: Trial, progress: Progress
) -> Found:
    table = protect(stream, wire.combine_chunks(), level)
    gate = gate_of(trial.gates, level)
    if not table.num_rows:  # only aggregates leave: there is nothing to recognise anybody by
        nobody = Figure(attacker="none", hits=0, among_ten=0, people=0, eer=0.5)
        return Found(
            stream=stream, level=level, people=0, probe=0, enrolled=0, figures=(nobody,),
            utility=None, verdict=None,
        )  # fmt: skip
    whole = read_trail(stream, table)
    trail = limit(whole, cap=trial.cap, enrol=trial.enrol)
    sizes = [
        np.bincount(trail.person[trail.probe == part], minlength=len(trail.people))
        for part in (False, True)
    ]
    known = (sizes[0] > 0) & (sizes[1] > 0)
    if int(known.sum()) < 2:
        raise InvalidError(
            "fewer than two people have events in both parts",
            rule="reidentify.people",
            fix="hand in at least two sittings of each of many people",
        )
    trail = among(trail, known)
    figures = tuple(attack(stream, trail, trial.arms, lambda title: progress({"note": title})))
    return Found(
        stream=stream,
        level=level,
        people=int(known.sum()),
        probe=int(np.median(sizes[1][known])),
        enrolled=int(np.median(sizes[0][known])),
        figures=figures,
        utility=measure_utility(stream, whole, seed=trial.arms.seed),
        verdict=None if gate is None else judge_gate(gate, list(figures)),
    )


def limit(trail: Trail, *, cap: int | None, enrol: int | None) -> Trail:
    """Keep the first events of each person: ``cap`` of the probe, ``enrol`` of what the attacker knows."""
    place = place_in(trail.person * 2 + trail.probe)
    most = np.where(
        trail.probe,
        len(trail) if cap is None else cap,
        len(trail) if enrol is None else enrol,
    )
    return trail.take(place < most)


def among(trail: Trail, known: Any) -> Trail:
    """Keep the people who have events in both parts."""
    if known.all():
        return trail
    number = np.cumsum(known) - 1
    kept = trail.take(known[trail.person])
    people = tuple(name for name, there in zip(trail.people, known, strict=True) if there)
    return replace(kept, people=people, person=number[kept.person])


def outcome(found: list[Found]) -> str:
    """Return ``passed`` when every gate is, ``failed`` when one fails, and what else is missing otherwise."""
    states = [one.verdict.state for one in found if one.verdict is not None]
    if not states:
        return "no gate"
    if FAILED in states:
        return FAILED
    return PASSED if set(states) == {PASSED} else next(one for one in states if one != PASSED)
