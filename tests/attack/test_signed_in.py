"""A sign-in speaks for the person who linked it, sees and narrows, and does so for nobody else."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import pytest
from tests.identities import Somebody, human, workload
from tests.keeper_desk import Bench
from tests.oidc_provider import CLIENT, Provider
from tests.passkey import SoftPasskey
from tests.voices import STREAMS, Voice
from tests.world import raised

from safehold import canonical
from safehold.access.identity import sign_in_nonce
from safehold.canonical import b64, unb64
from safehold.clock import DAY_US
from safehold.keeper import door
from safehold.keeper.caller import HUMAN, Caller
from safehold.keeper.messages import ask, state
from safehold.signing import SigningKey
from safehold_verify.choice import Choice, verify_choice
from safehold_verify.person import Person, unpack
from safehold_verify.words import choice_in_words

READING = ("people.show", "people.receipts", "people.receipt", "people.trail")
CY = "cy"


@pytest.fixture
def bench(voices_bench: Bench) -> Bench:
    voices_bench.call(
        "people.enrol",
        people=[{"person": CY, "jurisdiction": "US-CA"}],
        evidence="a list of the works council",
    )
    return voices_bench


@pytest.fixture
def cy(bench: Bench) -> Somebody:
    """An employee without a key, signed in and linked."""
    return _link(bench, human(bench.call, "cy.signed", "employee"), CY)


def _code(bench: Bench, person: str) -> str:
    return bench.call("people.invite", person=person)["code"]


def _link(bench: Bench, who: Somebody, person: str) -> Somebody:
    who.ask("people.choose", as_self=True, person=person, choice="link", code=_code(bench, person))
    return who


def _self(who: Somebody, verb: str, person: str = CY, **more: Any) -> dict[str, Any]:
    return who.ask(verb, as_self=True, person=person, **more)


def _say(who: Somebody, choice: str, person: str = CY, **more: Any) -> dict[str, Any]:
    return _self(who, "people.choose", person, choice=choice, **more)


def _receipt(bench: Bench, answer: dict[str, Any]) -> Choice:
    return verify_choice(answer["receipt"].encode(), bench.home.policy_file)


def test_through_a_provider_somebody_without_a_key_sees_and_narrows(bench: Bench) -> None:
    with Provider(lambda: bench.clock.now_us() // 1_000_000).running() as provider:
        bench.call("principal.provider", issuer=provider.issuer, client=CLIENT)
        bench.call(
            "principal.enrol", principal="cy.signed", kind="human", role="employee",
            names=[f"oidc:{provider.issuer}#sub-ana"],
        )  # fmt: skip
        question = bench.call("session.ask")["question"]
        who = Somebody(bench.call, "cy.signed")
        nonce = sign_in_nonce(unb64(question), who.session.public)
        who.ticket = bench.call(
            "session.open", method="oidc", token=provider.id_token(nonce),
            key=who.session.public.text(), question=question,
        )["ticket"]  # fmt: skip
    made = _receipt(bench, _say(who, "link", code=_code(bench, CY)))
    assert made.said["identity"].startswith("oidc:")
    assert who.ask("session.show")["person"] == CY
    shown = _self(who, "people.show")
    assert shown["linked"]["principal"] == "cy.signed"
    assert shown["linked"]["method"] == "oidc"
    for verb in READING:
        assert _self(who, verb)
    for choice, more in (("pause", {}), ("restrict", {"text": "please"}), ("withdraw", {})):
        found = _receipt(bench, _say(who, choice, **more))
        assert (found.choice, found.by, found.key) == (choice, "sign-in", "")
        session = bench.desk.ledger.detail(found.session[0])
        assert session["actor"] == "cy.signed"
        assert "No key of the person signed it" in "\n".join(choice_in_words(found, None))
    lengths = {
        len(canonical.encode(bench.desk.ledger.detail(index)["detail"]))
        for index, leaf in bench.desk.ledger.leaves()
        if leaf["k"] == "choice"
    }
    assert len(lengths) == 1
    bench.restart()
    assert _self(who, "people.show")["paused"]
    _say(who, "unlink")
    assert raised(lambda: _self(who, "people.show")).rule == "subjects.link"
    assert "person" not in who.ask("session.show")


@pytest.mark.parametrize("choice", ["consent", "resume", "lift", "key", "invite", "move", "answer"])
def test_what_widens_takes_a_key(bench: Bench, cy: Somebody, choice: str) -> None:
    more = {"streams": STREAMS} if choice == "consent" else {}
    assert raised(lambda: _say(cy, choice, **more)).rule == "subjects.signed"


def test_a_passkey_set_with_a_code_widens_what_the_sign_in_may_not(
    bench: Bench, cy: Somebody
) -> None:
    voice = Voice(bench, CY, SoftPasskey())
    voice.choose("key", new_key=voice.key.public.text(), code=_code(bench, CY))
    assert raised(lambda: voice.choose("consent", streams=STREAMS)).rule == "subjects.key_rests"
    bench.clock.advance(7 * DAY_US)
    voice.choose("consent", streams=STREAMS)
    assert _self(cy.sign_in(), "people.show")["streams"] == STREAMS


def test_nobody_else_speaks_by_it(bench: Bench, cy: Somebody) -> None:
    manager, operator = (
        human(bench.call, "boss", "employee"),
        human(bench.call, "op", "engineer"),
    )
    robot = workload(bench.call, "robot", "engineer")
    for who in (manager, operator):
        for verb in READING:
            assert raised(lambda who=who, verb=verb: _self(who, verb)).rule == "subjects.link"
        assert raised(lambda who=who: _say(who, "pause")).rule == "subjects.link"
        assert raised(lambda who=who: _say(who, "unlink")).rule == "subjects.link"
        # of somebody who is not there it says the same
        assert raised(lambda who=who: _self(who, "people.show", "nobody")).rule == "subjects.link"
        for person in (CY, "nobody"):
            wrong = raised(lambda who=who, p=person: _say(who, "link", p, code="A" * 32))
            assert wrong.rule == "subjects.code"
    assert raised(lambda: _self(robot, "people.show")).rule == "door.workload"
    for verb in READING:
        local = raised(lambda verb=verb: bench.call(verb, person=CY, as_self=True))
        assert local.rule == "subjects.signed_in"
        if verb != "people.show":
            asked = raised(lambda verb=verb: operator.ask(verb, person=CY))
            assert asked.rule == "subjects.voice"
    told = operator.ask("people.show", person=CY)
    assert "linked" not in told
    assert "streams" not in told


def test_a_code_of_one_person_links_to_nobody_else_and_counts_once(
    bench: Bench, cy: Somebody
) -> None:
    other, code = human(bench.call, "other", "employee"), _code(bench, "bo")
    assert raised(lambda: _say(other, "link", CY, code=code)).rule == "subjects.code"
    _say(other, "link", "bo", code=code)
    assert raised(lambda: _say(cy, "link", "bo", code=code)).rule == "subjects.code"
    assert raised(lambda: _link(bench, other, "ana")).rule == "subjects.linked"
    assert raised(lambda: _self(other, "people.show", CY)).rule == "subjects.link"


def test_another_identity_of_the_same_principal_is_not_linked(bench: Bench) -> None:
    """Whoever enrols principals could have added a key of their own beside the person's."""
    theirs, backdoor = Somebody(bench.call, "cy.signed"), Somebody(bench.call, "cy.signed")
    bench.call(
        "principal.enrol", principal="cy.signed", kind="human", role="employee",
        names=[theirs.name, backdoor.name],
    )  # fmt: skip
    _link(bench, theirs.sign_in(), CY)
    assert raised(lambda: _self(backdoor.sign_in(), "people.show")).rule == "subjects.link"
    assert _self(theirs, "people.show")


