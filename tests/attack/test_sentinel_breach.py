"""Ways to break the sentinel from inside its own input: odd names, floods, and what must not teach it anything."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.sentinel_desk import HOUR, MINUTE, NOW, raised, use, watched

from safehold.clock import DAY_US
from safehold.sentinel import Alert, Event, Sentinel

MORNING = NOW + 11 * HOUR
EARLY = NOW + 9 * HOUR


def told(sentinel: Sentinel, events: list[Event]) -> list[Alert]:
    return [alert for event in events for alert in sentinel.observe(event)]


def test_a_separator_in_the_name_of_a_segment_breaks_nothing():
    sentinel = watched()
    alone = [
        use("red-1", EARLY + number, segment=f"us\x1f{name}", objects=(name,))
        for number, name in enumerate("ab")
    ]
    told(sentinel, alone)
    joined = use("red-1", MORNING, action="dataset.join", objects=("a", "b"))
    assert "join" in {alert.signal for alert in told(sentinel, [joined])}
