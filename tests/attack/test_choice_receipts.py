"""What the receipt of a choice proves, offline: what was chosen, by whom, and that it was kept to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench
from tests.voices import STREAMS, Voice, enrol, spoil
from tests.world import PURPOSE, raised

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.clock import DAY_US, SECOND_US
from safehold.signing import SigningKey
from safehold_verify import VerificationError
from safehold_verify.choice import verify_choice, verify_effect
from safehold_verify.package import verify_package
from safehold_verify.person import Person

ANA = "ana"


@pytest.fixture
def bench(voices_bench: Bench) -> Bench:
    return voices_bench


def _package(bench: Bench, voice: Voice, folder: Path) -> Any:
    folder.mkdir(exist_ok=True)
    (folder / "package.json").write_text(voice.ask("people.trail")["package"])
    return verify_package(folder, bench.home.policy_file)


def test_a_receipt_says_what_when_by_whom_and_under_which_charter(bench: Bench, ana: Voice) -> None:
    answer = ana.choose("consent", streams=STREAMS, purposes=[PURPOSE])
    told = verify_choice(ana.receipts[-1], bench.home.policy_file, key=ana.key.public.text())
    charter = bench.charter()
    assert (told.choice, told.by, told.index) == ("consent", "person", answer["entry"])
    assert told.charter == (charter.id, str(charter.version), charter.digest().hex())
    assert json.loads(told.said["statement"])["streams"] == STREAMS
    assert told.said["at_us"] == answer["at_us"]
    with pytest.raises(VerificationError, match="not signed with this key"):
        verify_choice(
            ana.receipts[-1],
            bench.home.policy_file,
            key=SigningKey.generate().public.text(),
        )


def _record(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def spoilt(receipt: bytes) -> bytes:
        record = canonical.decode(unb64(canonical.decode(receipt)["record"]))
        change(record)
        return spoil(receipt, "record", b64(canonical.encode(record)))

    return spoilt


@pytest.mark.parametrize(
    "forge",
    [
        _record(lambda record: record.update(choice="withdraw")),
        _record(lambda record: record.update(at_us=record["at_us"] + 1)),
        _record(lambda record: record.pop("signature")),
        _record(lambda record: record.update(salt="AAAA")),
        lambda receipt: spoil(receipt, "index", canonical.decode(receipt)["index"] - 1),
        lambda receipt: spoil(receipt, "path", []),
        lambda receipt: spoil(receipt, "more", 1),
        lambda receipt: receipt[:-1],
        lambda receipt: receipt.replace(b'"leaf":"', b'"leaf":"AAAA'),
    ],
)
def test_a_forged_receipt_does_not_hold(
    bench: Bench, ana: Voice, forge: Callable[[bytes], bytes]
) -> None:
    ana.choose("consent", streams=STREAMS)
    verify_choice(ana.receipts[-1], bench.home.policy_file)
    with pytest.raises(VerificationError):
        verify_choice(forge(ana.receipts[-1]), bench.home.policy_file)


def test_a_keeper_that_records_something_else_than_was_signed_is_found_out(
    bench: Bench, ana: Voice
) -> None:
    """The leaf, its commitment and the whole log are right; only the person's own words are not these."""
    crowd, draft = bench.verbs.crowd, bench.verbs.crowd._draft
    for change in (
        {"streams": [*STREAMS, "chat"]},
        {"choice": "pause"},
        {"statement": ana.statement("consent", streams=["chat"])["statement"]},
    ):
        crowd._draft = lambda spoken, change=change: draft(spoken) | change
        bench.call("people.choose", **ana.statement("consent", streams=STREAMS))
        crowd._draft = draft
        found = ana.ask("people.receipts")["receipts"][-1]["receipt"].encode()
        with pytest.raises(VerificationError, match="sign"):
            verify_choice(found, bench.home.policy_file)


def test_a_withdrawal_is_shown_to_be_kept_from_the_persons_own_files(
    bench: Bench, ana: Voice, tmp_path: Path
) -> None:
    ana.choose("consent", streams=STREAMS)
    bench.take(ANA)
    bench.call("feature", purpose=PURPOSE)
    left = ana.choose("withdraw")
    raised(lambda: bench.call("feature", purpose=PURPOSE))
    consent, withdrawal = ana.checked()
    package = _package(bench, ana, tmp_path / "mine")
    assert {use.kind for use in package.uses if use.index < left["entry"]} >= {"access.intent"}
    effect = verify_effect(withdrawal, package)
    assert (effect.first, effect.stop) == (left["entry"] + 1, package.covered)
    with pytest.raises(VerificationError, match="forbids nothing"):
        verify_effect(consent, package)
    # opting in again ends it, and the receipt of that says so
    bench.clock.advance(SECOND_US)
    back = ana.choose("consent", streams=STREAMS)
    package = _package(bench, ana, tmp_path / "later")
    assert verify_effect(withdrawal, package).unexplained == back["entry"]
    assert verify_effect(withdrawal, package, later=ana.checked()).ended_by == back["entry"]


