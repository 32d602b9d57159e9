"""An emergency lifts waiting and nothing else: every attempt to widen one is refused by a rule, and is a leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests import boardroom
from tests.access_desk import BOTH, Asked, Office, found_office, scripted
from tests.agency import Agency, with_agents
from tests.boardroom import request
from tests.keeper_desk import CROWD, Bench, found_bench
from tests.seated import founding

from safehold import canonical
from safehold.access import Agent, Grant, Human, PeopleFilter, Workload, authorise, check_grant
from safehold.access.grant import MINUTE_US, WAIT_US
from safehold.access.review import Review, review
from safehold.app.draft import Limits, draft_grant
from safehold.charter import Charter, compile  # noqa: A004
from safehold.charter.prove import prove
from safehold.charter.review import review as problems
from safehold.clock import SECOND_US
from safehold.errors import ConsentError, DeniedError, InvalidError, RedLineError
from safehold.signing import SigningKey

SEGMENT = "us-ca.feature"
GLASS = {"approvers": 1, "seats": ["security", "privacy"], "max_s": 900, "reviews": 2}
ANA = Human(id="ana", role="data_scientist")


def allowing(charter: Charter, **changes: Any) -> Charter:
    """Return a charter that knows emergencies."""
    tree = canonical.decode(canonical.encode(charter.to_json()))
    tree["oversight"]["break_glass"] = GLASS | changes
    return Charter.from_json(tree)


def urgent(office: Office, *, people: PeopleFilter | None = None, **changes: Any) -> Asked:
    """Ask in an emergency."""
    minutes, now = changes.get("minutes", 15), office.bench.clock.now_us()
    terms = {
        "requester": ANA,
        "break_glass": True,
        "segments": (SEGMENT,),
        "minutes": minutes,
        "max_runs": 1,
        "asked_us": now,
        "expires_us": now + WAIT_US + minutes * MINUTE_US,
    }
    return office.ask(people, **terms | changes)


def seen(office: Office, name: str, seat: str) -> Review:
    return review(
        name,
        bytes.fromhex(office.call("grant.show", grant=name)["digest"]),
        seat,
        office.bench.seats[seat],
        outcome="as_stated",
        now_us=office.bench.clock.now_us(),
    )


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    bench = found_office(tmp_path_factory.mktemp("glass"), allowing(founding()))
    yield Office(scripted(bench.start()))
    bench.stop()


ASKED: dict[str, tuple[str, Callable[[Office], Any]]] = {
    "two segments": (
        "emergency.segment",
        lambda o: urgent(o, segments=(SEGMENT, "us-wa.feature")),
    ),
    "sixteen minutes": ("emergency.length", lambda o: urgent(o, minutes=16)),
    "two runs": ("emergency.runs", lambda o: urgent(o, max_runs=2)),
    "a program": (
        "emergency.person",
        lambda o: urgent(o, requester=Workload(id="nightly", role="data_scientist")),
    ),
    "a purpose that the charter has not": (
        "charter.purpose",
        lambda o: urgent(o, purpose="employment"),
    ),
    "one person, across the red line": (
        "grant.people_few",
        lambda o: urgent(o, people=listed(o, CROWD[:1])),
    ),
    "without a reason": ("grant.reason", lambda o: urgent(o, reason="x")),
}


def listed(office: Office, names: Any) -> PeopleFilter:
    find = office.bench.desk.people.find
    return PeopleFilter(people=tuple(sorted(find(one) for one in names)))


@pytest.mark.parametrize("what", sorted(ASKED))
def test_nothing_wider_is_given_for_being_urgent(office: Office, what: str) -> None:
    rule, attempt = ASKED[what]
    office.refused(lambda: attempt(office), rule)


def test_an_agent_never_asks_in_an_emergency(office: Office) -> None:
    agent = Agent(id="bot", operator="ana")
    office.refused(lambda: urgent(office, requester=agent), "principal.unknown")


def test_an_enrolled_agent_has_no_part_in_an_emergency(tmp_path: Path) -> None:
    """Not by asking for one itself, and not under one of its operator's."""
    bench = found_bench(tmp_path, charter=allowing(with_agents())).start()
    try:
        _agents_in_an_emergency(bench)
    finally:
        bench.stop()


def _agents_in_an_emergency(bench: Bench) -> None:
    house = Agency(bench)
    ana = house.person("ana")
    helper = house.agent("helper", "ana")
    refused = Office(bench).refused
    parent, _ = house.operator(ana)
    below = replace(house.below(helper, parent.id), max_runs=1, segments=(SEGMENT,))
    ends = below.asked_us + 15 * MINUTE_US
    below = replace(below, minutes=15, expires_us=ends, break_glass=True)
    refused(lambda: helper.ask("request.new", grant=below.to_json()), "emergency.person")
    now = bench.clock.now_us()
    terms = {"minutes": 15, "max_runs": 1, "segments": (SEGMENT,), "break_glass": True}
    glass = house.draft(ana, **terms, expires_us=now + 15 * MINUTE_US, id="grant_glass")
    house.give(ana, glass)
    ordinary = replace(below, break_glass=False, parent=glass.id)
    refused(lambda: helper.ask("request.new", grant=ordinary.to_json()), "agent.review")


