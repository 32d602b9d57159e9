"""Where parts meet: witnesses that are down, erasure, recovery, and a journal whose keys were taken out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa
from tests.keeper_desk import (
    CROWD,
    PURPOSE,
    Bench,
    copy_bench,
    found_bench,
    script_training,
)
from tests.world import raised

from safehold.errors import MissingError, UnavailableError
from safehold.keeper import tables
from safehold.keeper.choices import choice_leaf
from safehold.ledger import Entry, Witness
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


@pytest.mark.parametrize("step", ["index", "begin", "destroy", "forget", "result"])
def test_an_erasure_that_failed_on_its_way_is_carried_on_when_it_is_asked_for_again(
    bench: Bench, step: str
) -> None:
    """A second request, or another choice, would make the leaf that counts the choices wrong for ever."""
    failing = [step]

    def fail(reached: str) -> None:
        if reached in failing:
            failing.clear()
            raise UnavailableError("the disk is full", rule="test")

    bench.verbs.erasure.reached = fail
    with pytest.raises(UnavailableError):
        erase(bench)
    if step in ("index", "begin", "destroy"):
        error = raised(lambda: bench.call("people.choose", person=SHE, choice="pause"))
        assert error.rule == "subjects.erasing"
        she = bench.desk.people.find(SHE)
        error = raised(lambda: choice_leaf(bench.desk, she, "device/1", {"choice": "device"}))
        assert error.rule == "subjects.erasing"
        assert erase(bench)["result"]
    elif step == "forget":
        assert erase(bench)["result"]
    bench.restart()
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


def test_a_source_without_its_closing_leaf_does_not_keep_a_ledger_that_only_reads_from_opening(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_arguments: Any) -> None:
        raise PowerCutError

    monkeypatch.setattr(bench.verbs.intake, "close", cut)
    with pytest.raises(PowerCutError):
        bench.take()
    bench.stop()
    with monkeypatch.context() as patch:
        patch.setattr(Witness, "head", down)
        bench.start()
        assert len(bench.desk.catalog.unnoted()) == 1
        bench.stop()
    bench.start()
    assert bench.desk.catalog.unnoted() == []
    (*_, (_, last)) = bench.desk.ledger.leaves()
    assert (last["k"], last["pub"]) == ("ingest", {"rows": 6})


def test_the_status_names_a_promise_about_witnesses_that_is_not_kept(bench: Bench) -> None:
    assert not any("promises" in one for one in bench.call("status")["limits"])
    bench.enact(
        bench.changed(audit=lambda tree: tree | {"witnesses": {**tree["witnesses"], "min": 1}})
    )
    said = "the charter promises what is not there: 0 of at least 1 witnesses outside"
    assert said in bench.call("status")["limits"]


def test_nobody_waits_for_the_witnesses_of_somebody_elses_erasure(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a witness lets the keeper wait, others can still withdraw."""
    free: list[bool] = []

    def slow(*_arguments: Any, **_more: Any) -> Any:
        def other() -> None:
            if bench.desk.lock.acquire(timeout=30):
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


def test_who_is_erased_while_a_release_waits_for_its_witnesses_is_left_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.take()
    confirm = bench.desk.ledger.await_cosigned

    def slow(index: int, *, timeout_s: float) -> None:
        erase(bench)
        confirm(index, timeout_s=timeout_s)

    monkeypatch.setattr(bench.desk.ledger, "await_cosigned", slow)
    built = bench.call("feature", purpose=PURPOSE)
    assert built["people"] == len(PEOPLE) - 1
    (packed,) = bench.workshop.packed
    assert len({header["person"] for header in packed}) == len(PEOPLE) - 1
    outcomes = [
        leaf["pub"]["outcome"]
        for _, leaf in bench.desk.ledger.leaves()
        if leaf["k"] == "access.result"
    ]
    assert outcomes == ["ok"]


# ---- idempotency rows: they are no part of a leaf, so an administrator can take them out unnoticed


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = found_bench(tmp_path_factory.mktemp("crowded"), people=CROWD).start()
    bench.take(*CROWD)
    bench.call("feature", purpose=PURPOSE)
    bench.stop()
    return bench


