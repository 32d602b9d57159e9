"""How many events a second the sentinel judges on one core, and that one of many principals costs no more."""

from __future__ import annotations

import pytest
from tests.access_days import days_of
from tests.bench.board import BOARD, cpu, sized

from safehold.sentinel import Sentinel, Settings

pytestmark = pytest.mark.bench
GOAL = 20_000


def test_events_a_second():
    events = days_of("lab", 1, days=sized(20, 12), people=sized(60, 8), each=0).events
    crowd = days_of("lab", 2, days=sized(10, 8), people=sized(300, 8), each=0).events

    def watch(stream):
        sentinel = Sentinel(Settings(learn_days=2))
        for event in stream:
            sentinel.observe(event)

    few = len(events) / cpu(lambda: watch(events))
    many = len(crowd) / cpu(lambda: watch(crowd))
    BOARD.add(
        "sentinel: events judged a second, one core",
        ours=f"{few:,.0f}/s",
        peer=f"goal {GOAL:,}/s",
        ratio=few / GOAL,
        goal=f">= {GOAL:,}/s",
        met=few >= GOAL,
        floor=0.5,
    )
    BOARD.add(
        "sentinel: five times the principals",
        ours=f"{many:,.0f}/s",
        peer=f"{few:,.0f}/s",
        ratio=many / few,
        goal="(none: O(1))",
        met=True,
        floor=0.3,
    )
