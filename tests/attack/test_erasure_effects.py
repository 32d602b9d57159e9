"""What was made from somebody is told when they are erased, is in the receipt, and none of it comes about later."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench, passed, script_training
from tests.world import PURPOSE, raised

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import DeniedError, MissingError, UnavailableError
from safehold.keeper.deadlines import owed, owed_to
from safehold_verify import VerificationError
from safehold_verify.erasure import ErasureReport, tell_erasure, verify_erasure

# long enough that no name is in bytes of noise by chance
EVERYBODY = tuple(f"employee-{4700 + number}" for number in range(52))
SHE, HE = EVERYBODY[:2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A home where everybody's data became features."""
    bench = found_bench(tmp_path_factory.mktemp("effects"), people=EVERYBODY).start()
    bench.take(*EVERYBODY)
    bench.call("feature", purpose=PURPOSE)
    bench.stop()
    return bench


@pytest.fixture(scope="module")
def made(built: Bench, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """And those a model; its budget is spent."""
    bench = copy_bench(built, tmp_path_factory.mktemp("trained")).start()
    script_training(bench)
    bench.call("train", **bench.use(bench.pass_()))
    bench.stop()
    return bench


@pytest.fixture
def fresh(built: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(built, tmp_path).start()
    script_training(copy)
    yield copy
    copy.stop()


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def erase(bench: Bench, person: str = SHE) -> dict[str, Any]:
    return bench.call("people.erase", person=person, evidence="a letter")


def statuses(answer: Mapping[str, Any]) -> dict[str, str]:
    return {one["kind"]: one["status"] for one in answer["effects"]}


def checked(bench: Bench, answer: Mapping[str, Any]) -> ErasureReport:
    return verify_erasure(answer["receipt"].encode(), bench.home.policy_file)


def test_the_receipt_lists_everything_that_was_made_from_somebody(bench: Bench) -> None:
    answer = erase(bench)
    assert statuses(answer) == {"source": "shredded", "feature": "shredded", "model": "bounded"}
    known = {one["id"] for one in bench.call("dataset.list")["datasets"]}
    assert {one["id"] for one in answer["effects"]} == known, "all that lineage knows"
    report = checked(bench, answer)
    (model,) = (one for one in report.effects if one.kind == "model")
    privacy = bench.charter().purpose(PURPOSE).privacy
    assert privacy is not None
    assert model.epsilon == privacy.epsilon_micro / 1e6
    assert model.delta == privacy.delta_pico / 1e12
    assert not report.late
    within = bench.charter().participation.withdraw.effect.within_s
    assert report.due_us - report.asked_us == within * SECOND_US
    told = "\n".join(tell_erasure(report))
    assert "bounded" in told
    assert "before its deadline" in told
    assert SHE not in json.dumps(answer)


def test_what_came_about_without_somebody_is_not_theirs(bench: Bench) -> None:
    bench.call("people.choose", person=SHE, choice="withdraw")
    bench.call("feature", purpose=PURPOSE)
    answer = erase(bench)
    first, second = [
        one["id"] for one in bench.call("dataset.list")["datasets"] if one["kind"] == "feature"
    ]
    (feature,) = [one for one in answer["effects"] if one["kind"] == "feature"]
    assert (feature["id"], feature["status"], feature["by"]) == (first, "rebuilt", second)
    assert "made without you" in "\n".join(tell_erasure(checked(bench, answer)))
    assert statuses(erase(bench, HE))["feature"] == "shredded"


def test_a_model_whose_time_is_over_is_shredded(bench: Bench) -> None:
    (artifact,) = bench.call("artifact.list")["artifacts"]
    bench.clock.advance((artifact["expires"] - bench.today) * DAY_US)
    assert statuses(erase(bench))["model"] == "shredded"


def test_a_model_without_a_bound_is_said_to_have_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    effects = bench.verbs.erasure._effects
    monkeypatch.setattr(effects, "_facts", lambda _intent: {})
    assert statuses(erase(bench))["model"] == "unsupported"


def test_figures_about_a_dataset_stay_and_are_named(bench: Bench) -> None:
    gates = bench.verbs.work.release.gates
    intent = max(i for i, leaf in bench.desk.ledger.leaves() if leaf["k"] == "access.intent")
    gates._attacked["a-set"] = {intent}
    gates._attacked["another"] = {next(iter(bench.desk.ledger.leaves()))[0]}  # nobody's leaf
    found = [one for one in erase(bench)["effects"] if one["kind"] == "figures"]
    assert found == [{"kind": "figures", "id": "a-set", "status": "unsupported"}]


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["begun"].update(index=said["begun"]["index"] + 1),
        lambda said: said["done"].update(said["begun"]),
        lambda said: said.update(begun=said["done"]),
        lambda said: said["begun"]["told"]["det"].update(value=_less(said["begun"])),
        lambda said: said["begun"]["told"]["det"].update(r=b64(bytes(32))),
        lambda said: said["done"]["told"]["obj"].update(value=b64(b"ers_other")),
        lambda said: said["done"]["path"].pop(),
        lambda said: said.update(more=1),
        lambda said: said["done"]["told"].pop("obj"),
    ],
)
def test_a_receipt_that_says_something_else_does_not_hold(
    answered: tuple[Bench, dict[str, Any]], change: Any
) -> None:
    bench, answer = answered
    checked(bench, answer)
    said = json.loads(answer["receipt"])
    change(said)
    with pytest.raises(VerificationError):
        verify_erasure(canonical.encode(said), bench.home.policy_file)


