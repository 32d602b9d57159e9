"""What a person is shown of their own: every entry about them and no other, by page, sort, purpose and day."""

from __future__ import annotations

from typing import Any

import pytest
from tests.keeper_desk import PURPOSE, Bench, copy_bench, script_training
from tests.voices import Voice, enrol, found_voices
from tests.world import raised

from safehold.canonical import b64, unb64
from safehold.charter import Signature
from safehold.clock import DAY_US
from safehold.errors import (
    InvalidError,
    MissingError,
    ShreddedError,
    SignInError,
)
from safehold.keeper import own
from safehold.keeper.disclosure import DOMAIN, write_order
from safehold.keeper.messages import ask
from safehold.ledger.subjects import epoch_key, item_of
from safehold_verify.package import verify_package

CROWD = tuple(f"person-{at:02}" for at in range(52))
ANA, BO = "ana-canary", "bo-canary"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Bench:
    """A home of real people with keys, whose data was taken in, built into features and trained on."""
    bench = found_voices(tmp_path_factory.mktemp("looking")).start()
    voices = enrol(bench, ANA, BO, *CROWD)
    for voice in voices.values():
        voice.choose("consent", streams=["pointer"])
    bench.take(ANA, *CROWD)
    bench.take(ANA, BO, days_ago=2, name="b", first=5)
    bench.call("feature", purpose=PURPOSE)
    bench.call("ledger.close-epoch")
    voices[BO].choose("pause")
    script_training(bench)
    bench.call("train", **bench.use(bench.pass_()))
    bench.kept = {name: one.key for name, one in voices.items()}  # type: ignore[attr-defined]
    bench.stop()
    return bench


@pytest.fixture
def bench(made: Bench, tmp_path) -> Any:
    copy = copy_bench(made, tmp_path / "copy")
    copy.kept = made.kept  # type: ignore[attr-defined]
    copy.start()
    script_training(copy)
    yield copy
    copy.stop()


def voice(bench: Bench, name: str) -> Voice:
    return Voice(bench, name, key=bench.kept[name])  # type: ignore[attr-defined]


def truth(bench: Bench, name: str) -> set[int]:
    """Return the entries about somebody by trying their key on every entry, without any index."""
    (subject,) = bench.desk.subjects([bench.desk.people.find(name)])
    ledger, found = bench.desk.ledger, set()
    for index, _ in ledger.leaves():
        people = ledger.opening(index).people
        if item_of(epoch_key(subject.key, ledger.epochs.of(index)), people.nonce) in people.items:
            found.add(index)
    return found


def pages(one: Voice, limit: int = 3, **more: Any) -> list[dict[str, Any]]:
    found, before = [], {}
    while True:
        page = one.ask("people.uses", limit=limit, **before, **more)
        found += page["uses"]
        if page["next"] is None:
            return found
        before = {"before": page["next"]}


@pytest.mark.parametrize(("closing", "crowd"), [(False, 64), (False, 2), (True, 64)])
def test_everything_about_a_person_is_listed_once_and_nothing_else(
    bench, monkeypatch, closing, crowd
):
    monkeypatch.setattr(own, "CROWD", crowd)  # people from which on an entry is noted as one set
    if closing:
        bench.call("ledger.close-epoch")
    for name in (ANA, BO, CROWD[7]):
        shown = pages(voice(bench, name))
        assert [one["entry"] for one in shown] == sorted(truth(bench, name), reverse=True)
        first = voice(bench, name).ask("people.uses", limit=1)
        assert first["all"] == len(shown) == sum(first["sorts"].values())


def test_what_comes_while_somebody_looks_is_there_at_once(bench):
    ana = voice(bench, ANA)
    before = pages(ana)
    ana.choose("pause")
    after = pages(ana)
    assert after[1:] == before
    assert (after[0]["sort"], after[0]["choice"], after[0]["by"]) == ("chosen", "pause", "person")
    bench.call("ledger.close-epoch")
    assert [one["entry"] for one in pages(ana)] == [one["entry"] for one in after]
    bench.restart()
    assert [one["entry"] for one in pages(ana)] == [one["entry"] for one in after]


def test_the_list_is_the_one_that_a_package_proves(bench, tmp_path):
    ana = voice(bench, ANA)
    file = tmp_path / "package.json"
    file.write_text(ana.ask("people.trail")["package"])
    proved = [use.index for use in verify_package(file, bench.home.policy_file).uses]
    assert sorted(one["entry"] for one in pages(ana)) == sorted(proved)


