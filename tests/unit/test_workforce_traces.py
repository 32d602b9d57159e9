"""Traces of access: every misuse is there, labelled, and told by what makes it one."""

from __future__ import annotations

import statistics
from collections import defaultdict
from datetime import timedelta

import pyarrow as pa
import pytest

from safehold.ledger.kind import KINDS as LEAVES
from safehold.workforce import Spec, traces
from safehold.workforce.misuse import KINDS
from safehold.workforce.traces import SEATS, ordinary, to_table

SPEC = Spec(people=5, days=24, start_day=20_780, seed=2)


@pytest.fixture(scope="module")
def uses():
    return traces(SPEC).to_pylist()


def of(uses, kind):
    found = defaultdict(list)
    for use in uses:
        if use["misuse"] == kind:
            found[use["episode"]].append(use)
    assert len(found) == 1 + SPEC.days // 8
    return list(found.values())


def test_the_same_trace_for_whoever_asks_in_order_of_time(uses):
    table = traces(SPEC)
    assert table.equals(traces(Spec(people=900, days=24, start_day=20_780, seed=2)))
    assert not table.equals(traces(Spec(people=5, days=24, start_day=20_780, seed=3)))
    assert table["t"].cast(pa.int64()).to_pylist() == sorted(
        table["t"].cast(pa.int64()).to_pylist()
    )
    assert {use["action"] for use in uses} <= set(LEAVES)
    plain = to_table([use for day in range(SPEC.days) for use in ordinary(SPEC, day)]).to_pylist()
    assert plain == [use for use in uses if use["misuse"] is None]


def test_every_kind_is_there_in_a_run_of_one_day():
    short = traces(Spec(people=5, days=1, start_day=20_780, seed=2)).to_pylist()
    assert {use["misuse"] for use in short} == {None, *KINDS}
    assert {use["t"].date() for use in short} == {short[0]["t"].date()}


def test_there_is_a_routine_before_the_first_misuse(uses):
    begins = min(use["t"] for use in uses if use["misuse"])
    before = [use for use in uses if use["t"] < begins]
    assert begins - uses[0]["t"] > timedelta(days=6)
    assert {use["kind"] for use in before} == {"human", "agent", "workload", "seat"}


def test_most_of_what_is_odd_is_no_misuse(uses):
    odd = {use["odd"] for use in uses}
    assert {"large", "new_segment", "on_call"} <= odd
    assert not any(use["odd"] and use["misuse"] for use in uses)


def test_what_makes_each_kind_a_misuse(uses):
    rows = defaultdict(list)
    for use in uses:
        if not use["misuse"] and use["rows"]:
            rows[use["actor"]].append(use["rows"])
    usual = {actor: statistics.median(values) for actor, values in rows.items()}
    for each in of(uses, "bulk_export"):
        assert {use["action"] for use in each} == {"embed.export"}
        assert len({use["segments"][0] for use in each}) >= 6
        assert min(use["rows"] for use in each) > 5 * usual[each[0]["actor"]]
    for each in of(uses, "odd_join"):
        assert all(
            {s.partition(".")[2] for s in use["segments"]} == {"chat", "metric"} for use in each
        )
    for each in of(uses, "night_download"):
        assert {(use["action"], use["t"].hour) for use in each} == {("artifact.get", 3)}
    for each in of(uses, "agent_loop"):
        assert {use["kind"] for use in each} == {"agent"}
        assert all(use["operator"] for use in each)
        assert each[-1]["t"] - each[0]["t"] < timedelta(minutes=20)
        assert len(each) >= 400
    for each in of(uses, "slow_exfiltration"):
        assert len({use["t"].date() for use in each}) >= 8
        assert max(use["rows"] for use in each) < 8 * usual[each[0]["actor"]]
        assert statistics.median(use["rows"] for use in each) > 1.3 * usual[each[0]["actor"]]
    for each in of(uses, "quorum_collusion"):
        seats = {use["actor"] for use in each if use["kind"] == "seat"}
        assert len(seats) == 3
        assert seats <= set(SEATS)
        assert each[-1]["t"] - each[0]["t"] < timedelta(minutes=15)
        assert any(use["action"] == "grant" for use in each)
