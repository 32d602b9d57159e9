"""A choice is the person's own: who else tries to make it, to see it, or to fake its receipt, does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, batch, chunk
from tests.voices import STREAMS, Voice, enrol, found_voices
from tests.world import PURPOSE, outside, raised

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.charter import Charter
from safehold.clock import DAY_US
from safehold.errors import DeniedError, InvalidError, SafeholdError, SignInError
from safehold.keeper.ask import Ask
from safehold.keeper.messages import CHOICE_DOMAIN, ask
from safehold.signing import SigningKey

ANA, BO = "ana", "bo"


@pytest.fixture
def bench(voices_bench: Bench) -> Bench:
    return voices_bench


def _says(error: SafeholdError, kind: type[SafeholdError], rule: str) -> None:
    assert isinstance(error, kind), repr(error)
    assert error.rule == rule


def _left_out(bench: Bench) -> dict[str, int]:
    return bench.call("feature", purpose=PURPOSE)["left_out"]


# --- who may say it -------------------------------------------------------------------------------


def test_nobody_is_in_before_they_signed_for_it(bench: Bench, ana: Voice) -> None:
    error = raised(lambda: bench.ingest(batch(ANA, bench.today - 1), chunk()))
    assert "nobody on the roll" in error.message
    ana.choose("consent", streams=STREAMS)
    assert bench.take(ANA, name="b")["tally"]["taken"]["pointer"] == 2
    assert bench.blocks() == {ANA: 1}


def test_an_opt_in_on_somebodys_behalf_is_refused(bench: Bench, ana: Voice) -> None:
    forms = {"evidence": "a form"}
    for attempt in (
        lambda: bench.call("people.choose", person=ANA, choice="consent", streams=STREAMS, **forms),
        lambda: bench.call(
            "people.enrol",
            people=[{"person": "cy", "jurisdiction": "US-CA", "streams": STREAMS}],
            **forms,
        ),
        lambda: bench.call("people.choose", person=ANA, choice="resume"),
        lambda: bench.call("people.choose", person=ANA, choice="lift"),
    ):
        error = raised(attempt)
        _says(error, DeniedError, "subjects.proxy")
        assert bench.leaves(error.entry or 0)[0] == "refusal"
    assert not bench.desk.people.standing(bench.desk.people.find(ANA)).streams


def test_a_charter_that_lets_operators_opt_in_does_not_speak_over_a_key_and_can_be_narrowed(
    tmp_path: Path,
) -> None:
    from tests.seated import founding

    with outside(tmp_path):
        one = found_voices(tmp_path / "other", founding()).start()
        try:
            enrol(one, ANA)
            people = [{"person": BO, "jurisdiction": "US-CA", "streams": STREAMS}]
            one.call("people.enrol", people=people, evidence="a form")
            for choice, fields in (("consent", {"streams": STREAMS}), ("resume", {})):
                error = raised(
                    lambda choice=choice, fields=fields: one.call(
                        "people.choose", person=ANA, choice=choice, evidence="x", **fields
                    )
                )
                _says(error, DeniedError, "subjects.proxy")
            one.take(BO)
            assert one.call("feature", purpose=PURPOSE)["people"] == 1
            # under a charter that does not let operators, what they entered does not count any more
            narrower = canonical.decode(canonical.encode(one.charter().to_json()))
            narrower["version"] += 1
            del narrower["participation"]["opt_in_by"]
            one.enact(Charter.from_json(narrower))
            raised(lambda: one.call("feature", purpose=PURPOSE))
            assert not one.verbs.work.release.decision._choose(_ask())[0]
            error = raised(lambda: one.ingest(batch(BO, one.today - 1), chunk(), name="more"))
            assert "nobody on the roll" in error.message
        finally:
            one.stop()


def _ask() -> Ask:
    streams = frozenset({"pointer"})
    return Ask(
        recipe="feature",
        kind="telemetry",
        streams=streams,
        purpose=PURPOSE,
        stage="feature",
        least_people=1,
    )


@pytest.mark.parametrize(
    ("choice", "fields"),
    [
        ("pause", {}),
        ("withdraw", {}),
        ("object", {"purposes": [PURPOSE]}),
        ("restrict", {}),
    ],
)
def test_what_narrows_is_entered_by_an_operator_and_marked(
    bench: Bench, ana: Voice, choice: str, fields: dict[str, Any]
) -> None:
    ana.choose("consent", streams=STREAMS)
    answer = bench.call("people.choose", person=ANA, choice=choice, **fields)
    assert "receipt" not in answer
    told = ana.checked()[-1]
    assert (told.choice, told.by, told.key) == (choice, "operator", "")
    assert told.index == answer["entry"]


def test_a_statement_counts_once_for_one_person_one_home_one_charter(
    bench: Bench, ana: Voice
) -> None:
    said = ana.statement("consent", streams=STREAMS)
    bench.call("people.choose", **said)
    assert raised(lambda: bench.call("people.choose", **said)).rule == "capability.nonce"
    for name, value in (("home", "hom_other"), ("person", BO)):
        tree = canonical.decode(ana.statement("withdraw")["statement"].encode())
        tree[name] = value
        text = canonical.encode(tree)
        forged = {
            "statement": text.decode(),
            "signature": b64(ana.key.sign(CHOICE_DOMAIN, text)),
            "key": ana.key.public.text(),
        }
        _says(
            raised(lambda forged=forged: bench.call("people.choose", **forged)),
            SignInError,
            "subjects.voice",
        )
    old = ana.statement("consent", streams=["key"])
    bench.enact(bench.changed(title=lambda title: title + " again"))
    _says(raised(lambda: bench.call("people.choose", **old)), DeniedError, "subjects.charter")
    ana.choose("withdraw")  # whatever the charter says now, leaving needs no reading


def test_a_choice_signed_by_another_or_changed_on_the_way_is_refused(
    bench: Bench, ana: Voice
) -> None:
    stranger = SigningKey.generate()
    said = ana.statement("withdraw")
    text = said["statement"].encode()
    for forged in (
        said | {"signature": b64(stranger.sign(CHOICE_DOMAIN, text))},
        said
        | {"signature": b64(stranger.sign(CHOICE_DOMAIN, text)), "key": stranger.public.text()},
        said | {"statement": said["statement"].replace("withdraw", "restrict")},
        said | {"signature": b64(ana.key.sign("safehold.ask.v1", text))},
        said | {"signature": "AAAA"},
    ):
        said = ana.statement("withdraw") if "nonce" in forged else said
        error = raised(lambda forged=forged: bench.call("people.choose", **forged))
        assert isinstance(error, SignInError), repr(error)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"choice": "enrol"},
        {"choice": "answer"},
        {"choice": "withdraw", "streams": ["key"]},
        {"choice": "withdraw", "at_us": 5},
        {"choice": "consent", "streams": ["key"], "evidence": "mine"},
        {"choice": "key"},
    ],
)
def test_a_statement_says_nothing_that_no_choice_says(
    bench: Bench, ana: Voice, spoilt: dict[str, Any]
) -> None:
    fields = {name: value for name, value in spoilt.items() if name != "choice"}
    said = ana.statement(spoilt["choice"], **fields)
    _says(raised(lambda: bench.call("people.choose", **said)), InvalidError, "subjects.statement")


def test_an_erasure_is_no_choice(bench: Bench, ana: Voice) -> None:
    """Its statement counts for ``people.erase`` only, where a word confirms it."""
    said = ana.statement("erase", confirm="x")
    _says(raised(lambda: bench.call("people.choose", **said)), InvalidError, "subjects.choice")


# --- who has the key ------------------------------------------------------------------------------


def test_a_first_key_comes_with_a_code_that_counts_once(bench: Bench) -> None:
    bench.call("people.enrol", people=[{"person": "cy", "jurisdiction": "US-CA"}], evidence="x")
    cy = Voice(bench, "cy")
    _says(raised(lambda: cy.choose("consent", streams=["key"])), SignInError, "subjects.voice")
    code = bench.call("people.invite", person="cy")["code"]
    thief = Voice(bench, "cy")
    wrong = {"new_key": thief.key.public.text(), "code": code[:-1] + "8"}
    _says(raised(lambda: thief.choose("key", **wrong)), DeniedError, "subjects.code")
    cy.choose("key", new_key=cy.key.public.text(), code=code)
    again = {"new_key": thief.key.public.text(), "code": code}
    _says(raised(lambda: thief.choose("key", **again)), DeniedError, "subjects.code")
    cy.choose("consent", streams=["key"])
    assert [one.choice for one in cy.checked()] == ["invite", "key", "consent"]


def test_a_code_ends_after_a_fortnight(bench: Bench, ana: Voice) -> None:
    code = bench.call("people.invite", person=ANA)["code"]
    bench.clock.advance(14 * DAY_US)
    late = Voice(bench, ANA)
    error = raised(lambda: late.choose("key", new_key=late.key.public.text(), code=code))
    _says(error, DeniedError, "subjects.code")


def test_an_operator_who_takes_a_persons_place_cannot_read_or_widen_for_a_week(
    bench: Bench, ana: Voice
) -> None:
    ana.choose("consent", streams=STREAMS)
    code = bench.call("people.invite", person=ANA)["code"]
    false = Voice(bench, ANA)
    false.choose("key", new_key=false.key.public.text(), code=code)
    for widening in ({"choice": "consent", "streams": STREAMS}, {"choice": "resume"}):
        error = raised(lambda widening=widening: false.choose(**widening))
        _says(error, DeniedError, "subjects.key_rests")
    _says(raised(lambda: false.ask("people.show")), SignInError, "subjects.voice")
    # the old key sees what was done and takes its place again
    assert [one.choice for one in ana.checked()] == ["consent", "invite", "key"]
    ana.choose("key", new_key=ana.key.public.text())
    _says(raised(lambda: false.choose("withdraw")), SignInError, "subjects.voice")
    ana.choose("resume")


def test_a_replaced_key_counts_whole_after_a_week(bench: Bench, ana: Voice) -> None:
    code = bench.call("people.invite", person=ANA)["code"]
    new = Voice(bench, ANA)
    new.choose("key", new_key=new.key.public.text(), code=code)
    new.choose("pause")  # what narrows is not made to wait
    bench.clock.advance(7 * DAY_US)
    new.choose("resume")
    _says(raised(lambda: ana.choose("pause")), SignInError, "subjects.voice")


# --- who sees it ----------------------------------------------------------------------------------


SHOWING = ("people.show", "people.trail", "people.receipts", "people.receipt", "gap")


@pytest.mark.parametrize("verb", SHOWING)
def test_what_somebody_chose_is_shown_to_their_key_alone(
    bench: Bench, ana: Voice, verb: str
) -> None:
    ana.choose("consent", streams=STREAMS)
    ana.choose("pause")
    bo = Voice(bench, BO)
    nonce = unb64(bench.call("nonce")["nonce"])
    other = ask(bo.key, home=bench.home.id, person=ANA, verb=verb, nonce=nonce)
    stale = ask(ana.key, home=bench.home.id, person=ANA, verb=verb, nonce=b"n" * 32)
    crossed = ask(ana.key, home=bench.home.id, person=ANA, verb="another", nonce=nonce)
    tries = [other, stale, crossed] + ([] if verb == "people.show" else [{"person": ANA}])
    for arguments in tries:
        error = raised(lambda arguments=arguments: bench.call(verb, **arguments))
        assert isinstance(error, SignInError), repr(error)
    if verb != "gap":  # which has nothing to show: no device ever spoke
        ana.ask(verb)


def test_an_operator_sees_that_somebody_is_enrolled_and_no_more(bench: Bench, ana: Voice) -> None:
    before = bench.call("people.show", person=ANA)
    counted = bench.call("people.count")
    ana.choose("consent", streams=STREAMS)
    ana.choose("pause", end_us=bench.clock.now_us() + DAY_US)
    assert bench.call("people.show", person=ANA) == before
    assert set(before) == {"person", "enrolled", "key"}
    assert bench.call("people.count") == counted
    assert set(counted) == {"enrolled", "erased", "taking_part"}


def test_who_uses_data_does_not_learn_which_choice_left_somebody_out(
    bench: Bench, ana: Voice
) -> None:
    voices = enrol(bench, *(f"p{number}" for number in range(5)))
    for one in voices.values():
        one.choose("consent", streams=STREAMS)
    bench.take(*voices)
    names = list(voices)
    voices[names[0]].choose("withdraw")
    voices[names[1]].choose("pause")
    voices[names[2]].choose("object", purposes=[PURPOSE])
    voices[names[3]].choose("restrict")
    assert _left_out(bench) == {"subjects": 4}


EVERY: list[tuple[str, dict[str, Any]]] = [
    ("consent", {"streams": ["key"]}),
    ("consent", {"streams": STREAMS, "purposes": [PURPOSE]}),
    ("pause", {}),
    ("resume", {}),
    ("object", {"purposes": [PURPOSE], "text": "ü" * 300}),
    ("correct", {"about": ["label"], "days": [["key", 1, 2]] * 32, "text": '"' * 300}),
    ("restrict", {"text": "x"}),
    ("lift", {}),
    ("withdraw", {}),
]


def test_no_leaf_tells_one_choice_from_another(bench: Bench, ana: Voice) -> None:
    """Kind, public facts and length of leaf and side-car are the same, whatever was chosen, asked or answered."""
    from tests.voices import answer_case, read_case

    first = bench.desk.ledger.size
    for choice, fields in EVERY:
        answer = ana.choose(choice, **fields)
        if choice == "object":
            read_case(bench, answer["case"], "privacy")
            answer_case(bench, answer["case"], "upheld", "privacy")
    bench.call("people.invite", person=ANA)
    bench.call("people.move", person=ANA, jurisdiction="US-WA")
    ledger = bench.desk.ledger
    leaves = [one for one in ledger.leaves(first) if one[1]["k"] == "choice"]
    assert len(leaves) == len(EVERY) + 4
    assert len({frozenset(leaf) for _, leaf in leaves}) == 1
    assert all("pub" not in leaf and "ref" not in leaf for _, leaf in leaves)
    assert len({len(ledger.leaf(index)) for index, _ in leaves}) == 1
    assert len({len(canonical.encode(ledger.detail(index)["detail"])) for index, _ in leaves}) == 1
    assert {ledger.detail(index)["actor"] for index, _ in leaves} == {"people"}


def test_a_choice_too_long_for_its_leaf_is_refused_and_nothing_is_written(
    bench: Bench, ana: Voice
) -> None:
    size = bench.desk.ledger.size
    error = raised(
        lambda: bench.call("people.choose", person=ANA, choice="restrict", text="\U0001f600" * 301)
    )
    _says(error, InvalidError, "subjects.text")
    assert bench.desk.ledger.size == size


# --- how long it lasts ---------------------------------------------------------------------------


def test_what_a_person_chose_ends_with_them(bench: Bench, ana: Voice) -> None:
    """After the erasure nothing at rest leads from the log or the database to what they chose."""
    words = "unmistakable-4f1c"
    ana.choose("consent", streams=STREAMS)
    ana.choose("correct", about=["label"], days=[["key", 1, 2]], text=words)
    key = ana.key.public.text()
    person = bench.desk.people.find(ANA)
    bench.call("people.erase", person=ANA, evidence="a letter")
    assert raised(lambda: bench.desk.people.standing(person)).code == "missing"
    assert not bench.call("rights.list")["requests"]
    from safehold.keeper.choices import newest_choices

    told = newest_choices(bench.desk)
    assert person not in told.people
    assert told.unreadable == 3  # the request to be erased among them
    for index, leaf in bench.desk.ledger.leaves():
        if leaf["k"] == "choice":
            shown = canonical.encode(bench.desk.ledger.detail(index)["detail"]).decode()
            assert words not in shown
            assert key not in shown
    bench.restart()


def test_choices_survive_a_restart_and_a_cut_between_leaf_and_register(
    bench: Bench, ana: Voice
) -> None:
    """Every new kind of choice is finished from the ledger alone."""
    for choice, fields in EVERY[:-1]:
        people = bench.desk.people
        change = people.change

        def cut(*_arguments: Any) -> None:
            raise OSError("power cut")

        people.change = cut  # type: ignore[method-assign]
        with pytest.raises(OSError, match="power cut"):
            ana.choose(choice, **fields)
        people.change = change  # type: ignore[method-assign]
        version = people.version(people.find(ANA))
        bench.restart()
        assert bench.desk.people.version(bench.desk.people.find(ANA)) == version + 1, choice