def test_a_link_does_not_pass_to_whoever_gets_the_identity_later(
    bench: Bench, cy: Somebody
) -> None:
    """An identity that was enrolled anew under another id speaks for nobody."""
    bench.call("principal.remove", principal="cy.signed")
    bench.call("principal.enrol", principal="heir", kind="human", role="employee", names=[cy.name])
    assert raised(lambda: _self(cy.sign_in(), "people.show")).rule == "subjects.link"


@pytest.mark.parametrize("step", ["suspend", "remove"])
def test_a_link_ends_with_its_principal_and_does_not_come_back(
    bench: Bench, cy: Somebody, step: str
) -> None:
    bench.call(f"principal.{step}", principal="cy.signed")
    assert raised(lambda: _self(cy, "people.show")).rule.startswith("principal.")
    if step == "suspend":
        bench.call("principal.restore", principal="cy.signed")
        for _ in range(2):
            assert raised(lambda: _self(cy, "people.show")).rule == "subjects.link"
            assert raised(lambda: _say(cy, "pause")).rule == "subjects.link"
            bench.restart()
        _link(bench, cy, CY)
        assert raised(lambda: _self(cy, "people.show")).rule == "subjects.link_rests"
        _say(cy, "pause")
        bench.clock.advance(7 * DAY_US)
        assert _self(cy.sign_in(), "people.show")["paused"]