@pytest.fixture(scope="module")
def answered(
    made: Bench, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Bench, dict[str, Any]]]:
    copy = copy_bench(made, tmp_path_factory.mktemp("answered")).start()
    yield copy, erase(copy)
    copy.stop()


def _less(leaf: dict[str, Any]) -> str:
    detail = canonical.decode(unb64(leaf["told"]["det"]["value"]))
    detail["effects"].pop()
    return b64(canonical.encode(detail))


def test_the_receipts_of_two_erasures_do_not_mix(bench: Bench) -> None:
    one, other = (json.loads(erase(bench, person)["receipt"]) for person in (SHE, HE))
    other["begun"] = one["begun"]
    with pytest.raises(VerificationError):
        verify_erasure(canonical.encode(other), bench.home.policy_file)


def test_a_receipt_can_be_had_later_by_its_request(bench: Bench) -> None:
    answer = erase(bench)
    bench.restart()
    listed = bench.call("people.erased")["erasures"]
    assert [(one["request"], one["state"]) for one in listed] == [(answer["request"], "done")]
    again = bench.call("people.erased", request=answer["request"])
    assert checked(bench, again).effects == checked(bench, answer).effects
    with pytest.raises(MissingError):
        bench.call("people.erased", request="ers_nobody")


def test_a_run_on_the_rows_of_the_erased_is_ended_and_leaves_nothing(fresh: Bench) -> None:
    """At the moment of an erasure a sandbox holds her rows: it is gone when the erasure returns."""
    bench = fresh
    running, size = threading.Event(), bench.desk.ledger.size
    failed: list[Exception] = []

    def train(_spec: Mapping[str, Any]) -> Iterator[Any]:
        while True:  # until it is killed
            running.set()
            yield passed("progress", values={"done": 1, "of": 2})

    bench.workshop.scripts["train"] = train
    asked = bench.use(bench.pass_())

    def ask() -> None:
        try:
            bench.call("train", **asked)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert running.wait(60)
    erase(bench)
    assert not bench.desk.runs
    assert not bench.desk.jobs
    thread.join(60)
    assert [(type(one), one.rule) for one in failed] == [(DeniedError, "subjects.erased")]
    results = [leaf for _, leaf in bench.desk.ledger.leaves(size) if leaf["k"] == "access.result"]
    assert [one["pub"]["outcome"] for one in results] == ["denied"]
    assert not bench.call("artifact.list")["artifacts"]


def test_others_go_on_while_somebody_is_erased(bench: Bench) -> None:
    bench.call("people.choose", person=SHE, choice="withdraw")

    def features(spec: Mapping[str, Any]) -> Iterator[Any]:
        erase(bench)  # she is not in this run
        yield from bench.features(spec)

    bench.workshop.scripts["feature"] = features
    assert bench.call("feature", purpose=PURPOSE)["people"] == len(EVERYBODY) - 1


def test_a_model_is_not_kept_that_an_erasure_has_not_seen(fresh: Bench) -> None:
    """The sandbox is done, its model not yet kept: an erasure that comes in between cannot name it."""
    bench = fresh
    real = bench.verbs.work.release.run

    def run(*given: Any, **more: Any) -> Any:
        found = real(*given, **more)
        erase(bench)
        return found

    bench.verbs.work.release.run = run
    error = raised(lambda: bench.call("train", **bench.use(bench.pass_())))
    assert (type(error), error.rule) == (DeniedError, "subjects.erased")
    assert not bench.call("artifact.list")["artifacts"]


