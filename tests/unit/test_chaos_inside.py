"""The look into a keeper of a soak: it adds up to what the system says of the process, and runs only where it is asked for."""

from __future__ import annotations

import threading

import psutil
import pytest
from tests.chaos import inside


def test_a_look_adds_up_to_what_is_resident() -> None:
    said = inside.look()
    resident = psutil.Process().memory_info().rss
    told = sum(held for held, _ in said["maps"].values())
    assert abs(told - resident) < 16 << 20
    assert 0 < said["heap"]["used"] <= said["heap"]["taken"] + said["heap"]["apart"]
    assert sum(one["taken"] for one in said["heaps"]) == pytest.approx(
        said["heap"]["taken"], rel=0.05
    )


def test_nothing_runs_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAOS_INSIDE", raising=False)
    before = threading.active_count()
    inside.begin()
    assert threading.active_count() == before
