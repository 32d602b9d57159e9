"""Side doors: what a stolen database tells, made-up homes for real people, and silences that a crash cut short."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from tests.ingest_job import key_rows
from tests.world import PASSPHRASE, PURPOSE, World, outside, raised, spec_at

from safehold.app.embedded import connect
from safehold.clock import DAY_US, day_of
from safehold.errors import InvalidError, TamperedError, UnavailableError
from safehold.ingest.preview import file_source
from safehold.keeper.crowd import Crowd
from safehold.keeper.desk import Desk
from safehold.keeper.intake import Intake
from safehold.keeper.leases import Leases
from safehold.keeper.ports import Frame
from safehold.keeper.silence import EVERYBODY
from safehold.ledger.store_sqlite import SqliteJournal
from safehold.signing import SigningKey

DEVICE = SigningKey(b"e" * 32)


def _tables(world: World) -> dict[str, list[tuple[object, ...]]]:
    with sqlite3.connect(world.home.control) as base:
        names = [
            row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        found = {
            name: base.execute(f'SELECT * FROM "{name}"').fetchall()  # noqa: S608
            for name in names
        }
    base.close()
    return found


def _said(cells: list[tuple[object, ...]]) -> bytes:
    return b"\0".join(
        cell if isinstance(cell, bytes) else str(cell).encode() for row in cells for cell in row
    )


# a made-up home runs weak sandboxes and shows exact figures


def test_a_collector_does_not_bring_real_people_into_a_made_up_home(world: World) -> None:
    person = world.participants()[0]
    for verb, more in (
        ("lease.obtain", {"person": person}),
        ("lease.submit", {"envelope": "AAAA"}),
    ):
        error = raised(
            lambda verb=verb, more=more: world.call(verb, device=DEVICE.public.text(), **more)
        )
        assert isinstance(error, InvalidError)
        assert error.rule == "home.synthetic", verb


# what the control database tells a thief


def test_a_stolen_database_does_not_tell_who_paused_or_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Intake, "check_home", lambda *_: None)
    somebody, another, third = world.participants()[:3]
    world.add(third, DEVICE)
    world.obtain(third, DEVICE)
    world.choose(somebody, "pause")
    world.choose(another, "withdraw")
    world.call("stop", **world.order("stop", "security"))
    people = {world.person(name).encode() for name in (somebody, another, third)}
    world.stop()
    tables = _tables(world)
    assert len(tables["silence"]) == 3
    said = _said(tables["silence"]) + _said(tables["device_mark"])
    for word in (b"pause", b"withdraw", b"stop", b"positions", *people):
        assert word not in said, word
    everything = b"\0".join(_said(rows) for rows in tables.values())
    assert b"withdrawn" not in everything
    lengths = {len(row[-1]) for row in tables["silence"]}
    assert len(lengths) == 1, "the length tells the reason"


def test_a_stolen_database_does_not_tell_what_was_found_in_the_text(world: World) -> None:
    """A chunk may be one person's day: that 12 words about health were masked is about that person."""
    counted = world.call("ingest", source={"kind": "synthetic", "spec": _spec(world)})["tally"]
    words = {name for group in ("masked", "dropped") for name in counted[group]}
    assert {"HEALTH", "not_participating"} & words
    world.stop()
    tables = _tables(world)
    everything = _said(tables["source"]) + _said(tables["chunk"])
    for word in {one for one in words if len(one) > 5} | {"masked", "refused"}:
        assert word.encode() not in everything, word


def _spec(world: World) -> dict[str, object]:
    return spec_at(world.clock.now_us()).to_spec()


@pytest.mark.parametrize("table", ["source", "chunk"])
def test_counters_of_another_source_are_refused(world: World, table: str) -> None:
    tally = _tables(world)[table][0][-1 if table == "chunk" else 3]
    assert isinstance(tally, bytes)
    with sqlite3.connect(world.home.control) as base:
        statement = {
            "source": "UPDATE source SET tally = ?",
            "chunk": "UPDATE chunk SET tally = ?",
        }[table]
        base.execute(statement, (tally[:-1] + bytes([tally[-1] ^ 1]),))
    base.close()
    error = raised(lambda: world.call("ingest", source={"kind": "synthetic", "spec": _spec(world)}))
    assert isinstance(error, TamperedError)