def test_a_link_by_code_beside_a_key_rests_and_the_person_takes_it_away(
    bench: Bench, ana: Voice
) -> None:
    thief = _link(bench, human(bench.call, "op", "engineer"), "ana")
    for verb in READING:
        refused = raised(lambda verb=verb: _self(thief, verb, "ana"))
        assert refused.rule == "subjects.link_rests"
    erase = {"choice": "erase", "confirm": "x"}
    for act in (
        lambda: _say(thief, "unlink", "ana"),
        lambda: _self(thief, "people.erase", "ana", **erase),
    ):
        assert raised(act).rule == "subjects.link_rests"
    assert ana.ask("people.show")["linked"]["principal"] == "op"
    ana.choose("disown")
    assert raised(lambda: _say(thief, "pause", "ana")).rule == "subjects.link"
    assert ana.ask("people.show")["linked"] is None


def test_a_code_does_not_push_out_the_sign_in_of_somebody_without_a_key(
    bench: Bench, cy: Somebody
) -> None:
    """Whoever hands out codes would otherwise silence the only voice, unseen, and read after seven days."""
    thief = human(bench.call, "op", "engineer")
    assert raised(lambda: _link(bench, thief, CY)).rule == "subjects.link_stands"
    assert _self(cy, "people.show")["linked"]["principal"] == "cy.signed"
    bench.clock.advance(7 * DAY_US)
    assert raised(lambda: _self(thief.sign_in(), "people.show")).rule == "subjects.link"


def test_a_link_that_the_persons_key_signs_counts_at_once(bench: Bench, ana: Voice) -> None:
    who = human(bench.call, "ana.signed", "data_scientist")
    said = ana.statement("link", identity=who.name)
    elsewhere = human(bench.call, "op", "engineer")
    taken = raised(lambda: elsewhere.ask("people.choose", **said))
    assert taken.rule == "subjects.voice"
    answer = who.ask("people.choose", **ana.statement("link", identity=who.name))
    assert _receipt(bench, answer).by == "person"
    assert _self(who, "people.show", "ana")["linked"]["principal"] == "ana.signed"
    assert raised(lambda: bench.call("people.choose", **ana.statement("link", identity="x")))
    ana.choose("unlink")
    assert raised(lambda: _self(who, "people.show", "ana")).rule == "subjects.link"


