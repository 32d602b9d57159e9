"""Results of a drill in the ledger: what is taken, and what the promises that are measured from them say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import DAY_US, Bench, copy_bench, found_bench

from safehold.app.drill.run import leaves_of
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.assurance.drill.result import Result, Try
from safehold.assurance.drill.scenario import BY_ID
from safehold.assurance.drilled import NIGHT_US, NOBODY, count_drilled, worse_of
from safehold.assurance.exposed import count_open_records
from safehold.assurance.measure import count_exposed_people, names, take
from safehold.assurance.measured import Measured
from safehold.errors import ConflictError, InvalidError, MissingError
from safehold.ids import opaque_id
from safehold.keeper.announced import UNDER_WAY_US
from safehold.keeper.drills import newest_results
from safehold.keeper.program import name_program

HELD = {"scenario": "S01", "of": "deployment", "state": "held", "records": 0, "people": 0}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("drills"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path):
    bench = copy_bench(made, tmp_path).start()
    yield bench
    bench.stop()


def begin(bench: Bench, *scenarios: str) -> dict[str, Any]:
    return bench.call("drill.begin", scenarios=list(scenarios), program=name_program())


def record(bench: Bench, *results: dict[str, Any]) -> dict[str, Any]:
    named = sorted({one.get("scenario", "") for one in results if isinstance(one, dict)} & {*BY_ID})
    return bench.call("drill.record", run=begin(bench, *named)["run"], results=list(results))


def test_a_run_is_leaves_that_a_fold_finds_again(bench: Bench) -> None:
    told = record(bench, HELD, {**HELD, "of": "lake", "state": "broken", "records": 9})
    assert told["leaves"] == 2
    found = newest_results(bench.desk.ledger)
    assert set(found) == {"S01"}
    assert found["S01"].facts["state"] == "held"
    assert found["S01"].facts["run"] == told["run"]
    record(bench, {**HELD, "level": "K2", "state": "broken"})
    assert newest_results(bench.desk.ledger)["S01"].facts["state"] == "held", "a level is apart"


@pytest.mark.parametrize(
    "wrong",
    [
        {**HELD, "scenario": "S26"},
        {**HELD, "of": "somewhere"},
        {**HELD, "state": "green"},
        {**HELD, "people": -1},
        {**HELD, "people": "0"},
        {**HELD, "people": True},
        {**HELD, "person": "emp-00001"},
        {**HELD, "level": "K5"},
        {"scenario": "S01"},
        "S01",
    ],
)
def test_what_is_no_result_is_refused_and_nothing_of_the_run_is_written(
    bench: Bench, wrong: Any
) -> None:
    run = begin(bench, "S01")["run"]
    size = bench.desk.ledger.size
    with pytest.raises(InvalidError):
        bench.call("drill.record", run=run, results=[HELD, wrong])
    assert bench.desk.ledger.size == size
    with pytest.raises(InvalidError):
        bench.call("drill.record", run="a run", results=[HELD])


def test_a_run_counts_once_and_says_one_thing_of_each_scenario(bench: Bench) -> None:
    first = record(bench, HELD)["run"]
    red = {**HELD, "state": "broken", "records": 3}
    record(bench, red)
    with pytest.raises(ConflictError):  # a green run of before is handed in once more
        bench.call("drill.record", run=first, results=[HELD])
    with pytest.raises(InvalidError):
        record(bench, red, HELD)
    record(bench, red, {**red, "level": "K2"}, {**red, "of": "control"})
    assert newest_results(bench.desk.ledger)["S01"].facts["state"] == "broken"


def test_a_result_belongs_to_a_run_that_was_announced(bench: Bench) -> None:
    with pytest.raises(MissingError):
        bench.call("drill.record", run=opaque_id("drill"), results=[HELD])
    begun = begin(bench, "S01", "S02")
    with pytest.raises(InvalidError):  # it was not announced, whatever came of it
        bench.call("drill.record", run=begun["run"], results=[{**HELD, "scenario": "S03"}])
    bench.call("drill.record", run=begun["run"], results=[HELD])
    ((_, leaf),) = list(bench.desk.ledger.leaves(bench.desk.ledger.size - 1))
    assert leaf["ref"] == begun["entry"]


@pytest.mark.parametrize("wrong", [[], ["S26"], ["S01", "S01"], "S01", [1], None])
def test_what_announces_no_scenarios_begins_nothing(bench: Bench, wrong: Any) -> None:
    with pytest.raises(InvalidError):
        bench.call("drill.begin", scenarios=wrong, program=name_program())


def test_another_program_than_what_runs_does_not_drill_it(bench: Bench) -> None:
    with pytest.raises(ConflictError):
        bench.call("drill.begin", scenarios=["S01"], program="0.1:" + 64 * "0")


def test_a_result_that_was_kept_back_or_is_of_something_else_is_not_taken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = begin(bench, "S01")
    bench.clock.at_us += DAY_US
    with pytest.raises(ConflictError, match="too long ago"):
        bench.call("drill.record", run=late["run"], results=[HELD])
    other = begin(bench, "S01")
    monkeypatch.setattr("safehold.keeper.drills.name_program", lambda: "0.1:ff")
    with pytest.raises(ConflictError, match="has changed"):
        bench.call("drill.record", run=other["run"], results=[HELD])
    monkeypatch.undo()
    monkeypatch.setattr(type(bench.desk.trust), "digest", lambda _self: b"\1" * 32)
    with pytest.raises(ConflictError, match="has changed"):
        bench.call("drill.record", run=other["run"], results=[HELD])


def test_a_run_that_nobody_reports_on_is_seen_and_its_promise_is_not_measured(bench: Bench) -> None:
    record(bench, HELD)
    begun = begin(bench, "S01", "S02")
    told = bench.call("status")["drill"]
    assert (told["begun"], told["unreported"], told["runs"][0]["under_way"]) == (2, 1, True)
    assert told["owed"] == {"S01": begun["entry"], "S02": begun["entry"]}
    measured = count_drilled(bench.verbs, "records", ("S01",), NIGHT_US)
    assert measured is not None
    assert measured.micro == 0, "it may still be under way"
    bench.clock.at_us += UNDER_WAY_US + 1000
    measured = count_drilled(bench.verbs, "records", ("S01",), NIGHT_US)
    assert measured is not None
    assert measured.micro is None
    assert "never reported on" in measured.sentence
    record(bench, HELD)
    measured = count_drilled(bench.verbs, "records", ("S01",), NIGHT_US)
    assert measured is not None
    assert measured.micro == 0
    told = bench.call("status")["drill"]
    assert told["owed"] == {"S02": begun["entry"]}
    assert told["unreported"] == 1, "that one was kept back stays to be seen"


def test_of_a_run_that_reported_on_less_than_it_announced_the_rest_is_owed(bench: Bench) -> None:
    begun = begin(bench, "S01", "S02", "S03")
    bench.call("drill.record", run=begun["run"], results=[HELD, {**HELD, "scenario": "S02"}])
    told = bench.call("status")["drill"]
    assert told["runs"] == [
        {
            "entry": begun["entry"],
            "at_us": told["runs"][0]["at_us"],
            "announced": 3,
            "untold": ["S03"],
            "under_way": False,
        }
    ]


def test_a_drill_makes_a_promise_worse_and_never_better(bench: Bench) -> None:
    verbs = bench.verbs
    before = count_open_records(verbs)
    record(bench, HELD)
    assert count_open_records(verbs).micro == before.micro
    record(bench, {**HELD, "state": "broken", "records": 7})
    assert count_open_records(verbs).micro == max(7_000_000, before.micro or 0)
    assert count_exposed_people(verbs).micro == 1_000_000, "broken without a figure counts as one"


def test_a_drill_that_is_too_old_or_could_not_run_leaves_a_promise_unmeasured(bench: Bench) -> None:
    record(bench, HELD)
    fresh = count_drilled(bench.verbs, "records", ("S01",), NIGHT_US)
    assert fresh is not None
    assert fresh.micro == 0
    bench.clock.at_us += NIGHT_US + DAY_US
    old = count_drilled(bench.verbs, "records", ("S01",), NIGHT_US)
    assert old is not None
    assert old.micro is None
    assert "too old" in old.sentence
    record(bench, {"scenario": "S01", "of": "deployment", "state": "could-not-run"})
    unable = count_drilled(bench.verbs, "records", ("S01",), NIGHT_US)
    assert unable is not None
    assert unable.micro is None


def test_a_run_of_one_attack_says_nothing_of_the_others(bench: Bench) -> None:
    record(bench, HELD)
    assert count_exposed_people(bench.verbs).micro is None
    record(bench, *({**HELD, "scenario": name} for name in NOBODY))
    assert count_exposed_people(bench.verbs).micro == 0


def test_a_result_of_a_clock_that_was_ahead_is_not_fresh(bench: Bench) -> None:
    record(bench, HELD)
    bench.clock.at_us -= 10 * DAY_US
    told = count_drilled(bench.verbs, "records", ("S01",), NIGHT_US)
    assert told is not None
    assert told.micro is None


def test_without_a_drill_the_keepers_own_measure_stands(bench: Bench) -> None:
    assert count_drilled(bench.verbs, "records", ("S01",), NIGHT_US) is None
    assert take("replay.people_exposed", bench.verbs).micro is None
    assert "replay.people_exposed" in names()


@pytest.mark.parametrize(
    ("seen", "drilled", "worse"),
    [(0, 0, 0), (1, 0, 1), (0, 2, 2), (0, None, None), (None, 0, None), (3, None, 3), (None, 4, 4)],
)
def test_the_worse_of_two_measures(seen: Any, drilled: Any, worse: Any) -> None:
    one, two = Measured(micro=seen, sentence="a"), Measured(micro=drilled, sentence="b")
    assert worse_of(one, two).micro == worse
    assert worse_of(one, None) is one


def test_what_the_ledger_is_told_of_a_scenario_has_three_places_and_its_levels() -> None:
    none, some = Findings(live=Exposure.none()), Findings(live=Exposure(people=3, detect_s=1.5))
    leaves = leaves_of(
        Result(
            scenario=BY_ID["S02"],
            attempt=Try(found=none),
            lake=Try(found=some),
            control=Try(reason="no"),
            levels={"K3": Try(reason="no token")},
        )
    )
    assert [(one["of"], one["state"], one.get("level")) for one in leaves] == [
        ("deployment", "held", None),
        ("lake", "broken", None),
        ("control", "could-not-run", None),
        ("deployment", "could-not-run", "K3"),
    ]
    assert (leaves[1]["people"], leaves[1]["detect_ms"]) == (3, 1500)
    assert "records" not in leaves[2]
