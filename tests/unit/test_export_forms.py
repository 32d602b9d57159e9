"""What leaves about a finding, form by form: complete by the published rules, and without a name."""

from __future__ import annotations

import json
import re
from email import message_from_bytes

import pytest

from safehold.errors import InvalidError
from safehold.incident.export import cloudevents, letter, ocsf, otlp, syslog
from safehold.incident.export.finding import Finding, Names, from_alert, from_incident
from safehold.incident.export.target import parse_target, read_targets

KEY = bytes(range(32))
ALERT = {
    "alert": 41, "t": "2026-04-01T09:30:00.250000+00:00", "principal": "dana.hill", "signal": "first_use", "severity": 3,
    "sentence": "dana.hill read deu.keys for the first time, under a grant of omar.s; they usually read two segments.",
    "events": [38, 40], "state": "raised", "answers": ["review"], "rows": [["secret"]],
}  # fmt: skip
INCIDENT = {
    "incident": 50,
    "entry": 57,
    "t_us": 1_775_035_800_000_000,
    "severity": 1,
    "state": "contained",
    "text": "Dana Hill took it",
}
# facts of the published schema, 1.4.0: what an event of each class must say
OCSF_REQUIRED = {
    "activity_id",
    "category_uid",
    "class_uid",
    "type_uid",
    "time",
    "severity_id",
    "metadata",
}
OCSF_FINDING = {2004: {"finding_info"}, 2005: {"finding_info_list", "status_id", "assignee_group"}}


def names(**more):
    return Names(
        **{"key": KEY, "target": "siem", "known": frozenset({"omar.s", "dana.hill"}), **more}
    )


@pytest.fixture
def alert():
    return from_alert(ALERT, names())


@pytest.fixture
def incident():
    return from_incident(INCIDENT, names())


def everything(finding):
    yield json.dumps(finding.to_json())
    yield json.dumps(ocsf.to_ocsf(finding, product="1"))
    yield json.dumps(cloudevents.to_cloudevent(finding, {}, source="urn:x"))
    yield json.dumps(cloudevents.to_headers(finding, source="urn:x"))
    yield syslog.to_syslog(finding, finding.sentence, host="h").decode()
    yield json.dumps(otlp.to_logs(finding, product="1", now_us=1))
    yield json.dumps(otlp.to_traces(finding, product="1"))
    yield letter.to_mail(finding, sender="a@b.example", to=["c@d.example"], home="h").as_string()


def test_no_form_holds_a_name_or_anything_that_is_not_on_the_list(alert, incident):
    for finding in (alert, incident):
        for text in everything(finding):
            assert not re.search("dana|omar|hill|secret|took", text, re.IGNORECASE)
    assert alert.principal in alert.sentence
    assert "deu.keys" in alert.sentence


def test_tags_are_the_same_for_a_target_and_different_between_targets_and_keys(alert):
    assert from_alert({**ALERT, "alert": 99}, names()).principal == alert.principal
    assert re.fullmatch("p-[0-9a-f]{16}", alert.principal)
    assert from_alert(ALERT, names(target="other")).principal != alert.principal
    assert from_alert(ALERT, names(key=bytes(32))).principal != alert.principal


def test_a_target_that_was_told_so_gets_the_name():
    shown = from_alert(ALERT, names(shown=True))
    assert shown.principal == "dana.hill"
    assert shown.sentence == ALERT["sentence"]


@pytest.mark.parametrize(
    "sentence",
    [
        "DANA.HILL read it",
        "xdana.hillx read it",
        "sent to somebody@example.org by dana.hill",
        "Omar.S approved",
    ],
)
def test_a_sentence_in_which_a_name_would_stay_does_not_leave(sentence):
    found = from_alert({**ALERT, "sentence": sentence}, names())
    assert found.sentence == f"first_use by {found.principal}: ask Safehold for this alert."


def test_a_name_within_a_longer_name_is_replaced_whole():
    found = from_alert(
        {**ALERT, "sentence": "dana.hill and dana did"}, names(known=frozenset({"dana"}))
    )
    tags = {names().tag("dana.hill"), names().tag("dana")}
    assert set(re.findall("p-[0-9a-f]{16}", found.sentence)) == tags


