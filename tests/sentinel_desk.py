"""A small company in its routine, watched for three weeks, so that a test can add what is odd."""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import Any

from safehold.clock import DAY_US, SECOND_US
from safehold.sentinel import Alert, Event, Sentinel, Settings

HOUR = 3600 * SECOND_US
MINUTE = 60 * SECOND_US
START = 20_780 * DAY_US  # a Monday
DAYS = 22
NOW = START + DAYS * DAY_US  # a Tuesday
SETTINGS = Settings(learn_days=14)
TEAMS = {
    "red": ("us.key", "us.chat"),
    "green": ("de.key", "de.focus"),
    "blue": ("jp.screen", "jp.metric"),
}
ROLES = ("scientist", "analyst", "engineer", "auditor")
PEOPLE = {
    f"{team}-{number}": (team, ROLES[number % 4]) for team in TEAMS for number in range(6)
}  # scientists: 0 and 4, analysts: 1 and 5, engineers: 2, auditors: 3
AGENTS = {f"bot-{team}": (team, "assistant") for team in TEAMS}


def use(principal: str, t_us: int, **more: Any) -> Event:
    """Return one ordinary use of somebody, changed as told."""
    kind = "agent" if principal in AGENTS else "human"
    team, role = (AGENTS | PEOPLE)[principal]
    segment = more.get("segment", TEAMS[team][0])
    base: dict[str, Any] = {
        "number": 0,
        "t_us": t_us,
        "principal": principal,
        "kind": kind,
        "role": role,
        "team": team,
        "action": "dataset.read",
        "objects": (f"{segment}/t0",) if segment else (),
        "segment": segment,
        "purpose": "train",
        "rows": 2_000,
        "bytes": 300_000,
        "grant": f"g-{principal}",
    }
    return Event(**base | more)


def day(number: int, random: Random) -> list[Event]:
    """Return one ordinary day."""
    begin = START + number * DAY_US
    found = []
    for name, (team, role) in {**PEOPLE, **AGENTS}.items():
        weekend = number % 7 >= 5
        count = (3 if random.random() < 0.2 else 0) if weekend else random.randint(14, 24)
        if name in AGENTS:
            count = 20 if weekend else random.randint(35, 60)
        for _ in range(count):
            at = begin + int((8.2 + 9 * random.random()) * HOUR)
            segment = random.choice(TEAMS[team])
            more: dict[str, Any] = {
                "segment": segment,
                "objects": (f"{segment}/t{int(3 * random.random() ** 2)}",),
                "rows": int(2_000 * 2 ** random.gauss(0, 0.8)),
            }
            more["bytes"] = more["rows"] * 150
            way = random.random()
            if role == "scientist" and way < 0.03:
                more["action"] = "embedding.export"
            elif role == "scientist" and way < 0.07:
                more |= {"action": "artifact.download", "objects": (f"model-{team}",), "segment": "", "rows": 0,
                         "bytes": 4_000_000}  # fmt: skip
            elif role == "analyst" and way < 0.08:
                more |= {
                    "action": "dataset.join",
                    "objects": tuple(f"{one}/t0" for one in TEAMS[team]),
                }
            elif way > 0.99:
                more |= {"outcome": "denied", "rows": 0, "bytes": 0}
            found.append(use(name, at, **more))
    return sorted(found, key=lambda event: (event.t_us, event.principal))


@lru_cache(maxsize=1)
def _routine() -> tuple[bytes, tuple[Event, ...], tuple[Alert, ...]]:
    random, sentinel = Random(7), Sentinel(SETTINGS)
    told: list[Alert] = []
    events: list[Event] = []
    for number in range(DAYS):
        events += day(number, random)
    events = numbered(events)
    for event in events:
        told += sentinel.observe(event)
    return sentinel.snapshot(), tuple(events), tuple(told)


def watched() -> Sentinel:
    """Return a sentinel that knows the routine; it is Tuesday, midnight."""
    return Sentinel.restore(_routine()[0], SETTINGS)


def routine() -> tuple[Event, ...]:
    """Return the events of the routine."""
    return _routine()[1]


def told_in_routine() -> tuple[Alert, ...]:
    """Return what was told of the routine; all of it false."""
    return _routine()[2]


def numbered(events: list[Event], first: int = 1) -> list[Event]:
    """Return events in order of time with their numbers."""
    from dataclasses import replace

    return [
        replace(event, number=number)
        for number, event in enumerate(sorted(events, key=lambda one: one.t_us), first)
    ]


def raised(events: list[Event], sentinel: Sentinel | None = None) -> list[Alert]:
    """Return what a sentinel that knows the routine tells of events."""
    watcher = sentinel or watched()
    return [alert for event in numbered(events, 100_000) for alert in watcher.observe(event)]


def signals(events: list[Event], sentinel: Sentinel | None = None) -> set[str]:
    """Return the signals of it."""
    return {alert.signal for alert in raised(events, sentinel)}


def score_of(sentinel: Sentinel, event: Event, channel: str) -> float:
    """Return what a statistic makes of an event, in a sentinel that goes on as if it had never been."""
    from safehold.sentinel.evidence import hold
    from safehold.sentinel.signals import find

    other = Sentinel.restore(sentinel.snapshot(), SETTINGS)
    other.observe(use(event.principal, event.t_us - HOUR))
    who = other.people[event.principal]
    found = find(other, hold(other, event, who, event.t_us, event.t_us // DAY_US))
    return max((one.score for one in found if one.channel == channel), default=0.0)
