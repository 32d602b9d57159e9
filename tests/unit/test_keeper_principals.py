"""Who may call what: the register, sessions, and the closed table at the door."""

from __future__ import annotations

import pytest
from tests.agency import with_agents
from tests.identities import POLICY, Somebody, agent, human, workload
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.oidc_provider import CLIENT, Provider
from tests.svids import Authority, at
from tests.voices import Voice, enrol

from safehold import canonical
from safehold.access.identity import sign_in_message, sign_in_nonce
from safehold.canonical import b64, unb64
from safehold.errors import (
    ConflictError,
    DeniedError,
    SafeholdError,
    SignInError,
    TamperedError,
)
from safehold.keeper import door
from safehold.keeper.caller import AGENT, KINDS, Caller
from safehold.keeper.principals import SECRET
from safehold.signing import SigningKey

HOUR = 3_600_000_000


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("principals"), charter=with_agents())


@pytest.fixture
def bench(made, tmp_path):
    bench = copy_bench(made, tmp_path).start()
    yield bench
    bench.stop()


@pytest.fixture(scope="module")
def shared(made, tmp_path_factory):
    """For what is refused: it may add to the ledger, and enrols nobody whom another test enrols."""
    bench = copy_bench(made, tmp_path_factory.mktemp("shared")).start()
    human(bench.call, "shared-ana")
    workload(bench.call, "shared-robot")
    yield bench
    bench.stop()


def refuse(rule: str, function, /, *arguments, **named) -> SafeholdError:
    with pytest.raises(SafeholdError) as caught:
        function(*arguments, **named)
    assert caught.value.rule == rule
    return caught.value


def test_every_verb_is_stated_and_nothing_else(shared):
    assert set(shared.verbs.table()) == set(door.KINDS_OF)
    assert all(kinds <= set(KINDS) for kinds in door.KINDS_OF.values())


def test_what_an_agent_may_ask_for_is_a_short_list():
    assert {verb for verb, kinds in door.KINDS_OF.items() if AGENT in kinds} == set(door.OPEN)


def test_an_unstated_verb_is_refused_for_everybody(shared):
    for kind in KINDS:
        who = Caller(kind=kind, id="x")
        refuse(f"door.{kind}", shared.verbs.door.check, "release.everything", who, {})


def test_a_person_signs_in_and_every_call_is_theirs(bench):
    ana = human(bench.call, "ana", "engineer")
    assert ana.ask("session.show") == {
        "principal": "ana",
        "kind": "human",
        "role": "engineer",
        "identity": ana.name,
    }
    ana.ask("people.enrol", people=[], evidence="none")
    refuse("session.none", bench.call, "session.show")
    assert "session" in bench.leaves()


def test_refusals_name_who_was_refused(bench):
    ana = human(bench.call, "ana")
    error = refuse("door.role", ana.ask, "people.enrol", people=[], evidence="none")
    said = bench.desk.ledger.detail(error.entry)
    assert (said["actor"], said["object"]) == ("ana", "people.enrol")


def test_a_ticket_is_nothing_without_its_key_and_a_fresh_nonce(bench):
    ana, thief = human(bench.call, "ana"), Somebody(bench.call, "thief")
    thief.ticket = ana.ticket
    refuse("session.proof", thief.ask, "session.show")
    proof = ana.proof("session.show", {})
    bench.call("session.show", caller=dict(proof))
    refuse("capability.nonce", bench.call, "session.show", caller=dict(proof))
    other = ana.proof("budget.show", {})
    refuse("session.proof", bench.call, "session.show", caller=other)
    refuse("session.shape", bench.call, "session.show", caller={"ticket": ana.ticket})
    refuse("session.shape", bench.call, "session.show", caller="ana")


def test_a_session_ends(bench):
    ana = human(bench.call, "ana")
    bench.clock.advance(HOUR)
    refuse("session.expired", ana.ask, "session.show")
    ana.sign_in()
    ana.ask("session.end")
    refuse("session.ended", ana.ask, "session.show")


def test_a_proof_of_another_question_opens_nothing(bench):
    ana = human(bench.call, "ana")
    refuse("capability.nonce", ana.sign_in, question=b64(b"q" * 32))
    question = bench.call("session.ask")["question"]
    refuse("identity.key", ana.sign_in, question=question)
    refuse("principal.unknown", Somebody(bench.call, "cy").sign_in)