@pytest.mark.parametrize(
    "change",
    [
        {"signal": "First Use"}, {"signal": None}, {"severity": 5}, {"severity": True}, {"severity": "3"}, {"alert": -1},
        {"principal": 3}, {"state": "a\r\nX-Other: b"}, {"t": "yesterday"}, {"t": "2026-04-01T09:30:00"}, {"events": "38"}, {"sentence": None},
    ],
)  # fmt: skip
def test_what_is_no_alert_is_refused(change):
    with pytest.raises(InvalidError):
        from_alert({**ALERT, **change}, names())


def test_a_finding_survives_waiting_and_nothing_else_does(alert):
    assert Finding.from_json(json.loads(json.dumps(alert.to_json()))) == alert
    with pytest.raises(InvalidError):
        Finding.from_json({**alert.to_json(), "more": 1})


@pytest.mark.parametrize(
    ("state", "activity", "status"), [("raised", 1, 1), ("acted", 2, 2), ("acked", 3, 4)]
)
def test_an_alert_is_a_detection_finding(state, activity, status):
    event = ocsf.to_ocsf(from_alert({**ALERT, "state": state}, names()), product="1")
    assert OCSF_REQUIRED | OCSF_FINDING[2004] <= event.keys()
    assert (event["class_uid"], event["category_uid"]) == (2004, 2)
    assert event["type_uid"] == 2004 * 100 + activity
    assert (event["activity_id"], event["status_id"]) == (activity, status)
    assert event["time"] == 1_775_035_800_250
    assert (event["severity_id"], event["severity"]) == (4, "High")
    assert event["finding_info"]["uid"] == "alert-41"
    assert event["metadata"]["version"] == "1.4.0"
    assert {"name", "vendor_name"} <= event["metadata"]["product"].keys()
    assert event["is_alert"] is (state == "raised")


@pytest.mark.parametrize(
    ("state", "severity", "activity", "status", "grave"),
    [("open", 5, 1, 1, 1), ("contained", 1, 2, 2, 5), ("closed", 0, 3, 5, 6)],
)
def test_an_incident_is_an_incident_finding(state, severity, activity, status, grave):
    event = ocsf.to_ocsf(
        from_incident({**INCIDENT, "state": state, "severity": severity}, names()), product="1"
    )
    assert OCSF_REQUIRED | OCSF_FINDING[2005] <= event.keys()
    assert event["type_uid"] == 2005 * 100 + activity
    assert (event["status_id"], event["severity_id"]) == (status, grave)
    assert event["finding_info_list"][0]["uid"] == "incident-50"


def test_a_cloudevent_says_what_it_must_in_both_modes(alert):
    event = cloudevents.to_cloudevent(alert, {"a": 1}, source="urn:safehold:home_1")
    assert event == {
        "specversion": "1.0", "id": "alert-41/41/raised", "source": "urn:safehold:home_1",
        "type": "org.safehold.alert.raised", "time": "2026-04-01T09:30:00.250000Z", "subject": "alert-41",
        "datacontenttype": "application/json", "data": {"a": 1},
    }  # fmt: skip
    headers = cloudevents.to_headers(alert, source='urn:"é %')
    assert headers["ce-source"] == "urn:%22%C3%A9%20%25"
    assert headers["ce-id"] == event["id"]
    assert headers["Content-Type"] == "application/json"


def test_a_syslog_message_has_the_head_of_its_rule_and_a_frame(alert):
    message = syslog.to_syslog(alert, alert.sentence, host="home_1")
    head = re.match(
        rb"<(\d+)>1 (\S+) (\S+) (\S+) (\S+) (\S+) \[safehold@32473( [a-z]+=\"[^\"]*\")+\] \xef\xbb\xbf",
        message,
    )
    assert head
    assert int(head[1]) == 13 * 8 + 2
    assert [*head.groups()[1:6]] == [
        b"2026-04-01T09:30:00.250000Z",
        b"home_1",
        b"safehold",
        b"-",
        b"alert",
    ]
    assert syslog.framed(message) == str(len(message)).encode() + b" " + message