def test_a_key_set_with_a_code_beside_a_sign_in_rests_and_is_taken_away(
    bench: Bench, cy: Somebody
) -> None:
    thief = Voice(bench, CY, SigningKey.generate())
    thief.choose("key", new_key=thief.key.public.text(), code=_code(bench, CY))
    assert raised(lambda: thief.ask("people.show")).rule == "subjects.voice"
    for choice, more in (
        ("consent", {"streams": STREAMS}),
        ("unlink", {}),
        ("link", {"identity": "x"}),
    ):
        refused = raised(lambda c=choice, m=more: thief.choose(c, **m))
        assert refused.rule == "subjects.key_rests"
    assert _self(cy, "people.show")["voice"]
    _say(cy, "disown")
    assert not _self(cy, "people.show")["voice"]
    bench.clock.advance(8 * DAY_US)
    assert raised(lambda: thief.ask("people.show")).rule == "subjects.voice"


def test_an_employee_gets_their_own_and_nothing_else(bench: Bench, cy: Somebody) -> None:
    who = Caller(kind=HUMAN, id="cy.signed", role="employee", session="ses")
    let: set[str] = set()
    for verb in door.KINDS_OF:
        if raised_or(lambda verb=verb: bench.verbs.door.check(verb, who, {})):
            let.add(verb)
    assert let == set(door.OPEN_TO_OWN) & set(door.KINDS_OF)
    unsigned = let - set(door.SIGNED)  # what brings signatures of seats is anybody's to hand in
    assert not {v for v in unsigned if v.startswith(("people.", "incident.open", "alert"))}
    for verb in door.KINDS_OF:
        passed = raised_or(lambda v=verb: bench.verbs.door.check(v, who, {"as_self": True}))
        assert passed == (verb in let | set(door.AS_SELF_ACTIONS))


def raised_or(attempt: Any) -> bool:
    """Whether something passes the door."""
    try:
        attempt()
    except Exception as error:
        assert getattr(error, "rule", "").startswith(("door.", "subjects."))
        return False
    return True