def test_what_is_late_is_said_until_it_is_done(bench: Bench) -> None:
    def cut(step: str) -> None:
        if step == "begin":
            raise UnavailableError("the ledger takes nothing", rule="ledger.append")

    bench.verbs.erasure.reached = cut
    raised(lambda: erase(bench))
    (due,) = owed(bench.desk)
    assert (due["what"], due["overdue"]) == ("erasure", False)
    assert bench.call("people.show", person=SHE)["erasure"]["overdue"] is False
    bench.clock.advance(
        bench.charter().participation.withdraw.effect.within_s * SECOND_US + SECOND_US
    )
    assert bench.call("status")["owed"][0]["overdue"] is True
    assert bench.call("people.show", person=SHE)["erasure"]["overdue"] is True
    bench.verbs.erasure.reached = lambda _step: None
    report = checked(bench, erase(bench))
    assert report.late
    assert "after its deadline" in "\n".join(tell_erasure(report))
    assert not bench.call("status")["owed"]


def test_a_receipt_that_hides_its_lateness_does_not_hold(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safehold.keeper.erasure.deadline", lambda _desk, asked: asked - 1)
    erasure, real = bench.verbs.erasure, bench.desk.log

    def log(*entries: Any) -> Any:
        for one in entries:
            if "late" in one.detail:
                one.detail["late"] = False
        return real(*entries)

    monkeypatch.setattr(type(bench.desk), "log", lambda _desk, *entries: log(*entries))
    answer = erasure.erase({"person": SHE, "evidence": "x"}, (), lambda _: None)
    with pytest.raises(VerificationError, match="late"):
        checked(bench, answer)


def test_keys_that_outlive_their_day_are_owed(bench: Bench) -> None:
    first = owed_to(bench.desk, bench.desk.people.find(SHE))["ends"]["first_day"]
    bench.clock.advance((first - bench.today) * DAY_US)
    (due,) = owed(bench.desk)
    assert (due["what"], due["overdue"]) == ("retention", False)
    bench.clock.advance(DAY_US + 1)
    assert owed(bench.desk)[0]["overdue"] is True
    bench.call("dataset.sweep")
    assert not owed(bench.desk)


def test_what_is_derived_never_outlives_its_source(bench: Bench) -> None:
    """Of every dataset and every block, and of the keys that open them: the earliest day of its parents."""
    known = {one["id"]: one for one in bench.call("dataset.list")["datasets"]}
    assert {one["kind"] for one in known.values()} >= {"feature", "model"}
    for one in known.values():
        for parent in one["parents"]:
            assert one["label"]["expires"] <= known[parent]["label"]["expires"]
    (artifact,) = bench.call("artifact.list")["artifacts"]
    assert artifact["expires"] <= known[artifact["id"]]["label"]["expires"]
    person = bench.desk.people.find(SHE)
    blocks = bench.desk.catalog.blocks_of(person)
    source = min(one.label.expires for one in blocks if one.stream != "feature")
    assert all(one.label.expires <= source for one in blocks if one.stream == "feature")
    bench.clock.advance((source - bench.today) * DAY_US)
    bench.call("dataset.sweep")
    with sqlite3.connect(bench.home.control) as base:
        left = base.execute(
            "SELECT kind, stream FROM vault_key WHERE kind IN ('person', 'artifact') AND period <= ?",
            (source,),
        ).fetchall()
    base.close()
    assert left == []
    assert not bench.blocks("derived")


@pytest.mark.parametrize("step", ["index", "destroy", "forget", "result"])
def test_a_crash_loses_neither_the_list_nor_the_deadline(bench: Bench, step: str) -> None:
    """The list is durable before a key is destroyed, since nobody can make it afterwards."""
    asked = bench.clock.now_us()

    def cut(reached: str) -> None:
        if reached == step:
            raise KeyboardInterrupt

    bench.verbs.erasure.reached = cut
    with pytest.raises(KeyboardInterrupt):
        erase(bench)
    bench.clock.advance(60 * SECOND_US)
    bench.restart()
    (one,) = bench.call("people.erased")["erasures"]
    assert one["state"] == "done"
    report = checked(bench, bench.call("people.erased", request=one["request"]))
    assert {effect.kind: effect.status for effect in report.effects} == {
        "source": "shredded",
        "feature": "shredded",
        "model": "bounded",
    }
    assert (report.asked_us, report.late) == (asked, False)
    assert report.done_us == asked + 60 * SECOND_US
    assert not owed(bench.desk)