def test_a_suspended_principal_is_out_at_once(bench):
    ana = human(bench.call, "ana")
    bench.call("principal.suspend", principal="ana")
    refuse("principal.suspended", ana.ask, "session.show")
    refuse("principal.suspended", ana.sign_in)
    bench.call("principal.restore", principal="ana")
    ana.ask("session.show")
    bench.call("principal.remove", principal="ana")
    refuse("principal.removed", ana.ask, "session.show")
    refuse("principal.active", bench.call, "principal.restore", principal="ana")
    refuse("principal.removed", bench.call, "principal.suspend", principal="ana")
    refuse("principal.id", bench.call, "principal.enrol", principal="ana", kind="human",
           role="engineer", names=[Somebody(bench.call, "x").name])  # fmt: skip


def test_nobody_restores_themselves(bench):
    ana = human(bench.call, "ana", "engineer")
    bench.call("principal.suspend", principal="ana")
    with pytest.raises(DeniedError):
        ana.ask("principal.restore", principal="ana")


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("principal.role", {"role": "agent"}),
        ("principal.role", {"role": ""}),
        ("charter.role", {"role": "king"}),
        ("principal.kind", {"kind": "agent"}),
        ("principal.id", {"principal": "ana smith"}),
        ("principal.id", {"principal": "caller"}),
        ("principal.id", {"principal": "board"}),
        ("principal.names", {"names": []}),
        ("principal.names", {"names": ["ana"]}),
        ("principal.names", {"names": ["oidc:ftp://x#y"]}),
        ("signing.key", {"names": ["key:none"]}),
    ],
)
def test_what_nobody_is_enrolled_as(shared, rule, changes):
    key = SigningKey.generate().public.text()
    asked = {"principal": "ana", "kind": "human", "role": "engineer", "names": [f"key:{key}"]}
    refuse(rule, shared.call, "principal.enrol", **asked | changes)


def test_an_identity_is_one_principal(bench):
    ana = human(bench.call, "ana")
    with pytest.raises(ConflictError):
        bench.call(
            "principal.enrol", principal="bo", kind="human", role="engineer", names=[ana.name]
        )


def test_the_ledger_knows_the_register_and_an_edited_one_stops(bench):
    human(bench.call, "ana")
    human(bench.call, "bo", "engineer")
    newest = canonical.decode(bench.desk.vault.open_secret(SECRET))
    bench.restart()
    assert len(bench.call("principal.list")["principals"]) == 2
    newest["principals"]["ana"]["role"] = "engineer"
    bench.desk.vault.seal_secret(SECRET, canonical.encode(newest))
    bench.stop()
    with pytest.raises(TamperedError) as caught:
        bench.start()
    assert caught.value.rule == "principal.rollback"


def test_a_register_put_back_far_enough_stops(bench):
    human(bench.call, "ana")
    old = bench.desk.vault.open_secret(SECRET)
    for name in ("bo", "cy"):
        human(bench.call, name, "engineer")
    bench.desk.vault.seal_secret(SECRET, old)
    bench.stop()
    with pytest.raises(TamperedError):
        bench.start()


def test_a_crash_between_leaf_and_register_is_finished(bench):
    human(bench.call, "ana")
    old = bench.desk.vault.open_secret(SECRET)
    bench.call("principal.suspend", principal="ana")
    bench.desk.vault.seal_secret(SECRET, old)
    bench.restart()
    assert bench.call("principal.list")["principals"][0]["state"] == "suspended"


def test_a_home_may_demand_to_know_everybody(bench):
    refuse("principal.nobody", bench.call, "principal.identify")
    ana = human(bench.call, "ana", "engineer")
    bench.call("principal.identify")
    for verb in ("people.count", "grant.list", "ingest", "feature", "principal.enrol", "train"):
        assert isinstance(refuse("door.identified", bench.call, verb), SignInError)
    bench.call("status")
    bench.call("stop", **bench.order("stop", "privacy"))  # the board is never locked out
    ana.ask("people.count")


def test_people_speak_for_themselves_in_a_home_that_demands_to_know_everybody(bench):
    voice = enrol(bench, "zoe")["zoe"]
    human(bench.call, "ana", "engineer")
    bench.call("principal.identify")
    voice.choose("pause")
    assert voice.ask("people.show")["voice"]
    assert len(voice.ask("people.receipts")["receipts"]) == 1
    # with a proof comes that it is looked at, also for somebody who has no key
    keyless = next(iter(bench.desk.people.everybody().values())).external
    for person, key in (("zoe", SigningKey.generate()), (keyless, voice.key)):
        stranger = Voice(bench, person, key)
        for verb in ("people.show", "people.receipts", "people.receipt", "people.trail"):
            refuse("subjects.voice", stranger.ask, verb)
    forged = voice.statement("pause") | {"key": SigningKey.generate().public.text()}
    refuse("subjects.voice", bench.call, "people.choose", **forged)
    # an operator's own entry is no such proof
    refuse("door.identified", bench.call, "people.choose", person="zoe", choice="pause")
    refuse("door.identified", bench.call, "people.show", person="zoe")


