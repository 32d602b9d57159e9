"""An incident ends when two people say so and not before; its clocks run; its list leaves nobody out and tells nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.access_desk import BOTH, found_office, scripted
from tests.incident_desk import Response, refused, write
from tests.keeper_desk import DAY_US, Bench, copy_bench

from safehold.keeper.caller import AGENT, WORKLOAD, Caller
from safehold.keeper.door import KINDS_OF, OF_INCIDENTS, ON_INCIDENTS
from safehold.ledger import Entry
from safehold.signing import SigningKey


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_office(tmp_path_factory.mktemp("incidents"))


@pytest.fixture
def office(made: Bench, tmp_path: Path) -> Iterator[Response]:
    bench = scripted(copy_bench(made, tmp_path).start())
    yield Response(bench)
    bench.stop()


# how it ends


def test_it_does_not_end_before_everything_is_there(office: Response) -> None:
    one = office.open()
    refused(lambda: office.close(one, "security"), "incident.missing")
    office.ready(one)
    action = office.call("incident.action", incident=one, text="close the door")["entry"]
    refused(lambda: office.close(one, "security"), "incident.missing")
    office.call("incident.action", incident=one, text="closed", done=action)
    held = office.contain(one)
    refused(lambda: office.close(one, "security"), "incident.missing")
    assert str(held) in office.show(one)["missing"][0]
    # left in force for good, by whoever closes it; both must mean the same
    office.close(one, "security", keeps=(held,))
    refused(lambda: office.close(one, "ml_lead"), "incident.missing")
    assert office.close(one, "ml_lead", keeps=(held,))["state"] == "closed"
    assert office.show(one)["closed_us"] is not None


def test_one_person_does_not_end_it_whatever_seats_they_hold(office: Response) -> None:
    one = office.ready(office.open())
    assert office.close(one, "legal")["agreed"] == 1
    # nor do two who mean two different things
    refused(lambda: office.close(one, "security", keeps=(1,)), "incident.agreed")
    refused(lambda: office.close(one, "legal"), "incident.twice")
    assert office.bench.desk.trust.roster.seat("hr").person == BOTH  # who holds that of law too
    refused(lambda: office.close(one, "hr"), "incident.twice")
    assert office.show(one)["state"] == "recovering"


def test_whoever_opened_it_or_is_what_it_is_about_does_not_end_it(office: Response) -> None:
    seats = office.bench.desk.trust.roster
    one = office.open(scope={"principals": [seats.seat("security").person]})
    office.ready(one)
    refused(lambda: office.close(one, "security"), "incident.independent")
    # a review of misuse opens one by itself, for the seat that wrote it
    desk = office.bench.desk
    (opened,) = desk.log(
        Entry(
            kind="incident",
            actor="ml_lead",
            object="grant",
            detail={"cause": "review", "grant": 0},
            charter=desk.trust.digest(),
            public={"severity": 2, "state": "open"},
        )
    )
    office.ready(opened.index)
    refused(lambda: office.close(opened.index, "ml_lead"), "incident.independent")
    office.close(opened.index, "privacy")
    assert office.close(opened.index, "security")["state"] == "closed"


def test_no_agent_and_no_pipeline_works_on_one(office: Response) -> None:
    door = office.bench.verbs.door
    for verb in (*OF_INCIDENTS, *ON_INCIDENTS):
        assert KINDS_OF[verb].isdisjoint({AGENT, WORKLOAD})
    for verb in ("incident.close", "incident.lower", "incident.notice", "incident.letters"):
        who = Caller(kind=AGENT, id="bot", role="agent", operator="ana")
        refused(lambda verb=verb, who=who: door.check(verb, who, {}), "door.agent")


def test_a_signature_counts_for_what_was_seen_and_for_nothing_else(office: Response) -> None:
    one, other = office.ready(office.open()), office.ready(office.open())
    said = office.statement(one, "close", "security", {"keeps": []})
    hand = lambda tree: lambda: office.call("incident.close", incident=one, statement=tree)  # noqa: E731
    refused(
        lambda: office.call("incident.close", incident=other, statement=said), "incident.statement"
    )
    refused(hand({**said, "seat": "privacy"}), "incident.signature")
    refused(hand({**said, "seat": "nobody"}), "incident.seat")
    thief = SigningKey.generate()
    refused(
        hand(office.statement(one, "close", "security", {"keeps": []}, key=thief)),
        "incident.signature",
    )
    refused(
        hand(office.statement(one, "close", "security", {"keeps": []}, home="another")),
        "incident.statement",
    )
    refused(hand(office.statement(one, "lower", "security", {"keeps": []})), "incident.statement")
    old = office.bench.clock.now_us() - DAY_US - 1
    refused(
        hand(office.statement(one, "close", "security", {"keeps": []}, at_us=old)), "incident.time"
    )
    office.close(one, "privacy")
    office.call("incident.action", incident=one, text="one more thing")  # both have not seen this
    refused(hand(said), "incident.basis")
    assert office.show(one)["agreed"] == []


def test_a_leaf_out_of_turn_changes_nothing(office: Response) -> None:
    one = office.open()
    before = office.show(one)
    for facts in (
        {"step": "close"},
        {"step": "move", "state": "recovering"},
        {"step": "move", "state": "closed"},
        {"step": "lower", "severity": 5},
        {"step": "severity", "severity": 5},
        {"step": "agree", "about": "close"},
        {"step": "done"},
        {"step": "notice", "notice": "nobody", "decision": "sent"},
        {"step": "reopen"},
        {"step": "unheard"},
        {"state": "open"},  # a second opening that hangs on the first is none
    ):
        write(office, one, **facts)
    after = office.show(one)
    assert after["steps"] == before["steps"]
    assert (after["state"], after["severity"]) == ("open", 2)
    assert len(office.call("incident.list")["incidents"]) == 1
    office.ready(one)
    office.close(one, "security")
    write(office, one, step="close")  # one seat's word is not two
    assert office.show(one)["state"] == "recovering"
    assert office.close(one, "ml_lead")["state"] == "closed"


def test_less_grave_takes_two_people_and_graver_takes_anybody(office: Response) -> None:
    one = office.open(severity=3)
    office.call("incident.severity", incident=one, severity=1, text="worse than we thought")
    refused(
        lambda: office.call("incident.severity", incident=one, severity=2, text="not so bad"),
        "incident.lower",
    )
    less = {"severity": 4, "why": "it was a test"}
    assert office.sign(one, "lower", "security", less)["severity"] == 1
    refused(lambda: office.sign(one, "lower", "security", less), "incident.twice")
    # two words about two different severities are no agreement
    assert office.sign(one, "lower", "privacy", {**less, "severity": 3})["severity"] == 1
    assert office.sign(one, "lower", "ml_lead", less)["severity"] == 4