def test_a_draft_names_one_segment_that_there_is() -> None:
    known: dict[str, Any] = {
        "requester": "ana",
        "purpose": "train_ui_agent",
        "reason": "outage, ticket 77",
        "holder": SigningKey.generate(),
        "minutes": 15,
        "limits": Limits(runs=1),
        "break_glass": True,
    }
    charter = allowing(founding())
    grant = draft_grant(charter, segment=SEGMENT, **known)
    assert (grant.segments, grant.break_glass) == ((SEGMENT,), True)
    assert check_grant(grant, charter).approvers == 1
    for segment in ("us-ca.key", "de.feature", ""):
        with pytest.raises(InvalidError) as caught:
            draft_grant(charter, segment=segment, **known)
        assert caught.value.rule == "request.segment"


def test_whoever_asked_and_seats_that_are_not_named_do_not_approve(office: Office) -> None:
    asked = urgent(office, requester=Human(id="privacy", role="data_scientist"))
    office.refused(lambda: office.vote(asked, "privacy"), "approval.requester")
    office.refused(lambda: office.vote(asked, "legal"), "emergency.seat")
    office.refused(lambda: office.enact(asked), "approval.quorum")
    office.vote(asked, "hr", "deny")  # any seat may still say no
    office.refused(lambda: office.vote(asked, "security"), "approval.denied")


def test_an_ordinary_request_is_not_hurried(office: Office) -> None:
    asked = office.ask(requester=Human(id="slow", role="data_scientist"))
    office.vote(asked, "security")
    office.refused(lambda: office.enact(asked), "approval.quorum")


def test_an_emergency_opens_an_incident_and_waits_for_two_reviews(office: Office) -> None:
    before = office.ask(requester=ANA)  # asked in the ordinary way, and approved
    office.vote(before, "privacy")
    office.vote(before, "security")
    asked = urgent(office)
    name = asked.grant.id
    assert office.call("request.show", request=name)["needed"] == 1
    office.vote(asked, "security")
    ledger = office.bench.desk.ledger
    start = ledger.size
    holder = office.enact(asked)
    leaves = list(ledger.leaves(start))
    assert [leaf["k"] for _, leaf in leaves[:3]] == ["request", "grant", "incident"]
    index, incident = leaves[2]
    assert incident["pub"] == {"state": "open"}
    told = ledger.detail(index)
    assert told["object"] == name
    assert told["detail"] == {"cause": "break-glass", "severity": 1, "reason": asked.grant.reason}
    office.enact(asked)  # minted again: no second incident
    assert len([1 for _, leaf in ledger.leaves(start) if leaf["k"] == "incident"]) == 1

    shown = office.call("grant.show", grant=name)
    assert shown["stated"]["break_glass"] is True
    assert shown["review"]["state"] == "later"
    # while it is open nothing else is given: not what is asked now, nor what was approved before
    office.refused(lambda: office.ask(requester=ANA), "review.overdue")
    office.refused(lambda: office.enact(before), "review.overdue")
    given = seen(office, name, "legal")
    office.refused(lambda: office.call("grant.review", review=given.to_json()), "review.early")

    office.train(holder)
    office.refused(lambda: office.train(holder), "grant.runs")
    office.bench.clock.advance(16 * MINUTE_US + SECOND_US)
    office.refused(lambda: office.train(holder), "capability.expired")
    office.refused(lambda: office.enact(asked), "grant.closed")

    barred = seen(office, name, "security")
    office.refused(
        lambda: office.call("grant.review", review=barred.to_json()), "review.independent"
    )
    office.call("grant.review", review=seen(office, name, "legal").to_json())
    shown = office.call("grant.show", grant=name)
    assert (shown["review"]["state"], shown["review"]["missing"]) == ("due", 1)
    assert name in [one["grant"] for one in office.call("grant.due")["due"]]
    office.refused(lambda: office.ask(requester=ANA), "review.overdue")
    again = seen(office, name, "legal")
    office.refused(lambda: office.call("grant.review", review=again.to_json()), "review.twice")
    assert office.bench.desk.trust.roster.seat("hr").person == BOTH  # who holds that of law too
    same = seen(office, name, "hr")
    office.refused(lambda: office.call("grant.review", review=same.to_json()), "review.twice")
    office.call("grant.review", review=seen(office, name, "ml_lead").to_json())
    assert office.call("grant.show", grant=name)["review"]["state"] == "reviewed"
    assert office.ask(requester=ANA)


def test_an_emergency_that_nobody_used_is_reviewed_all_the_same(office: Office) -> None:
    who = Human(id="unused", role="data_scientist")
    asked = urgent(office, requester=who)
    office.vote(asked, "privacy")
    office.enact(asked)
    office.call("grant.revoke", grant=asked.grant.id)
    assert asked.grant.id in [one["grant"] for one in office.call("grant.due")["due"]]
    office.refused(lambda: urgent(office, requester=who), "review.overdue")