def test_an_argument_beside_a_verb_opens_no_door(bench):
    bo = human(bench.call, "bo", "data_scientist")
    human(bench.call, "ana", "engineer")
    bench.call("principal.identify")
    beside = (*door.KINDS_OF, *door.SPOKEN.values())
    for verb in ("people.count", "people.move", "principal.restore", "grant.list", "key.rotate"):
        names = dict.fromkeys((*beside, verb), "") | {"principal": "bo"}
        refuse("door.identified", bench.call, verb, **names)
    refuse("door.role", bo.ask, "people.count", **dict.fromkeys(beside, ""))


def test_somebody_who_forgot_to_sign_in_gets_exit_code_4(bench):
    human(bench.call, "ana", "engineer")
    bench.call("principal.identify")
    assert refuse("door.identified", bench.call, "people.count").exit_code == 4


# -- identity providers and workloads ------------------------------------------------------------


def sign_in_with(bench, provider, token=None, **claims):
    session, question = SigningKey.generate(), bench.call("session.ask")["question"]
    nonce = sign_in_nonce(unb64(question), session.public)
    made = Somebody(bench.call, "x", session=session)
    made.ticket = bench.call(
        "session.open",
        method="oidc",
        token=token or provider.id_token(claims.pop("of", nonce), **claims),
        key=session.public.text(),
        question=question,
    )["ticket"]
    return made


