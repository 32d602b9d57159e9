"""Hard limits, what alerts are answered by, and a reading that goes on from a snapshot."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.world import raised

from safehold.errors import InvalidError
from safehold.keeper.caller import AGENT
from safehold.keeper.door import KINDS_OF
from safehold.sentinel.alert import Alert
from safehold.sentinel.answers import Answers
from safehold.sentinel.event import Event
from safehold.sentinel.limits import CHANGING, LIMITS, MINUTE_US, MOST, QUIET_US, SHOWN, Limits
from safehold.sentinel.reading import Reading, read_event
from safehold.sentinel.response import FREEZE, HOLD, REVIEW, SUSPEND

START = 1_790_000_000_000_000


def event(number: int, *, after_s: float = 1.0, **changes) -> Event:
    fields = {
        "number": number,
        "t_us": START + int(number * after_s * 1e6),
        "principal": "eve",
        "kind": "human",
        "action": "train",
        "outcome": "denied",
    }
    return Event(**fields | changes)


def told(events: list[Event]) -> list[Alert]:
    limits = Limits()
    return [alert for one in events for alert in limits.observe(one)]


def test_twenty_refusals_within_ten_minutes_are_told_at_once():
    assert told([event(number) for number in range(19)]) == []
    (alert,) = told([event(number) for number in range(60)])
    assert (alert.signal, alert.severity, alert.principal) == ("denied_burst", 3, "eve")
    assert alert.events == tuple(range(20))
    assert alert.t_us == event(19).t_us
    assert told([event(number, after_s=32) for number in range(60)]) == [], "slowly is no burst"
    assert told([event(number, principal=f"p{number}") for number in range(60)]) == []


def test_it_is_told_again_when_it_gets_worse_or_an_hour_later():
    alerts = told([event(number) for number in range(110)])
    assert [alert.severity for alert in alerts] == [3, 4]
    assert len(alerts[-1].events) == SHOWN
    burst = [event(number, after_s=20) for number in range(20)]
    later = [event(number, after_s=20) for number in range(400, 420)]
    assert QUIET_US < 400 * 20 * 1_000_000
    assert [alert.events[-1] for alert in told([*burst, *later])] == [19, 419]


@pytest.mark.parametrize(
    ("signal", "changes"),
    [
        ("vectors_asked", {"action": "embedding.export"}),
        ("pull_refused", {"action": "artifact.download"}),
        ("agent_overreach", {"kind": "agent", "action": "principal.restore"}),
        ("agent_overreach", {"kind": "agent", "action": "alert.ack"}),
        ("agent_overreach", {"kind": "agent", "action": "grant.revoke"}),
    ],
)
def test_some_things_are_told_the_first_time(signal, changes):
    (alert,) = told([event(1, **changes)])
    assert (alert.signal, alert.events) == (signal, (1,))
    assert "once" in alert.sentence
    assert told([event(1, **changes | {"outcome": "ok"})]) == []


def test_a_person_may_try_what_an_agent_may_not():
    assert told([event(1, action="principal.restore")]) == []
    assert told([event(1, kind="agent", action="train")]) == []


def test_an_agent_without_end():
    calls = [event(number, kind="agent", outcome="ok", after_s=0.5) for number in range(130)]
    (alert,) = told(calls)
    assert (alert.signal, alert.severity) == ("agent_runaway", 4)
    assert told([event(number, outcome="ok", after_s=0.01) for number in range(500)]) == []


def test_a_machine_that_was_given_back_is_told_again_soon():
    """Else whoever is restored at once would have the rest of an hour in which nothing answers it."""
    for kind, minutes in (("agent", 10), ("workload", 10), ("human", 60)):
        found = [
            one.t_us
            for one in told(
                [
                    event(number, kind=kind, action="embedding.export", after_s=10.0)
                    for number in range(60 * 6 + 10)
                ]
            )
            if one.signal == "vectors_asked"
        ]
        # once at first, once when it got worse, then after each quiet time
        assert found[2] - found[1] == minutes * MINUTE_US, kind


def test_an_agent_that_read_and_then_tries_to_send():
    read = event(1, kind="agent", outcome="ok", action="run.train", rows=50)
    send = event(2, kind="agent", action="artifact.download")
    assert [one.signal for one in told([read, send])] == ["pull_refused", "read_then_send"]
    late = event(2, kind="agent", action="artifact.download", t_us=read.t_us + 16 * MINUTE_US)
    assert [one.signal for one in told([read, late])] == ["pull_refused"]


def test_its_memory_is_bounded():
    limits = Limits()
    for number in range(MOST + 50):
        limits.observe(event(number, principal=f"p{number}", after_s=0.001))
    assert len(limits.to_json()["seen"]) == MOST
    for number in range(5_000):
        limits.observe(event(number, principal="q", after_s=0.001))
    assert (
        len(dict(limits.to_json()["seen"])["q"]["denied_burst"])
        <= 25 * LIMITS["denied_burst"].count
    )


def test_a_snapshot_of_something_else_is_refused():
    for data in (
        b"",
        b"[]",
        b"{}",
        b'{"format": "safehold.reading/1"}',
        b'{"limits": {}, "detector": "!"}',
    ):
        with pytest.raises(InvalidError):
            Reading.restore(data)
    with pytest.raises(InvalidError):
        Limits.from_json({"seen": 1})
    whole = Reading().snapshot().replace(b"safehold.reading/1", b"safehold.reading/0")
    assert raised(lambda: Reading.restore(whole)).rule == "sentinel.snapshot"


def test_what_is_no_event():
    good = {name: getattr(event(1), name) for name in Event.__dataclass_fields__} | {
        "objects": ["a"]
    }
    assert read_event(good).objects == ("a",)
    for changes in ({"kind": "seat"}, {"outcome": "maybe"}, {"more": 1}):
        assert raised(lambda changes=changes: read_event(good | changes)).rule == "sentinel.event"
    assert raised(lambda: read_event({"number": 1})).rule == "sentinel.event"


ACTIONS = (
    "train",
    "run.train",
    "embedding.export",
    "artifact.download",
    "principal.restore",
    "tool.train",
    "join",
)
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 900), st.sampled_from(("eve", "bot", "ana")), st.sampled_from(ACTIONS), st.booleans()
    ),
    min_size=1,
    max_size=120,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(drawn=EVENTS, cuts=st.sets(st.integers(0, 119), max_size=4))
def test_stopped_anywhere_it_goes_on_with_the_same_alerts(drawn, cuts):
    events, t_us = [], START
    for number, (gap, who, action, denied) in enumerate(drawn):
        t_us += gap * 1_000_000
        events.append(
            event(
                number, t_us=t_us, principal=who, kind="agent" if who == "bot" else "human", action=action,
                outcome="denied" if denied else "ok", rows=0 if denied else 10,
            )
        )  # fmt: skip
    whole, cut = Reading(), Reading()
    expected = [alert for one in events for alert in whole.observe(one)]
    found = []
    for number, one in enumerate(events):
        if number in cuts:
            cut = Reading.restore(cut.snapshot())
        found += cut.observe(one)
    assert found == expected
    assert len({alert.key for alert in found}) == len(found), "an episode has a name of its own"


def alert_of(signal: str, severity: int = 3) -> Alert:
    return Alert(t_us=1, principal="x", signal=signal, severity=severity, sentence="x", events=(1,))


def test_people_are_reviewed_and_machines_are_stopped():
    plain = Answers()
    for signal in (*LIMITS, "export", "agent", "denied", "unheard-of"):
        assert plain.of(alert_of(signal, 4), "human") == (REVIEW,)
    assert plain.of(alert_of("denied_burst"), "agent") == (SUSPEND, REVIEW)
    assert plain.of(alert_of("agent_overreach"), "agent") == (SUSPEND, FREEZE, REVIEW)
    assert plain.of(alert_of("export"), "workload")[0] == HOLD
    assert plain.of(alert_of("unheard-of"), "agent") == (REVIEW,)


def test_a_house_turns_answers_down_and_never_up():
    down = Answers.from_json({"v": "safehold.answers/1", "review": ["denied_burst"]})
    assert down.of(alert_of("denied_burst"), "agent") == (REVIEW,)
    assert down.of(alert_of("agent_overreach"), "agent")[0] == SUSPEND
    everything = Answers.from_json({"v": "safehold.answers/1", "review": ["*"]})
    assert everything.of(alert_of("agent_overreach"), "agent") == (REVIEW,)
    for tree in (
        {},
        [],
        {"v": "safehold.answers/1", "review": [], "suspend": ["x"]},
        {"v": "safehold.answers/1", "review": [1]},
    ):
        assert raised(lambda tree=tree: Answers.from_json(tree)).rule == "sentinel.answers"


def test_every_verb_that_no_agent_may_ask_is_overreach_or_no_more_than_a_look():
    looks = {
        "agent.list", "artifact.list", "artifact.show", "dataset.lineage", "dataset.list", "document.list",
        "drift", "evidence.build", "evidence.controls", "evidence.history", "grant.due", "grant.list", "grant.show",
        "ledger.audit", "ledger.show", "milestones",
        "purpose.explain", "refusal.list", "request.list", "request.narrower", "request.quote", "status",
    }  # fmt: skip
    uses = {
        "portal.head",  # a portal says how far its own journal goes
        # what portals leave for each other
        "portal.begin", "portal.count", "portal.end", "portal.hold", "portal.notes", "portal.put", "portal.spend",
        "artifact.pull", "attack.canary", "enclave.run", "feature", "federate.identity", "join.psi-sum", "join.sum",
        "tool.refused",
    }  # fmt: skip
    found = {
        verb
        for verb, kinds in KINDS_OF.items()
        if AGENT not in kinds and not verb.startswith(CHANGING)
    }
    assert found == looks | uses
