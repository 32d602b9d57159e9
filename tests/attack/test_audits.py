"""An audit is nobody's to forge, to swap, to shop for or to put off; and an overdue one holds access tight by itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tests.access_desk import found_office, scripted
from tests.audit_desk import HELD, Audited, auditor
from tests.keeper_desk import Bench, copy_bench
from tests.world import raised

from safehold.access import Human
from safehold.canonical import b64
from safehold.keeper import tables
from safehold.keeper.audits import KIND
from safehold.keeper.caller import AGENT
from safehold.keeper.door import KINDS_OF
from safehold.ledger import Entry
from safehold.signing import SigningKey
from safehold_verify import VerificationError, verify_log
from safehold_verify.opinion import verify_opinion

FIVE = ("security", "privacy", "legal", "ml_lead", "employee_representative")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = found_office(tmp_path_factory.mktemp("audits")).start()
    bench.call("ledger.close-epoch")
    bench.stop()
    return bench


@pytest.fixture
def desk(made: Bench, tmp_path: Path) -> Iterator[Audited]:
    bench = scripted(copy_bench(made, tmp_path).start())
    yield Audited(bench)
    bench.stop()


def refused(act: Callable[[], Any], rule: str) -> None:
    error = raised(act)
    assert error.rule == rule, f"{error.rule}: {error.message}"


def write(desk: Audited, ref: int | None, **facts: Any) -> int:
    """Write a leaf as whoever has got hold of the ledger's pen would."""
    keeper = desk.bench.desk
    (receipt,) = keeper.log(
        Entry(
            kind=KIND,
            actor="thief",
            object=KIND,
            detail={},
            charter=keeper.trust.digest(),
            public=facts,
            ref=ref,
        )
    )
    return receipt.index


# -- who may engage, and whom ---------------------------------------------------------------------


def test_engaging_takes_what_widening_takes_and_the_seat_that_drew_it_up(desk: Audited) -> None:
    refused(lambda: desk.engage("privacy", "security"), "audit.quorum")
    without = ("security", "privacy", "legal", "hr", "ml_lead")
    refused(lambda: desk.engage(*without), "audit.quorum")
    refused(lambda: desk.engage(*FIVE, seat="hr"), "audit.seat-signs")
    refused(lambda: desk.engage(home="home_of_others"), "audit.order")
    early = desk.bench.clock.now_us() - 4 * 86_400_000_000
    refused(lambda: desk.engage(at_us=early), "audit.order")
    assert desk.engage(*FIVE) > 0
    refused(desk.engage, "audit.turn")  # one at a time


def test_an_order_counts_once(desk: Audited) -> None:
    desk.engage()
    text = desk.call("audit.show", engagement=desk.call("audit.list")["audits"][0]["engagement"])
    desk.dismiss(text["engagement"])
    refused(lambda: desk.call("audit.engage", **text["paper"]), "audit.order")


def test_who_sits_on_the_board_operates_or_holds_a_key_of_the_house_is_no_auditor(
    desk: Audited,
) -> None:
    refused(lambda: desk.engage(lead="security"), "audit.seat")
    refused(lambda: desk.engage(lead="holds-two-seats"), "audit.seat")
    # another spelling of a name is nobody else
    for lead in (" security", "Security", "secur\u200bity", "\uff53ecurity"):
        refused(lambda lead=lead: desk.engage(lead=lead), "audit.seat")
    seat = auditor_with(desk.bench.seats["hr"])
    refused(lambda: desk.engage(who=seat), "audit.seat")
    people = desk.bench.verbs.principals
    people.everybody = lambda: [type("One", (), {"id": "x", "operator": "dora"})()]  # type: ignore[method-assign]
    refused(desk.engage, "audit.operates")
    refused(lambda: desk.engage(lead="Dora "), "audit.operates")


def auditor_with(key: SigningKey) -> Any:
    """Return an auditor's public part with the key of somebody else."""
    from safehold.ledger.vkey import ED25519, VKey

    opening = auditor().public.splitlines()[1]
    vkey = VKey("auditor.example", ED25519, key.public.raw).text()
    return type("Who", (), {"public": f"{vkey}\n{opening}\n"})()


def test_the_same_auditor_takes_another_seat_and_not_a_fourth_time(desk: Audited) -> None:
    desk.hold()
    refused(desk.engage, "audit.proposer")
    # the same person in another of their seats is the same person
    desk.hold(seat="legal")
    refused(lambda: desk.engage(seat="hr"), "audit.proposer")
    desk.hold(seat="privacy")
    refused(
        lambda: desk.engage(seat="security", organisation=" outside &  SONS "), "audit.rotation"
    )
    other = auditor("other.example", 9)
    for spelt in (
        "Out\u00adside & Sons",
        "\uff2futside \uff06 Sons\u200b",
    ):  # a new key does not help either
        refused(
            lambda spelt=spelt: desk.engage(seat="security", organisation=spelt, who=other),
            "audit.rotation",
        )
    desk.hold(seat="privacy", organisation="Others", who=other)
    assert desk.engage(seat="security") > 0


