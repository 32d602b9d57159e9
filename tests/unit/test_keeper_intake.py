"""A source comes in whole, under the choices and the charter of its moment, and believed no further than checked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import PEOPLE, Bench, batch, chunk, copy_bench, found_bench
from tests.stores import STORES, move_objects
from tests.world import raised

from safehold.clock import DAY_US
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    TamperedError,
    UnavailableError,
)
from safehold.keeper.ports import Frame

SECRET = "my mother's maiden name"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("made"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    copy = move_objects(copy_bench(made, tmp_path), request).start()
    yield copy
    copy.stop()


@pytest.mark.parametrize("bench", STORES, indirect=True)
def test_a_source_comes_in_once(bench: Bench) -> None:
    assert bench.take()["tally"] == {"taken": {"pointer": 6}}
    assert bench.take()["already"]
    assert bench.blocks() == dict.fromkeys(PEOPLE, 1)


def test_its_dataset_ends_with_its_oldest_rows(bench: Bench) -> None:
    bench.take(days_ago=9)
    (dataset,) = bench.call("dataset.list")["datasets"]
    assert dataset["label"]["expires"] == bench.today - 9 + 1 + bench.charter().retention("pointer")
    assert dataset["label"]["people"] == 3
    assert dataset["label"]["jurisdictions"] == ["US-CA"]


@pytest.mark.parametrize("choice", ["withdraw", "narrow"])
def test_who_leaves_while_it_comes_in_is_left_out(bench: Bench, choice: str) -> None:
    def leave() -> None:
        if choice == "withdraw":
            bench.call("people.choose", person="bo", choice="withdraw")
        else:
            bench.call(
                "people.choose", person="bo", choice="consent", streams=["key"], evidence="x"
            )

    day = bench.today - 1
    answer = bench.ingest(*(batch(one, day) for one in PEOPLE), leave, chunk(rows=6))
    assert set(bench.blocks()) == {"ana", "cy"}
    assert answer["tally"]["taken"] == {"pointer": 4}
    assert answer["tally"]["dropped"] == {"choice_changed": 2}


@pytest.mark.parametrize("bench", STORES, indirect=True)
def test_a_choice_between_sealing_and_the_leaf_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal, left = bench.desk.vault.seal, []

    def sealing(*arguments: Any, **more: Any) -> Any:
        made = seal(*arguments, **more)
        if not left:
            left.append(True)
            bench.call("people.choose", person="bo", choice="withdraw")
        return made

    monkeypatch.setattr(bench.desk.vault, "seal", sealing)
    bench.take()
    assert set(bench.blocks()) == {"ana", "cy"}
    assert bench.desk.vault.sweep(bench.desk.catalog.objects, alone=True) == 0, "nothing lies about"
    kinds = bench.leaves()
    assert kinds[-3:] == ["choice", "ingest", "ingest"], "the rows were logged after the choice"


def test_no_chunk_follows_a_stop(bench: Bench) -> None:
    def stop() -> None:
        bench.call("stop", **bench.order("stop"))

    day = bench.today - 1
    error = raised(lambda: bench.ingest(batch("ana", day), stop, chunk()))
    assert isinstance(error, DeniedError)
    assert error.rule == "oversight.stop"
    kinds = bench.leaves()
    assert "ingest" not in kinds[kinds.index("stop") :]
    assert not bench.blocks()


def test_rows_minimised_under_one_charter_are_not_sealed_under_another(bench: Bench) -> None:
    day = bench.today - 1
    error = raised(
        lambda: bench.ingest(batch("ana", day), lambda: bench.enact(bench.changed()), chunk())
    )
    assert isinstance(error, ConflictError)
    assert error.rule == "charter.changed"
    assert not bench.desk.catalog.objects()
    assert bench.take("ana")["tally"]["taken"] == {"pointer": 2}


def test_a_stream_that_left_the_charter_does_not_keep_the_keeper_from_starting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the closing leaf; the charter that was signed since does not collect the stream."""
    with monkeypatch.context() as patch:
        patch.setattr(bench.verbs.intake, "close", _power_cut)
        with pytest.raises(PowerCutError):
            bench.take()
    bench.enact(bench.changed(collect=_without_pointer, purposes=_no_pointer))
    bench.restart()
    assert len(bench.call("dataset.list")["datasets"]) == 1


class PowerCutError(Exception):
    pass


def _power_cut(*_arguments: Any) -> None:
    raise PowerCutError


def _without_pointer(items: Any) -> Any:
    if isinstance(items, dict):
        return {name: item for name, item in items.items() if name != "pointer"}
    return [item for item in items if item["what"] != "pointer"]


def _no_pointer(purposes: Any) -> Any:
    for purpose in purposes.values():
        purpose["sources"] = [one for one in purpose["sources"] if one != "pointer"]
    return purposes


