"""Whoever may read events, keep a state or raise alerts beside the sentinel makes it neither blind, deaf nor silent."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest
from tests.agency import Agency, with_agents
from tests.identities import workload
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.seated import changed
from tests.watching import Post, knock
from tests.world import raised

from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US
from safehold.errors import ShreddedError, UnavailableError
from safehold.keeper.watch_answers import REVIEW, SUSPEND
from safehold.ledger.store_sqlite import JOURNAL
from safehold.sentinel.reading import Reading

TRIED = "agent_overreach"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Bench:
    bench = found_bench(tmp_path_factory.mktemp("deafened"), charter=with_agents()).start()
    Agency(bench).person("ana-x")
    bench.stop()
    return bench


@pytest.fixture
def bench(made, tmp_path):
    bench = copy_bench(made, tmp_path).start()
    yield bench
    bench.stop()


def overreach(bench: Bench) -> int:
    """An agent tries what no agent may; return the entry that says so."""
    helper = Agency(bench).agent("helper", "ana-x")
    refused = raised(lambda: helper.ask("principal.restore", principal="helper"))
    return int(refused.entry)


def state_of(bench: Bench) -> str:
    return bench.verbs.principals.find("helper").state


def alert(bench: Bench, entry: int, **changes):
    return {
        "principal": "helper",
        "signal": TRIED,
        "severity": 0,
        "sentence": "nothing to see",
        "events": [entry],
        "t_us": bench.clock.now_us(),
        "answers": [REVIEW],
    } | changes


def test_readers_without_end_do_not_keep_the_sentinel_from_reading(bench):
    overreach(bench)
    for number in range(16):
        bench.call("sentinel.events", reader=f"{number:032x}", since=0)
    assert raised(lambda: bench.call("sentinel.events", reader="ff" * 16, since=0)).rule == (
        "watch.readers"
    )
    Post(bench).read()
    assert state_of(bench) == "suspended"


def test_a_sentinel_that_dies_again_and_again_still_reads(bench):
    """Whoever is killed says no goodbye: each new one has a reading of its own."""
    post = Post(bench)
    knock(bench, 1)
    for number in range(40):
        assert post.events(reader=f"{number:032x}")["events"]
    going = [
        index
        for index, leaf in bench.desk.ledger.leaves()
        if index in bench.desk.trust.unanswered() and leaf["pub"].get("action") == "watch"
    ]
    assert len(going) <= 4, "those that were left behind have their result"


def test_an_alert_raised_first_by_somebody_else_does_not_stand_for_the_sentinels(bench):
    entry = overreach(bench)
    bench.call("alert.raise", **alert(bench, entry))
    post = Post(bench)
    post.read()
    assert state_of(bench) == "suspended"
    own = [one for one in post.alerts() if one["signal"] == TRIED]
    assert [one["severity"] for one in own] == [0, 3]
    # and what the sentinel has raised nobody raises again
    assert bench.call("alert.raise", **alert(bench, entry))["alert"] == own[1]["alert"]


@pytest.mark.parametrize("who", ["local", "workload"])
def test_what_somebody_else_keeps_is_not_what_the_sentinel_knows(bench, who):
    call = bench.call if who == "local" else workload(bench.call, "etl", role="engineer").ask
    entry = overreach(bench)
    deaf = Reading()  # it knows of everything, and that it was told
    tree = deaf.snapshot()
    call("sentinel.keep", next=entry + 1, state=b64(tree))
    Post(bench).read()
    assert state_of(bench) == "suspended"
    # they find their own again, and not what the sentinel learnt about everybody
    assert unb64(call("sentinel.recall")["state"]) == tree


def test_an_answer_that_the_ledger_did_not_take_just_then_is_done_later(bench, monkeypatch):
    entry = overreach(bench)
    post = Post(bench)
    raise_ = alert(bench, entry, severity=3, answers=[SUSPEND])

    def full(*_given, **_named):
        raise UnavailableError("the disk is full")

    monkeypatch.setattr(bench.verbs.principals, "change", full)
    assert isinstance(raised(lambda: post.call("alert.raise", **raise_)), UnavailableError)
    monkeypatch.undo()
    assert post.call("alert.raise", **raise_)["new"] is False
    assert state_of(bench) == "suspended"


def test_an_alert_whose_words_are_gone_holds_up_no_other(bench, monkeypatch):
    entry = overreach(bench)
    post = Post(bench)
    first = post.call("alert.raise", **alert(bench, entry, severity=3, answers=[SUSPEND]))
    whole = type(bench.desk.ledger).detail

    def gone(ledger, index):
        if index == first["alert"]:
            raise ShreddedError("its key was destroyed")
        return whole(ledger, index)

    monkeypatch.setattr(type(bench.desk.ledger), "detail", gone)
    again = post.call("alert.raise", **alert(bench, entry))
    assert (again["alert"], again["new"], again["acted"]) == (first["alert"], False, [])


def test_how_alerts_stand_is_told_while_one_is_answered(bench, monkeypatch):
    """What it ends may take its time; whoever asks after the house in between is not kept waiting."""
    entry = overreach(bench)
    post, seen = Post(bench), []

    def slow(*_given, **_named):
        asking = threading.Thread(target=lambda: seen.append(bench.call("status")["sentinel"]))
        asking.start()
        asking.join(20)
        seen.append(bench.call("alert.list")["open"])
        return []

    monkeypatch.setattr(bench.verbs.watching.alerts._answering, "carry_out", slow)
    post.call("alert.raise", **alert(bench, entry, severity=3, answers=[SUSPEND]))
    assert [one if type(one) is int else one["alerts"]["open"] for one in seen] == [1, 1]


@pytest.mark.parametrize("how", ["changed", "taken away"])
def test_whoever_damages_what_rests_does_not_blind_it(bench, how):
    """A storage operator spoils one entry: all others are read, and that one is told."""
    knock(bench, 3)
    spoilt = bench.desk.ledger.size - 1
    entry = overreach(bench)
    bench.stop()
    with closing(sqlite3.connect(bench.home.ledger / JOURNAL)) as base:
        (first,) = base.execute(
            "SELECT max(first) FROM sidecar WHERE first <= ?", (spoilt,)
        ).fetchone()
        assert first == spoilt
        base.execute(
            "DELETE FROM sidecar WHERE first = ?"
            if how == "taken away"
            else "UPDATE sidecar SET body = zeroblob(200) WHERE first = ?",
            (first,),
        )
        base.commit()
    bench.start()
    post = Post(bench)
    post.read()
    assert state_of(bench) == "suspended"
    (told,) = [one for one in post.alerts() if one["signal"] == "entry_damaged"]
    assert (told["severity"], told["principal"], told["answers"]) == (4, "unnamed", [REVIEW])
    assert bench.call("alert.show", alert=told["alert"])["events"] == [spoilt]
    assert entry > spoilt
    # read again from the first it is the same alert
    bench.home.sentinel_file.unlink()
    Post(bench).read()
    assert len([one for one in post.alerts() if one["signal"] == "entry_damaged"]) == 1


def test_a_file_of_somebody_else_is_not_taken_for_the_sentinels(bench):
    bench.call("sentinel.keep", next=1, state=b64(Reading().snapshot()))
    (theirs,) = bench.home.path.glob("sentinel-*")
    bench.home.sentinel_file.write_bytes(theirs.read_bytes())
    assert Post(bench).call("sentinel.recall") == {"next": 0, "state": None, "lost": "changed"}


def test_no_reading_outlasts_a_clock_that_went_back(bench):
    knock(bench, 1)
    post = Post(bench)
    bench.clock.advance(SECOND_US)
    post.events()
    (going,) = bench.desk.trust.unanswered()
    bench.clock.advance(-SECOND_US)
    post.events()
    assert going not in bench.desk.trust.unanswered()


def test_a_reading_ends_with_the_charter_that_allowed_it(bench):
    knock(bench, 1)
    post = Post(bench)
    post.events()
    (going,) = bench.desk.trust.unanswered()
    bench.enact(changed(bench.charter(), title="Another title of the same charter"))
    knock(bench, 1)
    post.events()
    (now,) = bench.desk.trust.unanswered()
    assert now != going