def test_a_scope_leaves_no_epoch_out(desk: Audited) -> None:
    desk.hold()
    desk.call("people.count")
    desk.bench.take("ana", name="b", first=10)
    desk.call("ledger.close-epoch")
    last = desk.due()["scope"]["last"]
    wrong = {"first": last, "last": last, "controls": []}
    if desk.due()["scope"]["first"] < last:
        refused(lambda: desk.engage(seat="security", scope=wrong), "audit.scope")
    late = {"first": 0, "last": last + 7, "controls": []}
    refused(lambda: desk.engage(seat="security", scope=late), "audit.scope")


# -- what an auditor says -------------------------------------------------------------------------


def test_a_word_is_the_auditors_own_about_this_ledger_and_of_today(desk: Audited) -> None:
    one = desk.engage()
    refused(lambda: desk.hear(desk.found(one)), "audit.turn")  # before they began
    swapped = desk.word(one, "begun")
    swapped["sig"] = desk.word(one, "begun", at=1)["sig"]
    refused(lambda: desk.hear(swapped), "audit.signature")
    refused(lambda: desk.begin(one, at=1), "audit.time")
    later = desk.bench.clock.now_us() // 1000 + 3_600_000
    refused(lambda: desk.begin(one, at=later), "audit.time")
    other = desk.word(one, "begun") | {"engagement": "0" * 64}
    refused(lambda: desk.hear(other), "audit.engagement")
    desk.begin(one)
    refused(lambda: desk.begin(one), "audit.turn")
    refused(lambda: desk.hear(desk.found(one, owner="nobody")), "audit.owner")
    refused(lambda: desk.hear(desk.found(one, due=1)), "audit.due")
    refused(lambda: desk.hear(desk.found(one, 2)), "audit.turn")  # the first comes first
    word = desk.found(one)
    refused(lambda: desk.hear(word | {"text": "it is nothing"}), "audit.text")
    assert desk.hear(word) > one


def test_an_opinion_is_over_this_head_these_epochs_those_counters_and_every_finding(
    desk: Audited,
) -> None:
    one = desk.engage()
    desk.begin(one)
    words = [desk.found(one), desk.found(one, 2)]
    for word in words:
        desk.hear(word)
    report = desk.recount(one)

    def say(findings: Any = words, **changes: Any) -> Any:
        return lambda: desk.hear(desk.opinion(one, findings=findings, report=report, **changes))

    refused(say(root=b64(bytes(32))), "audit.head")
    refused(say(size=10**6), "audit.head")
    refused(say(size=one), "audit.head")
    refused(say(epochs="0" * 64), "audit.epochs")
    refused(say(last=report["epochs"][-1][0] + 1), "audit.epochs")
    refused(say(counters="0" * 64), "audit.counters")
    refused(say(findings=words[:1]), "audit.findings")
    refused(
        say(findings=[words[0], words[0] | {"facts": {"number": 2, "sha256": "0" * 64}}]),
        "audit.findings",
    )
    swapped = desk.opinion(one, "adverse", words, report)
    swapped["facts"] = swapped["facts"] | {"opinion": "unqualified"}
    refused(lambda: desk.hear(swapped), "audit.signature")
    assert say()() > one
    refused(say(), "audit.turn")  # one opinion an engagement


def test_an_opinion_of_another_home_is_refused_though_the_key_is_the_same(
    desk: Audited, made: Bench, tmp_path: Path
) -> None:
    one = desk.engage()
    desk.begin(one)
    twin = Audited(scripted(copy_bench(made, tmp_path / "twin").start()))
    try:
        twin.bench.clock.at_us += 1_000_000
        other = twin.engage()
        twin.begin(other)
        given = twin.opinion(other)
    finally:
        twin.bench.stop()
    assert other == one  # the same leaf, of another history
    refused(lambda: desk.hear(given), "audit.engagement")
    ours = given | {"engagement": desk.engaged(one).sha256}
    refused(lambda: desk.hear(ours), "audit.signature")


def test_a_forged_or_swapped_word_in_the_ledger_counts_for_nothing_and_shows_offline(
    desk: Audited,
) -> None:
    desk.pass_days(200)
    one = desk.engage()
    desk.begin(one)
    given = desk.opinion(one, "adverse")
    facts = given["facts"] | {"opinion": "unqualified"}
    write(desk, one, state="opinion", sig=given["sig"], **facts)
    write(desk, one, state="opinion", sig=b64(bytes(64)), **given["facts"])
    assert desk.due()["step"] == "late"
    desk.bench.restart()
    assert desk.due()["step"] == "late"
    directory, policy = desk.log
    with pytest.raises(VerificationError, match="the auditor has not signed it"):
        verify_log(directory, policy)


