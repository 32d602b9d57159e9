"""Whoever wants to read, blind, frame or imitate the sentinel."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.agency import Agency
from tests.identities import human, workload
from tests.keeper_desk import Bench, copy_bench
from tests.watching import READER, Post, knock, used
from tests.world import raised

from safehold.assurance import measure
from safehold.errors import DeniedError, SignInError, UnavailableError
from safehold.keeper import door
from safehold.keeper.caller import SENTINEL
from safehold.keeper.rollback import Closings
from safehold.ledger import Entry, Subject

SENTINELS = {"sentinel.events", "sentinel.done", "sentinel.keep", "sentinel.recall", "alert.raise"}
EVENTS = {"reader": READER, "since": 0}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Bench:
    return used(tmp_path_factory.mktemp("watching"), knocks=25)


@pytest.fixture
def bench(made, tmp_path):
    bench = copy_bench(made, tmp_path).start()
    yield bench
    bench.stop()


def test_the_sentinel_may_watch_and_raise_and_nothing_else(bench):
    assert {verb for verb, kinds in door.KINDS_OF.items() if SENTINEL in kinds} == SENTINELS
    post = Post(bench)
    for verb in sorted(set(door.KINDS_OF) - SENTINELS):
        refused = raised(lambda verb=verb: post.call(verb))
        assert isinstance(refused, DeniedError), verb
        assert refused.rule == "door.sentinel"
    # what it is given has no rows, no text, and no key: words and numbers of a closed form
    for event in post.events()["events"]:
        assert all(isinstance(one, str | int | list | None) for one in event.values())


def test_nobody_is_the_sentinel_without_its_word(bench):
    for word in ("", "00" * 32, "x", None, 5):
        refused = raised(
            lambda word=word: bench.call("sentinel.events", **EVENTS, caller={SENTINEL: word})
        )
        assert isinstance(refused, SignInError)
        assert refused.rule == "door.sentinel"
    post = Post(bench)
    assert post.events()["events"]
    Post(bench)  # the keeper started another one
    assert raised(post.events).rule == "door.sentinel", "the word before counts no more"
    assert (
        raised(
            lambda: bench.call(
                "sentinel.events", **EVENTS, caller={SENTINEL: post.word, "ticket": "x"}
            )
        ).rule
        == "session.shape"
    )
    assert (
        raised(
            lambda: bench.call(
                "principal.enrol",
                principal=SENTINEL,
                kind="human",
                role="engineer",
                names=["key:x"],
            )
        ).rule
        == "principal.id"
    )


def test_who_may_read_events_and_who_may_answer(bench):
    agency = Agency(bench)
    scientist = agency.person("ana-x")
    helper = agency.agent("helper", "ana-x")
    auditor, engineer = human(bench.call, "aud", "auditor"), human(bench.call, "eng", "engineer")
    robot, idle = workload(bench.call, "robot", "engineer"), workload(bench.call, "idle")
    alert = Post(bench)
    alert.read()
    (index,) = [one["alert"] for one in alert.alerts()]
    for verb in sorted(SENTINELS | {"alert.list", "alert.show", "alert.ack"}):
        asked = {**EVENTS, "alert": index, "reason": "all is well"}
        assert raised(lambda verb=verb, asked=asked: helper.ask(verb, **asked)).rule == "door.agent"
        for who in (scientist, idle):
            refused = raised(lambda verb=verb, who=who, asked=asked: who.ask(verb, **asked))
            assert isinstance(refused, DeniedError)
            assert refused.rule in ("door.role", "door.human", "door.workload"), verb
    for who in (auditor, engineer, robot):
        assert who.ask("sentinel.events", **EVENTS)["events"]
        assert who.ask("alert.list")["of"] == 1
        intents = [
            index
            for index, leaf in bench.desk.ledger.leaves()
            if leaf.get("pub", {}).get("action") == "watch"
        ]
        assert bench.desk.ledger.detail(intents[-1])["actor"] == who.id, (
            "each reads under an intent of their own"
        )
    for who in (auditor, engineer):
        assert raised(lambda who=who: who.ask("alert.raise")).rule == "door.human"
    assert (
        raised(lambda: robot.ask("alert.ack", alert=index, reason="all is well")).rule
        == "door.workload"
    )
    auditor.ask("alert.ack", alert=index, reason="it was a test")


def test_in_a_home_that_knows_everybody_only_the_word_opens(bench):
    human(bench.call, "eng", "engineer")
    bench.call("principal.identify")
    for verb in sorted(SENTINELS | {"alert.list", "alert.ack"}):
        assert raised(lambda verb=verb: bench.call(verb, **EVENTS)).rule == "door.identified"
    assert Post(bench).events()["events"]


def test_nothing_is_opened_before_the_witnesses_have_cosigned(bench, monkeypatch):
    desk = bench.desk
    desk.panel = replace(desk.panel, strict=True)
    opened = []
    sealer = type(desk.ledger._sidecar)
    real = sealer.open
    monkeypatch.setattr(
        sealer, "open", lambda self, **given: opened.append(1) or real(self, **given)
    )

    def silent(*_given, **_named):
        raise UnavailableError("they do not answer", rule="ledger.quorum")

    monkeypatch.setattr(type(desk.ledger), "await_cosigned", silent)
    post, size = Post(bench), desk.ledger.size
    for _ in range(3):
        assert raised(post.events).rule == "ledger.quorum"
    assert not opened
    assert desk.ledger.size == size + 1, "it waits with one intent"
    monkeypatch.undo()
    assert post.events()["events"]
    assert desk.ledger.size == size + 1
    post.call("sentinel.done", reader=READER)
    assert [leaf["pub"].get("outcome") for _, leaf in desk.ledger.leaves(size + 1)] == ["ok"]


def test_a_ledger_that_takes_nothing_shows_nothing(bench, monkeypatch):
    def full(*_given, **_named):
        raise UnavailableError("the disk is full", rule="ledger.commit")

    monkeypatch.setattr(type(bench.desk.ledger), "append", full)
    assert raised(Post(bench).events).rule == "ledger.commit"
    monkeypatch.undo()
    assert Post(bench).events()["events"]


def test_a_watch_is_about_nobodys_data(bench):
    entry = Entry(
        kind="access.intent",
        actor="x",
        object="x",
        detail={},
        public={"purpose": "p", "action": "watch"},
    )
    about = replace(entry, subjects=(Subject(key=b"k" * 32),))
    under = replace(entry, ref=bench.desk.trust.grants()[0] if bench.desk.trust.grants() else 0)
    for wrong in (about, under):
        assert (
            raised(lambda wrong=wrong: bench.desk.trust.log_watching(wrong)).rule
            == "watch.subjects"
        )


def test_reading_across_a_stop_breaks_no_promise_and_hides_no_use(bench):
    post = Post(bench)
    post.events()
    bench.call("stop", **bench.order("stop", "privacy"))
    bench.clock.advance(600_000_000)
    assert measure.time_stops(bench.verbs).micro == 0, "its intent goes on, and is no use of data"
    post.call("sentinel.done", reader=READER)
    assert measure.time_stops(bench.verbs).micro == 0
    bench.desk.ledger.append([
        Entry(kind="access.intent", actor="x", object="x", detail={}, public={"purpose": "p"}),
    ])  # fmt: skip
    assert measure.time_stops(bench.verbs).micro == 0
    intent = bench.desk.ledger.size - 1
    bench.desk.ledger.append([
        Entry(kind="access.result", actor="x", object="x", detail={}, public={"outcome": "ok"}, ref=intent),
    ])  # fmt: skip
    assert measure.time_stops(bench.verbs).micro == 600 * 1_000_000


def test_its_results_do_not_hide_an_older_database():
    closings = Closings()
    closings.note(1, {"k": "access.intent", "pub": {"purpose": "p"}})
    closings.note(2, {"k": "access.intent", "pub": {"purpose": "s", "action": "watch"}})
    closings.note(3, {"k": "access.result", "ref": 1, "pub": {"outcome": "ok"}})
    closings.note(4, {"k": "access.result", "ref": 2, "pub": {"outcome": "ok"}})
    assert closings.newest == {"result": 3}


def test_too_many_readers_and_places_that_are_not_there(bench):
    for number in range(16):
        bench.call("sentinel.events", reader=f"{number:032x}", since=0)
    assert (
        raised(lambda: bench.call("sentinel.events", reader="ff" * 16, since=0)).rule
        == "watch.readers"
    )
    for since in (-1, 10**9, "0", None, True):
        assert (
            raised(
                lambda since=since: bench.call("sentinel.events", reader=READER, since=since)
            ).rule
            == "watch.since"
        )
    for reader in ("", "x" * 32, "../../x"):
        assert (
            raised(lambda reader=reader: bench.call("sentinel.events", reader=reader, since=0)).rule
            == "watch.reader"
        )
    post = Post(bench)
    assert raised(lambda: post.call("sentinel.keep", next=10**9, state="")).rule == "watch.since"
    assert raised(lambda: post.call("sentinel.keep", next=0, state="!")).rule == "canonical.base64"


def test_a_flood_of_names_fills_no_memory_and_hides_nobody(bench):
    # a caller invents names by the thousand; whoever knocks is told all the same
    for number in range(40):
        bench.desk.note_refusal(f"p{number}", "train", {"rule": "x"})
    knock(bench, 25)
    post = Post(bench)
    post.read()
    assert ("denied_burst", "caller") in [
        (one["signal"], one["principal"]) for one in post.alerts()
    ]