def test_a_charter_may_keep_it_from_them(
    bench: Bench, cy: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(tree: dict[str, Any]) -> dict[str, Any]:
        tree["employee"]["do"] = ["object", "verify"]
        return tree

    charter = bench.changed(who_may=without)
    monkeypatch.setattr(bench.desk.trust, "charter", lambda: charter)
    assert raised(lambda: _self(cy, "people.trail")).rule == "door.role"
    assert raised(lambda: _self(cy, "people.leave")).rule == "door.role"
    # a proof that nobody would check, put beside it, lets nobody past
    for verb, beside in door.SPOKEN.items():
        if door.AS_SELF_ACTIONS.get(verb):
            passed = raised(lambda verb=verb, more={beside: "x"}: _self(cy, verb, **more))
            assert passed.rule == "door.role", verb
    assert _say(cy, "pause")


def test_a_copy_is_sealed_to_the_key_that_the_session_brings(bench: Bench, cy: Somebody) -> None:
    mine = Person(os.urandom(32))

    def copy(who: Somebody, person: str = CY) -> bytes:
        with tempfile.TemporaryFile() as file:
            _self_file(who, file.fileno(), person, b64(mine.opening()))
            file.seek(0)
            return file.read()

    assert raised(lambda: copy(cy)).rule == "export.waiting"
    bench.clock.advance(4 * DAY_US)
    cy.sign_in()
    sealed = copy(cy)
    assert raised(lambda: copy(human(bench.call, "op", "engineer"))).rule == "subjects.link"
    assert raised(lambda: copy(cy, "ana")).rule == "subjects.link"
    folder = bench.path / "copy"
    assert unpack(mine.open(sealed), folder)
    assert copy(cy) != sealed


def _self_file(who: Somebody, descriptor: int, person: str, open_to: str) -> dict[str, Any]:
    arguments = {"as_self": True, "person": person, "open_to": open_to}
    return who.call(
        "people.export", descriptor, **arguments, caller=who.proof("people.export", arguments)
    )


def test_somebody_has_themselves_erased_by_saying_it_twice(bench: Bench, cy: Somebody) -> None:
    shown = _self(cy, "people.leave")
    for wrong in ("", "AAAA", b64(bytes(40))):
        refused = raised(lambda w=wrong: _self(cy, "people.erase", choice="erase", confirm=w))
        assert refused.rule in {"subjects.confirm", "canonical.base64"}
    assert raised(lambda: _say(cy, "erase", confirm=shown["confirm"])).rule == "subjects.choice"
    _say(cy, "pause")  # whatever is chosen in between, it is asked anew
    late = raised(lambda: _self(cy, "people.erase", choice="erase", confirm=shown["confirm"]))
    assert late.rule == "subjects.confirm"
    shown = _self(cy, "people.leave")
    bench.clock.advance(600_000_000)
    late = raised(lambda: _self(cy, "people.erase", choice="erase", confirm=shown["confirm"]))
    assert late.rule == "subjects.confirm"
    shown = _self(cy, "people.leave")
    done = _self(cy, "people.erase", choice="erase", confirm=shown["confirm"])
    assert done["receipt"]
    assert raised(lambda: _self(cy, "people.show")).rule == "subjects.link"
    bench.restart()


def test_a_signed_request_erases_and_no_other_statement_does(bench: Bench, ana: Voice) -> None:
    shown = ana.ask("people.leave")
    operator = human(bench.call, "op", "engineer")
    assert raised(lambda: operator.ask("people.leave", person="ana")).rule == "subjects.voice"
    pause = ana.statement("pause")
    assert raised(lambda: bench.call("people.erase", **pause)).rule == "subjects.choice"
    false = Voice(bench, "bo", SigningKey.generate())
    said = false.statement("erase", confirm=shown["confirm"])
    assert raised(lambda: bench.call("people.erase", **said)).rule == "subjects.voice"
    bench.restart()
    said = ana.statement("erase", confirm=shown["confirm"])
    assert bench.call("people.erase", **said)["receipt"]
    assert not bench.desk.people.knows("ana")


def test_a_statement_and_a_proof_for_another_home_count_for_nothing(
    bench: Bench, ana: Voice
) -> None:
    """Somebody may have the same key and the same name in two homes."""

    def nonce() -> bytes:
        return unb64(bench.call("nonce")["nonce"])

    charter = bench.desk.trust.digest().hex()
    said = state(ana.key, "pause", home="elsewhere", person="ana", charter=charter, nonce=nonce())
    assert raised(lambda: bench.call("people.choose", **said)).rule == "subjects.voice"
    shown = ask(ana.key, home="elsewhere", person="ana", verb="people.trail", nonce=nonce())
    assert raised(lambda: bench.call("people.trail", **shown)).rule == "subjects.voice"


def test_who_is_enrolled_is_told_to_nobody_by_a_word_they_cannot_sign(bench: Bench) -> None:
    """The door lets anybody in who brings a proof or a statement; that must not be a way to ask for names."""
    stranger, told = SigningKey.generate(), []
    charter = bench.desk.trust.digest().hex()
    for person in ("ana", CY, "nobody"):
        rules = []
        for choice, more in (
            ("pause", {}),
            ("key", {"new_key": stranger.public.text(), "code": "A" * 32}),
        ):
            nonce = unb64(bench.call("nonce")["nonce"])
            said = state(
                stranger, choice, home=bench.home.id, person=person, charter=charter, nonce=nonce,
                **more,
            )  # fmt: skip
            rules.append(raised(lambda said=said: bench.call("people.choose", **said)).rule)
        for verb in READING:
            nonce = unb64(bench.call("nonce")["nonce"])
            shown = ask(stranger, home=bench.home.id, person=person, verb=verb, nonce=nonce)
            rules.append(raised(lambda v=verb, a=shown: bench.call(v, **a, entry=0)).rule)
        told.append(rules)
    assert told[0] == told[1] == told[2]
    assert told[0][:3] == ["subjects.voice", "subjects.code", "subjects.voice"]
