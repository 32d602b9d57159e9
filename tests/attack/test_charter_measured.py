"""Promises that look kept though they are broken, and a look for drift that sees nothing because it failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench

from safehold.assurance import measure
from safehold.charter.value import MICRO
from safehold.errors import DeniedError, MissingError, ShreddedError
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


def test_a_look_that_failed_takes_the_place_of_the_look_before_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The periodic look fails half a minute after one that found nothing: nothing is taken on that older one.

    What cannot be compared is a difference like any other: leases end, the ledger says so, and it is looked at again.
    """
    bench.take("ana")
    bench.clock.at_us += drift_module.OLDEST_US
    bench.verbs.drift.check()

    def fails() -> Any:
        raise MissingError("gone", rule="test")

    monkeypatch.setattr(bench.verbs.drift, "_orders", fails)
    bench.clock.at_us += drift_module.OLDEST_US // 2
    ended: list[bool] = []
    monkeypatch.setattr(bench.verbs.leases._lessor, "end_all", lambda: ended.append(True) or 0)
    assert [one.clause for one in bench.verbs.drift.check()] == ["charter"]
    assert ended
    with pytest.raises(DeniedError) as found:
        bench.take("ana", name="more", first=10)
    assert found.value.rule == "drift.charter"
    assert bench.leaves().count("drift") == 1


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
        parents=[known],
        created_us=bench.desk.now_us(),
    )

    def gone(*_: Any) -> Any:
        raise ShreddedError("gone", rule="test")

    monkeypatch.setattr(type(bench.desk.ledger), "detail", gone)
    assert measure.count_missing(bench.verbs).micro != 0
