"""Promises that look kept though they are broken, and a look for drift that sees nothing because it failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench

from safehold.assurance import measure
from safehold.assurance.milestone import measure_all, newest
from safehold.charter.value import MICRO
from safehold.clock import SECOND_US
from safehold.errors import MissingError, ShreddedError
from safehold.keeper import drift as drift_module

PEOPLE = ("ana", "bo", "cy")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("made"), people=PEOPLE)


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def state(bench: Bench, promise: str) -> str:
    (found,) = [one.state for one in newest(bench.verbs) if one.promise == promise]
    return found


def take_up(monkeypatch: pytest.MonkeyPatch, name: str, micro: int) -> None:
    figure = measure.Measured(micro=micro, sentence="as the test says")
    monkeypatch.setattr(measure, "MEASURES", {**measure.MEASURES, name: lambda _verbs: figure})


def test_what_breaks_again_on_the_same_day_is_not_shown_as_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (promise,) = [one for one in bench.charter().promises if one.measure == "trail.missing_entries"]
    for micro in (MICRO, 0, MICRO):
        take_up(monkeypatch, promise.measure, micro)
        measured = {one.promise: one.state for one in measure_all(bench.verbs)}
        assert state(bench, promise.id) == measured[promise.id]
    assert state(bench, promise.id) == "broken"


def test_what_is_measured_after_a_stop_is_a_leaf_after_the_stop(bench: Bench) -> None:
    measure_all(bench.verbs)
    bench.call("stop", **bench.order("stop", "privacy"))
    stop = len(bench.leaves()) - 1
    assert all(one.entry > stop for one in measure_all(bench.verbs))


def test_a_result_under_an_earlier_charter_says_nothing_of_the_present_one(
    bench: Bench,
) -> None:
    measure_all(bench.verbs)
    assert state(bench, "your-trail") == "kept"

    def narrower(collect: list[dict[str, Any]]) -> list[dict[str, Any]]:
        collect[0]["keep_days"] -= 1
        return collect

    bench.enact(bench.changed(collect=narrower))
    assert state(bench, "your-trail") == "unmeasured"
    measure_all(bench.verbs)
    assert state(bench, "your-trail") == "kept"


@pytest.mark.parametrize("error", [MissingError("gone", rule="test"), OSError("disk")])
def test_a_register_that_cannot_be_compared_is_not_taken_for_sound(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    bench.take("ana")

    def fails() -> None:
        raise error

    monkeypatch.setattr(bench.verbs.drift, "_register", fails)
    bench.clock.at_us += drift_module.REGISTER_US
    for number in range(3):
        with pytest.raises((MissingError, OSError)):
            bench.take("ana", name=f"n{number}", first=10 * (number + 1))
        bench.clock.at_us += drift_module.OLDEST_US + SECOND_US


def test_a_look_that_failed_takes_the_place_of_the_look_before_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The periodic look fails half a minute after one that found nothing: nothing is taken on that older one."""
    bench.take("ana")
    bench.clock.at_us += drift_module.REGISTER_US - SECOND_US
    bench.verbs.drift.check()  # the register is not due yet

    def fails() -> None:
        raise MissingError("gone", rule="test")

    monkeypatch.setattr(bench.verbs.drift, "_register", fails)
    bench.clock.at_us += drift_module.OLDEST_US // 2
    with pytest.raises(MissingError):
        bench.verbs.drift.check()
    with pytest.raises(MissingError):
        bench.take("ana", name="more", first=10)


def test_work_that_outlives_stop_and_restart_breaks_the_promise(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ms = bench.desk.now_us() // 1000
    told = [
        (0, {"k": "access.intent", "t": now_ms - 101_000}),
        (1, {"k": "stop", "t": now_ms - 100_000}),
        (2, {"k": "resume", "t": now_ms - 95_000}),
        (3, {"k": "access.intent", "t": now_ms - 94_000}),
        (4, {"k": "access.result", "t": now_ms - 5_000, "ref": 3, "pub": {}}),
    ]
    monkeypatch.setattr(type(bench.desk.ledger), "leaves", lambda *_: iter(told))
    assert measure.time_stops(bench.verbs).micro == 100 * MICRO  # it goes on to this moment
    told.append((5, {"k": "access.result", "t": now_ms - 1_000, "ref": 0, "pub": {}}))
    assert measure.time_stops(bench.verbs).micro == 99 * MICRO
    del told[5], told[0]
    assert measure.time_stops(bench.verbs).micro == 0  # what began afterwards is none of it


def test_one_unreadable_entry_does_not_hide_what_was_slipped_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.take("ana", "bo", "cy")
    bench.call("feature", purpose="train_ui_agent")
    known = bench.desk.lineage.show()[0]["id"]
    bench.desk.lineage.add(
        "slipped-in",
        kind="feature",
        label=bench.desk.lineage.label(known),
        parents=[],
        created_us=bench.desk.now_us(),
    )

    def gone(*_: Any) -> Any:
        raise ShreddedError("gone", rule="test")

    monkeypatch.setattr(type(bench.desk.ledger), "detail", gone)
    assert measure.count_missing(bench.verbs).micro != 0


def test_a_document_that_is_put_back_is_current_again(bench: Bench) -> None:
    digest = bench.desk.trust.digest().hex()
    for text in (f"one, under {digest}", f"two, under {digest}", f"one, under {digest}"):
        made = bench.call("document.publish", name="notice", text=text)
        (shown,) = [
            one for one in bench.call("document.list")["documents"] if one["document"] == "notice"
        ]
        assert (shown["state"], shown["entry"]) == ("current", made["entry"])
    again = bench.call("document.publish", name="notice", text=f"one, under {digest}")
    assert again["entry"] == made["entry"]