def test_a_use_tells_role_approval_and_what_was_made_and_never_who(bench):
    ana, bo = voice(bench, ANA), voice(bench, BO)
    train, feature = pages(ana, sort="used")
    assert (train["recipe"], train["role"], train["outcome"]) == ("train", "data_scientist", "ok")
    assert train["seats"] == ["legal", "privacy"]
    assert train["approval"] is not None
    assert train["purpose"] == PURPOSE
    (model,) = train["made"]
    assert feature["made"] == [f"{PURPOSE}:{feature['entry']}"]
    assert feature["streams"] == ["pointer"]
    assert model in ana.ask("people.uses")["made"]
    assert [one["entry"] for one in pages(ana, made=model)] == [train["entry"]]
    # who had paused is in the features, and not in the model
    assert [one["recipe"] for one in pages(bo, sort="used")] == ["feature"]
    assert "actor" not in train
    told = repr(pages(ana)) + repr(ana.ask("people.held")) + repr(ana.ask("people.journey"))
    for other in (BO, *CROWD):
        assert other not in told
    actors = {bench.desk.ledger.opening(one["entry"]).actor for one in (train, feature)}
    assert "ana" in actors  # the requester of the tests' grants
    assert "'ana'" not in told


def test_filters_take_what_they_say(bench):
    ana = voice(bench, ANA)
    every = pages(ana)
    for sort in ("used", "recorded", "chosen", "released", "other"):
        assert pages(ana, sort=sort) == [one for one in every if one["sort"] == sort]
    assert pages(ana, purpose=PURPOSE) == [one for one in every if one["purpose"] == PURPOSE]
    today = bench.today
    assert pages(ana, first_day=today, last_day=today) == every
    assert pages(ana, last_day=today - 1) == []
    for wrong in ({"sort": "none"}, {"limit": 0}, {"limit": 10_000}, {"before": -1}, {"made": 3}):
        with pytest.raises(InvalidError):
            ana.ask("people.uses", **wrong)


def test_an_entry_comes_with_its_proof_and_that_of_another_is_not_there(bench):
    ana, bo = voice(bench, ANA), voice(bench, BO)
    train = pages(ana, sort="used")[0]["entry"]
    shown = ana.ask("people.use", entry=train)
    assert unb64(shown["leaf"]) == bench.desk.ledger.leaf(train)
    assert shown["proof"].startswith("c2sp.org/tlog-proof@v1\nindex ")
    people = bench.desk.ledger.opening(train).people
    assert people.items[shown["item"]["place"]]
    assert shown["item"]["nonce"] == b64(people.nonce)
    with pytest.raises(MissingError):
        bo.ask("people.use", entry=train)
    with pytest.raises(MissingError):
        ana.ask("people.use", entry=10**9)


def test_what_is_held_is_counted_by_stream_and_day(bench):
    held = voice(bench, ANA).ask("people.held")
    (pointer,) = held["held"]
    assert (pointer["stream"], pointer["rows"], pointer["days"]) == ("pointer", 4, 2)
    assert pointer["last_day"] == bench.today - 1
    assert [row[2] for row in held["by_day"]] == [2, 2]
    assert held["recorded"] == ["pointer"]
    assert held["used"] == sum(count for _, _, count in held["by_hour"]) == 2
    assert held["silent"] is None
    paused = voice(bench, BO).ask("people.held")
    assert (paused["recorded"], paused["silent"]) == ([], "pause")


def test_the_journey_goes_from_streams_to_the_model(bench):
    ana = voice(bench, ANA).ask("people.journey")
    feature, model = ana["made"]
    assert (feature["kind"], feature["streams"], feature["from"]) == ("feature", ["pointer"], [])
    assert (model["kind"], model["from"]) == ("model", [feature["id"]])
    assert model["status"] == "live"
    assert model["epsilon_micro"] > 0
    assert [one["kind"] for one in voice(bench, BO).ask("people.journey")["made"]] == ["feature"]


def decide(bench: Bench, what: str, *entries: int) -> int:
    now = bench.clock.now_us()
    text = write_order(
        what, home=bench.home.id, person=ANA, entries=entries, reason="a complaint", at_us=now,
        until_us=now + 7 * DAY_US,
    )  # fmt: skip
    made = [
        Signature(seat=seat, value=key.sign(DOMAIN, text)).to_json()
        for seat, key in bench.seats.items()
    ]
    return int(bench.call("people.disclose", order=text.decode(), signatures=made)["entry"])


