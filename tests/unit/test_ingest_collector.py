"""The collector under leases: expiry, pause, stop, clock steps, replay."""

from __future__ import annotations

import orjson
import pyarrow as pa
import pytest
from tests.collector_desk import DEVICE, HASHES, KEEPER, SECOND, World
from tests.ingest_job import key_rows

from safehold.access.lease import LONGEST_US, read_lease
from safehold.errors import ConflictError, DeniedError, InvalidError, MissingError, TamperedError
from safehold.ingest.leased import leased_schema
from safehold.signing import SigningKey
from safehold.telemetry.stream import Level


def test_events_arrive_minimised_and_numbered_without_gaps() -> None:
    world = World()
    world.type("hello")
    world.collector.flush()
    world.type("you")
    world.collector.flush()
    assert world.rows == world.collector.counters.sealed["key"] > 0
    seqs: list[int] = []
    for _, envelope, body in world.received:
        table = pa.ipc.open_stream(body).read_all()
        assert table.schema.names == leased_schema("key").names
        assert set(table.column("minim").to_pylist()) == {int(Level.L3)}
        assert len(table) == envelope.rows
        seqs += table.column("seq").to_pylist()
    assert seqs == list(range(len(seqs)))


def test_no_plaintext_is_in_an_envelope() -> None:
    world = World()
    world.type("hello")
    world.collector.flush()
    assert world.envelopes
    for data in world.envelopes:
        # as JSON and as Arrow would hold it; three letters alone stand in this much ciphertext by chance
        assert b'"ann"' not in data
        assert b"ann\0\0" not in data
        assert b"letter" not in data


def test_without_a_lease_nothing_is_read() -> None:
    world = World()
    world.lessor.close(reason="pause", person="ann")
    world.type("secret")
    world.collector.flush()
    counters = world.collector.counters
    assert (counters.not_recorded, world.collector.waiting, world.received) == (12, 0, [])
    assert not counters.sealed


def test_a_lease_is_renewed_in_time() -> None:
    world = World()
    world.type("a" * 60, step_us=15 * SECOND)  # half an hour
    world.collector.flush()
    assert world.asked >= 3
    assert world.collector.counters.not_recorded == 0
    assert world.rows == world.collector.counters.sealed["key"] > 0
    assert world.collector.counters.discarded == 0


def test_what_waits_when_a_lease_expires_is_thrown_away() -> None:
    world = World()
    world.type("abc")
    world.clock.advance(LONGEST_US)
    world.collector.flush()
    assert world.received == []
    assert world.collector.counters.discarded == 6
    assert world.collector.waiting == 0


def test_a_stop_ends_recording_within_one_lease() -> None:
    world = World()
    world.type("abc")
    world.collector.flush()
    before = world.rows
    world.lessor.close(reason="stop")
    world.type("def" * 200, step_us=2 * SECOND)
    world.collector.flush()
    assert world.rows == before
    assert world.collector.waiting == 0
    world.type("g")
    assert world.collector.counters.not_recorded > 0


def test_buffered_events_under_a_dead_lease_are_refused() -> None:
    world = World()
    world.type("abc")
    world.lessor.close(reason="pause", person="ann")
    world.collector.flush()
    assert len(world.envelopes) == 1
    assert world.received == []
    with pytest.raises(DeniedError) as caught:
        world.lessor.receive(world.envelopes[0], device=DEVICE.public)
    assert caught.value.rule == "lease.dead"


def test_the_private_key_of_an_ended_lease_is_gone() -> None:
    world = World()
    lease = read_lease(world.obtain(), keeper=KEEPER.public)
    assert len(world.store.get(lease.id)) == 32
    assert world.lessor.close(reason="pause", person="ann") == 1
    with pytest.raises(MissingError):
        world.store.get(lease.id)


def test_an_expired_lease_loses_its_key_too() -> None:
    world = World()
    lease = read_lease(world.obtain(), keeper=KEEPER.public)
    world.clock.advance(LONGEST_US + 6 * SECOND)
    world.lessor.end_expired()
    with pytest.raises(MissingError):
        world.store.get(lease.id)


