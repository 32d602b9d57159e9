"""How good alerts are: which attacks they touch, how soon, and how many are false."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.access_days import Days

from safehold.clock import DAY_US
from safehold.sentinel import Alert, Event, Sentinel, Settings


@dataclass
class Judged:
    """What became of attacks, and what was told beside them."""

    found: Counter[str]
    of: Counter[str]
    false: list[Alert]
    rate: float  # false alerts a day per 100 principals
    waits: dict[str, list[tuple[int, float]]]  # events and minutes until the first alert

    @property
    def share(self) -> float:
        return sum(self.found.values()) / max(1, sum(self.of.values()))


def watch(events: Iterable[Event], settings: Settings) -> list[Alert]:
    """Return all alerts."""
    sentinel = Sentinel(settings)
    return [alert for event in events for alert in sentinel.observe(event)]


def judge(days: Days, settings: Settings) -> Judged:
    """Replay and compare: an attack is found if an alert names one of its events.

    An alert is false if it names none, and falls outside every window of an attack on the same principal (until a day
    after its last event).
    """
    alerts = watch(days.events, settings)
    naming: dict[int, list[Alert]] = {}
    for alert in alerts:
        for number in alert.events:
            naming.setdefault(number, []).append(alert)
    times = {event.number: event.t_us for event in days.events}
    found: Counter[str] = Counter()
    of: Counter[str] = Counter()
    waits: dict[str, list[tuple[int, float]]] = {}
    mine: set[int] = set()
    windows = []
    for kind, who, numbers in days.attacks:
        order = sorted(numbers)
        begin, end = times[order[0]], times[order[-1]] + DAY_US
        windows.append((who, begin, end))
        of[kind] += 1
        mine |= numbers
        told = [alert.events[-1] for number in order for alert in naming.get(number, ())]
        if told:
            found[kind] += 1
            seen = sum(1 for number in order if number <= min(told))
            waits.setdefault(kind, []).append((seen, (times[min(told)] - begin) / 60e6))
    false = [
        alert
        for alert in alerts
        if not mine & set(alert.events)
        and not any(who == alert.principal and a <= alert.t_us <= b for who, a, b in windows)
    ]
    first = days.events[0].t_us // DAY_US + settings.learn_days
    watched = days.events[-1].t_us // DAY_US + 1 - first
    return Judged(found, of, false, len(false) / watched / days.principals * 100, waits)


def of_company(uses: list[dict[str, Any]]) -> Days:
    """Return the trace of the made-up company as events; its seats count as people, its misuse as attacks."""
    events, attacks = [], {}
    for number, use in enumerate(uses, 1):
        segments = tuple(use["segments"] or ())
        events.append(
            Event(
                number=number,
                t_us=int(use["t"].timestamp() * 1e6),
                principal=use["actor"],
                kind="human" if use["kind"] == "seat" else use["kind"],
                role=use["role"],
                team=use["operator"] or "",
                action=use["action"],
                objects=segments if len(segments) > 1 else (),
                segment=segments[0] if segments else "",
                purpose=use["purpose"],
                rows=use["rows"],
                bytes=use["rows"] * 100,
                grant=use["grant"],
                outcome="ok" if use["outcome"] == "done" else "denied",
            )
        )
        if use["misuse"]:
            attacks.setdefault((use["misuse"], use["episode"]), set()).add(number)
    named = [(kind, events[min(one) - 1].principal, one) for (kind, _), one in attacks.items()]
    return Days(events, named, len({event.principal for event in events}), 0)