def test_the_auditors_own_copy_finds_another_opinion_and_a_stranger_none(desk: Audited) -> None:
    one = desk.engage()
    desk.begin(one)
    given = desk.opinion(one, "qualified")
    desk.hear(given)
    directory, policy = desk.log
    word = json.dumps(given, sort_keys=True, separators=(",", ":")).encode()
    assert verify_opinion(directory, policy, desk.who.vkey, word=word).opinion == "qualified"
    other = word.replace(b'"opinion":"qualified"', b'"opinion":"adverse"')
    with pytest.raises(VerificationError, match="another opinion"):
        verify_opinion(directory, policy, desk.who.vkey, word=other)
    with pytest.raises(VerificationError, match="no opinion of this auditor"):
        verify_opinion(directory, policy, auditor(seed=8).vkey)


def test_differences_between_counters_and_leaves_become_drafts(desk: Audited) -> None:
    holder = desk.holder()
    desk.train(holder)
    one = desk.engage()
    desk.begin(one)
    papers = desk.papers(one)
    assert desk.recount(one, **papers)["drafts"] == ()
    said = json.loads(papers["counters"])

    def drafts(**changes: Any) -> set[str]:
        changed = deepcopy(said) | changes
        text = json.dumps(changed, sort_keys=True, separators=(",", ":")).encode()
        found = desk.recount(one, **papers | {"counters": text})["drafts"]
        return {f"{each['control']} {each['severity']}" for each in found}

    (grant,) = said["grants"]
    assert drafts(grants=[]) == {"ledger.grants critical"}
    for place in range(1, 8):
        wrong = [value + (at == place) for at, value in enumerate(grant)]
        assert drafts(grants=[wrong]) == {"ledger.grants high"}
    ((purpose, unit, epsilon, delta),) = said["budgets"]
    assert drafts(budgets=[[purpose, unit, epsilon - 1, delta]]) == {"ledger.budgets critical"}
    assert drafts(open=[4]) == {"ledger.results high"}
    assert drafts(uses=said["uses"][:-1]) == {"ledger.uses critical"}
    told = [use for use in said["uses"] if use[1] > 0]
    assert told, "a use under a grant says how many people it is about"
    for place, control in ((1, "people"), (3, "blocks")):
        wrong = [
            [value + (use == told[0] and at == place) * 1000 for at, value in enumerate(use)]
            for use in said["uses"]
        ]
        assert drafts(uses=wrong) == {f"ledger.{control} critical"}
    none = desk.recount(one, **papers | {"bundles": []})["drafts"]
    assert {each["control"] for each in none} == {"ledger.index"}


# -- findings -------------------------------------------------------------------------------------


def test_only_an_auditor_closes_a_finding_and_on_the_answer_they_saw(desk: Audited) -> None:
    one, found = desk.hold("qualified", "high")
    refused(
        lambda: desk.call("audit.answer", finding=found, text="x", evidence=[]), "audit.evidence"
    )
    refused(
        lambda: desk.call("audit.answer", finding=found, text="x", evidence=[10**9]),
        "audit.evidence",
    )
    desk.call("audit.answer", finding=found, text="it was put right", evidence=[one])
    given = desk.close(found, one)
    desk.call("audit.answer", finding=found, text="or in another way", evidence=[one])
    refused(lambda: desk.hear(given), "audit.turn")
    newest = desk.finding(found)["answers"][-1]
    write(
        desk,
        found,
        state="finding.closed",
        engagement=one,
        how="fixed",
        at=1,
        answer=newest,
        sig=b64(bytes(64)),
    )
    assert desk.finding(found)["state"] == "answered"
    stranger = auditor(seed=8)
    with pytest.raises(VerificationError, match="somebody else was engaged"):
        desk.close(found, one, who=stranger)
    desk.hear(desk.close(found, one))
    assert desk.finding(found)["state"] == "closed"
    refused(
        lambda: desk.call("audit.answer", finding=found, text="again", evidence=[one]), "audit.turn"
    )


def test_a_later_auditor_closes_it_and_a_finding_past_its_day_is_shown(desk: Audited) -> None:
    _, found = desk.hold("qualified", "low")
    desk.pass_days(21)
    assert desk.finding(found)["overdue"] is True
    status = desk.call("status")["audit"]
    assert (status["open_findings"], status["overdue_findings"]) == (1, 1)
    other = auditor("other.example", 9)
    later = desk.engage(seat="security", organisation="Others", who=other)
    desk.begin(later, who=other)
    desk.hear(desk.close(found, later, who=other, how="accepted"))
    assert desk.finding(found)["how"] == "accepted"


