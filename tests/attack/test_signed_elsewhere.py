"""Everything that people and seats sign is prepared, signed by a passkey elsewhere, and taken by a whole keeper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.containing import WIDE
from tests.incident_desk import Response
from tests.keeper_desk import Bench
from tests.passkey import SoftPasskey, der_of
from tests.voices import STREAMS, Voice
from tests.world import PURPOSE

from safehold import canonical
from safehold.access.identity import sign_in_message
from safehold.access.identity.jose import b64url
from safehold.app.draft import draft_grant
from safehold.app.occasion import facts_of
from safehold.app.papers import read_answer
from safehold.app.signable import KINDS, prepare
from safehold.app.signature import Call, Draft, complete, gather, value_of_browser
from safehold.canonical import b64, unb64
from safehold.charter import Signature
from safehold.charter.proposal import Proposal
from safehold.charter.turnover import next_roster
from safehold.clock import SECOND_US
from safehold.errors import DeniedError, InvalidError, MissingError, SafeholdError, TamperedError
from safehold.passkey import challenge_of
from safehold.signing import SigningKey
from safehold_verify.person import Person

SEAT, PASSKEY = "legal", SoftPasskey()


@pytest.fixture
def bench(voices_bench: Bench) -> Bench:
    """A home in which one seat and one person speak with passkeys."""
    made = next_roster(voices_bench.desk.trust.roster, seat=SEAT, key=PASSKEY.public)
    facts = {"roster": made.to_json(), "seat": SEAT}
    calls = [_signed("rotation", facts, key) for key in (voices_bench.seats[SEAT], PASSKEY)]
    _hand_in(voices_bench, *calls)
    voices_bench.seats[SEAT] = PASSKEY
    assert voices_bench.desk.trust.roster.seat(SEAT).key == PASSKEY.public
    return voices_bench


def _signed(kind: str, facts: dict[str, Any], key: Any) -> Call:
    draft = Draft.from_json(canonical.decode(canonical.encode(prepare(kind, facts).to_json())))
    return complete(draft, key=key.public.text(), value=key.sign(draft.domain, draft.message))


def _facts(bench: Bench, kind: str, **named: Any) -> dict[str, Any]:
    return facts_of(bench.call, kind, named, now_us=bench.clock.now_us())


def _hand_in(bench: Bench, *calls: Call) -> dict[str, Any]:
    made = gather(calls)
    return bench.call(made.verb, **made.arguments)


def _say(bench: Bench, kind: str, *seats: str, **named: Any) -> dict[str, Any]:
    """Have seats sign one thing and hand it in."""
    facts = _facts(bench, kind, **named)
    return _hand_in(
        bench,
        *(_signed(kind, facts | {"seat": seat}, bench.seats[seat]) for seat in seats or (SEAT,)),
    )


def test_a_person_chooses_reads_and_leaves(bench: Bench, ana: Voice) -> None:
    key = SoftPasskey()
    ana.choose("key", new_key=key.public.text())

    def say(kind: str, **named: Any) -> dict[str, Any]:
        return _hand_in(bench, _signed(kind, _facts(bench, kind, person="ana", **named), key))

    assert say("choice", choice="consent", streams=STREAMS)["receipt"]
    assert say("ask", verb="people.show")["streams"] == STREAMS
    confirm = say("ask", verb="people.leave")["confirm"]
    assert say("choice", choice="erase", confirm=confirm)["receipt"]


def test_a_seat_signs_in(bench: Bench) -> None:
    name = f"key:{PASSKEY.public.text()}"
    bench.call("principal.enrol", principal="lee", kind="human", role="auditor", names=[name])
    session = SigningKey.generate()
    question = bench.call("session.ask")["question"]
    facts = {"question": question, "session": session.public.text()}
    draft = prepare("sign-in", facts)
    assert draft.message == sign_in_message(unb64(question), session.public)
    assert _hand_in(bench, _signed("sign-in", facts, PASSKEY))["principal"] == "lee"


def test_seats_propose_vote_and_refuse(bench: Bench) -> None:
    trust, charter = bench.desk.trust, bench.changed()
    said = Proposal(
        home=bench.home.id, about="charter", digest=charter.digest().hex(), version=charter.version,
        base=trust.digest().hex(), roster=trust.roster.digest().hex(), seat=SEAT,
        at_us=bench.clock.now_us(),
    )  # fmt: skip
    facts = {"proposal": said.to_json(), "charter": charter.to_json()}
    proposal = _hand_in(bench, _signed("proposal", facts, PASSKEY))["proposal"]
    assert SEAT in _say(bench, "vote", proposal=proposal, decision="sign")["signed"]
    refused = _say(bench, "vote", "hr", proposal=proposal, decision="refuse")
    assert "hr" in refused["refused"]
    with pytest.raises(MissingError):
        _facts(bench, "vote", proposal=999, decision="sign")


def _asked(bench: Bench) -> str:
    """Put a request before the keeper, and return its id."""
    grant = draft_grant(
        bench.charter(), requester="ana", purpose=PURPOSE, reason="a test of who may",
        holder=SigningKey.generate(), minutes=60,
    )  # fmt: skip
    now = bench.clock.now_us()
    grant = replace(
        grant,
        asked_us=now,
        expires_us=now + 3600 * SECOND_US,
        first_day=bench.today - 4,
        last_day=bench.today,
    )
    bench.call("request.new", grant=grant.to_json())
    return grant.id


def test_a_seat_decides_on_a_request(bench: Bench) -> None:
    name = _asked(bench)
    assert _say(bench, "decision", request=name, decision="approve")
    told = _say(bench, "decision", "hr", request=name, decision="deny")
    assert told["state"] == "denied"
    with pytest.raises(InvalidError):
        _signed(
            "decision", _facts(bench, "decision", request=name, decision="x", seat=SEAT), PASSKEY
        )


def test_a_seat_reviews_a_grant_that_has_ended(bench: Bench) -> None:
    bench.pass_()
    (grant,) = bench.call("grant.list")["grants"]
    bench.call("grant.revoke", grant=grant["id"])
    told = _say(bench, "review", "security", grant=grant["id"], outcome="as_stated")
    assert told


def test_the_board_stops_and_resumes(bench: Bench) -> None:
    assert _say(bench, "stop", reason="a test")
    assert bench.desk.trust.stopped
    others = tuple(bench.seats)
    assert _say(bench, "resume", *others, reason="a test")
    assert not bench.desk.trust.stopped


def test_a_seat_contains_and_two_lift(bench: Bench) -> None:
    held = _say(bench, "contain", what="collection", target="all", reason="a test")
    entry = held["entry"]
    lifted = _say(
        bench, "lift", *dict.fromkeys((SEAT, *WIDE)), entry=entry, reason="it was looked at"
    )
    assert lifted


def test_seats_answer_somebody(bench: Bench, ana: Voice) -> None:
    case = ana.choose("restrict", text="please")["case"]
    assert _say(bench, "read", case=case)["text"] == "please"
    for seats in ((SEAT,), ("privacy", "employee_representative", SEAT)):
        case = case or ana.choose("restrict")["case"]
        outcome = "kept" if len(seats) == 1 else "lifted"
        assert _say(bench, "answer", *seats, case=case, outcome=outcome, text="an answer")
        ana.choose("lift")
        case = ""


def test_seats_speak_about_an_incident(bench: Bench) -> None:
    desk = Response(bench)
    incident = desk.open()
    desk.call("incident.severity", incident=incident, severity=1, text="it was read")
    for seat in (SEAT, "security"):
        told = _say(
            bench, "lower", seat, incident=incident, facts={"severity": 3, "why": "it was less"}
        )
    assert told
    notice = {"notice": "people", "decision": "not_needed", "why": "nobody was reached"}
    assert _say(bench, "notice", incident=incident, facts=notice)
    opener = Person(b"o" * 32)
    facts = {"open_to": b64(opener.opening())}
    listed = _say(bench, "letters", "privacy", SEAT, incident=incident, facts=facts)
    assert opener.open(unb64(listed["sealed"]))
    assert _say(
        bench, "reached", "privacy", SEAT, target={"segment": "us-ca.key"},
        reason="who it was", **facts,
    )["sealed"]  # fmt: skip


def test_what_is_signed_is_what_is_handed_in(bench: Bench) -> None:
    facts = {"home": "home_x", "reason": "why", "seat": SEAT, "at_us": 1}
    draft = prepare("stop", facts)
    assert draft.challenge == challenge_of("safehold.stop.v1", draft.message)
    value = PASSKEY.sign(draft.domain, draft.message)
    with pytest.raises(TamperedError):
        complete(draft, key=SoftPasskey().public.text(), value=value)
    with pytest.raises(TamperedError):
        complete(prepare("stop", facts | {"at_us": 2}), key=PASSKEY.public.text(), value=value)
    with pytest.raises(InvalidError):
        Draft.from_json(draft.to_json() | {"challenge": b64url(bytes(32))})
    with pytest.raises(InvalidError):
        Draft.from_json(draft.to_json() | {"v": "safehold-to-sign/2"})
    other = _signed("stop", facts | {"reason": "another"}, PASSKEY)
    mine = _signed("stop", facts, PASSKEY)
    with pytest.raises(InvalidError):
        gather([mine, other])
    for wrong in ({"cause": "x"}, {"more": 1}, {"at_us": None}, {"seat": None}):
        with pytest.raises(InvalidError):
            made = prepare("stop", facts | wrong)
            Signature.from_json(made.arguments["signatures"][0])
    with pytest.raises(InvalidError):
        prepare("everything", facts)


def test_a_browsers_answer_is_read(bench: Bench, tmp_path: Any) -> None:
    draft = prepare("stop", {"home": "x", "reason": "why", "seat": SEAT, "at_us": 1})
    made = PASSKEY.answer(draft.challenge)
    answer = {
        "authenticatorData": b64url(made.data),
        "clientDataJSON": b64url(made.client),
        "signature": b64url(der_of(made)),
    }
    assert value_of_browser(answer) == made.pack()
    file = tmp_path / "answer.json"
    file.write_bytes(canonical.encode({"id": "x", "response": answer}))
    assert read_answer(file) == made.pack()
    for wrong in ({}, answer | {"signature": "AA"}, answer | {"signature": 1}):
        with pytest.raises(InvalidError):
            value_of_browser(wrong)


def test_an_incident_closes_and_a_model_is_decided_about_by_passkeys(bench: Bench) -> None:
    """As far as the keeper's own conditions let it: the signature is not what it stumbles over."""
    desk = Response(bench)
    incident = desk.open()
    facts = {"keeps": [], "why": "it is over"}
    with pytest.raises(DeniedError) as refused:
        _say(bench, "close", incident=incident, facts=facts)
    assert refused.value.rule not in {"incident.signature", "incident.statement", "incident.seat"}
    order = {"home": bench.home.id, "artifact": "art_x", "sha256": "0" * 64, "reason": "a test",
             "seat": SEAT, "at_us": bench.clock.now_us()}  # fmt: skip
    for kind in ("release", "delete"):
        with pytest.raises(SafeholdError) as refused:
            _hand_in(bench, _signed(kind, order, PASSKEY))
        assert refused.value.rule != "artifact.order"


def test_every_kind_is_tried_here() -> None:
    here = Path(__file__)
    tried = here.read_text("utf-8") + here.with_name("test_disclosure.py").read_text("utf-8")
    assert [kind for kind in KINDS if tried.count(f'"{kind}"') < 1] == []
