"""Alerts as leaves: raised once, answered by narrowing once, answered by people, and the same after a restart."""

from __future__ import annotations

import pytest
from tests.agency import Agency
from tests.identities import human
from tests.keeper_desk import PURPOSE, Bench, copy_bench, passed
from tests.watching import Post, used
from tests.world import raised

from safehold.clock import DAY_US
from safehold.keeper.watch_answers import FREEZE, HOLD, PAUSE, REVIEW, SUSPEND


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Bench:
    return used(tmp_path_factory.mktemp("alerts"), knocks=3)


@pytest.fixture
def bench(made, tmp_path):
    bench = copy_bench(made, tmp_path).start()
    yield bench
    bench.stop()


def alert(bench: Bench, **changes):
    events = [index for index, leaf in bench.desk.ledger.leaves() if leaf["k"] == "refusal"]
    return {
        "principal": "caller",
        "signal": "denied_burst",
        "severity": 3,
        "sentence": "3 attempts were refused; 2 are usual",
        "events": events,
        "t_us": bench.clock.now_us(),
        "answers": [REVIEW],
    } | changes


def leaves(bench: Bench, kind: str = "alert"):
    return [(index, leaf) for index, leaf in bench.desk.ledger.leaves() if leaf["k"] == kind]


def test_an_episode_is_one_leaf_however_often_it_is_raised(bench):
    post = Post(bench)
    first = post.call("alert.raise", **alert(bench))
    again = post.call("alert.raise", **alert(bench, sentence="the same, said in other words"))
    assert (first["new"], again["new"]) == (True, False)
    assert first["alert"] == again["alert"]
    ((index, leaf),) = leaves(bench)
    assert index == first["alert"]
    assert leaf["pub"] == {"signal": "denied_burst", "severity": 3, "state": "raised"}
    said = bench.desk.ledger.detail(index)
    assert (said["actor"], said["object"]) == ("sentinel", "caller")
    bench.restart()
    third = Post(bench).call("alert.raise", **alert(bench))
    assert (third["new"], third["alert"]) == (False, index)
    (shown,) = Post(bench).alerts()
    assert shown["sentence"] == "3 attempts were refused; 2 are usual"
    assert b"3 attempts" not in bench.desk.ledger.leaf(index), "the sentence is no public fact"


WRONG = (
    {"severity": 5}, {"severity": -1}, {"signal": "Two Words"}, {"principal": "a b"}, {"principal": ""},
    {"sentence": ""}, {"sentence": "x" * 601}, {"sentence": "two\nlines"}, {"events": []}, {"events": [10**9]},
    {"events": [-1]}, {"answers": ["release"]}, {"answers": "review"}, {"t_us": -1}, {"more": 1},
)  # fmt: skip


def test_what_is_no_alert(bench):
    post = Post(bench)
    for changes in WRONG:
        refused = raised(
            lambda changes=changes: post.call("alert.raise", **alert(bench, **changes))
        )
        assert refused.rule == "alert.shape", changes
    assert not leaves(bench)


def test_an_alert_names_uses_and_attempts_alone(bench):
    choice = next(index for index, leaf in bench.desk.ledger.leaves() if leaf["k"] == "choice")
    refused = raised(lambda: Post(bench).call("alert.raise", **alert(bench, events=[choice])))
    assert refused.rule == "alert.events"


def test_what_waits_is_listed_before_what_was_answered_and_the_gravest_of_it_first(bench):
    post = Post(bench)
    events = alert(bench)["events"]
    made = [
        post.call("alert.raise", **alert(bench, severity=severity, signal=f"signal_{at}", events=events))["alert"]
        for at, severity in enumerate((1, 4, 2, 4, 0))
    ]  # fmt: skip
    bench.call("alert.ack", alert=made[3], reason="looked at it, and it was agreed")

    def listed(**more):
        return [made.index(one["alert"]) for one in bench.call("alert.list", **more)["alerts"]]

    assert listed() == [1, 2, 0, 4, 3]
    assert listed(limit=2) == [1, 2], "the gravest is not pushed out by what is newer"
    assert listed(open=True) == [1, 2, 0, 4]


def test_people_answer_with_a_reason_and_once(bench):
    index = Post(bench).call("alert.raise", **alert(bench))["alert"]
    assert bench.call("alert.list", open=True)["open"] == 1
    assert raised(lambda: bench.call("alert.ack", alert=index, reason=" ")).rule == "alert.reason"
    assert (
        raised(lambda: bench.call("alert.ack", alert=index + 1, reason="looked at it")).rule
        == "alert.missing"
    )
    entry = bench.call("alert.ack", alert=index, reason="a test of the gate, agreed before")[
        "entry"
    ]
    refused = raised(lambda: bench.call("alert.ack", alert=index, reason="once more"))
    assert (refused.rule, refused.entry) == ("alert.acked", entry)
    shown = bench.call("alert.show", alert=index)
    assert shown["state"] == "acked"
    assert shown["acked"] == {
        "entry": entry,
        "by": "caller",
        "reason": "a test of the gate, agreed before",
    }
    assert b"agreed" not in bench.desk.ledger.leaf(entry)
    bench.restart()
    assert bench.call("alert.list", open=True) == {"alerts": [], "open": 0, "of": 1}
    assert bench.call("status")["sentinel"]["alerts"] == {"open": 0, "of": 1}


def test_nobody_answers_about_themselves_or_their_agent(bench):
    agency = Agency(bench)
    ana, eve = human(bench.call, "ana-x", "engineer"), human(bench.call, "eve", "engineer")
    agency.agent("helper", "ana-x")
    post = Post(bench)
    own = post.call("alert.raise", **alert(bench, principal="ana-x"))["alert"]
    agents = post.call("alert.raise", **alert(bench, principal="helper"))["alert"]
    for index in (own, agents):
        assert (
            raised(lambda index=index: ana.ask("alert.ack", alert=index, reason="it is fine")).rule
            == "alert.self"
        )
        eve.ask("alert.ack", alert=index, reason="I asked them")