@pytest.fixture
def provider(bench):
    with Provider(lambda: bench.clock.now_us() // 1_000_000).running() as provider:
        bench.call("principal.provider", issuer=provider.issuer, client=CLIENT)
        bench.call("principal.enrol", principal="ana", kind="human", role="data_scientist",
                   names=[f"oidc:{provider.issuer}#sub-ana"])  # fmt: skip
        yield provider


def test_a_person_through_a_provider_has_the_role_of_the_register(bench, provider):
    ana = sign_in_with(bench, provider)
    assert ana.ask("session.show")["role"] == "data_scientist"  # the token says engineer, admin
    refuse("door.role", ana.ask, "people.enrol", people=[], evidence="none")
    provider.person = "sub-stranger"
    refuse("principal.unknown", sign_in_with, bench, provider)


def test_a_provider_may_rotate_its_keys(bench, provider):
    sign_in_with(bench, provider)
    provider.rotate()
    sign_in_with(bench, provider)
    bench.restart()
    asked = provider.asked_for_keys
    sign_in_with(bench, provider)
    assert provider.asked_for_keys == asked  # the new keys are in the register
    refuse("oidc.unknown", sign_in_with, bench, provider, iss="https://elsewhere.example")


def test_an_id_token_opens_one_session_of_one_key(bench, provider):
    session, question = SigningKey.generate(), bench.call("session.ask")["question"]
    token = provider.id_token(sign_in_nonce(unb64(question), session.public))
    thief = SigningKey.generate()
    asked = {"method": "oidc", "token": token, "question": question}
    refuse("oidc.nonce", bench.call, "session.open", **asked, key=thief.public.text())
    # the question was spent by the thief; the token answers no other
    refuse("capability.nonce", bench.call, "session.open", **asked, key=session.public.text())
    again = asked | {"question": bench.call("session.ask")["question"]}
    refuse("oidc.nonce", bench.call, "session.open", **again, key=session.public.text())


def test_workloads_by_spiffe(bench):
    house = Authority("house.example", at(bench.clock.now_us()))
    bench.call("principal.bundle", domain="house.example", bundle=house.bundle())
    name = "spiffe://house.example/ingest"
    bench.call(
        "principal.enrol", principal="ingest", kind="workload", role="engineer", names=[name]
    )
    svid = house.svid(name)

    def sign_in(method: str, /, **changes) -> Somebody:
        session, asked = SigningKey.generate(), bench.call("session.ask")
        question = unb64(asked["question"])
        nonce = sign_in_nonce(question, session.public)
        arguments = {
            "x509-svid": {
                "certificate": svid.pem,
                "proof": b64(svid.sign(sign_in_message(question, session.public))),
            },
            "jwt-svid": {"token": house.jwt_svid(name, f"{asked['audience']}/{nonce}")},
        }[method]
        made = Somebody(bench.call, "ingest", session=session)
        made.ticket = bench.call(
            "session.open",
            **{"method": method, "domain": "house.example", "key": session.public.text(),
               "question": asked["question"]} | arguments | changes,
        )["ticket"]  # fmt: skip
        return made

    for method in ("x509-svid", "jwt-svid"):
        assert sign_in(method).ask("session.show")["kind"] == "workload"
    refuse("spiffe.unknown", sign_in, "x509-svid", domain="other.example")
    refuse("spiffe.audience", sign_in, "jwt-svid", token=house.jwt_svid(name, "safehold"))
    refuse("session.method", sign_in, "x509-svid", method="password")
    who = sign_in("x509-svid")
    bench.clock.advance(HOUR)
    refuse("session.expired", who.ask, "session.show")
    refuse("spiffe.expired", sign_in, "x509-svid")


# -- agents ----------------------------------------------------------------------------------------


def test_an_agent_has_a_key_an_operator_and_a_policy(bench):
    human(bench.call, "ana")
    helper = agent(bench.call, "helper", "ana")
    assert helper.ask("session.show")["operator"] == "ana"
    bench.clock.advance(HOUR // 4)
    refuse("session.expired", helper.ask, "session.show")


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("principal.unknown", {"operator": "nobody"}),
        ("agent.operator", {"operator": "shared-robot"}),
        ("agent.via", {"via": "shared-ana"}),
        ("agent.purpose", {"policy": POLICY | {"purposes": ["sell_it"]}}),
        ("agent.policy", {"policy": POLICY | {"purposes": []}}),
        ("agent.policy", {"policy": POLICY | {"calls": 0}}),
        ("agent.policy", {"policy": POLICY | {"calls": 601}}),
        ("agent.policy", {"policy": POLICY | {"runs": 1.5}}),
        ("agent.policy", {"policy": POLICY | {"admin": True}}),
        ("agent.key", {"names": ["spiffe://house.example/agent"]}),
    ],
)
def test_agents_that_nobody_enrols(shared, rule, changes):
    names = [Somebody(shared.call, "x").name]
    asked = {"principal": "helper", "operator": "shared-ana", "names": names, "policy": POLICY}
    refuse(rule, shared.call, "agent.enrol", **asked | changes)


def test_people_enrol_agents_for_themselves(bench):
    ana, _ = human(bench.call, "ana"), human(bench.call, "bo")
    names = [Somebody(bench.call, "x").name]
    asked = {"principal": "helper", "names": names, "policy": POLICY}
    refuse("agent.operator", ana.ask, "agent.enrol", **asked, operator="bo")
    ana.ask("agent.enrol", **asked, operator="ana")


def test_a_charter_without_agents_has_none(bench):
    human(bench.call, "ana")
    helper = agent(bench.call, "helper", "ana")
    bench.enact(bench.changed(who_may=lambda who: {k: v for k, v in who.items() if k != "agent"}))
    refuse("principal.role", helper.ask, "session.show")
    refuse("principal.role", helper.sign_in)
    refuse("charter.role", agent, bench.call, "second", "ana")


def test_an_agent_is_refused_at_every_other_verb(bench):
    human(bench.call, "ana")
    helper = agent(bench.call, "helper", "ana")
    for verb in sorted(set(door.KINDS_OF) - set(door.OPEN)):
        error = refuse("door.agent", helper.ask, verb)
        assert isinstance(error, DeniedError)
        assert bench.desk.ledger.detail(error.entry)["actor"] == "helper"


def test_who_may_verify_what_is_their_own_does_not_look_at_what_is_everybodys(bench):
    """The charter lets an employee verify at the stage `self`, an auditor at `audit`: the same word, not the same door."""
    employee, auditor = human(bench.call, "emil", "employee"), human(bench.call, "aude", "auditor")
    for verb in ("incident.list", "alert.list", "grant.list", "ledger.audit", "containment.list", "milestones"):  # fmt: skip
        refuse("door.role", employee.ask, verb)
    refuse(
        "door.role", employee.ask, "contain", what="purpose", target="train_ui_agent", reason="x"
    )
    assert auditor.ask("incident.list")["incidents"] == []
