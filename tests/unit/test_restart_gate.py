"""What keeps everything stopped: only what the ledger says since the stop, the last change and the last red drill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.containing import contain
from tests.incident_desk import Response
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.seated import founding
from tests.world import raised

from safehold.assurance.milestone import measure_all
from safehold.clock import DAY_US, SECOND_US
from safehold.keeper.program import name_program
from safehold.ledger import Entry

CAUSE = "a deployment set the modes of the home open"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(
        tmp_path_factory.mktemp("gate"), charter=founding(needs=True), people=("ana",)
    )


@pytest.fixture
def office(made: Bench, tmp_path: Path) -> Iterator[Response]:
    bench = copy_bench(made, tmp_path).start()
    yield Response(bench)
    bench.stop()


def log(office: Response, kind: str, **public: Any) -> int:
    desk = office.bench.desk
    (receipt,) = desk.log(
        Entry(
            kind=kind,
            actor="keeper",
            object="a test",
            detail={},
            charter=desk.trust.digest(),
            public=public,
        )
    )
    return receipt.index


def green(office: Response) -> None:
    for promise in office.bench.charter().promises:
        if promise.measure.startswith("replay."):
            log(office, "milestone", promise=promise.id, state="kept", op="le", bound=1_000_000)


def stop(office: Response) -> None:
    office.call("stop", **office.bench.order("stop", "hr"))
    office.bench.clock.advance(SECOND_US)


def resume(office: Response, cause: str = CAUSE) -> dict[str, Any]:
    order = office.bench.order("resume", cause=cause)
    return office.call("resume", **order, cause=cause)


def kept_shut(office: Response, word: str) -> None:
    error = raised(lambda: resume(office))
    assert error.rule == "oversight.restart"
    assert word in error.message
    assert any(word in line for line in office.call("incident.restart")["missing"])


def test_an_open_incident_that_is_grave_lets_nothing_resume(office: Response) -> None:
    one = office.open(severity=2)
    stop(office)
    green(office)
    kept_shut(office, f"incident {one} of severity 2 is open")
    office.ended(one)
    assert resume(office)["state"] == "resume"
    less = office.open(severity=3)
    office.bench.clock.advance(SECOND_US)
    stop(office)
    green(office)
    held = contain(office.bench, "segment", "us-ca.key", "security", of=less)["entry"]
    kept_shut(office, "what contains it was not lifted")
    office.call("incident.severity", incident=less, severity=3, text="it is")
    for state in ("contained", "eradicated", "recovering"):
        office.move(less, state)
    office.cause(less)
    for clock in office.clocks(less).values():
        if clock["notice"] not in office.show(less)["notices"]:
            office.decide(less, str(clock["notice"]))
    office.close(less, "security", (held,))
    office.close(less, "ml_lead", (held,))  # it stays for good, by two people
    assert resume(office)["state"] == "resume"


def test_what_came_back_after_its_end_lets_nothing_resume_although_nobody_looked(
    office: Response,
) -> None:
    one = office.call("incident.open", text="an alert", alert=office.alert())["incident"]
    office.ended(one)
    stop(office)
    green(office)
    back = office.alert()
    order = office.bench.order("resume", cause=CAUSE)
    error = raised(lambda: office.call("resume", **order, cause=CAUSE))
    assert error.rule == "oversight.restart"
    assert f"incident {one} has come back: entry {back}" in error.message


def test_an_emergency_whose_severity_is_sealed_counts_as_grave(office: Response) -> None:
    index = log(office, "incident", state="open")
    stop(office)
    green(office)
    kept_shut(office, f"incident {index} of severity 1 is open")


def test_a_cause_from_before_the_stop_says_nothing(office: Response) -> None:
    one = office.open(severity=4)
    office.cause(one, CAUSE)
    stop(office)
    green(office)
    order = office.bench.order("resume", cause=CAUSE)
    error = raised(lambda: office.call("resume", **order))
    assert "no root cause was published since the stop" in error.message
    assert any("root cause" in line for line in office.call("incident.restart")["missing"])
    office.cause(one, CAUSE)
    assert office.call("incident.restart")["missing"] == []
    assert office.call("resume", **order)["state"] == "resume"


VOIDS: dict[str, Callable[[Response], object]] = {
    "drift found": lambda office: log(office, "drift", state="found", clause="collect"),
    "drift clear": lambda office: log(office, "drift", state="clear", clause="all"),
    "another build": lambda office: log(office, "home", version="2", build="x", synthetic=0),
    "a red drill": lambda office: log(
        office, "drill", run="r", scenario="S04", of="deployment", state="broken"
    ),
    "a drill that could not run": lambda office: log(
        office, "drill", run="r", scenario="S04", of="deployment", state="could-not-run"
    ),
}


@pytest.mark.parametrize("what", VOIDS)
def test_a_replay_from_before_a_change_says_nothing(office: Response, what: str) -> None:
    stop(office)
    green(office)
    VOIDS[what](office)
    kept_shut(
        office, "not measured and kept since the stop, the last change and the last red drill"
    )
    green(office)
    if "drill" in what:
        kept_shut(office, "not held by the newest drill since the stop: S04")
        # of the plain lake and of a control it must be red, and says nothing of us
        log(office, "drill", run="r", scenario="S05", of="lake", state="broken")
        log(office, "drill", run="r", scenario="S05", of="control", state="broken")
        log(office, "drill", run="r", scenario="S05", of="deployment", level="K1", state="broken")
        log(office, "drill", run="r", scenario="S04", of="deployment", state="held")
        assert not any("S05" in line for line in office.call("incident.restart")["missing"])
    assert resume(office)["state"] == "resume"


def drilled(office: Response, state: str, *scenarios: str) -> None:
    for name in scenarios:
        log(office, "drill", run="r", scenario=name, of="deployment", state=state)


def test_what_came_through_before_the_stop_comes_through_until_it_is_tried_again(
    office: Response,
) -> None:
    drilled(office, "broken", "S04", "S16")
    drilled(office, "could-not-run", "S17")
    stop(office)
    green(office)
    kept_shut(office, "not held by the newest drill since the stop: S04, S16")
    drilled(office, "held", "S04")
    kept_shut(office, "not held by the newest drill since the stop: S16")
    drilled(office, "held", "S16")
    assert resume(office)["state"] == "resume"


def test_a_green_drill_from_before_the_stop_or_a_change_says_nothing(office: Response) -> None:
    drilled(office, "held", "S01", "S03", "S16")
    stop(office)
    green(office)
    kept_shut(office, "not drilled since the stop and the last change: S01, S03")
    drilled(office, "held", "S01")
    kept_shut(office, "not drilled since the stop and the last change: S03")
    drilled(office, "held", "S03")
    assert office.call("incident.restart")["missing"] == [
        "no root cause was published since the stop"
    ]
    log(office, "home", version="2", build="x", synthetic=0)
    green(office)
    kept_shut(office, "not drilled since the stop and the last change: S01, S03")
    drilled(office, "held", "S01", "S03")
    assert resume(office)["state"] == "resume"


def test_green_that_is_handed_in_opens_nothing_that_the_keeper_does_not_see_itself(
    tmp_path: Path,
) -> None:
    """Whoever operates says that all held: a red drill is not talked away, whatever the charter needs."""
    bench = found_bench(tmp_path, charter=founding(needs=False), people=("ana",)).start()
    office = Response(bench)
    try:
        stop(office)
        drilled(office, "broken", "S04")
        made_up = {"scenario": "S04", "of": "deployment", "state": "held", "people": 0}
        begun = office.call("drill.begin", scenarios=["S04"], program=name_program())
        kept_shut(office, "a drill was begun and never said what came of S04")
        office.call("drill.record", run=begun["run"], results=[made_up])
        kept_shut(office, "not measured and kept since the stop")
        green(office)
        assert resume(office)["state"] == "resume"
    finally:
        bench.stop()


def test_what_held_in_a_run_that_began_before_the_stop_was_not_tried_since(
    office: Response,
) -> None:
    drilled(office, "held", "S01")
    begun = office.call("drill.begin", scenarios=["S01"], program=name_program())
    stop(office)
    held = {"scenario": "S01", "of": "deployment", "state": "held", "people": 0}
    office.call("drill.record", run=begun["run"], results=[held])
    green(office)
    kept_shut(office, "not drilled since the stop and the last change: S01")
    drilled(office, "held", "S01")
    assert resume(office)["state"] == "resume"


def test_a_run_that_says_nothing_of_what_it_announced_keeps_everything_stopped(
    office: Response,
) -> None:
    begun = office.call("drill.begin", scenarios=["S01", "S16"], program=name_program())
    stop(office)
    again = office.call("drill.begin", scenarios=["S01"], program=name_program())
    held = {"scenario": "S01", "of": "deployment", "state": "held", "people": 0}
    office.call("drill.record", run=again["run"], results=[held])
    green(office)
    kept_shut(office, f"never said what came of S16 (entry {begun['entry']})")
    whole = office.call("drill.begin", scenarios=["S01", "S16"], program=name_program())
    both = [held, {**held, "scenario": "S16"}]
    office.call("drill.record", run=whole["run"], results=both)
    assert resume(office)["state"] == "resume"


def test_the_same_result_after_a_change_is_measured_anew(office: Response) -> None:
    stop(office)
    first = {one.promise: one.entry for one in measure_all(office.bench.verbs)}
    assert {one.promise: one.entry for one in measure_all(office.bench.verbs)} == first
    VOIDS["a red drill"](office)
    again = {one.promise: one.entry for one in measure_all(office.bench.verbs)}
    assert all(again[name] > entry for name, entry in first.items())


def test_a_charter_cannot_ask_for_less(tmp_path: Path) -> None:
    bench = found_bench(tmp_path, charter=founding(needs=False), people=("ana",)).start()
    office = Response(bench)
    try:
        one = office.open(severity=0)
        stop(office)
        kept_shut(office, f"incident {one} of severity 0 is open")
    finally:
        bench.stop()


def test_incidents_are_measured(office: Response) -> None:
    from safehold.assurance.incidents import count_late, time_containment

    verbs, clock = office.bench.verbs, office.bench.clock
    assert time_containment(verbs).micro is None
    assert count_late(verbs).micro == 0
    office.open(severity=4)  # nothing to contain
    assert time_containment(verbs).micro is None
    one = office.open(severity=1)
    clock.advance(3 * 3600 * SECOND_US)
    assert time_containment(verbs).micro == 3_000_000
    contain(office.bench, "segment", "us-ca.key", "security", of=one)
    clock.advance(3 * DAY_US)
    assert time_containment(verbs).micro == 3_000_000
    late = [name for told in office.call("incident.list")["incidents"] for name in told["late"]]
    assert count_late(verbs).micro == len(late) * 1_000_000
    assert {"gdpr-authority", "board", "ai-widespread"} <= set(late)
