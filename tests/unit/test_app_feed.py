"""The live feed: every alert and incident reaches each target once, whatever happens to the others or to the keeper."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.access_desk import scripted
from tests.incident_desk import Response
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.receivers import web_receiver
from tests.world import raised

from safehold.app import exports, feed, findings
from safehold.app.feed import Feed
from safehold.app.outbox import Outbox
from safehold.clock import SECOND_US
from safehold.incident.export.finding import Names, from_alert, from_incident
from safehold.ledger import Entry

NAMES = Names(key=bytes(32), target="t")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = found_bench(tmp_path_factory.mktemp("feed"), people=("p-1",)).start()
    bench.stop()
    return bench


@pytest.fixture
def office(made: Bench, tmp_path: Path) -> Iterator[Response]:
    bench = scripted(copy_bench(made, tmp_path).start())
    yield Response(bench)
    bench.stop()


def aim(office: Response, **urls: str) -> None:
    """Write a file of webhooks, by name."""
    home = office.bench.home
    secret = home.path.parent / "secret"
    secret.touch(0o600)
    secret.write_text("long enough")
    home.targets_file.write_text(
        "\n".join(
            f'[{name}]\nkind = "webhook"\nurl = "{url}"\nsecret = "{secret}"\n'
            for name, url in urls.items()
        )
    )


def fed(office: Response) -> Feed:
    """Return a feed as a keeper that has just started has one."""
    assert office.bench.service is not None
    return Feed(office.bench.service, office.bench.clock)


def told(got: list[Any]) -> list[tuple[str, str]]:
    """Return what a receiver was told: what each finding is called, and how it stood."""
    deliveries = [one.header("safehold-delivery").split("/") for one in got]
    return [(uid, state) for uid, _, state in deliveries]


def ack(office: Response, alert: int) -> None:
    office.call("alert.ack", alert=alert, reason="it was a test")


def test_what_is_new_arrives_once_and_every_turn_of_it_and_nothing_twice_after_a_start(office):
    got: list[Any] = []
    with web_receiver(got) as url:
        aim(office, t=url)
        turning = fed(office)
        first = office.alert("zoe-77")
        turning.turn()
        turning.turn()
        assert told(got) == [(f"alert-{first}", "raised")]
        incident = office.open(alert=first)
        ack(office, first)
        turning.turn()
        assert told(got)[1:] == [(f"incident-{incident}", "open"), (f"alert-{first}", "acked")]
        office.call("incident.note", incident=incident, text="nothing that a receiver is told")
        fed(office).turn()  # a keeper that was killed knows no more than the outbox
        assert len(got) == 3
        office.uncontained(incident)
        office.move(incident, "triaged")
        office.call("incident.severity", incident=incident, severity=1, text="it is worse")
        fed(office).turn()
    assert told(got)[3:] == [(f"incident-{incident}", "triaged")]
    (last,) = [json.loads(one.body) for one in got[3:]]
    assert last["severity_id"] == 5
    said = "".join(one.body.decode() for one in got)
    assert not [word for word in ("zoe-77", "somebody saw", "it is worse") if word in said]


def test_without_a_file_of_targets_nothing_is_read_and_nothing_is_made(office):
    office.alert()
    alerts = office.bench.verbs.watching.alerts
    fed(office).turn()
    assert alerts._read == 0
    assert not office.bench.home.exports.exists()


def test_a_target_that_is_down_or_full_holds_up_no_other_and_gets_everything_later(
    office, monkeypatch
):
    monkeypatch.setattr(exports, "Outbox", lambda folder: Outbox(folder, most=2))
    got: list[Any] = []
    late: list[Any] = []
    alerts = [office.alert(signal=f"s{at}") for at in range(3)]
    with web_receiver(got) as url:
        aim(office, bad="http://127.0.0.1:9/", good=url)
        turning = fed(office)
        for _ in range(2):  # the good one is as small
            turning.turn()
        alerts += [office.alert(signal="s3")]
        turning.turn()
        assert told(got) == [(f"alert-{one}", "raised") for one in alerts]
        with web_receiver(late) as other:
            aim(office, bad=other, good=url)
            for _ in range(3):
                office.bench.clock.advance(exports.MOST_US)
                turning.turn()
    assert told(late) == told(got)


def test_what_comes_while_it_reads_is_not_passed_over(office, monkeypatch):
    got: list[Any] = []
    papers = office.bench.service.incidents.papers
    calm = papers.told
    come: list[int] = []

    def busy(*range_: int, most: int) -> list[dict[str, Any]]:
        """The alerts were read: now comes another one, and behind it an incident."""
        if not come:
            come.extend((office.alert(), office.open(severity=3)))
        return calm(*range_, most=most)

    monkeypatch.setattr(papers, "told", busy)
    with web_receiver(got) as url:
        aim(office, t=url)
        office.alert(signal="first")
        for _ in range(2):
            fed(office).turn()
    assert told(got)[1:] == [(f"alert-{come[0]}", "raised"), (f"incident-{come[1]}", "open")]


def test_by_way_of_the_door_nothing_is_passed_over_either(office):
    """``alert send`` reads the list of alerts, then that of incidents."""
    come: list[int] = []

    class Client:
        def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
            if verb == "incident.list":
                come.extend((office.alert(), office.open(severity=3)))
            return office.call(verb, **arguments)

    first = office.alert(signal="first")
    records, names = findings.read_keeper(Client())
    assert [(kind, one["entry"]) for kind, one in records] == [("alert", first)]
    records, names = findings.read_keeper(office.bench)
    assert {one["entry"] for _, one in records} == {first, *come}
    assert names == {one["id"] for one in office.call("principal.list")["principals"]}


def test_a_long_list_is_told_part_by_part(office, monkeypatch):
    monkeypatch.setattr(feed, "MOST", 2)
    got: list[Any] = []
    made = [("alert", office.alert(signal=f"s{at}")) for at in range(3)]
    made.append(
        ("incident", office.open(severity=4))
    )  # behind an alert that the first part leaves out
    with web_receiver(got) as url:
        aim(office, t=url)
        turning = fed(office)
        turning.turn()
        assert len(got) < len(made)
        for _ in range(3):
            turning.turn()
    assert [one for one, _ in told(got)] == [f"{kind}-{index}" for kind, index in made]


def test_a_file_that_cannot_be_used_is_said_once_for_each_time_it_is_written(office):
    turning = fed(office)
    for text in ("[t]\nkind = 3\n", "[t]\nkind = 4\nmore = 1\n"):
        office.bench.home.targets_file.write_text(text)
        assert raised(turning.turn).rule == "export.target"
        turning.turn()


def test_what_the_lists_give_is_what_leaves(office):
    """Each field of a finding is what the keeper's list says of it."""
    alert = office.alert(severity=2)
    office.bench.clock.advance(SECOND_US)
    ack(office, alert)
    (listed,) = office.call("alert.list")["alerts"]
    found = from_alert(listed, NAMES)
    assert (found.uid, found.index, found.state) == (f"alert-{alert}", listed["entry"], "acked")
    assert found.index > alert
    assert (found.t_us, found.severity, found.rank) == (listed["t_us"], 2, 3)
    assert (found.signal, found.principal) == ("bulk", NAMES.tag("ana"))
    assert (found.sentence, found.events) == ("more than usual", listed["count"])
    assert listed["count"] == len(office.call("alert.show", alert=alert)["events"]) == 1

    incident = office.open()
    office.bench.clock.advance(SECOND_US)
    office.call("incident.severity", incident=incident, severity=1, text="it is worse")
    office.call("incident.note", incident=incident, text="a note turns nothing")
    (listed,) = office.call("incident.list")["incidents"]
    found = from_incident(listed, NAMES)
    assert (found.uid, found.index) == (f"incident-{incident}", listed["entry"])
    ((worse, leaf),) = [
        (index, leaf)
        for index, leaf in office.bench.desk.ledger.leaves()
        if leaf["k"] == "incident" and leaf["pub"].get("step") == "severity"
    ]
    assert (found.index, found.t_us) == (worse, leaf["t"] * 1000)
    assert (found.severity, found.rank, found.state) == (1, 4, "open")
    assert found.sentence == f"Incident {incident} of severity 1 is open."


@pytest.mark.parametrize("how", [{"count": "3"}, {"count": -1}, {"events": "x"}])
def test_what_is_no_alert_is_none(how):
    record = {"alert": 1, "t_us": 1, "signal": "bulk", "severity": 2, "events": []} | how
    assert raised(lambda: from_alert(record, NAMES)).rule == "export.alert"


def test_an_alert_that_was_acted_on_says_its_newest_leaf(office):
    alert, desk = office.alert(), office.bench.desk
    (receipt,) = desk.log(
        Entry(
            kind="alert",
            actor="sentinel",
            object="ana",
            detail={"did": []},
            charter=desk.trust.digest(),
            public={"signal": "bulk", "severity": 3, "state": "acted"},
            ref=alert,
        )
    )
    (listed,) = office.call("alert.list")["alerts"]
    assert (listed["alert"], listed["entry"], listed["state"]) == (alert, receipt.index, "acted")
