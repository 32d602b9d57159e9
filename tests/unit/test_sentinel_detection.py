"""How many attacks are found, and at what cost, on made-up days of two shapes and on the made-up company's trace.

The figures of the goal are measured on days by another author; these keep the sentinel from getting worse.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

import pytest
from tests.access_days import ATTACKS, Days, days_of
from tests.judging_alerts import Judged, judge, of_company

from safehold.sentinel import Sentinel, Settings
from safehold.sentinel.lines import event_of, in_order
from safehold.workforce import Spec, traces

BORNE = 2.0  # false alerts a day per 100 principals


def measured(days: Days) -> Judged:
    found = judge(days, Settings(learn_days=14))
    print(f"\nfound {dict(found.found)} of {dict(found.of)}, false {found.rate:.2f} a day per 100")
    return found


def check(found: Judged) -> None:
    """Hold what must hold on any days: agents within two minutes, the rest at once."""
    assert all(minutes <= 2.0 for _, minutes in found.waits.get("agent", ()))
    for kind in ("export", "join", "artifact"):
        waits = [events for events, _ in found.waits.get(kind, ())]
        assert not waits or statistics.median(waits) <= 2


def test_most_attacks_are_found_within_the_budget():
    found = measured(days_of("office", 1, days=32, people=45, learn=14, each=3))
    check(found)
    # one small log: seven days set the thresholds of 25 statistics, and eighteen days are counted, so a handful of
    # alerts is the difference between one seed and another; the budget itself is held by the mean of five in the proof
    assert found.rate <= 2 * BORNE
    # eighteen days are too short for what is low and slow: that asks for two weeks and three days more
    assert found.share >= 0.65


def test_the_trace_of_the_made_up_company():
    found = measured(
        of_company(traces(Spec(people=5, days=48, start_day=20_780, seed=2)).to_pylist())
    )
    assert found.rate <= BORNE
    assert found.share >= 0.7
    assert found.found["bulk_export"] == found.of["bulk_export"]
    assert found.found["agent_loop"] == found.of["agent_loop"]


@pytest.mark.proof
@pytest.mark.parametrize(("shape", "least"), [("office", 0.85), ("lab", 0.7)])
def test_two_shapes_and_five_seeds(shape, least):
    every = [measured(days_of(shape, seed)) for seed in range(1, 6)]
    for found in every:
        check(found)
    assert statistics.mean(found.rate for found in every) <= BORNE
    assert statistics.mean(found.share for found in every) >= least
    for kind in ATTACKS:
        print(kind, sum(one.found[kind] for one in every), "of", sum(one.of[kind] for one in every))


@pytest.mark.real
def test_an_hour_of_somebody_elses_log_is_learning(shared_data):
    """Novelty without a history is worth nothing, so nothing is told; and nothing in it stops the reader."""
    file = shared_data / "access" / "cloudtrail_stratus_2023-07-10.jsonl"
    if not file.exists():
        pytest.skip("the shared example is not on this machine")
    sentinel = Sentinel()
    events = []
    for number, row in enumerate(map(json.loads, file.read_text("utf-8").splitlines()), 1):
        tree = {
            "t": row["t"],
            "principal": row["who"] or "nobody",
            "kind": "human" if row.get("utype") == "IAMUser" else "workload",
            "action": row["action"],
            "segment": row["source"],
            "outcome": "denied" if row["error"] else "ok",
        }
        events.append(event_of(tree, number, file.name))
    assert [alert for event in in_order(events) for alert in sentinel.observe(event)] == []
    assert sentinel.learning


SAID = """
import hashlib
from tests.access_days import days_of
from safehold.sentinel import Sentinel, Settings

days = days_of("office", 4, days=24, people=12, learn=10, each=1)
sentinel = Sentinel(Settings(learn_days=10))
alerts = [alert for event in days.events for alert in sentinel.observe(event)]
assert alerts
print(hashlib.sha256(repr((days.events, alerts)).encode()).hexdigest())
"""


def test_the_same_days_and_alerts_in_every_process():
    """What is told must not depend on how a process orders its sets: a replay by another must tell the same."""
    said = {
        subprocess.run(
            [sys.executable, "-c", SAID],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "4", "5")
    }
    assert len(said) == 1
