"""No device that is not enrolled gets a lease, and neither a removal nor an enrolment can be undone or slipped in."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.devices import DEVICE, OTHER, Recorder, edit, refused
from tests.world import World, outside, raised

from safehold.access.gap import Mark, sign_mark
from safehold.access.proof import POP_DOMAIN, prove_device
from safehold.app.sources import check_gap, write_gap
from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US
from safehold.errors import (
    DeniedError,
    InvalidError,
    MissingError,
    SafeholdError,
    SignInError,
)
from safehold.keeper.messages import obtain_message
from safehold.keeper.silence import Silences
from safehold.signing import SigningKey

pytestmark = pytest.mark.usefixtures("collectors_are_let_in")


@pytest.fixture
def people(world: World) -> list[str]:
    return world.participants()


@pytest.fixture
def person(world: World, people: list[str]) -> str:
    world.add(people[0], DEVICE)
    return people[0]


# -- who asks -------------------------------------------------------------------------------------


def test_an_enrolled_device_gets_a_lease(world: World, person: str) -> None:
    assert world.obtain(person, DEVICE)["lease"]


def test_a_stranger_s_device_gets_none(world: World, person: str) -> None:
    refused(world, person, OTHER)


def test_another_person_s_device_gets_none(world: World, person: str, people: list[str]) -> None:
    """It proves who it is, and for the right person; it is just not theirs."""
    world.add(people[1], OTHER)
    refused(world, person, OTHER)
    assert world.obtain(people[1], OTHER)["lease"]


def test_a_proof_for_another_person_does_not_count(
    world: World, person: str, people: list[str]
) -> None:
    nonce = unb64(world.call("nonce")["nonce"])
    proof = prove_device(DEVICE, nonce, obtain_message(people[1]))
    refused(world, person, DEVICE, nonce=b64(nonce), proof=b64(proof))


def test_a_nonce_counts_once_and_for_a_minute(world: World, person: str) -> None:
    def answer() -> dict[str, Any]:
        asked = world.ask(person, DEVICE)
        return {name: asked[name] for name in ("nonce", "proof")}

    used, late = answer(), answer()
    world.obtain(person, DEVICE, **used)
    refused(world, person, DEVICE, **used)
    world.later(seconds=61)
    refused(world, person, DEVICE, **late)
    mine = bytes(32)
    proof = prove_device(DEVICE, mine, obtain_message(person))
    refused(world, person, DEVICE, nonce=b64(mine), proof=b64(proof))


def test_knowing_the_public_key_is_not_enough(world: World, person: str) -> None:
    refused(world, person, DEVICE, proof="")
    refused(world, person, DEVICE, nonce="", proof="")
    refused(world, person, DEVICE, proof=world.ask(person, OTHER)["proof"])


def test_a_signature_for_another_use_does_not_count(world: World, person: str) -> None:
    """The same bytes, signed by the device as the holder of a capability would."""
    import hashlib

    nonce = unb64(world.call("nonce")["nonce"])
    message = hashlib.sha256(nonce).digest() + hashlib.sha256(obtain_message(person)).digest()
    refused(world, person, DEVICE, nonce=b64(nonce), proof=b64(DEVICE.sign(POP_DOMAIN, message)))


def test_a_device_s_proof_opens_no_grant(world: World, person: str) -> None:
    _, holder = world.pass_()
    asked = world.use(holder)
    nonce = unb64(asked["nonce"])
    asked["proof"] = b64(prove_device(DEVICE, nonce, obtain_message(person)))
    assert isinstance(raised(lambda: world.call("train", **asked)), SignInError)


def test_a_device_is_asked_for_before_anything_is_told_of_the_person(world: World) -> None:
    everybody = {one.external for one in world.desk.people.everybody().values()}
    for name in sorted(everybody - set(world.participants()))[:3]:
        refused(world, name, OTHER)


# -- one key, one person, once ---------------------------------------------------------------------


def test_a_key_stands_for_one_person(world: World, person: str, people: list[str]) -> None:
    error = raised(lambda: world.add(people[1], DEVICE))
    assert isinstance(error, DeniedError)
    assert (error.rule, error.entry is not None) == ("source.key", True)
    refused(world, people[1], DEVICE)


def test_the_same_enrolment_again_changes_nothing(world: World, person: str) -> None:
    size = world.desk.ledger.size
    assert world.add(person, DEVICE)["already"] is True
    assert world.desk.ledger.size == size


def test_a_removed_key_does_not_come_back(world: World, person: str, people: list[str]) -> None:
    world.remove(person, DEVICE)
    for name in people[:2]:
        assert raised(lambda name=name: world.add(name, DEVICE)).rule == "source.key"
    refused(world, person, DEVICE)
    world.restart()
    refused(world, person, DEVICE)
    assert world.remove(person, DEVICE)["already"] is True


def test_nobody_removes_a_device_that_is_not_of_the_person(
    world: World, person: str, people: list[str]
) -> None:
    assert isinstance(raised(lambda: world.remove(people[1], DEVICE)), MissingError)
    assert isinstance(raised(lambda: world.remove(person, OTHER)), MissingError)
    assert world.obtain(person, DEVICE)["lease"]


@pytest.mark.parametrize(
    "spoiled", [{"device": ""}, {"device": "x"}, {"evidence": 3}, {"evidence": "x" * 501}]
)
def test_a_malformed_enrolment_isrefused(
    world: World, people: list[str], spoiled: dict[str, Any]
) -> None:
    asked = {"person": people[0], "device": OTHER.public.text(), "evidence": ""} | spoiled
    assert isinstance(raised(lambda: world.call("source.add", **asked)), InvalidError)
    assert world.call("source.list")["enrolled"] == 0


# -- a removal ends recording at once --------------------------------------------------------------


def recording(world: World, person: str, device: SigningKey) -> Recorder:
    """Return a recorder on an enrolled device, which has said that it begins."""
    made = Recorder(world, person, device)
    made.say()
    return made


def test_a_removal_ends_live_leases(world: World, person: str, people: list[str]) -> None:
    recorder, other = recording(world, person, DEVICE), recording(world, person, OTHER)
    kept: list[bytes] = []
    submit = recorder.line.submit
    recorder.line.submit = kept.append  # type: ignore[method-assign]
    recorder.hand_in("sealed in time, sent too late")
    assert kept
    answer = world.remove(person, DEVICE)
    assert answer["leases_ended"] >= 1
    assert raised(lambda: submit(kept[0])).rule == "lease.dead"
    rows = int(world.call("status")["counts"]["rows"])
    recorder.line.submit = submit  # type: ignore[method-assign]
    recorder.hand_in("and more of it")
    assert int(world.call("status")["counts"]["rows"]) == rows
    other.hand_in("the other device goes on")
    assert int(world.call("status")["counts"]["rows"]) > rows


def test_a_removal_between_the_check_and_the_lease(world: World, person: str) -> None:
    """The removal comes when the device was found enrolled and its lease is not given yet.

    Both hold one lock, so another thread would wait; the same one comes in between, and finds the second guard.
    """
    verbs = world.service.verbs  # type: ignore[union-attr]
    put = verbs.sources.put_first

    def late(*arguments: Any) -> None:
        put(*arguments)
        gone = {"person": person, "device": DEVICE.public.text()}
        verbs.sources.remove(gone, (), lambda _: None)

    verbs.sources.put_first = late  # type: ignore[method-assign]
    error = raised(lambda: world.obtain(person, DEVICE))
    assert (error.code, error.rule) == ("denied", "lease.device")


# -- marks and gaps --------------------------------------------------------------------------------


def _mark(world: World, person: str, device: SigningKey) -> dict[str, Any]:
    mark = sign_mark(Mark(at_us=world.clock.now_us(), event_us=0, positions={}), device)
    return world.call("lease.mark", person=person, device=device.public.text(), mark=mark.decode())


def test_only_a_device_of_the_person_says_how_far_it_counted(
    world: World, person: str, people: list[str]
) -> None:
    world.add(people[1], OTHER)
    for device in (OTHER, SigningKey.generate()):
        error = raised(lambda device=device: _mark(world, person, device))
        assert (error.code, error.rule) == ("denied", "gap.device")
    _mark(world, person, DEVICE)
    world.remove(person, DEVICE)
    _mark(world, person, DEVICE)


def _gap(world: World, person: str, out: Path) -> dict[str, Any]:
    write_gap(world.client, person=person, out=out)
    with outside(world.path):
        return check_gap(world.home.path, out)


def _named(out: Path) -> set[str]:
    return set(orjson.loads(out.read_bytes())["devices"])


def test_a_device_that_was_removed_in_the_silence_must_speak(
    world: World, person: str, tmp_path: Path
) -> None:
    """Whoever recorded on a device in the pause cannot hide that by removing it afterwards."""
    out = tmp_path / "gap.json"
    recorder, other = recording(world, person, DEVICE), recording(world, person, OTHER)
    recorder.say()
    other.say()
    recorder.hand_in("before")
    world.later(seconds=1)
    world.choose(person, "pause")
    world.later(seconds=1)
    other.say()
    world.remove(person, DEVICE)
    world.later(seconds=9)
    other.say()
    assert raised(lambda: _gap(world, person, out)).rule == "gap.marks"
    recorder.say()
    world.later(seconds=9)
    recorder.say()
    assert _gap(world, person, out)["devices"] == 2
    assert _named(out) == {DEVICE.public.text(), OTHER.public.text()}


def test_a_gap_names_every_device_that_ever_had_a_lease(
    world: World, person: str, tmp_path: Path
) -> None:
    out = tmp_path / "gap.json"
    lost, never, later = (SigningKey.generate() for _ in range(3))
    recorder = recording(world, person, DEVICE)
    recording(world, person, lost)
    world.add(person, never)  # enrolled, but without a lease
    world.later(seconds=1)
    world.remove(person, lost)
    world.later(seconds=1)
    world.choose(person, "pause")
    world.later(seconds=1)
    recorder.say()
    world.later(seconds=9)
    recorder.say()
    world.choose(person, "resume")
    world.later(seconds=1)
    recording(world, person, later).hand_in("this one is new")
    shown = _gap(world, person, out)
    assert (shown["devices"], shown["absent"]) == (1, 2)
    assert _named(out) == {one.public.text() for one in (DEVICE, lost, later)}
    world.restart()
    assert _gap(world, person, out)["absent"] == 2


def test_marks_that_vanish_from_the_database_do_not_hide_a_device(
    world: World, person: str, tmp_path: Path
) -> None:
    recorder, _ = recording(world, person, DEVICE), recording(world, person, OTHER)
    world.later(seconds=1)
    world.choose(person, "pause")
    world.later(seconds=1)
    recorder.say()
    world.later(seconds=1)
    recorder.say()
    # the rows are sealed; theirs are told apart by the order in which they were heard
    silences = Silences(
        world.desk.engine, sealer=world.desk.sealer, key=world.desk.vault.derive("silence")
    )
    name = world.desk.people.find(person)
    heard, tag = silences.heard(name), silences._tag(name)
    world.stop()
    with sqlite3.connect(world.home.control) as base:
        rows = base.execute("SELECT id FROM device_mark WHERE person = ? ORDER BY id", (tag,))
        theirs = [
            row
            for (row,), said in zip(rows, heard, strict=True)
            if said.device == OTHER.public.text()
        ]
    assert len(theirs) == 1, "what it said when it was started"
    edit(world, *(f"DELETE FROM device_mark WHERE id = {row}" for row in theirs))  # noqa: S608
    world.start()
    error = raised(lambda: _gap(world, person, tmp_path / "gap.json"))
    assert (error.code, error.rule) == ("missing", "gap.marks")


def test_everything_that_was_enrolled_is_listed(world: World, person: str) -> None:
    world.add(person, OTHER)
    world.obtain(person, OTHER)
    world.later(seconds=1)
    world.remove(person, OTHER)
    first, second = world.call("source.list", person=person)["devices"]
    by_name = {one["device"]: one for one in (first, second)}
    assert by_name[DEVICE.public.key_id]["first_lease_us"] is None
    gone = by_name[OTHER.public.key_id]
    assert gone["removed_us"] - gone["first_lease_us"] == SECOND_US
    assert world.call("source.list") == {"enrolled": 1, "recorded": 1, "removed": 1}
    assert isinstance(raised(lambda: world.call("source.list", person="nobody")), SafeholdError)


def test_what_was_sealed_under_another_agreement_is_not_taken(world: World, person: str) -> None:
    """A lease names charter and streams; if either is not the present one, it is over."""
    world.add(person, DEVICE)
    world.obtain(person, DEVICE)
    leases = world.service.verbs.leases  # type: ignore[union-attr]
    (lease,) = leases._lessor._live.values()
    leases._require_agreement(lease)
    for changed in (
        replace(lease, charter="00" * 32),
        replace(lease, streams={**lease.streams, "meeting": "00" * 32}),
    ):
        world.choose(person, "consent", streams=sorted(lease.streams), evidence="e")
        error = raised(lambda changed=changed: leases._require_agreement(changed))
        assert error.rule == "lease.charter"
