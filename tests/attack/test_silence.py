"""A pause or a stop ends recording: nothing is taken afterwards, and the gap record proves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.containing import contain, lift
from tests.devices import DEVICE, Recorder
from tests.ingest_job import key_rows
from tests.world import World, outside, raised

from safehold.access.envelope import seal_envelope
from safehold.app.sources import check_gap, write_gap
from safehold.canonical import b64
from safehold.errors import (
    DeniedError,
    InvalidError,
    QuorumError,
    SafeholdError,
    TamperedError,
)
from safehold.keeper.silence import EVERYBODY
from safehold.keeper.tables import silence as silence_table
from safehold.signing import SigningKey

pytestmark = pytest.mark.usefixtures("collectors_are_let_in")


@pytest.fixture
def person(world: World) -> str:
    return next(
        one.external
        for one in world.desk.people.everybody().values()
        if "chat" in one.streams and one.external in world.participants()
    )


@pytest.fixture
def recorder(world: World, person: str) -> Recorder:
    made = Recorder(world, person)
    made.say()
    made.type("good morning all of you")
    made.collector.flush()
    assert made.sealed > 0
    return made


def _rows(world: World) -> int:
    return int(world.call("status")["counts"]["rows"])


def _silence(world: World, person: str, how: str) -> None:
    if how == "stop":
        world.call("stop", **world.order("stop", "employee_representative"))
    elif how == "contained":
        contain(world, "collection", "all", "employee_representative")
    else:
        world.choose(person, how)


def _gap(world: World, person: str, out: Path) -> dict[str, Any]:
    write_gap(world.client, person=person, out=out)
    with outside(world.path):
        return check_gap(world.home.path, out)


@pytest.mark.parametrize("how", ["pause", "withdraw", "stop", "contained"])
def test_nothing_is_recorded_afterwards(
    world: World, recorder: Recorder, person: str, tmp_path: Path, how: str
) -> None:
    recorder.type("what waits in the buffer")
    assert recorder.collector.waiting > 0
    sealed, rows = recorder.sealed, _rows(world)
    world.later(seconds=1)
    _silence(world, person, how)
    recorder.collector.flush()
    assert recorder.collector.counters.discarded > 0
    recorder.type("typed in silence")
    recorder.collector.flush()
    world.later(seconds=1)
    recorder.say()
    world.later(seconds=30)
    recorder.type("still silent")
    recorder.collector.flush()
    recorder.say()
    assert recorder.sealed == sealed
    assert _rows(world) == rows
    assert recorder.collector.counters.not_recorded > 0
    shown = _gap(world, person, tmp_path / "gap.json")
    assert shown["verified"]
    assert shown["reason"] == {"withdraw": "withdrawn"}.get(how, how)
    _tampered_gaps_fail(world, tmp_path / "gap.json")


def _tampered_gaps_fail(world: World, file: Path) -> None:
    whole = json.loads(file.read_bytes())
    text: str = whole["record"]
    spoiled = [
        {**whole, "entry": 1},
        {**whole, "keeper": SigningKey.generate().public.text()},
        {**whole, "devices": []},
        {**whole, "devices": [SigningKey.generate().public.text()]},
        {**whole, "devices": [*whole["devices"], SigningKey.generate().public.text()]},
        {**whole, "record": text[:-10]},
        {},
    ]
    for at in range(0, len(text), 11):
        other = "A" if text[at] != "A" else "B"
        spoiled.append({**whole, "record": text[:at] + other + text[at + 1 :]})
    for one in spoiled:
        file.write_bytes(orjson.dumps(one))
        with outside(world.path):
            try:
                check_gap(world.home.path, file)
            except SafeholdError as error:
                assert isinstance(error, TamperedError | InvalidError)
            else:
                differs = [at for at, sign in enumerate(text) if one["record"][at] != sign]
                around = [text[max(at - 30, 0) : at + 10] for at in differs]
                pytest.fail(f"a spoiled record verifies: {around}")


def test_a_gap_record_of_a_keeper_s_key_that_is_not_this_home_s(
    world: World, recorder: Recorder, person: str, tmp_path: Path
) -> None:
    """A forger signs everything anew with a key of their own; the check must not take that key's word."""
    from safehold.access.gap import Head, Mark, make_gap, sign_mark

    forger, device = SigningKey.generate(), SigningKey.generate()
    now = world.clock.now_us()
    first = sign_mark(Mark(at_us=now, event_us=now - 10, positions={}), device)
    last = sign_mark(Mark(at_us=now + 100, event_us=now - 10, positions={}), device)
    record = make_gap(
        person="00" * 32,
        streams=["key"],
        from_us=now,
        to_us=now + 100,
        reason="pause",
        heads=(Head(size=1, root="00" * 32), Head(size=2, root="11" * 32)),
        marks={device.public.text(): (first, last)},
        absent={},
        key=forger,
    )
    file = tmp_path / "forged.json"
    file.write_bytes(
        orjson.dumps(
            {
                "record": record.decode(),
                "keeper": forger.public.text(),
                "devices": [device.public.text()],
            }
        )
    )
    with outside(world.path):
        assert isinstance(raised(lambda: check_gap(world.home.path, file)), TamperedError)