@pytest.mark.parametrize("choice", ["withdraw", "pause", "restrict", "object"])
def test_a_keeper_that_goes_on_using_data_is_shown_by_the_persons_own_files(
    bench: Bench, ana: Voice, tmp_path: Path, choice: str
) -> None:
    ana.choose("consent", streams=STREAMS)
    bench.take(ANA)
    people, person = bench.desk.people, bench.desk.people.find(ANA)
    open_ = people.standing(person)
    ana.choose(choice, **({"purposes": [PURPOSE]} if choice == "object" else {}))
    people._standing[person] = open_  # the rogue keeper forgets
    bench.call("feature", purpose=PURPOSE)
    told = verify_choice(ana.receipts[-1], bench.home.policy_file)
    with pytest.raises(VerificationError, match="you had chosen otherwise"):
        verify_effect(told, _package(bench, ana, tmp_path / "mine"))


@pytest.mark.parametrize("field", ["start_us", "end_us"])
def test_a_keeper_that_writes_a_term_beside_a_pause_without_one_is_found_out(
    bench: Bench, ana: Voice, field: str
) -> None:
    """A pause that was signed without an end would be over, or never begin, by the keeper's word alone."""
    crowd, draft = bench.verbs.crowd, bench.verbs.crowd._draft
    later = bench.clock.now_us() + SECOND_US
    crowd._draft = lambda spoken: draft(spoken) | {field: later}
    bench.call("people.choose", **ana.statement("pause"))
    crowd._draft = draft
    found = ana.ask("people.receipts")["receipts"][-1]["receipt"].encode()
    with pytest.raises(VerificationError, match="something else than was signed"):
        verify_choice(found, bench.home.policy_file)


def test_an_opt_in_from_before_that_is_entered_again_ends_no_withdrawal(
    bench: Bench, ana: Voice, tmp_path: Path
) -> None:
    """The rogue keeper has her signed words, and puts them into a leaf of their own once more."""
    said = ana.statement("consent", streams=STREAMS)
    bench.call("people.choose", **said)
    left = ana.choose("withdraw")
    nonces = bench.desk.nonces
    nonces.spend = lambda nonce, _now: nonce
    bench.call("people.choose", **said)
    del nonces.spend
    told = ana.checked()
    (withdrawal,) = [one for one in told if one.index == left["entry"]]
    package = _package(bench, ana, tmp_path / "mine")
    with pytest.raises(VerificationError, match="stand here again"):
        verify_effect(withdrawal, package, later=told)


@pytest.mark.parametrize("choice", ["withdraw", "pause", "restrict"])
def test_a_copy_that_the_person_asked_for_is_told_and_is_no_use_against_them(
    bench: Bench, ana: Voice, tmp_path: Path, choice: str
) -> None:
    ana.choose("consent", streams=STREAMS)
    bench.call("source.add", person=ANA, device=ana.key.public.text())
    bench.clock.advance(4 * DAY_US)
    ana.choose(choice)
    asked = json.loads(
        Person(ana.key.seed()).ask(home=bench.home.id, person=ANA, at_us=bench.clock.now_us())
    )
    with (tmp_path / "copy").open("wb") as out:
        copy = bench.call("people.export", out.fileno(), **asked)
    told = verify_choice(ana.receipts[-1], bench.home.policy_file)
    effect = verify_effect(told, _package(bench, ana, tmp_path / "mine"))
    assert effect.copies == (copy["entry"],)


def test_the_effect_of_a_choice_is_shown_with_ones_own_package_only(
    bench: Bench, ana: Voice, tmp_path: Path
) -> None:
    dee = enrol(bench, "dee")["dee"]
    ana.choose("withdraw")
    told = verify_choice(ana.receipts[-1], bench.home.policy_file)
    with pytest.raises(VerificationError, match="does not list this choice"):
        verify_effect(told, _package(bench, dee, tmp_path / "dee"))
    package = _package(bench, ana, tmp_path / "ana")
    ana.choose("restrict")
    late = verify_choice(ana.receipts[-1], bench.home.policy_file)
    with pytest.raises(VerificationError, match="ends before"):
        verify_effect(late, package)


def test_a_receipt_is_had_later_when_the_log_could_not_be_published(
    bench: Bench, ana: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safehold.errors import UnavailableError

    def down() -> None:
        raise UnavailableError("no witness answers", rule="ledger.witness")

    with monkeypatch.context() as patch:
        patch.setattr(bench.desk.ledger, "publish", down)
        assert ana.choose("withdraw")["receipt"] is None
    assert ana.checked()[-1].choice == "withdraw"
