"""What is contained while it is used: whichever comes first, nothing comes out after the leaf."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pyarrow as pa
import pytest
from tests.attack.test_own_code import FIGURE, Lab, letting_figures
from tests.containing import WIDE, contain, lift, ordered
from tests.keeper_desk import CROWD, PURPOSE, Bench, batch, chunk, copy_bench, found_bench
from tests.model_desk import begin as begin_models
from tests.model_desk import gated, permit, proved, pull, trained
from tests.query_desk import copy_asking, made_asking
from tests.stopping import AT_ONCE, WaitingWorkshop, use
from tests.world import outside, raised

from safehold.access import Workload, prove_device
from safehold.canonical import b64, unb64
from safehold.errors import DeniedError, SafeholdError, UnavailableError
from safehold.keeper.ask import Ask, Asker
from safehold.keeper.contained import RUN, things
from safehold.keeper.derived import Part
from safehold.keeper.grants import Use
from safehold.keeper.messages import obtain_message
from safehold.keeper.recipes import ATTACK_VERB
from safehold.signing import SigningKey

SEGMENT = "us-ca.pointer"
DEVICE = SigningKey(b"d" * 32)
ASKER = Asker(principal=Workload(id="pipeline", role="engineer"), action="operate")
ASK = Ask(
    recipe="feature",
    kind="telemetry",
    streams=frozenset({"pointer"}),
    purpose=PURPOSE,
    stage="feature",
    least_people=1,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = begin(
        found_bench(tmp_path_factory.mktemp("race"), people=CROWD, charter=letting_figures(gated()))
    )
    bench.take(*CROWD)
    bench.call("feature", purpose=PURPOSE)
    bench.call("source.add", person=CROWD[0], device=DEVICE.public.text())
    bench.stop()
    return bench


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    with outside(tmp_path):
        copy = begin(copy_bench(made, tmp_path))
        yield copy
        copy.stop()


def begin(bench: Bench) -> Bench:
    begin_models(bench).workshop.scripts["reidentify"] = lambda _spec: iter(())
    return bench


def outcomes(bench: Bench, since: int) -> list[str]:
    return [
        leaf["pub"]["outcome"]
        for _, leaf in bench.desk.ledger.leaves(since)
        if leaf["k"] == "access.result"
    ]


def build(bench: Bench) -> str:
    """Return the build that counts."""
    today = bench.today
    (one,) = [
        node.id
        for node in bench.desk.lineage.look()[0].values()
        if node.kind == "feature" and bench.desk.catalog.lives(node.id, after_day=today)
    ]
    return one


@pytest.mark.parametrize("moment", ["decided", "packed", "sent", "over", "closing"])
def test_a_use_that_goes_on_ends_wherever_it_is(bench: Bench, moment: str) -> None:
    """The containment comes after the intent, at every later moment of a run."""
    release, desk = bench.verbs.work.release, bench.desk
    named: list[dict[str, Any]] = []
    kept: list[Any] = []

    def now() -> None:
        if not named:
            named.append(contain(bench, "segment", SEGMENT))

    def script(_spec: Mapping[str, Any]) -> Iterator[Any]:
        if moment == "sent":
            now()
        yield from ()

    if moment == "packed":
        bench.workshop.during_pack = now
    bench.workshop.scripts["feature"] = script
    size, packed = desk.ledger.size, len(bench.workshop.packed)

    def go() -> None:
        with release.opened(ASK, ASKER) as opening:
            if moment == "decided":
                now()
            release.run(ASK, opening, sorted(opening.blocks), {}, lambda _: None)
            if moment == "over":
                now()
            with desk.lock:
                release.require_present(opening)
                kept.append(opening)  # here a model is sealed, a figure drawn
            now()
            release.close(ASK, opening, ASKER, {})

    error = raised(go)
    assert error.rule == "containment.segment", error
    assert outcomes(bench, size) == ["stopped"]
    assert not desk.runs
    assert len(kept) == (moment == "closing")
    if moment == "decided":
        assert len(bench.workshop.packed) == packed, "nothing was opened for it"
    assert raised(go).rule == "containment.segment"
    assert outcomes(bench, size) == ["stopped"], "and none began after it"
    lift(bench, named[0]["entry"])
    bench.workshop.during_pack = lambda: None
    assert use(bench, spec={})


def test_everything_that_runs_ends_and_what_it_does_not_touch_goes_on(bench: Bench) -> None:
    bench.stop()
    bench.workshop = WaitingWorkshop()
    begin(bench)
    errors: SimpleQueue[SafeholdError] = SimpleQueue()

    def work() -> None:
        try:
            use(bench, spec={})
        except SafeholdError as error:
            errors.put(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert bench.workshop.begun.acquire(timeout=AT_ONCE)
    reach = bench.call("containment.preview", what="segment", target=SEGMENT)
    assert len(reach["running"]) == len(threads)
    assert contain(bench, "segment", "us-wa.pointer")["runs_ended"] == 0
    first = reach["running"][0]
    run = contain(bench, RUN, str(first))
    assert (run["runs_ended"], run["runs_left"]) == (1, 0)
    assert errors.get(timeout=AT_ONCE).rule == "containment.run"
    assert errors.empty()
    ended = contain(bench, "segment", SEGMENT)
    assert (ended["runs_ended"], ended["runs_left"]) == (3, 0)
    for thread in threads:
        thread.join(AT_ONCE)
    assert [errors.get().rule for _ in range(3)] == 3 * ["containment.segment"]
    assert errors.empty()
    # a run that was ended is over: it is not listed, and nothing lifts it
    listed = bench.call("containment.list")["containments"]
    assert [one["what"] for one in listed] == ["segment", "segment"]
    back = ordered(
        bench, "lift", *WIDE, entry=run["entry"], reason="x", what=RUN, target=str(first)
    )
    error = raised(lambda: bench.call("containment.lift", **back))
    assert error.rule == "containment.run-over"


@pytest.mark.parametrize("what", ["grant", "capability", "principal", "purpose", "dataset"])
def test_whatever_it_is_that_is_contained_ends_the_run(bench: Bench, what: str) -> None:
    holder = permit(bench, "reidentify")
    (grant,) = [one["id"] for one in bench.call("grant.list")["grants"]]
    named = {
        "grant": lambda: grant,
        "capability": lambda: bench.call("grant.show", grant=grant)["uses"][0]["tokens"][0],
        "principal": lambda: "ana",
        "purpose": lambda: PURPOSE,
        "dataset": lambda: build(bench),
    }
    seen: list[dict[str, Any]] = []

    def script(_spec: Mapping[str, Any]) -> Iterator[Any]:
        seen.append(contain(bench, what, named[what]()))
        yield from ()

    bench.workshop.scripts["reidentify"] = script
    size = bench.desk.ledger.size

    def attack() -> Any:
        return bench.call(
            ATTACK_VERB,
            purpose=PURPOSE,
            stage="feature",
            dataset=None,
            **proved(bench, holder, ATTACK_VERB),
        )

    error = raised(attack)
    assert error.rule == f"containment.{what}"
    assert seen[0]["runs_ended"] == 1
    assert outcomes(bench, size) == ["stopped"]
    assert "gate" not in bench.leaves(size), "nothing of it is in the ledger"
    assert raised(attack).rule == f"containment.{what}"


def test_a_script_ends_at_the_group_that_it_is_in(bench: Bench) -> None:
    lab = Lab(bench)
    holder = lab.holder(FIGURE)
    lab.send(*(float(one) for one in range(10)))
    wrapped, entered = bench.workshop.scripts, []

    class Third(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            entered.append(name)
            if len(entered) == 3:
                contain(bench, "purpose", PURPOSE)
            return wrapped[name]

    bench.workshop.scripts = Third()
    size = bench.desk.ledger.size
    assert raised(lambda: lab.run(holder, FIGURE)).rule == "containment.purpose"
    assert len(entered) == 3, "no group after it begins"
    assert outcomes(bench, size) == ["stopped"]


def test_a_query_is_refused_and_one_that_goes_on_tells_nothing(tmp_path: Path) -> None:
    with outside(tmp_path):
        asking = copy_asking(made_asking(), tmp_path)
        bench, text = asking.bench, asking.text("SELECT count(*) AS n FROM pointer")
        permit_ = asking.grant(text)
        assert asking.ask(permit_, text)["figures"]
        start = bench.workshop.start
        held: list[dict[str, Any]] = []

        def starting(*arguments: Any, **named: Any) -> Any:
            held.append(contain(bench, "segment", SEGMENT))
            return start(*arguments, **named)

        bench.workshop.start = starting
        size = bench.desk.ledger.size
        assert raised(lambda: asking.ask(permit_, text)).rule == "containment.segment"
        assert outcomes(bench, size) == ["stopped"]
        size = bench.desk.ledger.size
        assert raised(lambda: asking.ask(permit_, text)).rule == "containment.segment"
        assert "access.intent" not in bench.leaves(size)
        bench.workshop.start = start
        lift(bench, held[0]["entry"])
        assert asking.ask(permit_, text)["figures"]
        bench.stop()


def test_a_build_that_is_contained_half_way_leaves_the_one_before_it(bench: Bench) -> None:
    before, features = build(bench), bench.features

    def script(spec: Mapping[str, Any]) -> Iterator[Any]:
        yield from features(spec)
        contain(bench, "purpose", PURPOSE)

    bench.workshop.scripts["feature"] = script
    error = raised(lambda: bench.call("feature", purpose=PURPOSE))
    assert error.rule == "containment.purpose"
    assert build(bench) == before


@pytest.mark.parametrize("place", ["seal", "count"])
def test_a_build_is_contained_while_it_is_sealed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Between its run and its end nothing else would look."""
    from safehold.keeper import work

    before, seal = build(bench), work.seal_apart

    sealed: list[Any] = []

    def sealing(*arguments: Any, **named: Any) -> Any:
        if place == "seal":
            contain(bench, "purpose", PURPOSE)
        sealed.append(made := seal(*arguments, **named))
        contain(bench, "purpose", PURPOSE)
        return made

    monkeypatch.setattr(work, "seal_apart", sealing)
    error = raised(lambda: bench.call("feature", purpose=PURPOSE))
    assert error.rule == "containment.purpose"
    assert build(bench) == before
    assert len(sealed) == (place == "count"), "nothing is sealed after it"