def test_what_was_sealed_before_and_comes_after_opens_for_nobody(
    world: World, recorder: Recorder, person: str
) -> None:
    kept: list[bytes] = []
    submit = recorder.line.submit
    recorder.line.submit = kept.append  # type: ignore[method-assign]
    recorder.type("sealed in time, sent too late")
    recorder.collector.flush()
    assert kept
    world.choose(person, "pause")
    rows = _rows(world)
    for envelope in kept:
        error = raised(lambda envelope=envelope: submit(envelope))
        assert isinstance(error, DeniedError)
        assert error.rule in {"lease.dead", "subjects.paused"}
    world.choose(person, "resume")
    for envelope in kept:  # not even when recording goes on: the key is gone
        assert raised(lambda envelope=envelope: submit(envelope)).rule == "lease.dead"
    assert _rows(world) == rows


def _events(world: World, person: str, text: str, *, first: int) -> list[bytes]:
    """Return what a recorder that does not care about silence would have kept back."""
    lines = []
    for number, row in enumerate(key_rows(text, person=person), first):
        world.later(seconds=0.05)
        at = {"t": world.clock.now_us(), "mono": number * 1000, "seq": number}
        lines.append(orjson.dumps({"stream": "key", **row, **at}))
    return lines


def test_a_containment_that_a_crash_cut_short_has_its_record(
    world: World, recorder: Recorder, person: str, tmp_path: Path
) -> None:
    recorder.say()
    assert raised(lambda: _gap(world, person, tmp_path / "none")).rule == "gap.none"
    silences = world.service.verbs.leases._silences
    noted, silences.note = silences.note, lambda *_: None  # killed between its leaf and this
    try:
        contain(world, "collection", "all", "hr")
    finally:
        silences.note = noted
    world.later(seconds=1)
    assert raised(lambda: _gap(world, person, tmp_path / "none")).rule == "gap.none"
    for _ in range(2):  # the second start notes nothing new
        world.restart()
        world.later(seconds=1)
        recorder.say()
    shown = _gap(world, person, tmp_path / "gap.json")
    assert (shown["verified"], shown["reason"]) == (True, "contained")
    noted_now = world.service.verbs.leases._silences._select(silence_table, EVERYBODY)
    assert [one["reason"] for one in noted_now] == ["contained"]


def test_one_stream_that_is_contained_has_a_record_while_others_are_recorded_on(
    world: World, recorder: Recorder, person: str, tmp_path: Path
) -> None:
    file = tmp_path / "gap.json"
    place = world.desk.people.standing(world.desk.people.find(person)).jurisdiction.lower()
    world.later(seconds=1)
    contain(world, "collection", f"{place}.chat", "hr")
    recorder.type("x")
    recorder.collector.flush()  # the collector learns that its lease is dead
    recorder.say()
    world.later(seconds=30)
    sealed = recorder.sealed
    recorder.type("this goes on meanwhile")
    recorder.collector.flush()
    assert recorder.sealed > sealed, "another stream is recorded on"
    recorder.say()
    world.restart()
    for stream in (None, "chat"):
        write_gap(world.client, person=person, out=file, stream=stream)
        with outside(world.path):
            shown = check_gap(world.home.path, file)
        assert (shown["verified"], shown["reason"]) == (True, "contained")
        assert shown["streams"] == ["chat"]
    _tampered_gaps_fail(world, file)
    # of what was recorded on there is none
    for stream in ("key", "nonsense"):
        error = raised(
            lambda at=stream: write_gap(world.client, person=person, out=file, stream=at)
        )
        assert error.rule in {"gap.none", "gap.stream"}
    elsewhere = "us-wa" if place == "us-ca" else "us-ca"
    contain(world, "collection", f"{elsewhere}.key", "hr")
    error = raised(lambda: write_gap(world.client, person=person, out=file, stream="key"))
    assert error.rule == "gap.none", "it was contained where somebody else works"


