"""Findings reach real receivers, once each and in order; what a receiver does not take waits and is not lost."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from tests.receivers import mail_receiver, syslog_receiver, tls_of, web_receiver

from safehold.app import exports, senders
from safehold.app.outbox import Outbox
from safehold.clock import FixedClock
from safehold.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    SafeholdError,
    UnavailableError,
)
from safehold.incident.export.finding import Names, from_alert
from safehold.incident.export.target import Target
from safehold.settings import Home

SECRET = b"a secret of the receiver"
NOW = 1_775_035_800_000_000


def alert(index, severity=2, **more):
    return ("alert", {
        "alert": index, "t_us": NOW + index, "principal": "dana", "signal": "first_use", "severity": severity,
        "sentence": "dana did it", "events": [index], "state": "raised", **more,
    })  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAFEHOLD_OUTSIDE", str(tmp_path / "outside"))
    return Home.create(tmp_path / "home", synthetic=True)


@pytest.fixture
def secret(tmp_path):
    file = tmp_path / "secret"
    file.touch(0o600)
    file.write_bytes(SECRET + b"\n")
    return file


def aim(home, name="t", **said):
    text = "".join(f"{key.rstrip('_')} = {json.dumps(value)}\n" for key, value in said.items())
    home.targets_file.write_text(f"[{name}]\n{text}")


def test_a_webhook_gets_each_finding_once_in_order_signed(home, secret):
    got = []
    with web_receiver(got) as url:
        aim(home, kind="webhook", url=url + "/hook", secret=str(secret))
        said = exports.send(home, "t", [alert(9), alert(3), alert(7)])
        again = exports.send(home, "t", [alert(3), alert(7), alert(9), alert(12)])
        twice = exports.send(home, "t", [alert(7), alert(9), alert(12)], since=9)
    assert (said["sent"], again["sent"], twice["sent"]) == (3, 1, 2)
    entries = [json.loads(one.body)["metadata"]["sequence"] for one in got]
    assert entries == [3, 7, 9, 12, 9, 12]
    assert got[0].path == "/hook"
    for one in got:
        stamp, mark = one.header("safehold-timestamp"), one.header("safehold-signature")
        assert abs(int(stamp) - time.time()) < 60
        good = hmac.new(SECRET, stamp.encode() + b"." + one.body, hashlib.sha256).hexdigest()
        assert mark == f"v1={good}"
        assert "dana" not in one.body.decode()
    assert got[2].header("safehold-delivery") == got[4].header("safehold-delivery")


def test_cloudevents_go_over_https_that_is_verified(home, secret, tmp_path):
    chain, context = tls_of(tmp_path)
    got = []
    with web_receiver(got, tls=context) as url:
        for form in ("cloudevents", "cloudevents-binary"):
            aim(
                home,
                form,
                kind="webhook",
                url=url,
                secret=str(secret),
                form=form,
                authority=str(chain),
            )
            exports.send(home, form, [alert(1)])
        aim(home, "stranger", kind="webhook", url=url, secret=str(secret))
        with pytest.raises(UnavailableError):
            exports.send(home, "stranger", [alert(1)])
    whole, binary = got
    assert whole.header("content-type").startswith("application/cloudevents+json")
    data, bare = json.loads(whole.body)["data"], json.loads(binary.body)
    assert data["finding_info"] == bare["finding_info"]
    assert data["evidences"] != bare["evidences"]  # two targets call the same principal by two tags
    assert binary.header("ce-type") == "org.safehold.alert.raised"


def test_what_is_refused_waits_and_goes_first_when_the_receiver_is_back(home, secret):
    got, code = [], [503]
    with web_receiver(got, status=lambda: code[0]) as url:
        aim(home, kind="webhook", url=url, secret=str(secret))
        with pytest.raises(UnavailableError, match="answers 503"):
            exports.send(home, "t", [alert(1), alert(2)])
        (shown,) = exports.show_targets(home)
        assert (shown["waiting"], shown["failed"], shown["rule"]) == (2, 1, "export.refused")
        code[0] = 200
        assert exports.send(home, "t", [alert(3)])["sent"] == 3
    assert [json.loads(one.body)["metadata"]["sequence"] for one in got] == [1, 2, 3]


def test_a_redirect_is_not_followed(home, secret):
    got = []
    with web_receiver(got, status=lambda: 307) as url:
        aim(home, kind="webhook", url=url, secret=str(secret))
        with pytest.raises(UnavailableError, match="307"):
            exports.send(home, "t", [alert(1)])


def test_a_collector_gets_logs_and_spans_with_its_token(home, secret):
    got = []
    with web_receiver(got) as url:
        aim(home, kind="otlp", url=url + "/otel", secret=str(secret), form="both")
        exports.send(home, "t", [alert(5)])
    assert [one.path for one in got] == ["/otel/v1/logs", "/otel/v1/traces"]
    assert got[0].header("authorization") == f"Bearer {SECRET.decode()}"
    assert json.loads(got[0].body)["resourceLogs"]
    assert json.loads(got[1].body)["resourceSpans"]


def test_what_a_collector_rejects_in_part_counts_as_not_taken(home):
    with web_receiver([], body=b'{"partialSuccess": {"rejectedLogRecords": "1"}}') as url:
        aim(home, kind="otlp", url=url)
        with pytest.raises(UnavailableError) as caught:
            exports.send(home, "t", [alert(5)])
    assert caught.value.rule == "export.rejected"
    assert exports.show_targets(home)[0]["waiting"] == 1


def test_syslog_goes_over_tls_in_frames(home, tmp_path):
    chain, context = tls_of(tmp_path)
    got = []
    with syslog_receiver(context, got) as port:
        aim(home, kind="syslog", url=f"tls://localhost:{port}", authority=str(chain))
        exports.send(home, "t", [alert(1), alert(2, severity=4)])
        aim(home, "u", kind="syslog", url=f"tls://localhost:{port}")
        with pytest.raises(UnavailableError):
            exports.send(home, "u", [alert(1)])
    assert [one.split(b">1 ")[0] for one in got] == [b"<107", b"<105"]
    assert json.loads(got[0].split(b"\xef\xbb\xbf")[1])["class_uid"] == 2004


def test_a_syslog_receiver_that_cuts_the_line_has_not_taken_it(home, tmp_path):
    chain, context = tls_of(tmp_path)
    with syslog_receiver(context, [], rude=True) as port:
        aim(home, kind="syslog", url=f"tls://localhost:{port}", authority=str(chain))
        with pytest.raises(UnavailableError):
            exports.send(home, "t", [alert(1)])
    assert exports.show_targets(home)[0]["waiting"] == 1


def test_udp_reaches_this_machine_alone(home):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind(("127.0.0.1", 0))
        link.settimeout(5)
        aim(home, kind="syslog", url=f"udp://127.0.0.1:{link.getsockname()[1]}", form="text")
        exports.send(home, "t", [alert(1)])
        assert link.recv(9000).endswith(b"did it")
    aim(home, kind="syslog", url="udp://192.0.2.1:514")
    with pytest.raises(InvalidError):
        exports.send(home, "t", [alert(2)])


def test_mail_goes_by_starttls_with_a_certificate_that_holds(home, secret, tmp_path):
    chain, context = tls_of(tmp_path)
    got = []
    with mail_receiver(context, got) as port:
        mail = {
            "kind": "email",
            "url": f"smtp://localhost:{port}",
            "from": "safehold@a.example",
            "to": ["soc@a.example"],
        }
        aim(home, **mail, authority=str(chain), least=4)
        assert exports.send(home, "t", [alert(1, severity=2), alert(2, severity=3)])["sent"] == 1
        aim(home, "stranger", **mail)
        with pytest.raises(UnavailableError):
            exports.send(home, "stranger", [alert(3)])
    (one,) = got
    assert one["secure"] is True
    assert "did it" in one["body"]
    assert "dana" not in one["body"]


def test_mail_is_not_sent_bare_where_a_password_is_due(home, secret):
    got = []
    with mail_receiver(None, got) as port:
        aim(
            home,
            kind="email",
            url=f"smtp://127.0.0.1:{port}",
            from_="a@b.example",
            to=["c@d.example"],
            user="u",
            secret=str(secret),
        )
        with pytest.raises(UnavailableError) as caught:
            exports.send(home, "t", [alert(1)])
    assert caught.value.rule == "export.starttls"
    assert got == []


def test_a_secret_that_others_can_read_is_not_used(home, secret):
    secret.chmod(0o644)
    with web_receiver([]) as url:
        aim(home, kind="webhook", url=url, secret=str(secret))
        with pytest.raises(InvalidError) as caught:
            exports.send(home, "t", [alert(1)])
    assert caught.value.rule == "export.secret.mode"


def test_a_secret_that_is_short_is_not_used(home, secret):
    secret.write_bytes(b"short")
    with web_receiver([]) as url:
        aim(home, kind="webhook", url=url, secret=str(secret))
        with pytest.raises(InvalidError) as caught:
            exports.send(home, "t", [alert(1)])
    assert caught.value.rule == "export.secret"


@pytest.mark.parametrize("host", ["192.0.2.1", "siem.example"])
def test_udp_to_another_machine_is_refused_where_it_is_sent_too(host):
    aimed = Target(name="t", kind="syslog", url=f"udp://{host}:514", form="text")
    with pytest.raises(InvalidError) as caught:
        senders.sender(aimed, home="h", product="1", clock=FixedClock(NOW))(finding(1))
    assert caught.value.rule == "export.udp"


def test_an_unknown_target_is_refused(home):
    with pytest.raises(MissingError):
        exports.send(home, "nobody", [])


def test_names_leave_where_the_target_was_told_so_alone(home, secret):
    got = []
    with web_receiver(got) as url:
        said = {"kind": "webhook", "url": url, "secret": str(secret)}
        aim(home, **said, names="shown")
        exports.send(home, "t", [alert(1)])
        aim(home, **said)
        exports.send(
            home, "t", [alert(2), alert(3, sentence="omar helped dana")], principals=["omar"]
        )
    assert "dana did it" in got[0].body.decode()
    assert not any(name in one.body.decode() for one in got[1:] for name in ("dana", "omar"))
    kept = list(home.exports.rglob("*"))
    assert not any(b"dana" in file.read_bytes() for file in kept if file.is_file())


def test_the_feed_is_never_held_up_and_a_target_that_fails_is_left_alone_for_a_while(home, secret):
    clock, got, code = FixedClock(NOW), [], [500]
    with web_receiver(got, status=lambda: code[0]) as url:
        aim(home, kind="webhook", url=url, secret=str(secret))
        (said,) = exports.pass_on(home, [alert(1)], clock=clock)
        assert (said["rule"], said["waiting"]) == ("export.refused", 1)
        code[0] = 200
        (said,) = exports.pass_on(home, [alert(2)], clock=clock)
        assert (said["sent"], said["waiting"]) == (0, 2)  # too early to try again
        clock.advance(exports.FIRST_US)
        (said,) = exports.pass_on(home, [], clock=clock)
        assert (said["sent"], said["waiting"]) == (2, 0)
    assert len(got) == 2


def test_a_full_outbox_is_emptied_by_the_feed_and_by_hand(home, secret, monkeypatch):
    monkeypatch.setattr(exports, "Outbox", lambda folder: Outbox(folder, most=2))
    clock, got = FixedClock(NOW), []
    three = [alert(1), alert(2), alert(3)]
    aim(home, kind="webhook", url="http://127.0.0.1:9/", secret=str(secret))
    (said,) = exports.pass_on(home, three, clock=clock)
    assert (said["kept"], said["waiting"]) == (False, 2)
    with web_receiver(got) as url:
        aim(home, kind="webhook", url=url, secret=str(secret))
        exports.send(home, "t", three, clock=clock)
        assert len(got) == 3
        more = [alert(4), alert(5), alert(6)]
        assert [exports.pass_on(home, more, clock=clock)[0]["kept"] for _ in range(2)] == [
            False,
            True,
        ]
    assert len(got) == 6


def test_a_slow_receiver_has_its_time_and_no_more(home, secret):
    got = []
    with web_receiver(got) as url:
        aim(home, kind="webhook", url=url, secret=str(secret))
        (said,) = exports.pass_on(home, [alert(1), alert(2)], patience_s=0)
        assert (said["sent"], said["waiting"]) in {(0, 2), (1, 1)}
        (said,) = exports.pass_on(home, [], patience_s=60)
    assert said["waiting"] == 0


def test_the_pause_doubles_and_has_an_end(home, secret):
    clock = FixedClock(NOW)
    aim(home, kind="webhook", url="http://127.0.0.1:9/", secret=str(secret))
    outbox, pauses = Outbox(home.exports / "t"), []
    for _ in range(13):
        exports.pass_on(home, [alert(1)], clock=clock)
        pauses.append(outbox.state()["again_us"] - clock.now_us())
        clock.at_us = outbox.state()["again_us"]
    assert pauses[:4] == [1_000_000, 2_000_000, 4_000_000, 8_000_000]
    assert pauses[-1] == exports.MOST_US


def finding(index):
    return from_alert(alert(index)[1], Names(key=bytes(32), target="t"))


def test_an_outbox_is_bounded_and_what_did_not_fit_is_taken_later(tmp_path):
    outbox, got = Outbox(tmp_path / "box", most=3), []
    with pytest.raises(UnavailableError):
        outbox.put([finding(number) for number in range(5)])
    assert outbox.drain(got.append) == 3
    outbox.put([finding(number) for number in range(5)])
    outbox.drain(got.append)
    assert [one.index for one in got] == [0, 1, 2, 3, 4]


def test_a_change_of_state_is_told_though_the_entry_is_old(home, secret):
    got = []
    incident = {"incident": 4, "opened_us": NOW, "severity": 2, "state": "open", "name": "major"}
    with web_receiver(got) as url:
        aim(home, kind="webhook", url=url, secret=str(secret))
        exports.send(home, "t", [("incident", incident), alert(3), alert(9)])
        exports.send(home, "t", [("incident", incident), alert(3), alert(9, state="acked")])
        exports.send(home, "t", [("incident", incident | {"state": "contained"})])
    told = [json.loads(one.body) for one in got]
    assert [(one["class_uid"], one["activity_id"]) for one in told] == [
        (2004, 1),
        (2005, 1),
        (2004, 1),
        (2004, 3),
        (2005, 2),
    ]
    assert len({one.header("safehold-delivery") for one in got}) == 5


def test_two_do_not_send_to_one_target_at_once(tmp_path):
    outbox = Outbox(tmp_path / "box")
    with outbox.held(), pytest.raises(ConflictError), Outbox(tmp_path / "box").held():
        pass


def test_a_finding_that_is_damaged_stops_and_is_told(tmp_path):
    outbox = Outbox(tmp_path / "box")
    outbox.put([finding(1)])
    outbox.waiting()[0].write_bytes(b"{")
    with pytest.raises(InvalidError):
        outbox.drain(lambda _: None)


KILLED = """
import sys
from pathlib import Path
from safehold.app.outbox import Outbox
from tests.unit.test_export_sending import finding
box = Outbox(Path(sys.argv[1]))
print("ready", flush=True)
first = box.state()["taken"] + 1
with open(sys.argv[2], "a") as out, box.held():
    for number in range(first, 10**6):
        box.put([finding(number)])
        box.drain(lambda one: (out.write(f"{one.index}\\n"), out.flush()))
"""


def test_killed_at_any_point_none_is_lost_and_all_are_in_order(tmp_path):
    box, out = tmp_path / "box", tmp_path / "got"
    for turn in range(3):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(box), str(out)], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.04 + 0.05 * turn)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    left = []
    with Outbox(box).held():
        Outbox(box).drain(left.append)
    got = [int(line) for line in out.read_text().split("\n") if line] + [one.index for one in left]
    assert got == sorted(got)
    assert sorted(set(got)) == list(range(max(got) + 1))
    assert len(got) - len(set(got)) <= 3  # at most the one that was on its way, each time
    assert max(got) > 5


@pytest.mark.parametrize("rule", ["export.target"])
def test_a_file_of_targets_that_cannot_be_used_stops_everything(home, rule):
    home.targets_file.write_text("[t]\nkind = 3\n")
    with pytest.raises(SafeholdError) as caught:
        exports.pass_on(home, [])
    assert caught.value.rule == rule