def test_pause_on_the_device_is_at_once() -> None:
    world = World()
    world.type("abc")
    world.collector.pause()
    world.type("def")
    world.collector.flush()
    assert world.received == []
    assert world.collector.counters.discarded == 6
    assert world.collector.counters.not_recorded == 6
    world.collector.resume()
    world.type("g")
    world.collector.flush()
    assert world.rows > 0
    assert world.asked == 2


def test_a_clock_that_is_set_back_does_not_stretch_a_lease() -> None:
    world = World()
    assert world.collector._may_record()
    world.clock.advance(50 * SECOND)
    world.type("abc")
    first = world.collector._lease
    world.clock.advance(-30 * SECOND)  # still inside the lease
    world.type("d")
    assert world.collector.counters.discarded == 6
    assert world.collector._lease is not first


def test_a_clock_that_jumps_ahead_ends_the_lease() -> None:
    world = World()
    world.type("abc")
    world.clock.advance(2 * LONGEST_US)
    world.type("d")
    assert world.collector.counters.discarded == 6


def test_another_envelope_under_a_number_that_was_used_is_refused() -> None:
    world = World()
    world.type("abc")
    world.collector.flush()
    world.collector._number = 0
    world.type("def")
    world.collector.flush()
    assert len(world.received) == 1
    with pytest.raises(ConflictError):
        world.lessor.receive(world.envelopes[1], device=DEVICE.public)
    # whoever was not heard sends the same again: the register stores it once
    assert world.lessor.receive(world.envelopes[0], device=DEVICE.public) == world.received[0]


def test_a_foreign_device_cannot_use_a_lease() -> None:
    world = World()
    world.type("abc")
    world.collector.flush()
    thief = SigningKey.generate()
    with pytest.raises((DeniedError, TamperedError)):
        world.lessor.receive(world.envelopes[0], device=thief.public)


def test_a_lease_for_somebody_else_is_not_used() -> None:
    world = World(person="bob")
    world.type("abc")
    world.collector.flush()
    assert world.collector.counters.not_recorded == 6
    assert world.received == []


def test_a_lease_with_other_rules_is_not_used() -> None:
    world = World()
    world.collector._hashes["key"] = "cc" * 32
    world.type("abc")
    assert world.collector.counters.not_recorded == 6


def test_a_lease_lasts_a_quarter_of_an_hour_at_most() -> None:
    world = World()
    with pytest.raises(InvalidError):
        world.lessor.grant(
            person="ann", device=DEVICE.public, charter=bytes(32), streams=HASHES,
            length_us=LONGEST_US + 1,
        )  # fmt: skip


def test_a_lease_that_says_it_lasts_longer_is_refused_by_the_device() -> None:
    from dataclasses import replace

    lease = read_lease(World().obtain(), keeper=KEEPER.public)
    long = replace(lease, until_us=lease.from_us + LONGEST_US + 1)
    with pytest.raises(InvalidError):
        read_lease(long.sign(KEEPER), keeper=KEEPER.public)
    with pytest.raises(TamperedError):
        read_lease(lease.sign(SigningKey.generate()), keeper=KEEPER.public)


def test_an_event_of_an_unknown_stream_is_refused_and_counted() -> None:
    world = World()
    world.collector.feed(orjson.dumps({"stream": "brain", **key_rows("a")[0]}))
    world.collector.flush()
    assert world.collector.counters.refused == {"source.unknown_stream": 1}
    assert world.received == []


OTHER = SigningKey(b"o" * 32)


def test_a_dismissed_device_has_no_lease_and_gets_none() -> None:
    world = World()
    world.type("abc")
    world.collector.flush()
    (envelope,) = world.envelopes
    assert world.lessor.dismiss(OTHER.public) == 0
    assert world.lessor.dismiss(DEVICE.public) == 1
    with pytest.raises(DeniedError) as caught:
        world.lessor.receive(envelope, device=DEVICE.public)
    assert caught.value.rule == "lease.dead"
    with pytest.raises(DeniedError) as caught:
        world.obtain()
    assert caught.value.rule == "lease.device"