def test_one_seat_ends_emergencies_and_then_there_are_none(office: Office) -> None:
    """The last of this file: the charter says never from here on."""
    old = urgent(office, requester=Human(id="late", role="data_scientist"))
    office.vote(old, "security")
    board = office.bench.charter().to_json()["oversight"] | {"break_glass": "never"}
    office.bench.enact(office.bench.changed(oversight=board), "legal")
    assert office.bench.charter().oversight.break_glass is None
    office.refused(lambda: urgent(office), "emergency.never")
    office.refused(lambda: office.enact(old), "grant.charter")


def test_a_tampered_record_says_nothing_of_an_emergency() -> None:
    tree = boardroom.grant().to_json()
    assert "break_glass" not in tree  # what was signed before keeps its bytes
    for wrong in (False, 1, "yes"):
        with pytest.raises(InvalidError):
            Grant.from_json(tree | {"break_glass": wrong})
    assert Grant.from_json(tree | {"break_glass": True}).digest() != boardroom.grant().digest()


def test_check_grant_alone_refuses_agents_and_charters_that_say_never() -> None:
    charter = allowing(boardroom.charter())
    base = boardroom.grant(break_glass=True, minutes=15, max_runs=1, charter=charter.digest().hex())
    base = replace(base, expires_us=base.asked_us + 15 * MINUTE_US)
    assert check_grant(base, charter).approvers == 1
    assert check_grant(replace(base, break_glass=False), charter).approvers == 2
    never = replace(base, charter=boardroom.charter().digest().hex())
    under = replace(base, depth=1, parent="grt_0")
    known = allowing(with_agents())
    agent = replace(
        base,
        requester=Agent(id="bot", operator="ana"),
        depth=1,
        parent="grt_0",
        charter=known.digest().hex(),
    )
    assert known.least_approvals("agent") == 2  # of an agent's grants nothing changes
    for grant, said, rule in (
        (never, boardroom.charter(), "emergency.never"),
        (under, charter, "emergency.person"),
        (agent, known, "emergency.person"),
        (replace(agent, depth=0, parent=""), known, "emergency.person"),
    ):
        with pytest.raises(DeniedError) as caught:
            check_grant(grant, said)
        assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"people": 49}, RedLineError),
        ({"action": "read_raw"}, RedLineError),
        ({"action": "bulk_export"}, RedLineError),
        ({"action": "join_external"}, RedLineError),
        ({"silos": ("hr",)}, RedLineError),
        ({"purpose": "fides:employment"}, RedLineError),
        ({"purpose": "sh:infer_emotion"}, RedLineError),
        ({"purposes": ("train_ui_agent", "fides:marketing")}, RedLineError),
        ({"consent": False}, ConsentError),
        ({"jurisdictions": ("US-CA", "DE")}, DeniedError),
        ({"assurance": "E1"}, DeniedError),
    ],
)
def test_red_lines_and_guards_hold_in_an_emergency(changes: dict[str, Any], kind: type) -> None:
    policy = compile(allowing(boardroom.charter()))
    asked = request(claims=replace(boardroom.claims(), approvals=1, charter=policy.digest))
    assert authorise(policy, asked).rules
    with pytest.raises(kind):
        authorise(policy, replace(asked, **changes))
    with pytest.raises(DeniedError):
        authorise(policy, replace(asked, claims=replace(asked.claims, approvals=0)))


@pytest.mark.parametrize("name", ["demo", "example"])
def test_the_policy_is_the_same_but_for_one_number(name: str) -> None:
    """Line for line: the least number of approvals is all that a policy knows of emergencies."""
    never = boardroom.charter(name)
    same = compile(allowing(never, approvers=2)).cedar
    assert same == compile(never).cedar
    before, after = compile(never).cedar.splitlines(), compile(allowing(never)).cedar.splitlines()
    assert len(before) == len(after)
    changed = [(one, two) for one, two in zip(before, after, strict=True) if one != two]
    assert changed
    for one, two in changed:
        assert one.replace("context.grant_approvals < 2", "context.grant_approvals < 1") == two
    assert not [two for _, two in changed if 'Role::"agent"' in two]


def test_every_promise_is_proved_for_a_charter_that_knows_emergencies() -> None:
    proof = prove(compile(allowing(boardroom.charter())))
    assert [one.plain for one in proof.held if "data_scientist has 1 approvals" in one.plain]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"max_s": 901}, "length"),
        ({"max_s": 59}, "length"),
        ({"reviews": 1}, "reviews"),
        ({"reviews": 6}, "reviews"),
        ({"approvers": 0}, "approvers"),
        ({"approvers": 3}, "approvers"),
        ({"seats": ["privacy", "privacy"]}, "seats"),
        ({"seats": []}, "seats"),
    ],
)
def test_a_charter_that_lets_an_emergency_do_more_is_refused(
    changes: dict[str, Any], rule: str
) -> None:
    charter = allowing(boardroom.charter())
    glass = replace(
        charter.oversight.break_glass,
        **{key: tuple(one) if isinstance(one, list) else one for key, one in changes.items()},
    )
    made = replace(charter, oversight=replace(charter.oversight, break_glass=glass))
    assert f"charter.break_glass.{rule}" in {one.rule for one in problems(made)}
    assert not list(problems(charter))
