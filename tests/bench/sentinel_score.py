"""How alerts about a log are scored against the truth about it: the same rule for every method.

An alert is ``{"t", "principal", "signal", "events": [line numbers]}``.
*Found*: an alert by the attack's principal, raised within its window, one of whose events is a line of the attack.
*False*: an alert raised outside every window of its principal. An alert in a window that names no line of the attack is
neither. Every alert counts, not only one a day. An alert that is ``growing`` gathers what crossed a threshold later, within
its episode: any of those may find the attack (this favours the rivals, whose episodes are not told apart by signal).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

KINDS = ("export", "join", "artifact", "runaway", "off_hours", "first_time", "slow", "scope")


@dataclass
class Found:
    """One attack that was found: after how many seconds, at which of its events."""

    kind: str
    variant: str
    seconds: float
    event: int


@dataclass
class Score:
    """What came of one method on one or more logs."""

    total: Counter[str] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)
    missed: list[dict[str, Any]] = field(default_factory=list)
    false: list[dict[str, Any]] = field(default_factory=list)
    principal_days: float = 0.0  # days watched, in hundreds of principals
    events: int = 0
    cpu_s: float = 0.0

    def add(self, other: Score) -> None:
        self.total.update(other.total)
        self.found += other.found
        self.missed += other.missed
        self.false += other.false
        self.principal_days += other.principal_days
        self.events += other.events
        self.cpu_s += other.cpu_s

    @property
    def recall(self) -> float:
        return len(self.found) / max(1, sum(self.total.values()))

    @property
    def false_a_day(self) -> float:
        """False alerts a day for a hundred principals."""
        return len(self.false) / max(1e-9, self.principal_days)

    @property
    def rate(self) -> float:
        """Events a CPU-second."""
        return self.events / max(1e-9, self.cpu_s)

    def by_kind(self) -> dict[str, int]:
        counted = Counter(one.kind for one in self.found)
        return {kind: counted[kind] for kind in KINDS}

    def delay(self, kind: str) -> float:
        """Median seconds from the first event of an attack to its alert."""
        return median([one.seconds for one in self.found if one.kind == kind] or [float("inf")])

    def by_event(self, kind: str, most: int) -> int:
        """How many were found by their first so many events."""
        return sum(one.kind == kind and one.event <= most for one in self.found)

    def row(self) -> dict[str, Any]:
        return {
            "found": len(self.found), "total": sum(self.total.values()), "by_kind": self.by_kind(),
            "of_each": dict(self.total), "false_a_day": round(self.false_a_day, 2), "events_s": round(self.rate),
            "median_s": {kind: round(self.delay(kind), 1) for kind in KINDS if self.by_kind()[kind]},
            "by_second_event": {kind: self.by_event(kind, 2) for kind in ("export", "join", "artifact")},
            "runaway_2_min": sum(one.kind == "runaway" and one.seconds <= 120 for one in self.found),
        }  # fmt: skip


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def judge(
    events: list[dict[str, Any]],
    truth: Iterable[dict[str, Any]],
    alerts: Iterable[dict[str, Any]],
    learn_days: int,
) -> Score:
    """Score the alerts about one log."""
    score = Score(events=len(events))
    windows = defaultdict(list)
    for attack in truth:
        score.total[attack["kind"]] += 1
        windows[attack["principal"]].append(attack | {"set": set(attack["lines"])})
    first: dict[int, Found] = {}
    for alert in sorted(alerts, key=lambda one: moment(one["t"])):
        lines = sorted(alert["events"])
        # when it is said: once; or of a growing one at each of its events
        said = (
            [(events[line - 1]["t"], line) for line in lines]
            if alert.get("growing")
            else [(alert["t"], lines[-1])]
        )
        near = False
        for attack in windows[alert["principal"]]:
            inside = [(t, line) for t, line in said if _within(attack, t)]
            near = near or bool(inside)
            for t, raised in inside:
                hits = {raised} if alert.get("growing") else set(lines)
                if hits & attack["set"] and id(attack) not in first:
                    at = sum(line <= raised for line in attack["lines"])
                    late = moment(t) - moment(attack["from"])
                    first[id(attack)] = Found(attack["kind"], attack["variant"], late, at)
        if not near:
            score.false.append(alert)
    for attacks in windows.values():
        for attack in attacks:
            if id(attack) in first:
                score.found.append(first[id(attack)])
            else:
                score.missed.append({key: value for key, value in attack.items() if key != "set"})
    start, end = moment(events[0]["t"]), moment(events[-1]["t"])
    watched = max(0.0, (end - start) / 86_400 - learn_days)
    score.principal_days = watched * len({one["principal"] for one in events}) / 100
    return score


def moment(text: str) -> float:
    """Seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def _within(attack: dict[str, Any], t: str) -> bool:
    return moment(attack["from"]) <= moment(t) <= moment(attack["to"])