@pytest.mark.parametrize("target", ["all", "key"])
def test_what_was_recorded_while_it_was_contained_is_not_taken_once_that_is_lifted(
    world: World, recorder: Recorder, person: str, target: str
) -> None:
    world.later(seconds=1)
    held = contain(world, "collection", target, "hr")
    recorder.collector.flush()
    world.later(seconds=1)
    kept = _events(world, person, "typed while that was contained", first=10_000)
    world.later(seconds=1)
    lift(world, held["entry"])
    world.later(seconds=1)
    sealed, rows = recorder.sealed, _rows(world)
    for restarted in (False, True):
        if restarted:
            world.restart()
        for line in kept:
            recorder.collector.feed(line)
        recorder.collector.flush()
        assert (recorder.sealed, _rows(world)) == (sealed, rows)
    later = _events(world, person, "and this is said afterwards", first=20_000)
    for line in later:
        recorder.collector.feed(line)
    recorder.collector.flush()
    assert recorder.sealed > sealed


@pytest.mark.parametrize("how", ["pause", "stop"])
def test_what_was_kept_back_in_silence_is_not_taken_later(
    world: World, recorder: Recorder, person: str, how: str
) -> None:
    """Recorded in the silence, handed to a collector after it: dropped on the device."""
    world.later(seconds=1)
    _silence(world, person, how)
    recorder.type("x")
    recorder.collector.flush()  # the collector learns that its lease is dead
    world.later(seconds=1)
    kept = _events(world, person, "typed while nobody was to listen", first=recorder.number + 1)
    world.later(seconds=1)
    if how == "stop":
        world.call("resume", **world.order("resume"))
    else:
        world.choose(person, "resume")
    world.later(seconds=1)
    rows, sealed = _rows(world), recorder.sealed
    for line in kept:
        recorder.collector.feed(line)
    recorder.collector.flush()
    assert recorder.collector.counters.dropped["paused"] == len(kept)
    assert (recorder.sealed, _rows(world)) == (sealed, rows)
    # the next words are taken as before
    recorder.number += len(kept)
    recorder.type("good to be back")
    recorder.collector.flush()
    assert recorder.sealed > sealed
    assert _rows(world) > rows


def test_one_seat_stops_and_six_resume(world: World, recorder: Recorder, person: str) -> None:
    error = raised(
        lambda: world.call("stop", order=world.order("stop", "hr")["order"], signatures=[])
    )
    assert isinstance(error, QuorumError)
    world.call("stop", **world.order("stop", "hr"))
    for verb, arguments in (
        ("feature", {"purpose": "train_ui_agent"}),
        ("ingest", {"source": {"kind": "synthetic", "spec": {}}}),
        ("lease.obtain", world.ask(person, DEVICE)),
        ("train", {"purpose": "train_ui_agent", "token": "", "nonce": "", "proof": ""}),
    ):
        error = raised(lambda verb=verb, arguments=arguments: world.call(verb, **arguments))
        assert isinstance(error, SafeholdError)
    world.restart()
    assert world.desk.trust.stopped, "a restart does not resume"
    names = list(world.seats)
    for count in range(1, 6):
        few = world.order("resume", *names[:count])
        assert isinstance(raised(lambda few=few: world.call("resume", **few)), QuorumError)
    twice = world.order("resume", *names[:5])
    twice["signatures"].append(twice["signatures"][0])
    assert isinstance(raised(lambda: world.call("resume", **twice)), QuorumError)
    assert world.desk.trust.stopped
    world.later(seconds=1)
    world.call("resume", **world.order("resume"))
    assert not world.desk.trust.stopped
    Recorder(world, person)