@pytest.fixture
def trainer(crowded: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(crowded, tmp_path).start()
    script_training(copy)
    yield copy
    copy.stop()


def forget_keys(bench: Bench) -> None:
    """Delete every idempotency row, as the administrator of the journal can."""
    with closing(sqlite3.connect(bench.home.ledger / "journal.db")) as base, base:
        assert base.execute("DELETE FROM idem").rowcount > 0


def test_a_grant_gets_no_new_runs_though_its_row_and_its_key_are_deleted(
    trainer: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = []
    enact = trainer.verbs.grants.enact
    monkeypatch.setattr(
        trainer.verbs.grants, "enact", lambda said, *more: given.append(said) or enact(said, *more)
    )
    holder = trainer.pass_(max_runs=2)
    trainer.call("train", **trainer.use(holder))
    forget_keys(trainer)
    with trainer.desk.engine.begin() as connection:
        assert connection.execute(tables.grant.delete()).rowcount == 1
    trainer.restart()
    again = trainer.call("grant.enact", **given[0])
    assert again["runs_left"] == 1
    trainer.restart()
    (one,) = trainer.call("grant.list")["grants"]
    assert trainer.desk.trust.grants() == [one["entry"]]
    assert (one["runs"], one["of"]) == (1, 2)


def test_a_second_leaf_of_a_grant_is_not_the_grant(trainer: Bench) -> None:
    holder = trainer.pass_(max_runs=1)
    (first,) = trainer.desk.trust.grants()
    said = trainer.desk.ledger.detail(first)
    trainer.call("train", **trainer.use(holder))
    (second,) = trainer.desk.log(
        Entry(
            kind="grant", public={"state": "approved"}, charter=trainer.desk.trust.digest(), **said
        )
    )
    with trainer.desk.engine.begin() as connection:
        connection.execute(sa.update(tables.grant).values(entry=second.index))
    trainer.restart()
    assert raised(lambda: trainer.call("train", **trainer.use(holder))).rule == "grant.row"


def test_an_intent_has_one_result_though_the_key_of_the_first_is_deleted(
    trainer: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = trainer.verbs.work._release.close

    def cut(*arguments: Any) -> Any:
        close(*arguments)
        forget_keys(trainer)
        raise UnavailableError("after the result", rule="test")

    monkeypatch.setattr(trainer.verbs.work._release, "close", cut)
    assert raised(lambda: trainer.call("train", **trainer.use(trainer.pass_()))).rule == "test"
    intents = [at for at, leaf in trainer.desk.ledger.leaves() if leaf["k"] == "access.intent"]
    results = [
        leaf["ref"] for _, leaf in trainer.desk.ledger.leaves() if leaf["k"] == "access.result"
    ]
    assert results == intents


def test_a_choice_that_did_not_reach_the_register_comes_before_the_next_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two leaves of one number would make a later erasure miscount, and the home would not open again."""
    people = type(bench.desk.people)

    def full(*_arguments: Any) -> None:
        raise OSError(28, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(people, "change", full)
        with pytest.raises(OSError, match="space"):
            bench.call("people.choose", person=SHE, choice="pause")
    bench.call("people.choose", person=SHE, choice="resume")
    person = bench.desk.people.find(SHE)
    assert bench.desk.people.version(person) == 3
    erase(bench)
    bench.restart()
    with pytest.raises(MissingError):
        bench.call("people.show", person=SHE)


def test_a_choice_that_did_not_reach_the_register_is_taken_up_when_drift_is_looked_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = type(bench.desk.people)

    def full(*_arguments: Any) -> None:
        raise OSError(28, "no space left on device")

    ended: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(people, "change", full)
        patch.setattr(bench.verbs.crowd, "_on_trouble", lambda _person, why: ended.append(why))
        with pytest.raises(OSError, match="space"):
            bench.call("people.choose", person="bo", choice="withdraw")
    assert ended == ["withdrawn"]
    assert bench.desk.people.standing(bench.desk.people.find("bo")).withdrawn_us is None
    assert bench.call("drift")["ok"]
    assert bench.desk.people.standing(bench.desk.people.find("bo")).withdrawn_us is not None


def test_an_erasure_that_failed_halfway_is_no_drift(bench: Bench) -> None:
    """The keys are destroyed and the row is still there: everybody else goes on being recorded."""
    failing = ["forget"]

    def fail(reached: str) -> None:
        if reached in failing:
            failing.clear()
            raise UnavailableError("the disk is full", rule="test")

    bench.verbs.crowd.check()
    bench.verbs.erasure.reached = fail
    with pytest.raises(UnavailableError):
        erase(bench)
    she = bench.desk.people.find(SHE)
    assert she not in bench.desk.vault.subjects.living()
    bench.verbs.crowd.check()
    # only for as long as it is under way: a row whose keys are gone without that is another register
    request = bench.desk.erasing.pop(she)
    assert raised(bench.verbs.crowd.check).rule == "subjects.rollback"
    bench.desk.erasing[she] = request
    assert erase(bench)["result"]
    bench.verbs.crowd.check()