def test_a_model_is_contained_while_its_record_is_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, cards = trained(bench), bench.verbs.pull._cards
    holder, write = permit(bench, "pull"), cards.write
    written: list[str] = []

    def writing(name: str) -> Any:
        card = write(name)
        written.append(name)
        contain(bench, "artifact", model)
        return card

    monkeypatch.setattr(cards, "write", writing)
    size = bench.desk.ledger.size
    assert raised(lambda: pull(bench, model, holder)).rule == "containment.artifact"
    assert "access.intent" not in bench.leaves(size)
    assert raised(lambda: pull(bench, model, holder)).rule == "containment.artifact"
    assert written == [model], "the second time it is not even read"


def test_what_a_search_found_of_a_contained_model_is_not_written_down(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, trials = trained(bench), bench.verbs.trials
    judge = trials._judge
    monkeypatch.setattr(
        bench.desk.workshop, "level", lambda: [contain(bench, "artifact", model), "E3"][1]
    )
    size = bench.desk.ledger.size
    assert raised(lambda: bench.call("attack.canary", artifact=model)).rule == (
        "containment.artifact"
    )
    assert "attack" not in bench.leaves(size)
    assert judge


def test_a_table_is_registered_by_no_run_that_is_contained(bench: Bench) -> None:
    release = bench.verbs.work.release
    size = bench.desk.ledger.size

    def go() -> None:
        with release.opened(ASK, ASKER) as opening:
            contain(bench, "segment", SEGMENT)
            release.derived.register(
                opening,
                ask=ASK,
                actor="pipeline",
                kind="table",
                name="made",
                parts=[Part(table=pa.table({"x": [1]}))],
                recipe="pool",
            )

    assert raised(go).rule == "containment.segment"
    assert "derived" not in bench.leaves(size)


@pytest.mark.parametrize("what", ["grant", "capability", "principal", "purpose"])
def test_a_token_is_let_in_nowhere(bench: Bench, what: str) -> None:
    """Also where nothing is opened: joining a run of several houses, and ending it."""
    holder = permit(bench, "train")
    bench.call("train", **bench.use(holder))  # so that the token is known
    (grant,) = [one["id"] for one in bench.call("grant.list")["grants"]]
    shown = bench.call("grant.show", grant=grant)["uses"][0]
    named = {
        "grant": grant, "capability": shown["tokens"][0], "principal": "ana", "purpose": PURPOSE,
    }  # fmt: skip
    contain(bench, what, named[what])
    use_of = Use(verb="train", purpose=PURPOSE, stage="training", recipe="train", stream="feature")
    error = raised(lambda: bench.verbs.grants.admit(bench.use(holder), use_of))
    assert error.rule == f"containment.{what}"
    ((_, leaf),) = bench.desk.ledger.leaves(error.entry, error.entry + 1)
    assert (leaf["k"], leaf["ref"]) == ("refusal", bench.verbs.grants.records.find(grant))


def test_a_sandbox_of_something_contained_does_not_begin(bench: Bench) -> None:
    contain(bench, "purpose", PURPOSE)
    with pytest.raises(DeniedError), bench.desk.holding(touched=things(purpose=PURPOSE)):
        raise AssertionError
    assert not bench.desk.runs


def test_a_model_is_contained_while_its_witnesses_are_asked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trained(bench)
    assert pull(bench, model)[0]
    holder = permit(bench, "pull")
    size = bench.desk.ledger.size
    confirm = type(bench.desk).confirm

    def confirming(desk: Any, receipt: Any) -> None:
        confirm(desk, receipt)
        contain(bench, "artifact", model)

    monkeypatch.setattr(type(bench.desk), "confirm", confirming)
    sent: list[bytes] = []
    monkeypatch.setattr("safehold.keeper.pull._write", lambda _out, body: sent.append(body))
    assert raised(lambda: pull(bench, model, holder)).rule == "containment.artifact"
    assert not sent
    assert outcomes(bench, size) == ["stopped"]


def test_a_search_of_a_model_ends_with_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained(bench)
    found = bench.verbs.models.find(model)
    trial = {**found["trial"], "planted": 2}
    monkeypatch.setattr(bench.verbs.models, "find", lambda _name: {**found, "trial": trial})
    seen: list[dict[str, Any]] = []

    def script(_spec: Mapping[str, Any]) -> Iterator[Any]:
        seen.append(contain(bench, "artifact", model))
        yield from ()

    bench.workshop.scripts["canary"] = script
    size = bench.desk.ledger.size
    error = raised(lambda: bench.call("attack.canary", artifact=model))
    assert error.rule == "containment.artifact"
    assert seen[0]["runs_ended"] == 1
    assert outcomes(bench, size) == ["stopped"]
    assert "attack" not in bench.leaves(size)


@pytest.mark.parametrize(
    ("target", "when"),
    [("all", 0), ("all", 1), ("pointer", 0), (SEGMENT, 0), ("pointer", 2), (SEGMENT, 2)],
)
def test_a_source_on_its_way_in_never_counts(bench: Bench, target: str, when: int) -> None:
    held = bench.blocks()
    frames: list[Any] = [batch(CROWD[0], bench.today - 2, first=50), chunk()]
    frames.insert(when, lambda: contain(bench, "collection", target))
    error = raised(lambda: bench.ingest(*frames, name="late"))
    assert error.rule == "containment.collection"
    assert bench.blocks() == held
    assert not bench.desk.runs
    (entry,) = [at for at, one in enumerate(bench.leaves()) if one == "containment"]
    later = [leaf.get("pub", {}) for _, leaf in bench.desk.ledger.leaves(entry)]
    assert not [one for one in later if "objects" in one], "nothing of it is sealed after that"
    (one,) = bench.call("containment.list")["containments"]
    lift(bench, one["entry"])
    # what was committed of it is skipped
    bench.ingest(*(one for one in frames if not callable(one) and when < 2), name="late")
    assert bench.blocks() != held, "it goes on where it was"


def test_leases_end_and_new_ones_leave_out_what_is_contained(bench: Bench) -> None:
    def obtain() -> dict[str, Any]:
        nonce = unb64(bench.call("nonce")["nonce"])
        return bench.call(
            "lease.obtain",
            person=CROWD[0],
            device=DEVICE.public.text(),
            nonce=b64(nonce),
            proof=b64(prove_device(DEVICE, nonce, obtain_message(CROWD[0]))),
        )

    assert set(obtain()["rules"]) == {"key", "pointer"}
    stream = contain(bench, "collection", SEGMENT)
    assert stream["leases_ended"] == 1
    assert set(obtain()["rules"]) == {"key"}
    contain(bench, "collection", "key")
    assert raised(obtain).rule == "containment.collection"
    whole = contain(bench, "collection", "all")
    assert raised(obtain).rule == "containment.collection"
    for one in (stream, whole):
        lift(bench, one["entry"])
    assert set(obtain()["rules"]) == {"pointer"}


def test_what_the_ledger_does_not_take_still_ends_what_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[SafeholdError] = []

    def full(*_: Any, **__: Any) -> Any:
        raise UnavailableError("the disk is full", rule="ledger.commit")

    def script(_spec: Mapping[str, Any]) -> Iterator[Any]:
        with monkeypatch.context() as patch:
            patch.setattr(type(bench.desk.ledger), "append", full)
            found.append(raised(lambda: contain(bench, "segment", SEGMENT)))
        yield from ()

    bench.workshop.scripts["feature"] = script
    error = raised(lambda: use(bench, spec={}))
    assert error.rule == "containment.unwritten"
    assert found[0].rule == "ledger.commit"
    assert bench.call("containment.list") == {"containments": []}


def test_two_seats_at_once_contain_once(bench: Bench) -> None:
    answers: list[dict[str, Any]] = []
    start = threading.Barrier(2)

    def work(seat: str) -> None:
        start.wait()
        answers.append(contain(bench, "segment", SEGMENT, seat))

    threads = [threading.Thread(target=work, args=(one,)) for one in ("hr", "legal")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(AT_ONCE)
    assert len({one["entry"] for one in answers}) == 1
    assert sorted(one["already"] for one in answers) == [False, True]
    assert bench.leaves().count("containment") == 1