def test_a_resumption_signed_before_a_stop_does_not_undo_it(world: World) -> None:
    world.call("stop", **world.order("stop", "security"))
    world.later(seconds=1)
    resume = world.order("resume")
    world.call("resume", **resume)
    world.later(seconds=1)
    unused = world.order("resume")
    world.later(seconds=1)
    world.call("stop", **world.order("stop", "privacy"))
    for order in (resume, unused):
        error = raised(lambda order=order: world.call("resume", **order))
        assert error.rule == "oversight.order"
    world.restart()
    for order in (resume, unused):
        assert raised(lambda order=order: world.call("resume", **order)).rule == "oversight.order"
    assert world.desk.trust.stopped


def test_an_order_ends(world: World) -> None:
    order = world.order("stop", "security")
    world.later(seconds=601)
    assert raised(lambda: world.call("stop", **order)).rule == "oversight.order"


def test_a_lease_dies_after_fifteen_minutes_without_contact(
    world: World, recorder: Recorder
) -> None:
    """The keeper goes away: the collector stops by itself, and later the envelope is refused."""
    kept: list[bytes] = []
    recorder.line.submit = kept.append  # type: ignore[method-assign]
    recorder.type("before the keeper went away")
    recorder.collector.flush()
    world.stop()
    recorder.type("hello")
    world.later(seconds=15 * 60)
    recorder.type("nobody gave a lease for this")
    recorder.collector.flush()
    assert recorder.collector.counters.not_recorded > 0
    assert recorder.collector.counters.discarded > 0
    assert recorder.collector.waiting == 0
    world.start()
    error = raised(
        lambda: world.call("lease.submit", envelope=b64(kept[0]), device=DEVICE.public.text())
    )
    assert isinstance(error, DeniedError)


def test_a_lease_dies_at_the_keeper_too(world: World, recorder: Recorder) -> None:
    kept: list[bytes] = []
    recorder.line.submit = kept.append  # type: ignore[method-assign]
    recorder.type("held back")
    recorder.collector.flush()
    world.later(seconds=15 * 60 + 6)
    error = raised(
        lambda: world.call("lease.submit", envelope=b64(kept[0]), device=DEVICE.public.text())
    )
    assert error.rule == "lease.dead"


def test_unsealed_input_is_refused(world: World, recorder: Recorder, person: str) -> None:
    rows = _rows(world)
    lease = json.loads(recorder.line.obtain())
    plain = b"\n".join(orjson.dumps(row) for row in key_rows("open text", person=person))
    stranger = SigningKey.generate()
    header = {
        "lease": lease.get("id", lease.get("value", {}).get("id")),
        "number": 0,
        "stream": "key",
        "rows": 1,
        "sealed_us": world.clock.now_us(),
    }
    to = SigningKey.generate().public.text()
    from safehold.canonical import unb64

    foreign = seal_envelope(header, plain, to=unb64(to), device=stranger)
    for data, device in (
        (b"", DEVICE),
        (plain, DEVICE),
        (foreign, stranger),
        (foreign, DEVICE),
    ):
        error = raised(
            lambda data=data, device=device: world.call(
                "lease.submit", envelope=b64(data), device=device.public.text()
            )
        )
        assert isinstance(error, InvalidError | TamperedError | DeniedError), repr(error)
    assert _rows(world) == rows


def test_a_stranger_s_mark_does_not_block_the_proof(
    world: World, recorder: Recorder, person: str, tmp_path: Path
) -> None:
    """Whoever reaches the socket can sign marks with a key of their own; the devices' word must stand."""
    from safehold.access.gap import Mark, sign_mark

    world.later(seconds=1)
    world.choose(person, "pause")
    world.later(seconds=1)
    stranger = SigningKey.generate()
    mark = sign_mark(Mark(at_us=world.clock.now_us(), event_us=0, positions={}), stranger)
    raised(
        lambda: world.call(
            "lease.mark", person=person, device=stranger.public.text(), mark=mark.decode()
        )
    )
    recorder.say()
    world.later(seconds=9)
    recorder.say()
    assert _gap(world, person, tmp_path / "gap.json")["devices"] == 1


def test_nobody_gets_a_lease_who_does_not_take_part(world: World) -> None:
    everybody = {one.external for one in world.desk.people.everybody().values()}
    for name in sorted(everybody - set(world.participants()))[:5]:
        device = SigningKey.generate()
        world.add(name, device)
        error = raised(lambda name=name, device=device: world.obtain(name, device))
        assert isinstance(error, DeniedError)
        assert error.rule != "lease.device"
        assert error.entry is not None
