"""What an incident tells, and whom: clocks that nobody sets back, lists of exactly those whom it reached, reports that are proved."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.access_desk import found_office, scripted
from tests.containing import contain, lift
from tests.incident_desk import Response, refused, write
from tests.keeper_desk import CROWD, DAY_US, Bench, copy_bench

from safehold.clock import SECOND_US
from safehold.errors import ConflictError, MissingError
from safehold.incident.clocks import HOUR_US
from safehold.incident.docket import Docket
from safehold.incident.scope import Scope
from safehold_verify import VerificationError
from safehold_verify.policy import load_policy
from safehold_verify.proof import check_proof

SECRET = "a text that only the sealed part may hold"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_office(tmp_path_factory.mktemp("incidents"))


@pytest.fixture
def office(made: Bench, tmp_path: Path) -> Iterator[Response]:
    bench = scripted(copy_bench(made, tmp_path).start())
    yield Response(bench)
    bench.stop()


# its clocks


def test_no_clock_is_set_back_paused_or_begun_later(office: Response) -> None:
    clock = office.bench.clock
    begun = clock.now_us()
    one = office.open()
    clock.advance(HOUR_US)
    due = office.clocks(one)["gdpr-authority"]["due_us"]
    assert abs(due - begun - 72 * HOUR_US) < SECOND_US
    for later in (clock.now_us(), begun + SECOND_US, clock.now_us() + DAY_US):
        rule = "incident.clock"
        refused(
            lambda at=later: office.call("incident.aware", incident=one, since_us=at, text="no"),
            rule,
        )
    write(office, one, step="clock", since=clock.now_us() // 1000 + 10_000)
    assert office.clocks(one)["gdpr-authority"]["due_us"] == due
    # earlier is what people may say: an hour before, somebody was told
    office.call("incident.aware", incident=one, since_us=begun - HOUR_US, text="a mail of Tuesday")
    assert office.clocks(one)["gdpr-authority"]["due_us"] < due
    office.ended(one)
    clock.advance(80 * HOUR_US)
    office.call("incident.reopen", incident=one, text="again")
    assert office.show(one)["aware_us"] // 1000 == (begun - HOUR_US) // 1000


def test_a_notice_is_late_by_the_ledger_whatever_its_paper_says(office: Response) -> None:
    clock = office.bench.clock
    one = office.open()
    clock.advance(73 * HOUR_US)
    assert "gdpr-authority" in office.call("incident.list")["incidents"][0]["late"]
    sent = {"notice": "authority", "decision": "sent", "sha256": "0" * 64}
    early = clock.now_us() - 10 * HOUR_US  # signed, they say, in time
    office.sign(one, "notice", "privacy", sent, at_us=early)
    told = office.clocks(one)["gdpr-authority"]
    assert (told["state"], told["took_s"]) == ("met late", 73 * 3600)
    never = {"notice": "authority", "decision": "not_needed", "why": "no"}
    refused(lambda: office.sign(one, "notice", "privacy", never), "incident.notice")
    refused(lambda: office.sign(one, "notice", "security", sent), "incident.seat")


# who opens it


def test_an_alert_opens_one_incident_and_no_second(office: Response) -> None:
    first = office.alert(severity=3)
    one = office.call("incident.open", text="an alert", alert=first)
    assert (one["new"], one["severity"]) == (True, 2)  # 3 of 4, upwards, is 2 of 5, downwards
    for _ in range(3):
        assert (
            office.call("incident.open", text="again", alert=first)["incident"] == one["incident"]
        )
    # another of the same signal about the same principal is the same incident
    again = office.call("incident.open", text="more", alert=office.alert(severity=2))
    assert (again["new"], again["incident"]) == (False, one["incident"])
    # calling it harmless does not make it so
    other = office.alert("bo", severity=4)
    assert office.call("incident.open", text="x", alert=other, severity=5)["severity"] == 1
    assert len(office.call("incident.list")["incidents"]) == 2
    refused(lambda: office.call("incident.open", text="x", alert=0), "incident.alert")
    # the row by which a repeated append is found is no part of it
    store = office.bench.home.ledger / "journal.db"
    office.bench.stop()
    with sa.create_engine(f"sqlite:///{store}").begin() as rows:
        rows.execute(sa.text("DELETE FROM idem"))
    office.bench.start()
    assert office.call("incident.open", text="x", alert=first)["incident"] == one["incident"]
    assert len(office.call("incident.list")["incidents"]) == 2


def test_what_comes_back_opens_it_again(office: Response) -> None:
    clock = office.bench.clock
    one = office.call("incident.open", text="an alert", alert=office.alert())["incident"]
    office.ended(one)
    office.alert("somebody else")
    office.alert(signal="another")
    assert office.show(one)["state"] == "closed"
    clock.advance(29 * DAY_US)
    office.alert()
    shown = office.show(one)
    assert shown["state"] == "reopened"
    assert "no root cause was published since it began" in shown["missing"]
    assert office.call("incident.open", text="it", alert=office.alert())["incident"] == one
    office.ended(one)
    clock.advance(31 * DAY_US)
    assert office.call("incident.open", text="it", alert=office.alert())["new"] is True
    assert office.show(one)["state"] == "closed"
    # the same thing is contained once more
    two = office.open()
    held = office.contain(two)
    lift(office.bench, held, *office.bench.seats)
    office.ended(two)
    office.contain(office.open(), "us-wa.key")
    assert office.show(two)["state"] == "closed"
    again = office.contain(office.open())
    assert office.show(two)["state"] == "reopened"
    lift(office.bench, again, *office.bench.seats)
    office.ended(two)
    clock.advance(31 * DAY_US)
    office.contain(office.open())
    assert office.show(two)["state"] == "closed"


def test_what_nobody_had_to_be_told_is_asked_again_when_it_comes_back(office: Response) -> None:
    one = office.call("incident.open", text="an alert", alert=office.alert())["incident"]
    sent = {"notice": "board", "decision": "sent", "sha256": "1" * 64}
    first = office.sign(one, "notice", "privacy", sent)["entry"]
    office.ended(one)
    office.alert()  # more than was known when it was said that nobody had to be told
    shown = office.show(one)
    assert shown["state"] == "reopened"
    open_ones = next(line for line in shown["missing"] if "nobody has decided" in line)
    assert all(name in open_ones for name in ("authority", "people", "board", "attorney"))
    assert {told["state"] for told in office.clocks(one).values()} <= {"running", "late", "met"}
    assert office.clocks(one)["board"]["entry"] == first, "what was sent was sent then"
    office.decide(one, "board")  # and need not be sent twice
    office.ended(one)
    assert office.show(one)["state"] == "closed"


# whom it reached


def test_the_list_is_exactly_who_was_opened_and_tells_nobody_else(
    office: Response, tmp_path: Path
) -> None:
    left = {"p03", "p07"}
    for name in left:
        office.call("people.choose", person=name, choice="withdraw")
    holder = office.holder()
    office.train(holder)
    entry = next(
        index
        for index, leaf in reversed(list(office.bench.desk.ledger.leaves()))
        if leaf["k"] == "grant"
    )
    one = office.open(scope={"grants": [entry]}, text=SECRET)
    shown = office.show(one)
    assert shown["reach"]["people"] == {"people": 50}  # of real people, in tens
    assert shown["proposed"]["severity"] == 1
    listed = office.listed(one, tmp_path)
    assert listed["people_named"] == set(CROWD) - left
    assert len(list((listed["folder"] / "letters").iterdir())) == len(CROWD) - len(left)
    answer = {name: value for name, value in listed.items() if name not in ("sealed", "folder")}
    del answer["people_named"]
    assert not any(f'"{name}"' in json.dumps(answer) for name in CROWD)
    # no other key opens it, no other seat gets it, nor does the privacy seat alone
    with pytest.raises(VerificationError):
        office.listed(one, tmp_path, key=office.bench.seats["security"])
    refused(lambda: office.letters(one, tmp_path, "security", "legal"), "incident.list.seats")
    refused(lambda: office.letters(one, tmp_path, "privacy"), "incident.list.seats")
    refused(lambda: office.letters(one, tmp_path, "privacy", "privacy"), "incident.list.seats")

    # whoever was told finds it among the entries about them, and what was sent is what was listed
    sent = {"notice": "people", "decision": "sent", "sha256": listed["sha256"]}
    refused(
        lambda: office.sign(one, "notice", "privacy", {**sent, "sha256": "0" * 64}), "incident.list"
    )
    again = office.holder(recipe="reidentify")
    office.call("people.choose", person="p05", choice="withdraw")
    office.attack(again)
    newest = max(index for index, leaf in office.bench.desk.ledger.leaves() if leaf["k"] == "grant")
    office.call("incident.note", incident=one, text="p05 too", scope={"grants": [newest]})
    assert office.listed(one, tmp_path)["people_named"] == set(CROWD) - left
    told = office.sign(one, "notice", "privacy", sent)["entry"]
    keys = office.bench.desk.vault.subjects.living()
    names = {
        person: known.external for person, known in office.bench.desk.people.everybody().items()
    }
    epoch = office.bench.desk.ledger.epochs.of(told)
    from safehold.ledger.subjects import epoch_key

    people = office.bench.desk.ledger.opening(told).people
    assert {
        names[person] for person, key in keys.items() if people.find(epoch_key(key, epoch))
    } == set(CROWD) - left


def test_somebody_who_was_missed_voids_the_list(office: Response, tmp_path: Path) -> None:
    holder = office.holder()
    for name in ("p03", "p07"):
        office.call("people.choose", person=name, choice="withdraw")
    office.train(holder)
    one = office.open(scope={"principals": ["ana-1"]})
    listed = office.listed(one, tmp_path)
    sent = {"notice": "people", "decision": "sent", "sha256": listed["sha256"]}
    # the key of a segment is out as well: whoever lies in it could be opened
    office.call("incident.note", incident=one, text="worse", scope={"keys": ["us-ca.pointer"]})
    refused(lambda: office.sign(one, "notice", "privacy", sent), "incident.list")
    listed = office.listed(one, tmp_path)
    assert listed["people_named"] == set(CROWD)
    rows = [row.split(",") for row in (listed["folder"] / "people.csv").read_text().splitlines()]
    assert {row[0] for row in rows if row[2] == "could have been opened"} == {"p03", "p07"}


@pytest.mark.parametrize(
    ("what", "name"), [("principals", "ana-l"), ("segments", "us-ca.kye"), ("artifacts", "art_0"), ("keys", "us-ca.kye")]
)  # fmt: skip
def test_an_incident_is_about_nothing_that_nobody_knows(
    office: Response, what: str, name: str
) -> None:
    with pytest.raises(MissingError):
        office.open(scope={what: [name]})
    one = office.open()
    with pytest.raises(MissingError):
        office.call("incident.note", incident=one, text="it was this one", scope={what: [name]})


def test_a_note_about_one_day_takes_nobody_off_the_list(office: Response, tmp_path: Path) -> None:
    office.train(office.holder())
    one = office.open(scope={"principals": ["ana-1"]})
    assert office.listed(one, tmp_path)["people_named"] == set(CROWD)
    day = {"segments": ["us-wa.key"], "first_ms": 1, "last_ms": 2}
    office.call("incident.note", incident=one, text="and that day", scope=day)
    assert office.listed(one, tmp_path)["people_named"] == set(CROWD)


def test_nobody_is_named_to_those_who_may_not_see(office: Response) -> None:
    office.train(office.holder())
    grant = max(index for index, leaf in office.bench.desk.ledger.leaves() if leaf["k"] == "grant")
    one = office.open(text=SECRET, scope={"grants": [grant], "principals": ["ana-1"]})
    office.call("incident.assign", incident=one, role="commander", principal="cleopatra")
    office.call("incident.note", incident=one, text=SECRET)
    office.ended(one)
    outputs = [
        office.show(one),
        office.call("incident.list"),
        office.call("incident.timeline", incident=one),
        office.call("incident.report", incident=one),
        *(
            office.call("incident.draft", incident=one, notice=name)
            for name in ("authority", "people", "board", "regulator", "attorney")
        ),
    ]
    text = json.dumps(outputs)
    told = [SECRET, "cleopatra", "ana-1"]
    assert [one for one in told if one in text] == []
    # short names as words of their own: the id of a home may end in one by chance
    words = set(re.findall(r"(?<![\w+/])[a-z]+\d*(?![\w+/=])", re.sub(r"\\[a-z]", " ", text)))
    assert words & {name for name in CROWD if len(name) > 2} == set()
    for leaf in (leaf for _, leaf in office.bench.desk.ledger.leaves() if leaf["k"] == "incident"):
        assert "cleopatra" not in json.dumps(leaf)


# what it rests on


def test_no_database_says_how_it_stands(office: Response) -> None:
    one = office.ended(office.open())
    two = office.open(severity=1)
    before = [office.show(each)["steps"] for each in (one, two)]
    engine = office.bench.desk.engine
    tables = sa.inspect(engine).get_table_names()
    assert not [name for name in tables if "incident" in name]
    with engine.begin() as rows:
        rows.execute(sa.text("DELETE FROM grants")) if "grants" in tables else None
    assert [office.show(each)["steps"] for each in (one, two)] == before
    office.bench.restart()  # the next keeper reads the same leaves
    assert [office.show(each)["steps"] for each in (one, two)] == before
    assert office.show(one)["state"] == "closed"


def test_a_second_keeper_sees_what_the_first_wrote(office: Response) -> None:
    verbs = office.bench.verbs
    mine, other = (Docket(verbs.desk, lambda _scope: None) for _ in range(2))
    alert = office.alert()
    first, new = mine.open("seen", severity=2, scope=Scope(), alert=alert)
    assert new
    again, new = other.open("seen too", severity=2, scope=Scope(), alert=alert)
    assert (again.index, new) == (first.index, False)
    other.step(again, "note", {"text": "by the other"})
    assert [one.steps for one in mine.all()] == [one.steps for one in other.all()]
    # while one was away the other went on; what it thought to do is refused, and changes nothing
    other.step(again, "move", {}, {"state": "triaged"})
    with pytest.raises(ConflictError, match="does not follow"):
        mine.step(first, "move", {}, {"state": "recovering"})
    assert {one.state for one in (*mine.all(), *other.all())} == {"triaged"}


def test_every_claim_of_a_report_is_proved(office: Response) -> None:
    holder = office.holder(recipe="reidentify", max_runs=1)
    office.attack(holder)
    grant = max(index for index, leaf in office.bench.desk.ledger.leaves() if leaf["k"] == "grant")
    one = office.open(scope={"grants": [grant]})
    office.refused(lambda: office.attack(holder), "grant.runs")
    office.ended(one)
    report = office.call("incident.report", incident=one)
    policy = load_policy(office.bench.home.policy_file)
    from safehold.canonical import unb64
    from safehold.incident.report import claimed

    proved = {told["entry"]: told for told in report["proofs"]}
    named = claimed(report["text"])
    assert {one, grant} <= set(named) <= set(proved)
    for told in proved.values():
        check_proof(told["proof"].encode(), unb64(told["leaf"]), policy)
    assert "1 uses, 1 of them with a result" in report["text"]
    assert report["html"].count("<h2>") == report["text"].count("\n## ")
    with pytest.raises(VerificationError):
        check_proof(proved[one]["proof"].encode(), unb64(proved[grant]["leaf"]), policy)


def test_the_status_says_what_is_contained_and_what_is_open_without_a_name_of_anybody(
    office: Response,
) -> None:
    def status() -> tuple[Any, Any]:
        told = office.call("status")
        return told["contained"], told["incidents"]

    assert status() == ([], [])
    office.bench.pass_()
    grant = office.call("grant.list")["grants"][-1]["id"]
    two = [office.open(severity=3), office.open(severity=1, text="another one")]
    office.open(severity=3, text="a third")
    office.contain(two[0], "us-ca.key")
    lifted = office.contain(two[0], "us-ca.pointer")
    contain(office.bench, "grant", grant, "security")
    held, open_ = status()
    assert held == [
        {"what": "grant", "count": 1},
        {"what": "segment", "count": 2, "names": ["us-ca.key", "us-ca.pointer"]},
    ]
    assert [(one["severity"], one["count"]) for one in open_] == [(1, 1), (3, 2)]
    assert all(one["name"] for one in open_)
    lift(office.bench, lifted, *office.bench.seats)
    office.bench.restart()
    held, again = status()
    assert held[1] == {"what": "segment", "count": 1, "names": ["us-ca.key"]}
    assert again == open_
