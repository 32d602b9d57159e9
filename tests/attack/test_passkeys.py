"""Passkeys before a whole keeper: people and seats speak with them, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest
from tests.identities import Somebody
from tests.keeper_desk import Bench
from tests.passkey import SoftPasskey
from tests.voices import STREAMS, Voice, enrol
from tests.world import raised

from safehold import canonical
from safehold.charter import Signature
from safehold.charter.roster import ROSTER_DOMAIN
from safehold.charter.turnover import next_roster
from safehold.errors import InvalidError
from safehold.keeper.messages import ANSWER_DOMAIN
from safehold_verify import VerificationError
from safehold_verify.choice import verify_choice


@pytest.fixture
def bench(voices_bench: Bench) -> Bench:
    return voices_bench


def _joined(bench: Bench) -> Voice:
    """Return somebody who set a passkey with their code."""
    enrol(bench, "other")
    bench.call(
        "people.enrol", people=[{"person": "cy", "jurisdiction": "US-CA"}], evidence="a list"
    )
    code = bench.call("people.invite", person="cy")["code"]
    cy = Voice(bench, "cy", SoftPasskey())
    cy.choose("key", new_key=cy.key.public.text(), code=code)
    return cy


def test_a_person_speaks_with_a_passkey_and_their_receipts_hold_offline(
    bench: Bench, ana: Voice
) -> None:
    cy = _joined(bench)
    cy.choose("consent", streams=STREAMS)
    assert cy.ask("people.show")["streams"] == STREAMS
    cy.choose("withdraw")
    ana.choose("withdraw")
    lengths = {
        len(canonical.encode(bench.desk.ledger.detail(index)["detail"]))
        for index, leaf in bench.desk.ledger.leaves()
        if leaf["k"] == "choice"
    }
    assert len(lengths) == 1, "a signature of a passkey shows in no length"
    for receipt in cy.receipts:
        found = verify_choice(receipt, bench.home.policy_file, key=cy.key.public.text())
        assert found.by == "person"
    with pytest.raises(VerificationError):
        verify_choice(receipt, bench.home.policy_file, key=SoftPasskey().public.text())
    bench.restart()
    assert cy.ask("people.show")["withdrawn_us"]


@pytest.mark.parametrize(
    "spoilt",
    [{"origin": "https://elsewhere.example"}, {"flags": 0x01}, {"type": "webauthn.create"}],
)
def test_an_assertion_that_does_not_hold_says_nothing(
    bench: Bench, spoilt: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cy = _joined(bench)
    whole = SoftPasskey.sign
    monkeypatch.setattr(
        SoftPasskey, "sign", lambda self, domain, message: whole(self, domain, message, **spoilt)
    )
    for attempt in (lambda: cy.choose("pause"), lambda: cy.ask("people.show")):
        assert raised(attempt).rule == "subjects.voice"


def test_people_sign_in_with_a_passkey_and_programs_do_not(bench: Bench) -> None:
    cy = Somebody(bench.call, "cy", SoftPasskey())
    bench.call(
        "principal.enrol", principal="cy", kind="human", role="data_scientist", names=[cy.name]
    )
    assert cy.sign_in().ask("session.show")["principal"] == "cy"
    robot = Somebody(bench.call, "robot", SoftPasskey())
    refused = raised(
        lambda: bench.call(
            "principal.enrol", principal="robot", kind="workload", role="", names=[robot.name]
        )
    )
    assert refused.rule == "signing.passkey"
    session = raised(lambda: cy.sign_in(key=SoftPasskey().public.text()))
    assert session.rule == "signing.passkey"


def test_devices_have_keys_of_their_own(bench: Bench) -> None:
    for verb in ("source.add", "lease.obtain"):
        refused = raised(
            lambda verb=verb: bench.call(
                verb, person="ana", device=SoftPasskey().public.text(), nonce="", proof=""
            )
        )
        assert isinstance(refused, InvalidError)
        assert refused.rule == "signing.passkey"


def test_a_seat_turns_to_a_passkey_and_decides_with_it(bench: Bench, ana: Voice) -> None:
    seat, key = "employee_representative", SoftPasskey()
    made = next_roster(bench.desk.trust.roster, seat=seat, key=key.public)
    for one in (bench.seats[seat], key):
        made = made.add(Signature(seat=seat, value=one.sign(ROSTER_DOMAIN, made.message())))
    bench.call("board.rotate", roster=made.to_json())
    old, bench.seats[seat] = bench.seats[seat], key
    bench.enact(bench.changed())
    case = ana.choose("restrict")["case"]
    order = canonical.encode(
        {
            "v": "safehold.answer/1",
            "home": bench.home.id,
            "case": case,
            "outcome": "kept",
            "text": "it stays",
        }
    )

    def answer(signer: Any) -> dict[str, Any]:
        made = Signature(seat=seat, value=signer.sign(ANSWER_DOMAIN, order))
        return bench.call("rights.answer", answer=order.decode(), signatures=[made.to_json()])

    assert raised(lambda: answer(old))
    assert raised(lambda: answer(SoftPasskey()))
    assert answer(key)
    assert bench.call("stop", **bench.order("stop", seat))
    assert bench.call("resume", **bench.order("resume"))
    bench.restart()
    assert bench.desk.trust.roster.seat(seat).key == key.public
