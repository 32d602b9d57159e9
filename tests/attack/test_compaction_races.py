"""Whoever chooses, erases, contains, stops or outlives their time while blocks are joined: they win, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.compaction_desk import Rows, Trickle, held, on_disk
from tests.containing import contain
from tests.keeper_desk import PEOPLE, Bench, copy_bench, found_bench
from tests.world import raised

from safehold.clock import DAY_US
from safehold.errors import SafeholdError, UnavailableError
from safehold.keeper.packing import KIND
from safehold.telemetry.stream import STREAMS

STEPS = ("begun", "read", "sealed", "compared", "made", "replaced", "done")
KILLED = (*STEPS[:2], "stored", *STEPS[2:], "never")
ROOT = Path(__file__).resolve().parents[2]
BEFORE = STEPS[:4]  # of the transaction, and without the lock


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = found_bench(tmp_path_factory.mktemp("made")).start()
    trickle = Trickle(made)
    for _ in range(3):
        trickle.take(*PEOPLE)
    made.stop()
    return made


@pytest.fixture(scope="module")
def before(made: Bench) -> Rows:
    """What the home holds before anything is joined."""
    made.start()
    rows = held(made)
    made.stop()
    return rows


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def _at(bench: Bench, step: str, act: Callable[[], object]) -> None:
    """Let something happen once, when a join has come to a step."""
    waiting = [act]

    def reached(name: str) -> None:
        if name == step and waiting:
            waiting.pop()()

    bench.verbs.compaction.packing.reached = reached


def _generations(bench: Bench) -> dict[str, int]:
    blocks = bench.desk.catalog.blocks(kind="telemetry", streams=STREAMS, after_day=0)
    return {bench.desk.people.standing(one.person).external: one.generation for one in blocks}


def _without(before: dict, bench: Bench, person: str) -> dict:
    return {place: rows for place, rows in before.items() if place[0] != person}


@pytest.mark.parametrize("step", BEFORE)
def test_an_erasure_in_the_middle_wins(bench: Bench, step: str) -> None:
    """It waits until nothing of them is left in memory; then their keys end, and none is made again."""
    bo = bench.desk.people.find("bo")
    before = held(bench)
    failed: list[SafeholdError] = []
    erased = threading.Event()

    def erase() -> None:
        try:
            bench.call("people.erase", person="bo", evidence="a letter")
        except SafeholdError as error:
            failed.append(error)
        erased.set()

    thread = threading.Thread(target=erase)

    def begin() -> None:
        thread.start()
        # it has the lock by now, or is about to: the join goes on and must notice by itself
        while not any(run.ended for run in bench.desk.runs):
            assert not erased.wait(0.01), failed

    _at(bench, step, begin)
    answer = bench.call("dataset.compact")
    thread.join(60)
    assert erased.is_set()
    assert failed == []
    assert answer["into"] == 2, "the others are joined all the same"
    assert bo not in bench.desk.vault.owners()
    assert held(bench) == _without(before, bench, bo)
    bench.restart()
    assert held(bench) == _without(before, bench, bo)
    assert bo not in bench.desk.vault.owners()


@pytest.mark.parametrize(
    ("step", "choice"),
    [*((step, "pause") for step in BEFORE), ("compared", "withdraw"), ("compared", "restrict")],
)
def test_a_choice_in_the_middle_wins(bench: Bench, step: str, choice: str) -> None:
    before, names = held(bench), on_disk(bench)
    _at(bench, step, lambda: bench.call("people.choose", person="bo", choice=choice))
    bench.call("dataset.compact")
    assert _generations(bench) == {"ana": 2, "bo": 1, "cy": 2}
    assert held(bench) == before
    fresh = on_disk(bench) - names
    assert fresh == bench.desk.catalog.objects() - names, "what the join that lost sealed is gone"


@pytest.mark.parametrize("what", ["segment", "dataset"])
def test_a_containment_in_the_middle_wins(bench: Bench, what: str) -> None:
    source = bench.call("dataset.list")["datasets"][0]["id"]
    target = "us-ca.pointer" if what == "segment" else source
    names = on_disk(bench)
    _at(bench, "read", lambda: contain(bench, what, target))
    assert bench.call("dataset.compact")["blocks"] == 0
    assert set(_generations(bench).values()) == {1}
    assert on_disk(bench) == names


def test_a_stop_in_the_middle_wins(bench: Bench) -> None:
    before = held(bench)
    _at(bench, "sealed", lambda: bench.call("stop", **bench.order("stop")))
    error = raised(lambda: bench.call("dataset.compact"))
    assert error.code == "denied"
    assert held(bench) == before
    assert set(_generations(bench).values()) == {1}


@pytest.mark.parametrize("step", ["read", "compared"])
def test_data_whose_time_is_over_in_the_middle_is_not_sealed_again(bench: Bench, step: str) -> None:
    def end() -> None:
        bench.clock.advance(800 * DAY_US)
        bench.call("dataset.sweep")

    _at(bench, step, end)
    bench.call("dataset.compact")
    assert held(bench) == {}
    assert bench.desk.vault.owners() == set()
    bench.restart()
    assert on_disk(bench) == set()


def test_a_ledger_that_takes_nothing_opens_nothing(bench: Bench) -> None:
    opened: list[object] = []
    bench.desk.vault.read = lambda *given, **_: opened.append(given)  # type: ignore[method-assign,assignment]
    ledger = bench.desk.ledger

    def refuse(_entries: object) -> None:
        raise UnavailableError("made up", rule="ledger.append")

    ledger.append = refuse  # type: ignore[method-assign,assignment]
    assert isinstance(raised(lambda: bench.call("dataset.compact")), UnavailableError)
    assert opened == []
    del ledger.append, bench.desk.vault.read


def test_strict_mode_opens_nothing_before_the_witnesses_have_cosigned(bench: Bench) -> None:
    opened: list[object] = []
    bench.desk.vault.read = lambda *given, **_: opened.append(given)  # type: ignore[method-assign,assignment]

    def refuse(_receipt: object) -> None:
        raise UnavailableError("made up", rule="ledger.strict")

    confirm = type(bench.desk).confirm
    try:
        type(bench.desk).confirm = lambda _desk, receipt: refuse(receipt)  # type: ignore[method-assign]
        assert raised(lambda: bench.call("dataset.compact")).rule == "ledger.strict"
    finally:
        type(bench.desk).confirm = confirm  # type: ignore[method-assign]
    assert opened == []
    del bench.desk.vault.read


def test_what_came_to_rest_otherwise_is_never_taken_for_the_rows(bench: Bench) -> None:
    """A store that lies, or a bug: rows are compared before the old ones are given up."""
    before = held(bench)
    vault = bench.desk.vault
    seal = vault.seal

    def reversed_(blocks, **given):
        return seal([type(one)(**_turned(one)) for one in blocks], **given)

    def _turned(one):
        table = one.table.take(list(range(len(one.table)))[::-1])
        return {
            "person": one.person, "stream": one.stream, "window": one.window,
            "label": one.label, "table": table,
        }  # fmt: skip

    vault.seal = reversed_  # type: ignore[method-assign]
    assert raised(lambda: bench.call("dataset.compact")).rule == "compaction.rows"
    del vault.seal
    assert held(bench) == before


@pytest.fixture(scope="module")
def killed(made: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bench]:
    """Copies of a home in each of which a join was killed at another step."""
    path = tmp_path_factory.mktemp("killed")
    copies = {}
    for step in KILLED:
        (path / step).mkdir()
        copies[step] = copy_bench(made, path / step)
    words = [str(made.clock.at_us), *(str(path / step) for step in KILLED)]
    subprocess.run(
        [sys.executable, "-m", "tests.compaction_killed", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        check=True,
        timeout=300,
    )
    return copies


@pytest.mark.parametrize("step", KILLED)
def test_killed_between_any_two_steps_nothing_is_lost_and_nothing_doubled(
    killed: dict[str, Bench], before: Rows, step: str
) -> None:
    bench = killed[step].start()
    try:
        assert held(bench) == before
        assert on_disk(bench) == bench.desk.catalog.objects(), "no stranger, and nothing missing"
        through = step in {"replaced", "done", "never"}
        assert set(_generations(bench).values()) == {2 if through else 1}
        told = [leaf["pub"]["state"] for _, leaf in bench.desk.ledger.leaves() if leaf["k"] == KIND]
        assert told[0] == "begun"
        bench.call("dataset.compact")
        assert held(bench) == before
        assert set(_generations(bench).values()) == {2}
        assert bench.restart() is bench
        assert len(on_disk(bench)) == 1
        assert held(bench) == before
    finally:
        bench.stop()


def test_a_register_from_before_a_join_that_was_killed_is_noticed(
    made: Bench, tmp_path: Path
) -> None:
    """The next start removes what was joined, so it has to write first that the join counts."""
    (tmp_path / "replaced").mkdir()
    bench = copy_bench(made, tmp_path / "replaced")
    kept = bench.control.keep(bench.home, tmp_path / "kept")
    subprocess.run(
        [
            sys.executable, "-m", "tests.compaction_killed", str(made.clock.at_us), str(tmp_path / "replaced"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        check=True,
        timeout=300,
    )  # fmt: skip
    bench.start().stop()
    bench.control.put_back(bench.home, kept)
    assert raised(bench.start).rule == "catalog.rollback"


def test_a_pause_that_was_planned_and_begins_in_the_middle_wins(bench: Bench) -> None:
    start = bench.clock.at_us + 3_600_000_000
    person = bench.desk.people.find("bo")
    bench.call("people.choose", person="bo", choice="pause", start_us=start)
    assert not bench.desk.people.standing(person).paused(bench.clock.at_us)

    def later() -> None:
        bench.clock.at_us = start

    _at(bench, "compared", later)
    bench.call("dataset.compact")
    assert _generations(bench) == {"ana": 2, "bo": 1, "cy": 2}


def test_rows_that_are_large_only_when_opened_do_not_fill_the_memory(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sealed they may be tiny: what repeats itself is compressed away."""
    monkeypatch.setattr("safehold.keeper.packing.MOST_PLAIN", 1)
    before = held(bench)
    answer = bench.call("dataset.compact")
    assert (answer["blocks"], answer["passed_over"]) == (0, 3)
    assert held(bench) == before


def test_no_row_touches_the_disk_in_the_clear(bench: Bench) -> None:
    words = {row["app"] for rows in held(bench).values() for row in rows}
    needles = [one.encode() for one in words]

    def look(_step: str = "") -> None:
        for file in bench.path.rglob("*"):
            if file.is_file():
                data = file.read_bytes()
                assert not any(one in data for one in needles), file.name

    bench.verbs.compaction.packing.reached = look
    bench.call("dataset.compact")
    look()