def test_a_name_is_told_where_the_board_decided_it_and_as_long(bench):
    ana = voice(bench, ANA)
    train, feature = pages(ana, sort="used")
    decided = decide(bench, "identity", train["entry"])
    shown = pages(ana, sort="used")
    assert shown[0] == train | {"who": "ana"}
    assert shown[1] == feature
    (told,) = [one for one in pages(ana) if one["entry"] == decided]
    assert (told["kind"], told["decision"]) == ("disclosure", "identity")
    assert truth(bench, ANA) == {one["entry"] for one in pages(ana)}
    assert "who" not in repr(pages(voice(bench, CROWD[0]), sort="used"))  # told to her alone
    bench.clock.advance(8 * DAY_US)
    assert pages(ana, sort="used")[0] == train


def test_what_is_told_later_is_listed_and_nothing_of_it_beside_time_kind_and_purpose(bench):
    ana = voice(bench, ANA)
    before = pages(ana)
    train = pages(ana, sort="used")[0]
    decide(bench, "delay", train["entry"])
    told = pages(ana, sort="used")[0]
    assert told == {
        name: train[name] for name in ("entry", "at_ms", "kind", "sort", "purpose", "epoch")
    } | {"withheld": True}
    assert [one["entry"] for one in pages(ana)][1:] == [one["entry"] for one in before]
    shown = repr(pages(ana)) + repr(ana.ask("people.uses")) + repr(ana.ask("people.journey"))
    assert train["made"][0] not in shown
    assert "data_scientist" not in repr(ana.ask("people.use", entry=train["entry"]))
    bench.clock.advance(8 * DAY_US)
    assert pages(ana, sort="used")[0] == train


def test_receipts_come_by_page_too(bench):
    ana = voice(bench, ANA)
    for _ in range(3):
        ana.choose("pause")
        ana.choose("resume")
    every = ana.ask("people.receipts")["receipts"]
    found, more = [], {}
    while True:
        page = ana.ask("people.receipts", limit=2, **more)
        found = page["receipts"] + found
        if "next" not in page:
            break
        more = {"before": page["next"]}
    assert [one["entry"] for one in found] == [one["entry"] for one in every]
    assert len(every) == 7


def test_entries_whose_handles_a_key_hid_for_good_are_found_by_trying(bench, monkeypatch):
    ana = voice(bench, ANA)
    ana.choose("pause")
    voice(bench, BO).choose("resume")

    def hidden(*_args: Any, **_more: Any) -> None:
        raise ShreddedError("the key is gone")

    monkeypatch.setattr(bench.desk.ledger, "handles_in", hidden)
    for name in (ANA, BO):
        shown = pages(voice(bench, name))
        assert [one["entry"] for one in shown] == sorted(truth(bench, name), reverse=True)


def test_what_has_ended_is_held_no_more_also_before_it_is_swept(bench):
    bench.clock.advance(60 * DAY_US)
    held = voice(bench, ANA).ask("people.held")
    assert (held["held"], held["by_day"]) == ([], [])


@pytest.mark.parametrize("verb", ["people.uses", "people.use", "people.held", "people.journey"])
def test_nobody_else_is_shown_any_of_it(bench, verb):
    bo = voice(bench, BO)
    # an operator is not, whether somebody has a key or none yet
    bench.call(
        "people.enrol", people=[{"person": "dee", "jurisdiction": "US-CA"}], evidence="a list"
    )
    for person in (ANA, "dee"):
        with pytest.raises(SignInError):
            bench.call(verb, person=person, entry=1)
    nonce = bench.call("nonce")["nonce"]
    mine = bo.ask("people.show")  # a proof for one verb is none for another
    assert mine["external"] == BO
    shown = ask(bo.key, home=bench.home.id, person=ANA, verb=verb, nonce=unb64(nonce))
    assert raised(lambda: bench.call(verb, **shown, entry=1)).rule == "subjects.voice"


def test_whoever_is_erased_is_found_no_more_and_the_others_as_before(bench):
    ana, other = voice(bench, ANA), voice(bench, CROWD[3])
    before = [one["entry"] for one in pages(other)]
    pages(ana)
    bench.call("people.erase", person=ANA, evidence="a test")
    with pytest.raises(SignInError):
        ana.ask("people.uses")
    after = [one["entry"] for one in pages(other)]
    assert after[-len(before) :] == before
    assert set(after) == truth(bench, CROWD[3])
    bench.restart()
    assert [one["entry"] for one in pages(other)] == after