def test_an_agent_is_suspended_once_and_a_leaf_says_so(bench):
    Agency(bench).person("ana-x")
    helper = Agency(bench).agent("helper", "ana-x")
    said = alert(bench, principal="helper", answers=[SUSPEND, REVIEW])
    first = Post(bench).call("alert.raise", **said)
    refused = raised(lambda: helper.ask("session.show"))
    assert refused.rule == "principal.suspended"
    (_, acted) = leaves(bench)
    assert acted[1]["ref"] == first["alert"]
    assert acted[1]["pub"]["state"] == "acted"
    (step,) = bench.desk.ledger.detail(acted[0])["detail"]["did"]
    assert (step["what"], step["target"]) == ("principal", "helper")
    assert bench.desk.ledger.detail(step["entry"])["actor"] == "sentinel"
    bench.call("principal.restore", principal="helper")
    again = Post(bench).call("alert.raise", **said)
    assert again["acted"] == first["acted"]
    assert helper.ask("session.show")["principal"] == "helper", (
        "what people gave back is not taken again"
    )
    assert bench.call("alert.show", alert=first["alert"])["done"][0]["did"] == [step]


def test_a_crash_between_the_alert_and_its_answer_is_made_good(bench, monkeypatch):
    Agency(bench).person("ana-x")
    Agency(bench).agent("helper", "ana-x")
    answering = bench.verbs.watching.alerts._answering

    def killed(*_given, **_named):
        raise KeyboardInterrupt

    monkeypatch.setattr(answering, "carry_out", killed)
    said = alert(bench, principal="helper", answers=[SUSPEND])
    with pytest.raises(KeyboardInterrupt):
        Post(bench).call("alert.raise", **said)
    bench.restart()
    found = Post(bench).call("alert.raise", **said | {"answers": [REVIEW]})
    assert (found["new"], found["answers"]) == (False, [SUSPEND]), "what was decided then is done"
    assert bench.verbs.principals.find("helper").state == "suspended"


def test_what_is_old_is_for_people(bench):
    Agency(bench).person("ana-x")
    helper = Agency(bench).agent("helper", "ana-x")
    long_ago = bench.clock.now_us() - DAY_US - 1
    found = Post(bench).call(
        "alert.raise", **alert(bench, principal="helper", answers=[SUSPEND], t_us=long_ago)
    )
    assert (found["answers"], found["acted"]) == ([REVIEW], [])
    assert helper.ask("session.show")
    assert bench.call("alert.show", alert=found["alert"])["late"] is True


def test_names_that_many_share_are_nobody_to_suspend(bench):
    found = Post(bench).call("alert.raise", **alert(bench, answers=[SUSPEND]))
    (done,) = bench.call("alert.show", alert=found["alert"])["done"]
    assert done["did"] == [{"answer": SUSPEND, "what": "nothing", "target": ""}]
    assert not leaves(bench, "containment")


@pytest.mark.parametrize("answer", [HOLD, FREEZE])
def test_a_running_use_is_ended_and_nothing_of_it_leaves(bench, answer):
    post, found = Post(bench), []

    def train(_spec):
        intent = max(bench.desk.trust.unanswered())
        events = [intent] if answer == HOLD else alert(bench)["events"]
        found.append(
            post.call(
                "alert.raise", **alert(bench, principal="ana", events=events, answers=[answer])
            )
        )
        yield passed("metrics", values={"type": "metrics", "top1": 0.5})
        yield passed("model", body=b"weights")

    bench.workshop.scripts["train"] = train
    holder = bench.pass_()
    refused = raised(lambda: bench.call("train", **bench.use(holder)))
    assert refused.rule == "containment.run"
    ((index, held),) = leaves(bench, "containment")
    assert held["ref"] == found[0]["alert"]
    outcomes = [leaf["pub"]["outcome"] for _, leaf in leaves(bench, "access.result")]
    assert outcomes[-1] in ("denied", "stopped")
    assert not leaves(bench, "artifact"), "no model was kept"
    (done,) = bench.call("alert.show", alert=found[0]["alert"])["done"]
    assert done["did"][0]["entry"] == index


def test_a_purpose_is_paused(bench):
    holder = bench.pass_()
    grant = bench.desk.trust.grants()[-1]
    found = Post(bench).call(
        "alert.raise", **alert(bench, principal="ana", events=[grant], answers=[PAUSE])
    )
    assert raised(lambda: bench.call("train", **bench.use(holder))).rule == "containment.purpose"
    assert bench.call("alert.show", alert=found["alert"])["done"][0]["did"][0]["target"] == PURPOSE


def test_an_answer_that_cannot_be_done_is_told_and_keeps_no_other_from_it(bench):
    Agency(bench).person("ana-x")
    Agency(bench).agent("helper", "ana-x")
    intent = next(
        index for index, leaf in bench.desk.ledger.leaves() if leaf["k"] == "access.intent"
    )
    found = Post(bench).call(
        "alert.raise",
        **alert(bench, principal="helper", events=[intent], answers=[PAUSE, SUSPEND]),
    )
    (done,) = bench.call("alert.show", alert=found["alert"])["done"]
    assert [step["answer"] for step in done["did"]] == [PAUSE, SUSPEND]
    nobody = Post(bench).call(
        "alert.raise", **alert(bench, principal="no-one", answers=[SUSPEND], signal="other")
    )
    (done,) = bench.call("alert.show", alert=nobody["alert"])["done"]
    assert done["did"][0]["refused"] == "containment.missing"