@pytest.mark.parametrize(
    "frames",
    [
        lambda day: [batch("dora", day), chunk()],
        lambda day: [batch("ana", day, stream="chat"), chunk()],
        lambda day: [batch("ana", day + 400), chunk()],
        lambda day: [batch("ana", day, rows=3), chunk()],
        lambda day: [batch("ana", str(day)), chunk()],
        lambda day: [batch("ana", day, extents=[["zz", "", 0, 1]]), chunk()],
        lambda day: [batch("ana", day, extents=[["00", "00", 5, 1]]), chunk()],
        lambda day: [Frame({**batch("ana", day).header}, memoryview(b"no table")), chunk()],
        lambda day: [batch("ana", day)],
        lambda _day: [chunk(masked={SECRET: 1})],
        lambda _day: [chunk(taken={"secrets": 1})],
        lambda _day: [chunk(dropped={"x": -1})],
        lambda _day: [chunk(notes={"x": 1})],
        lambda _day: [chunk(number=True)],
        lambda _day: [
            Frame({"type": "refused", "row": 1, "field": "a", "rule": SECRET}, memoryview(b""))
        ],
        lambda _day: [Frame({"type": "news"}, memoryview(b""))],
        lambda _day: [Frame({}, memoryview(b""))],
    ],
)
def test_a_sandbox_that_was_taken_over_brings_nothing_in(bench: Bench, frames: Any) -> None:
    error = raised(lambda: bench.ingest(*frames(bench.today - 1)))
    assert isinstance(error, TamperedError), repr(error)
    assert SECRET not in error.message
    assert not bench.blocks()


def test_a_refusal_does_not_carry_text_out(bench: Bench) -> None:
    shown = [
        Frame({"type": "refused", "row": n, "field": field, "rule": "a.rule"}, memoryview(b""))
        for n, field in enumerate(["col", "a\nb", "x" * 1000, *["c"] * 200])
    ]
    answer = bench.ingest(*shown, chunk(taken={}))
    assert [one["field"] for one in answer["refusals"][:3]] == ["col", "?", "?"]
    assert len(answer["refusals"]) == 100


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"source": []},
        {"source": {"kind": "leased"}},
        {"source": {"kind": "file", "people": {"x": {}}}},
        {"source": {"kind": "file", "name": "x\n"}},
        {"source": {"kind": "file", "mapping": 3}},
        {"source": {"kind": "file", "mapping": {"x": "y" * (1 << 21)}}},
        {"source": {"kind": "synthetic", "spec": []}},
        {"source": {"kind": "synthetic", "first": -1}},
        {"source": {"kind": "file"}, "tolerate_ppm": 1.5},
        {"source": {"kind": "file"}, "tolerate_ppm": 1_000_000},
        {"source": {"kind": "file"}, "tolerate_ppm": True},
    ],
)
def test_what_is_malformed_leaves_no_trace(bench: Bench, arguments: dict[str, Any]) -> None:
    size = bench.desk.ledger.size
    assert isinstance(raised(lambda: bench.call("ingest", **arguments)), InvalidError)
    assert bench.desk.ledger.size == size
    assert bench.desk.catalog.waiting(2**62) == []


def test_made_up_people_do_not_come_into_a_real_home(bench: Bench) -> None:
    error = raised(lambda: bench.call("ingest", source={"kind": "synthetic", "spec": {}}))
    assert error.rule == "home.synthetic"


def test_a_real_file_does_not_come_into_a_home_of_made_up_people(tmp_path: Path) -> None:
    """Such a home takes the weakest sandbox and shows exact figures."""
    bench = found_bench(tmp_path, synthetic=True).start()
    try:
        assert raised(bench.take).rule == "home.synthetic"
        assert not bench.workshop.specs
    finally:
        bench.stop()


def test_what_the_caller_may_not_read_is_not_read_for_it(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "theirs"
    file.write_text("x")
    for flags in (os.O_PATH, os.O_WRONLY):
        handle = os.open(file, flags)
        try:
            error = raised(lambda h=handle: bench.call("ingest", h, source={"kind": "file"}))
            assert error.rule == "ingest.source"
        finally:
            os.close(handle)


@pytest.mark.parametrize("bench", STORES, indirect=True)
def test_a_source_that_is_never_retried_is_given_up(bench: Bench) -> None:
    def cut() -> None:
        raise UnavailableError("gone")

    day = bench.today - 1
    raised(lambda: bench.ingest(batch("ana", day), chunk(), cut))
    assert bench.desk.catalog.objects()
    bench.clock.advance(8 * DAY_US)
    assert bench.call("dataset.sweep")["abandoned"] == 1
    assert not bench.desk.catalog.objects()
    assert not bench.desk.catalog.waiting(2**62)


def test_events_that_came_before_are_refused_with_their_source(bench: Bench) -> None:
    bench.take("ana")
    assert raised(lambda: bench.take("ana", "bo", name="b")).rule == "sequence.duplicate"
    assert bench.blocks() == {"ana": 1}


def test_a_clock_that_went_back_takes_nothing(bench: Bench) -> None:
    bench.take("ana")
    bench.clock.advance(-DAY_US)
    assert raised(lambda: bench.take("bo", name="b")).rule == "clock.back"


def test_what_was_left_out_of_others_is_one_number_for_anybody_who_asks(bench: Bench) -> None:
    """Somebody abroad is nobody here and can ask for nothing of theirs; whose choice a drop was is not in it."""
    dropped = {"counterpart": 3, "not_participating": 2, "paused": 4}
    bench.ingest(batch("ana", bench.today - 1), chunk(dropped=dropped))
    assert bench.call("status")["dropped_of_others"] == 5
    bench.ingest(batch("bo", bench.today - 1), chunk(dropped={"counterpart": 1}), name="b")
    assert bench.restart().call("status")["dropped_of_others"] == 6
