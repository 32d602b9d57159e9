"""No device that is not enrolled gets a lease, and neither a removal nor an enrolment can be undone or slipped in."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.ingest_job import key_rows
from tests.world import World, copy_world, outside, raised

from safehold.access.gap import Mark, sign_mark
from safehold.access.proof import POP_DOMAIN, prove_device
from safehold.app.sources import KeeperLine, check_gap, write_gap
from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US
from safehold.dlp import Rules
from safehold.errors import (
    DeniedError,
    InvalidError,
    MissingError,
    SafeholdError,
    SignInError,
    TamperedError,
)
from safehold.ingest.collector import Collector
from safehold.keeper.silence import Silences
from safehold.keeper.sources import obtain_message
from safehold.signing import SigningKey, VerifyKey

pytestmark = pytest.mark.usefixtures("collectors_are_let_in")

DEVICE = SigningKey(b"d" * 32)
OTHER = SigningKey(b"o" * 32)


@pytest.fixture
def people(world: World) -> list[str]:
    return world.participants()


@pytest.fixture
def person(world: World, people: list[str]) -> str:
    world.add(people[0], DEVICE)
    return people[0]


def _refused(world: World, person: str, device: SigningKey, **changes: Any) -> None:
    """Pass if the keeper gives no lease, says why, and has it in the ledger."""
    size = world.desk.ledger.size
    error = raised(lambda: world.obtain(person, device, **changes))
    assert isinstance(error, DeniedError), repr(error)
    assert error.rule == "lease.device"
    assert "source add" in str(error.fix)
    assert person not in f"{error.message}{error.fix}"
    assert error.entry is not None
    said = world.desk.ledger.detail(error.entry)
    assert (said["object"], said["detail"]) == ("lease.obtain", {"rule": "lease.device"})
    kinds = {leaf["k"] for _, leaf in world.desk.ledger.leaves(size)}
    assert kinds == {"refusal"}, "nothing else happened"


# -- who asks -------------------------------------------------------------------------------------


def test_an_enrolled_device_gets_a_lease(world: World, person: str) -> None:
    assert world.obtain(person, DEVICE)["lease"]


def test_a_stranger_s_device_gets_none(world: World, person: str) -> None:
    _refused(world, person, OTHER)


def test_another_person_s_device_gets_none(world: World, person: str, people: list[str]) -> None:
    """It proves who it is, and for the right person; it is just not theirs."""
    world.add(people[1], OTHER)
    _refused(world, person, OTHER)
    assert world.obtain(people[1], OTHER)["lease"]


def test_a_proof_for_another_person_does_not_count(
    world: World, person: str, people: list[str]
) -> None:
    nonce = unb64(world.call("nonce")["nonce"])
    proof = prove_device(DEVICE, nonce, obtain_message(people[1]))
    _refused(world, person, DEVICE, nonce=b64(nonce), proof=b64(proof))


def test_a_nonce_counts_once_and_for_a_minute(world: World, person: str) -> None:
    def answer() -> dict[str, Any]:
        asked = world.ask(person, DEVICE)
        return {name: asked[name] for name in ("nonce", "proof")}

    used, late = answer(), answer()
    world.obtain(person, DEVICE, **used)
    _refused(world, person, DEVICE, **used)
    world.later(seconds=61)
    _refused(world, person, DEVICE, **late)
    mine = bytes(32)
    proof = prove_device(DEVICE, mine, obtain_message(person))
    _refused(world, person, DEVICE, nonce=b64(mine), proof=b64(proof))


def test_knowing_the_public_key_is_not_enough(world: World, person: str) -> None:
    _refused(world, person, DEVICE, proof="")
    _refused(world, person, DEVICE, nonce="", proof="")
    _refused(world, person, DEVICE, proof=world.ask(person, OTHER)["proof"])


def test_a_signature_for_another_use_does_not_count(world: World, person: str) -> None:
    """The same bytes, signed by the device as the holder of a capability would."""
    import hashlib

    nonce = unb64(world.call("nonce")["nonce"])
    message = hashlib.sha256(nonce).digest() + hashlib.sha256(obtain_message(person)).digest()
    _refused(world, person, DEVICE, nonce=b64(nonce), proof=b64(DEVICE.sign(POP_DOMAIN, message)))


def test_a_device_s_proof_opens_no_grant(world: World, person: str) -> None:
    _, holder = world.pass_()
    asked = world.use(holder)
    nonce = unb64(asked["nonce"])
    asked["proof"] = b64(prove_device(DEVICE, nonce, obtain_message(person)))
    assert isinstance(raised(lambda: world.call("train", **asked)), SignInError)


def test_a_device_is_asked_for_before_anything_is_told_of_the_person(world: World) -> None:
    everybody = {one.external for one in world.desk.people.everybody().values()}
    for name in sorted(everybody - set(world.participants()))[:3]:
        _refused(world, name, OTHER)


# -- one key, one person, once ---------------------------------------------------------------------


def test_a_key_stands_for_one_person(world: World, person: str, people: list[str]) -> None:
    error = raised(lambda: world.add(people[1], DEVICE))
    assert isinstance(error, DeniedError)
    assert (error.rule, error.entry is not None) == ("source.key", True)
    _refused(world, people[1], DEVICE)


def test_the_same_enrolment_again_changes_nothing(world: World, person: str) -> None:
    size = world.desk.ledger.size
    assert world.add(person, DEVICE)["already"] is True
    assert world.desk.ledger.size == size


def test_a_removed_key_does_not_come_back(world: World, person: str, people: list[str]) -> None:
    world.remove(person, DEVICE)
    for name in people[:2]:
        assert raised(lambda name=name: world.add(name, DEVICE)).rule == "source.key"
    _refused(world, person, DEVICE)
    world.restart()
    _refused(world, person, DEVICE)
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
def test_a_malformed_enrolment_is_refused(
    world: World, people: list[str], spoiled: dict[str, Any]
) -> None:
    asked = {"person": people[0], "device": OTHER.public.text(), "evidence": ""} | spoiled
    assert isinstance(raised(lambda: world.call("source.add", **asked)), InvalidError)
    assert world.call("source.list")["enrolled"] == 0


# -- a removal ends recording at once --------------------------------------------------------------


class Recorder:
    """The reference collector on one device."""

    def __init__(self, world: World, person: str, device: SigningKey) -> None:
        world.add(person, device)
        self.world, self.person, self.device = world, person, device
        self.line = KeeperLine(world.client, person=person, device=device)
        first = self.line.ask()
        self.collector = Collector(
            self.line,
            person=person,
            device=device,
            keeper=VerifyKey.from_text(first["keeper"]),
            rules={name: Rules.from_spec(spec) for name, spec in first["rules"].items()},
            clock=world.clock,
        )
        self.number = 0
        self.say()

    def type(self, text: str) -> None:
        for row in key_rows(text, person=self.person):
            self.world.later(seconds=0.05)
            self.number += 1
            at = {"t": self.world.clock.now_us(), "mono": self.number * 1000, "seq": self.number}
            self.collector.feed(orjson.dumps({"stream": "key", **row, **at}))
        self.collector.flush()

    def say(self) -> None:
        self.line.say(self.collector.mark())


def test_a_removal_ends_live_leases(world: World, person: str, people: list[str]) -> None:
    recorder, other = Recorder(world, person, DEVICE), Recorder(world, person, OTHER)
    kept: list[bytes] = []
    submit = recorder.line.submit
    recorder.line.submit = kept.append  # type: ignore[method-assign]
    recorder.type("sealed in time, sent too late")
    assert kept
    answer = world.remove(person, DEVICE)
    assert answer["leases_ended"] >= 1
    assert raised(lambda: submit(kept[0])).rule == "lease.dead"
    rows = int(world.call("status")["counts"]["rows"])
    recorder.line.submit = submit  # type: ignore[method-assign]
    recorder.type("and more of it")
    assert int(world.call("status")["counts"]["rows"]) == rows
    other.type("the other device goes on")
    assert int(world.call("status")["counts"]["rows"]) > rows


def test_a_removal_between_the_check_and_the_lease(world: World, person: str) -> None:
    """The removal comes when the device was found enrolled and its lease is not given yet."""
    leases = world.service.verbs.leases  # type: ignore[union-attr]
    note = leases._sources.note_lease

    def late(*arguments: Any) -> None:
        note(*arguments)
        world.remove(person, DEVICE)

    leases._sources.note_lease = late  # type: ignore[method-assign]
    error = raised(lambda: world.obtain(person, DEVICE))
    assert (error.code, error.rule) == ("denied", "lease.device")


# -- in the ledger before it counts ----------------------------------------------------------------


def _cut(*_arguments: Any, **_more: Any) -> Any:
    raise OSError("power cut")


@pytest.mark.parametrize("what", ["add", "remove"])
def test_a_change_that_is_not_in_the_ledger_does_not_count(
    world: World, people: list[str], what: str
) -> None:
    if what == "remove":
        world.add(people[0], DEVICE)
    ledger = world.desk.ledger
    append, ledger.append = ledger.append, _cut  # type: ignore[method-assign]
    act = world.add if what == "add" else world.remove
    raised(lambda: act(people[0], DEVICE))
    ledger.append = append  # type: ignore[method-assign]
    if what == "add":
        _refused(world, people[0], DEVICE)
    else:
        assert world.obtain(people[0], DEVICE)["lease"]


def test_a_crash_between_leaf_and_row_is_finished_from_the_ledger(
    world: World, people: list[str]
) -> None:
    somebody = people[0]
    for act, lives in ((world.add, True), (world.obtain, True), (world.remove, False)):
        devices = world.desk.devices
        put, devices.put = devices.put, _cut  # type: ignore[method-assign]
        raised(lambda act=act: act(somebody, DEVICE))
        if act == world.remove:
            # nothing is given any more, although the row still says it is enrolled
            error = raised(lambda: world.obtain(somebody, DEVICE))
            assert error.rule == "lease.device"
        devices.put = put  # type: ignore[method-assign]
        world.restart()
        if lives:
            assert world.call("source.list", person=somebody)["devices"]
        else:
            _refused(world, somebody, DEVICE)
    (device,) = world.call("source.list", person=somebody)["devices"]
    assert None not in device.values()


def test_leaves_of_devices_look_like_other_choices(world: World, person: str) -> None:
    start = world.desk.ledger.size
    world.add(person, OTHER)
    world.obtain(person, OTHER)
    world.remove(person, OTHER)
    world.choose(person, "pause")
    choices = [(at, leaf) for at, leaf in world.desk.ledger.leaves(start) if leaf["k"] == "choice"]
    assert len(choices) == 4
    assert len({tuple(sorted(leaf)) for _, leaf in choices}) == 1
    assert not any(leaf.get("pub") for _, leaf in choices)
    journal = world.desk.ledger._journal
    assert len({len(journal.sidecar(at)) for at, _ in choices}) == 1
    with sqlite3.connect(world.home.control) as base:
        rows = base.execute("SELECT id, sealed FROM device").fetchall()
    base.close()
    assert len({len(sealed) for _, sealed in rows}) == 1
    for name, sealed in rows:
        for clear in (DEVICE.public.text(), OTHER.public.text(), world.person(person), person):
            assert clear.encode() not in sealed
            assert clear not in name


# -- the control database is edited, or another one is put in its place ---------------------------


def _sql(world: World, *statements: str) -> None:
    with sqlite3.connect(world.home.control) as base:
        for statement in statements:
            assert base.execute(statement).rowcount, "the statement changed nothing"
    base.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE device SET sealed = zeroblob(length(sealed))",
        "UPDATE device SET version = version + 1",
        "UPDATE device SET version = version - 1",
        "UPDATE device SET id = 'dev_' || substr(id, 6) || '0'",
        "UPDATE device SET sealed = (SELECT d.sealed FROM device d ORDER BY d.id LIMIT 1)",
        "INSERT INTO device SELECT 'dev_00', sealed, version FROM device LIMIT 1",
        "DELETE FROM device",
    ],
)
def test_an_edited_row_is_refused(world: World, person: str, statement: str) -> None:
    world.obtain(person, DEVICE)
    world.add(person, OTHER)
    world.stop()
    _sql(world, statement)
    assert isinstance(raised(world.start), TamperedError)


def test_an_older_row_does_not_undo_a_removal(world: World, person: str) -> None:
    with sqlite3.connect(world.home.control) as base:
        old = base.execute("SELECT sealed, version FROM device").fetchone()
        world.remove(person, DEVICE)
        world.stop()
        base.execute("UPDATE device SET sealed = ?, version = ?", old)
    base.close()
    world.start()  # one step behind is what a crash leaves: the ledger's word is written
    _refused(world, person, DEVICE)


def _control(world: World, path: Path) -> Path:
    """Copy the control database of a company that has stopped."""
    shutil.copy(world.home.control, path)
    return path


def _put_back(world: World, path: Path) -> None:
    for file in world.home.path.glob("control.db*"):
        file.unlink()
    shutil.copy(path, world.home.control)


@pytest.mark.parametrize("used", [False, True])
def test_an_older_control_database_does_not_undo_a_removal(
    world: World, person: str, tmp_path: Path, *, used: bool
) -> None:
    world.stop()
    old = _control(world, tmp_path / "old.db")
    world.start()
    if used:
        world.obtain(person, DEVICE)
    world.remove(person, DEVICE)
    world.stop()
    _put_back(world, old)
    if used:
        assert raised(world.start).rule == "source.rollback"
    else:
        world.start()
        _refused(world, person, DEVICE)


@pytest.fixture
def twin(made_world: World, tmp_path: Path) -> Iterator[World]:
    """The same company, copied once more: what somebody does with a stolen home and its root."""
    (tmp_path / "twin").mkdir()
    copy = copy_world(made_world, tmp_path / "twin")
    with outside(copy.path):
        yield copy.start()
    copy.stop()


def test_a_device_that_the_ledger_does_not_name_is_not_slipped_in(
    world: World, twin: World, people: list[str], tmp_path: Path
) -> None:
    """Every seal of the row is right, since a copy of the keeper made it; only the ledger does not know it."""
    twin.add(people[0], OTHER)
    twin.stop()
    world.stop()
    _put_back(world, _control(twin, tmp_path / "theirs.db"))
    assert raised(world.start).rule == "source.rollback"


def test_another_history_of_the_same_length_is_not_slipped_in(
    world: World, twin: World, people: list[str], tmp_path: Path
) -> None:
    """Here the device was removed; in the copy it got a lease instead, and its row is as new."""
    for one in (world, twin):
        one.add(people[0], DEVICE)
    world.remove(people[0], DEVICE)
    twin.obtain(people[0], DEVICE)
    twin.stop()
    world.stop()
    _put_back(world, _control(twin, tmp_path / "theirs.db"))
    assert raised(world.start).rule == "source.rollback"


def test_choices_that_cannot_be_read_are_not_passed_over(world: World, person: str) -> None:
    world.desk.vault.shred(sidecar_before=2**31 - 1)
    world.stop()
    assert raised(world.start).rule == "subjects.rollback"


@pytest.mark.parametrize("what", ["withdraw", "remove"])
def test_a_control_database_of_another_month_undoes_nothing(
    world: World, person: str, tmp_path: Path, what: str
) -> None:
    """It lacks the key to what the ledger says of the months after it, and must not be believed for that."""
    world.stop()
    old = _control(world, tmp_path / "old.db")
    world.later(days=40)
    world.start()
    if what == "remove":
        world.remove(person, DEVICE)
    else:
        world.choose(person, "withdraw")
    world.stop()
    _put_back(world, old)
    assert raised(world.start).rule == "subjects.rollback"


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
    recorder, other = Recorder(world, person, DEVICE), Recorder(world, person, OTHER)
    recorder.type("before")
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
    recorder = Recorder(world, person, DEVICE)
    Recorder(world, person, lost)
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
    Recorder(world, person, later).type("this one is new")
    shown = _gap(world, person, out)
    assert (shown["devices"], shown["absent"]) == (1, 2)
    assert _named(out) == {one.public.text() for one in (DEVICE, lost, later)}
    world.restart()
    assert _gap(world, person, out)["absent"] == 2


def test_marks_that_vanish_from_the_database_do_not_hide_a_device(
    world: World, person: str, tmp_path: Path
) -> None:
    recorder, _ = Recorder(world, person, DEVICE), Recorder(world, person, OTHER)
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
    assert len(theirs) > 1
    _sql(world, *(f"DELETE FROM device_mark WHERE id = {row}" for row in theirs))  # noqa: S608
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