def test_a_syslog_message_is_escaped_and_cut_at_a_character(alert):
    odd = Finding(**{**alert.to_json(), "principal": 'a"]\\\n'})
    assert rb'principal="a\"\]\\?"' in syslog.to_syslog(odd, "x", host="h")
    long = syslog.to_syslog(alert, "é" * 9000, host="a b\n")
    assert len(long) <= syslog.LONGEST
    long.decode()
    assert b" ab safehold" in long


def test_logs_and_spans_follow_the_json_of_otlp(alert, incident):
    (resource,) = otlp.to_logs(alert, product="1", now_us=7)["resourceLogs"]
    (record,) = resource["scopeLogs"][0]["logRecords"]
    assert record["timeUnixNano"] == "1775035800250000000"
    assert (record["severityNumber"], record["observedTimeUnixNano"]) == (19, "7000")
    assert re.fullmatch("[0-9a-f]{32}", record["traceId"])
    assert re.fullmatch("[0-9a-f]{16}", record["spanId"])
    assert {"key": "safehold.entry", "value": {"intValue": "41"}} in record["attributes"]
    (resource,) = otlp.to_traces(incident, product="1", opened_us=1_775_035_000_000_000)[
        "resourceSpans"
    ]
    (span,) = resource["scopeSpans"][0]["spans"]
    assert int(span["startTimeUnixNano"]) < int(span["endTimeUnixNano"])
    assert span["kind"] == 1


def test_a_mail_is_one_and_the_same_for_the_same_finding(alert):
    one = letter.to_mail(alert, sender="a@b.example", to=["c@d.example", "e@f.example"], home="h")
    again = message_from_bytes(
        letter.to_mail(alert, sender="a@b.example", to=["x@y.example"], home="h").as_bytes()
    )
    assert one["Message-ID"] == again["Message-ID"]
    assert one["Auto-Submitted"] == "auto-generated"
    with pytest.raises(InvalidError):
        letter.to_mail(alert, sender="a@b.example\nBcc: x@y.example", to=["c@d.example"], home="h")


HOOK = {"kind": "webhook", "url": "https://x.example/hook", "secret": "/s"}
MAIL = {"kind": "email", "url": "smtp://x.example", "from": "a@b.example", "to": ["c@d.example"]}


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "syslog", "url": "udp://siem.example:514"}, {"kind": "syslog", "url": "tcp://siem.example"},
        {"kind": "syslog", "url": "tls://siem.example/path"}, {"kind": "syslog", "url": "tls://a@siem.example"},
        {"kind": "syslog", "url": "tls://siem.example:99999"}, {"kind": "webhook", "url": "https://x.example"},
        HOOK | {"url": "http://x.example/hook"}, HOOK | {"form": "xml"}, HOOK | {"names": "yes"}, HOOK | {"least": 6},
        HOOK | {"least": True}, HOOK | {"kinds": ["rows"]}, HOOK | {"kinds": []}, HOOK | {"password": "x"}, {"kind": "carrier"},
        {"kind": ["webhook"]}, {"kind": "otlp", "url": "http://collector.example:4318"}, MAIL | {"to": []}, MAIL | {"user": "u"},
        MAIL | {"url": "http://x.example"}, MAIL | {"enterprise": 0}, "https://x.example",
    ],
)  # fmt: skip
def test_a_target_that_would_send_unprotected_or_is_not_complete_is_refused(said):
    with pytest.raises(InvalidError):
        parse_target("t", said)


def test_targets_are_read_from_their_file(tmp_path):
    file = tmp_path / "targets.toml"
    assert read_targets(file) == {}
    file.write_text(
        '[siem]\nkind = "syslog"\nurl = "tls://siem.example"\n\n[here]\nkind = "syslog"\nurl = "udp://127.0.0.1:514"\n'
    )
    found = read_targets(file)
    assert found["siem"].place == ("siem.example", 6514, "tls")
    assert found["siem"].names == "tagged"
    assert found["here"].place == ("127.0.0.1", 514, "udp")
    file.write_text("[siem")
    with pytest.raises(InvalidError):
        read_targets(file)
