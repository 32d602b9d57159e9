"""Where witnesses, erasure and recovery meet: a witness that is down must not stand in a person's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench

from safehold.errors import MissingError, UnavailableError
from safehold.ledger import Witness
from safehold.ledger import publisher as publisher_module

PEOPLE = ("ana", "bo", "cy")
SHE = PEOPLE[0]


class PowerCutError(Exception):
    pass


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("made"), people=PEOPLE)


@pytest.fixture
def bench(made: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(publisher_module, "INTERVAL", 3_600)  # nothing is published by itself
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def down(*_arguments: Any, **_more: Any) -> Any:
    raise UnavailableError("the line is cut", rule="test")


def erase(bench: Bench) -> dict[str, Any]:
    return bench.call("people.erase", person=SHE, evidence="a letter")


@pytest.mark.parametrize("step", ["index", "begin", "destroy", "forget", "result"])
def test_an_unfinished_erasure_does_not_keep_a_ledger_that_only_reads_from_opening(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def cut(reached: str) -> None:
        if reached == step:
            raise PowerCutError

    bench.verbs.erasure.reached = cut
    with pytest.raises(PowerCutError):
        erase(bench)
    bench.stop()
    with monkeypatch.context() as patch:
        patch.setattr(Witness, "head", down)
        bench.start()  # for reading; what is left of the erasure waits
        assert bench.call("status")["ledger"]["size"] == bench.desk.ledger.size
        with pytest.raises(UnavailableError):
            bench.call("feature", purpose="train_ui_agent")
        bench.stop()
    bench.start()
    with pytest.raises(MissingError):
        bench.call("people.show", person=SHE)
    said = [
        leaf["pub"]["state"] for _, leaf in bench.desk.ledger.leaves() if leaf["k"] == "erasure"
    ]
    assert said == ["begun", "done"]


def test_who_asks_to_be_erased_is_recorded_no_more_though_the_ledger_takes_no_word_of_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    lessor = bench.verbs.leases._lessor
    monkeypatch.setattr(
        lessor, "close", lambda *, reason, person: asked.append((person, reason)) or 0
    )
    bench.desk.ledger._sequencer.stop(UnavailableError("the disk is full", rule="test"))
    with pytest.raises(UnavailableError):
        erase(bench)
    assert asked == [(SHE, "withdrawn")]


def test_a_keeper_whose_witness_went_away_ends_without_a_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.call("people.choose", person="bo", choice="resume")  # not published yet
    size = bench.desk.ledger.size
    with monkeypatch.context() as patch:
        patch.setattr(Witness, "add_checkpoint", down)
        bench.stop()
    bench.start()
    assert bench.desk.ledger.size == size
    assert bench.desk.ledger.cosigned == size


def test_nobody_waits_for_the_witnesses_of_somebody_elses_erasure(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a witness lets the keeper wait, others can still withdraw."""
    free: list[bool] = []

    def slow(*_arguments: Any, **_more: Any) -> Any:
        def other() -> None:
            if bench.desk.lock.acquire(timeout=2):
                bench.desk.lock.release()
                free.append(True)
            else:
                free.append(False)

        thread = Thread(target=other)
        thread.start()
        thread.join()
        return down()

    with monkeypatch.context() as patch:
        patch.setattr(Witness, "add_checkpoint", slow)
        erase(bench)
    assert all(free)