def test_the_name_of_a_source_does_not_confirm_a_guess(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who guesses what somebody typed must not be able to check the guess against the catalogue."""
    monkeypatch.setattr(Intake, "check_home", lambda *_: None)
    at = world.clock.now_us() - DAY_US // 2
    rows = [
        {**row, "t": at + number * 40_000, "stream": "key"}
        for number, row in enumerate(key_rows("pin 4711", person=world.participants()[0]))
    ]
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(row) for row in rows) + b"\n")
    source = file_source(path, "canonical")
    handle = os.open(path, os.O_RDONLY)
    try:
        world.client.call("ingest", descriptors=[handle], source=source)
    finally:
        os.close(handle)
    world.stop()
    shown = {key: value for key, value in source.items() if key != "name"}
    for mark in (b"safehold.source.v1\0", b""):
        guess = hashlib.sha256(
            mark + orjson.dumps(shown, option=orjson.OPT_SORT_KEYS) + path.read_bytes()
        )
        everything = b"\0".join(_said(rows) for rows in _tables(world).values())
        assert guess.hexdigest().encode() not in everything


# a keeper that is killed in the middle of a pause or a stop


@pytest.mark.parametrize("step", ["before the register", "before the silence"])
@pytest.mark.parametrize("how", ["pause", "withdraw"])
def test_a_choice_cut_short_by_a_crash_counts_and_can_be_proved(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str, step: str
) -> None:
    person = world.participants()[0]

    def crash(*_args: object) -> None:
        raise MemoryError

    with monkeypatch.context() as crashing:
        if step == "before the register":
            crashing.setattr(Crowd, "_take", crash)
        else:
            crashing.setattr(Leases, "_note", crash)
        raised(lambda: world.choose(person, how))
    world.restart()
    assert person not in world.participants()
    silences = world.service.verbs.leases._silences  # type: ignore[union-attr]
    last = silences.last(world.person(person))
    assert last is not None
    assert last.reason == {"pause": "pause", "withdraw": "withdrawn"}[how]
    world.restart()
    assert len(_tables(world)["silence"]) == 1, "remembered once"


def test_a_stop_cut_short_by_a_crash_counts_and_can_be_proved(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_args: object) -> None:
        raise MemoryError

    for _ in range(2):
        with monkeypatch.context() as crashing:
            crashing.setattr(Leases, "close", crash)
            raised(lambda: world.call("stop", **world.order("stop", "security")))
        world.restart()
        assert world.desk.trust.stopped
        assert raised(lambda: world.call("feature", purpose=PURPOSE)).rule == "oversight.stop"
        silences = world.service.verbs.leases._silences  # type: ignore[union-attr]
        last = silences.last(EVERYBODY)
        assert last is not None
        assert (last.reason, last.from_us) == ("stop", world.clock.now_us())
        world.later(seconds=2)
        world.call("resume", **world.order("resume"))
        world.later(seconds=2)
    assert len(world.desk.trust.stops()) == 2
    before = world.desk.trust.stops()
    world.restart()
    assert [(start // 1000, end and end // 1000) for start, end in world.desk.trust.stops()] == [
        (start // 1000, end and end // 1000) for start, end in before
    ]


# a home that is opened for one command at a time


def test_a_keeper_that_is_started_for_one_command_ends_what_is_past_its_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody runs ``serve`` here: without a sweep at the start, a backup would open for ever."""
    monkeypatch.setattr(Desk, "check_time", lambda _: None)
    world.stop()
    today = day_of(world.clock.now_us())
    world.later(days=-40)
    world.start()
    with world.desk.engine.begin() as connection:  # made-up recorders count from one again
        connection.exec_driver_sql("DELETE FROM extent")
    spec = replace(spec_at(world.clock.now_us()), seed=5, people=4)
    world.call("ingest", source={"kind": "synthetic", "spec": spec.to_spec()})
    world.stop()

    def ended() -> list[int]:
        periods = [
            row[5] for row in _tables(world)["vault_key"] if row[2] == "person" and row[5] <= today
        ]
        return periods + [row[8] for row in _tables(world)["block"] if row[8] <= today]

    assert ended(), "the test has made nothing that is over"
    with outside(world.path), connect(world.home, {"passphrase": PASSPHRASE}) as client:
        assert client.call("status")["counts"]["blocks"] > 0
    assert not ended()


# a clock that was set back


@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_was_set_back_does_not_undo_a_pause(world: World, restarted: bool) -> None:
    """By less than the keeper's patience with clocks; by more, it refuses altogether."""
    person = world.participants()[0]
    world.choose(person, "pause")
    world.later(seconds=-120)
    if restarted:
        world.restart()
    assert world.call("people.show", person=person)["paused"]
    assert world.call("feature", purpose=PURPOSE)["left_out"]["subjects.paused"] >= 1
    assert person not in world.held("derived")
    world.later(seconds=-400)
    for verb, arguments in (
        ("feature", {"purpose": PURPOSE}),
        ("lease.obtain", {"person": person, "device": DEVICE.public.text()}),
        ("lease.submit", {"envelope": "AAAA", "device": DEVICE.public.text()}),
    ):
        error = raised(lambda verb=verb, arguments=arguments: world.call(verb, **arguments))
        assert error.rule == "clock.back", verb


def test_a_pause_within_a_planned_one_lasts_beyond_it(world: World) -> None:
    """A lunch break is planned until one; somebody pauses at half past twelve and does not come back."""
    now = world.clock.now_us()
    world.call(
        "people.enrol",
        people=[
            {
                "person": "somebody-new",
                "jurisdiction": "US-CA",
                "streams": ["key"],
                "pauses": [[now - 1_000_000, now + 1_800_000_000]],
            }
        ],
        evidence="paper",
    )
    world.choose("somebody-new", "pause")
    world.later(seconds=3600)
    assert world.call("people.show", person="somebody-new")["paused"]
    world.choose("somebody-new", "resume")
    assert not world.call("people.show", person="somebody-new")["paused"]


# a ledger that takes nothing


@pytest.mark.parametrize("how", ["pause", "withdraw", "stop"])
def test_a_silence_that_cannot_be_written_down_ends_recording_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(Intake, "check_home", lambda *_: None)
    person = world.participants()[0]
    world.add(person, DEVICE)
    world.obtain(person, DEVICE)
    leases = world.service.verbs.leases._lessor._live  # type: ignore[union-attr]
    assert [lease.person for lease in leases.values()] == [person]
    again = world.ask(person, DEVICE)
    ended: list[bool] = []

    class Running:
        level = "E3"
        kernel = "a kernel"
        mechanisms = ()
        program = "0:test"

        def frames(self) -> Iterator[Frame]:
            return iter(())

        def kill(self) -> None:
            ended.append(True)

    job = Running()
    world.desk.jobs.add(job)

    def full(*_args: object) -> None:
        raise UnavailableError("the ledger cannot commit", rule="ledger.commit")

    with monkeypatch.context() as failing:
        failing.setattr(SqliteJournal, "commit", full)
        if how == "stop":
            # only an order of the board does it
            error = raised(lambda: world.call("stop", **world.order("resume", "security")))
            assert error.rule == "oversight.order"
            assert leases
            error = raised(lambda: world.call("stop", **world.order("stop", "security")))
            assert ended == [True]
        else:
            error = raised(lambda: world.choose(person, how))
    assert error.rule == "ledger.commit"
    assert not leases
    world.desk.jobs.discard(job)
    error = raised(lambda: world.call("lease.obtain", **again))
    assert isinstance(error, UnavailableError), (
        "a ledger that failed stays closed until it is opened anew"
    )