# -- tightened by itself --------------------------------------------------------------------------


def asked_by(name: str) -> dict[str, Any]:
    return {"requester": Human(id=name, role="data_scientist")}


def test_an_overdue_audit_tightens_in_two_steps_and_a_valid_opinion_lifts_it(desk: Audited) -> None:
    before = desk.holder()
    wide = desk.bench.changed(audit=lambda one: {**one, "independent_days": 400})
    desk.pass_days(181)
    desk.bench.take("ana", name="late", first=20)  # telemetry, pauses and rights go on
    refused(lambda: desk.ask(**asked_by("x"), minutes=61), "audit.length")
    asked = desk.ask(**asked_by("y"))
    desk.vote(asked, "privacy")
    desk.vote(asked, "security")
    refused(lambda: desk.enact(asked), "audit.approvals")
    desk.vote(asked, "ml_lead")
    assert desk.enact(asked)
    desk.pass_days(30)
    refused(lambda: desk.ask(**asked_by("z")), "audit.overdue")
    refused(lambda: desk.bench.enact(wide), "audit.widening")
    desk.bench.restart()
    scripted(desk.bench)
    refused(lambda: desk.ask(**asked_by("z")), "audit.overdue")
    desk.call("people.trail", person="ana")
    desk.call("people.erase", person="bo", evidence="a letter")
    assert before is not None
    desk.hold()
    assert desk.due()["step"] == "in_time"
    assert desk.ask(**asked_by("z"), minutes=240)


def test_no_clock_no_database_and_no_charter_of_one_seat_puts_it_off(desk: Audited) -> None:
    at_us = desk.bench.clock.at_us
    desk.pass_days(215)
    desk.bench.take("ana", name="late", first=20)  # a leaf of that day
    desk.bench.clock.at_us = at_us  # the clock is set back
    assert desk.due()["step"] == "overdue"
    desk.bench.clock.at_us = at_us + 215 * 86_400_000_000
    engine = desk.bench.desk.engine
    with engine.begin() as connection:
        connection.execute(tables.grant.delete())
    desk.bench.restart()
    refused(lambda: desk.ask(**asked_by("z")), "audit.overdue")
    wide = desk.bench.changed(audit=lambda one: {**one, "independent_days": 400})
    refused(lambda: desk.bench.enact(wide, "privacy"), "audit.widening")


def test_putting_it_off_in_time_takes_what_widening_takes(desk: Audited) -> None:
    wide = desk.bench.changed(audit=lambda one: {**one, "independent_days": 400})
    assert (
        raised(lambda: desk.bench.enact(wide, "privacy", "security")).rule == "charter.quorum.widen"
    )


def test_a_disclaimer_and_a_dismissed_auditor_put_nothing_off(desk: Audited) -> None:
    desk.hold("disclaimer")
    desk.pass_days(181)
    assert desk.due()["step"] == "late"
    one = desk.engage(seat="security")
    refused(lambda: desk.dismiss(one, "privacy", "security"), "audit.quorum")
    desk.dismiss(one)
    assert desk.due()["step"] == "late"
    refused(lambda: desk.begin(one), "audit.turn")


def test_an_adverse_opinion_tightens_at_once_and_no_kinder_one_lifts_it(desk: Audited) -> None:
    one, critical, _ = desk.hold("adverse", "critical", "low")
    assert desk.due()["step"] == "late"
    refused(lambda: desk.ask(**asked_by("x"), minutes=120), "audit.length")
    other = auditor("other.example", 9)
    desk.hold("unqualified", seat="security", organisation="Others", who=other)
    assert desk.due()["step"] == "late"
    desk.pass_days(31)
    refused(lambda: desk.ask(**asked_by("y")), "audit.adverse")
    desk.call("audit.answer", finding=critical, text="put right", evidence=[one])
    desk.hear(desk.close(critical, one))
    assert desk.due()["step"] == "in_time"
    assert desk.ask(**asked_by("y"))


def test_what_stands_in_a_leaf_about_an_audit_names_nobody(desk: Audited) -> None:
    one, found = desk.hold("qualified", "high")
    desk.call("audit.answer", finding=found, text="a text of ours", evidence=[one])
    told = json.dumps([leaf for _, leaf in desk.bench.desk.ledger.leaves(one)])
    for word in (*HELD.values(), "a text of ours", "something was found"):
        assert word not in told


def test_no_agent_comes_near(desk: Audited) -> None:
    verbs = [name for name in desk.bench.verbs.table() if name.startswith("audit.")]
    assert len(verbs) == 8
    assert not [name for name in verbs if AGENT in KINDS_OF[name]]
