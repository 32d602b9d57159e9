"""The collector under leases: expiry, pause, stop, clock steps, replay; and the gap record that proves it."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pyarrow as pa
import pytest
from tests.ingest_job import NOW_US, Frames, job, key_rows, rules_spec

from safehold.access.gap import Head, Mark, commit_person, make_gap, sign_mark, verify_gap
from safehold.access.lease import LONGEST_US, Lessor, MemoryStore, read_lease
from safehold.clock import FixedClock
from safehold.dlp import Rules
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    MissingError,
    SafeholdError,
    TamperedError,
)
from safehold.ingest import recipe
from safehold.ingest.collector import Collector
from safehold.ingest.leased import leased_schema
from safehold.sandbox.channel import pack_parts
from safehold.signing import SigningKey
from safehold.telemetry.schema import Level

KEEPER, DEVICE = SigningKey(b"k" * 32), SigningKey(b"d" * 32)
SECOND = 1_000_000
RULES = {stream: Rules.from_spec(rules_spec(stream)) for stream in ("key", "pointer")}
HASHES = {stream: rules.version for stream, rules in RULES.items()}


class World:
    """A keeper and a device with one clock."""

    def __init__(self, person: str = "ann") -> None:
        self.clock = FixedClock(NOW_US)
        self.store = MemoryStore()
        self.lessor = Lessor(KEEPER, store=self.store, clock=self.clock)
        self.received: list[tuple[Any, Any, bytes]] = []
        self.envelopes: list[bytes] = []
        self.asked = 0
        self.seq = 0
        self.person = person
        self.collector = Collector(
            self,
            person="ann",
            device=DEVICE,
            keeper=KEEPER.public,
            rules=RULES,
            clock=self.clock,
        )

    def obtain(self) -> bytes:
        self.asked += 1
        return self.lessor.grant(
            person=self.person, device=DEVICE.public, charter=bytes(32), streams=HASHES
        )

    def submit(self, envelope: bytes) -> None:
        self.envelopes.append(envelope)
        self.received.append(self.lessor.receive(envelope, device=DEVICE.public))

    def type(self, text: str, *, step_us: int = 0) -> None:
        for row in key_rows(text):
            self.clock.advance(step_us)
            self.seq += 1
            at = {"t": self.clock.now_us(), "mono": self.seq * 1000, "seq": self.seq}
            self.collector.feed(orjson.dumps({"stream": "key", **row, **at}))

    @property
    def rows(self) -> int:
        return sum(envelope.rows for _, envelope, _ in self.received)


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


def test_a_copy_of_an_envelope_is_refused() -> None:
    world = World()
    world.type("abc")
    world.collector.flush()
    with pytest.raises(ConflictError):
        world.lessor.receive(world.envelopes[0], device=DEVICE.public)


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


def test_what_a_collector_sealed_comes_to_rest() -> None:
    world = World()
    world.type("hello")
    world.collector.flush()
    parts = [
        ({"person": lease.person, "stream": envelope.stream}, pa.ipc.open_stream(body).read_all())
        for lease, envelope, body in world.received
    ]
    frames = Frames()
    recipe.main(job({"kind": "leased"}), [pack_parts(parts)], frames)
    assert frames.tally()["taken"]["key"] == world.rows
    assert {header["person"] for header in frames.of("batch")} == {"ann"}


def test_a_leased_row_from_a_silence_is_dropped_where_it_has_a_time() -> None:
    """A device that seals what it was told to drop: the keeper's sandbox looks again."""
    world = World()
    world.type("hello", step_us=SECOND)
    world.collector.flush()
    table = pa.ipc.open_stream(world.received[0][2]).read_all()
    rows, index = len(table), table.schema.get_field_index("t")
    times = pa.array([NOW_US + at * SECOND for at in range(rows)], table.schema.field(index).type)
    timed = table.set_column(index, table.schema.field(index), times)
    whole = job({"kind": "leased"})
    whole["people"]["ann"]["pauses"] = [[NOW_US + SECOND, NOW_US + 3 * SECOND]]
    whole["now_us"] = NOW_US + 60 * SECOND
    for given, taken in ((timed, rows - 2), (table, rows)):  # at L3 only the day is left
        frames = Frames()
        parts = pack_parts([({"person": "ann", "stream": "key"}, given)])
        recipe.main(whole, [parts], frames)
        assert frames.tally()["taken"]["key"] == taken
        assert frames.tally()["dropped"].get("paused", 0) == rows - taken


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("minim", 2, "leased.level"),
        ("person", "bob", "leased.person"),
        ("field_kind", "password", "leased.password"),
    ],
)
def test_a_leased_batch_that_breaks_a_rule_is_refused(column: str, value: Any, rule: str) -> None:
    world = World()
    world.type("hello")
    world.collector.flush()
    table = pa.ipc.open_stream(world.received[0][2]).read_all()
    index = table.schema.get_field_index(column)
    kind = table.schema.field(index).type
    table = table.set_column(index, table.schema.field(index), pa.array([value] * len(table), kind))
    parts = pack_parts([({"person": "ann", "stream": "key"}, table)])
    with pytest.raises(InvalidError) as caught:
        recipe.main(job({"kind": "leased"}), [parts], Frames())
    assert caught.value.rule == rule


# gap records


def silent(*, meddle: Callable[[World], None] = lambda _: None) -> tuple[bytes, World]:
    """Record, pause for ten minutes, resume; return the gap record."""
    world = World()
    world.type("abc", step_us=1000)
    world.collector.flush()
    world.clock.advance(SECOND)
    start = world.clock.now_us()
    world.lessor.close(reason="pause", person="ann")
    world.collector.pause()
    before = world.collector.mark()
    world.type("secret", step_us=SECOND)
    meddle(world)
    world.clock.advance(600 * SECOND)
    end = world.clock.now_us()
    world.lessor.reopen(person="ann")
    world.collector.resume()
    after = world.collector.mark()
    record = make_gap(
        person=commit_person("ann", b"s" * 32),
        streams=["key", "pointer"],
        from_us=start,
        to_us=end,
        reason="pause",
        heads=(Head(size=5, root="aa" * 32), Head(size=7, root="bb" * 32)),
        marks={DEVICE.public.text(): (before, after)},
        absent={},
        key=KEEPER,
    )
    world.type("again")
    world.collector.flush()
    return record, world


def check(record: bytes) -> Any:
    return verify_gap(record, keeper=KEEPER.public, devices=[DEVICE.public])


def test_a_gap_record_proves_silence() -> None:
    record, world = silent()
    gap = check(record)
    assert gap.to_us - gap.from_us > 600 * SECOND
    assert (gap.reason, gap.devices, gap.streams) == ("pause", 1, ("key", "pointer"))
    assert world.collector.counters.not_recorded == 12
    opened = list(layers(record))
    assert any(b'"person"' in layer for layer in opened), "the layers were not opened"
    assert not [layer for layer in opened if b'"ann"' in layer]


def layers(text: bytes) -> Iterator[bytes]:
    """Yield a text and what lies in it in base64, and in that again."""
    yield text
    for run in re.findall(rb"[0-9A-Za-z+/]{24,}={0,2}", text):
        with contextlib.suppress(ValueError):
            inner = base64.b64decode(run, validate=True)
            if inner.isascii():
                yield from layers(inner)


def test_recording_in_the_gap_breaks_the_proof() -> None:
    def meddle(world: World) -> None:
        world.collector._positions["key"] += 1

    record, _ = silent(meddle=meddle)
    with pytest.raises(TamperedError) as caught:
        check(record)
    assert caught.value.rule == "gap.sequence"


def test_an_event_time_in_the_gap_breaks_the_proof() -> None:
    def meddle(world: World) -> None:
        world.collector._event_us = world.clock.now_us()

    record, _ = silent(meddle=meddle)
    with pytest.raises(TamperedError) as caught:
        check(record)
    assert caught.value.rule == "gap.event"


def gap(**change: Any) -> bytes:
    marks = change.pop("marks", None)
    first = Mark(at_us=NOW_US + 1, event_us=NOW_US - 9, positions={"key": 4})
    last = Mark(at_us=NOW_US + 700, event_us=NOW_US - 9, positions={"key": 4})
    values: dict[str, Any] = {
        "person": "00" * 32, "streams": ["key"], "from_us": NOW_US, "to_us": NOW_US + 600,
        "reason": "pause", "heads": (Head(size=5, root="aa"), Head(size=7, root="bb")),
        "marks": marks or {DEVICE.public.text(): (sign_mark(first, DEVICE), sign_mark(last, DEVICE))},
        "absent": {}, "key": KEEPER, **change,
    }  # fmt: skip
    return make_gap(**values)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"from_us": NOW_US + 600, "to_us": NOW_US}, "gap.time"),
        ({"to_us": NOW_US + 701}, "gap.time"),
        ({"from_us": NOW_US - 9}, "gap.event"),
        ({"heads": (Head(size=7, root="aa"), Head(size=5, root="bb"))}, "gap.ledger"),
        ({"heads": (Head(size=7, root="aa"), Head(size=7, root="bb"))}, "gap.ledger"),
        ({"key": SigningKey(b"x" * 32)}, "signing.safehold.gap.v1"),
        ({"reason": "boredom"}, "gap.shape"),
        ({"streams": []}, "gap.shape"),
    ],
)
def test_a_gap_record_that_does_not_hold(change: dict[str, Any], rule: str) -> None:
    assert check(gap()).reason == "pause"
    with pytest.raises(SafeholdError) as caught:
        check(gap(**change))
    assert caught.value.rule == rule


def test_every_device_of_the_person_must_have_kept_silent() -> None:
    other = SigningKey.generate()
    with pytest.raises(TamperedError) as caught:
        verify_gap(gap(), keeper=KEEPER.public, devices=[DEVICE.public, other.public])
    assert caught.value.rule == "gap.device"


OTHER = SigningKey(b"o" * 32)


@pytest.mark.parametrize(
    "life",
    [
        (NOW_US - 99, NOW_US - 1),  # removed before the gap began
        (NOW_US + 600, None),  # first let in when it was over
        (NOW_US + 600, NOW_US + 900),
    ],
)
def test_a_device_that_had_no_lease_in_the_gap_need_not_speak(life: tuple[int, int | None]) -> None:
    record = gap(absent={OTHER.public.text(): life})
    shown = verify_gap(record, keeper=KEEPER.public, devices=[DEVICE.public, OTHER.public])
    assert (shown.devices, shown.absent) == (1, 1)
    with pytest.raises(TamperedError):
        check(record)  # it is one of the person's devices all the same


@pytest.mark.parametrize(
    "life",
    [
        (NOW_US - 99, NOW_US),
        (NOW_US - 99, None),
        (NOW_US + 599, None),
        (NOW_US + 1, NOW_US + 2),
    ],
)
def test_a_device_that_could_record_in_the_gap_must_speak(life: tuple[int, int | None]) -> None:
    record = gap(absent={OTHER.public.text(): life})
    with pytest.raises(TamperedError) as caught:
        verify_gap(record, keeper=KEEPER.public, devices=[DEVICE.public, OTHER.public])
    assert caught.value.rule == "gap.device"


def test_a_device_is_not_both_silent_and_absent() -> None:
    with pytest.raises(TamperedError) as caught:
        check(gap(absent={DEVICE.public.text(): (NOW_US - 99, NOW_US - 1)}))
    assert caught.value.rule == "gap.device"


@pytest.mark.parametrize(
    "life", [(), (1,), (1, 2, 3), (None, 1), (1.5, None), ("1", None), (True, None)]
)
def test_a_malformed_life_of_a_device(life: Any) -> None:
    try:
        record = gap(absent={OTHER.public.text(): life})
    except SafeholdError:
        return  # it cannot even be written
    with pytest.raises(InvalidError):
        verify_gap(record, keeper=KEEPER.public, devices=[DEVICE.public, OTHER.public])


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


def test_marks_must_be_signed_by_the_device() -> None:
    mark = Mark(at_us=NOW_US + 700, event_us=1, positions={"key": 4})
    forged = sign_mark(mark, KEEPER)
    with pytest.raises(TamperedError):
        check(gap(marks={DEVICE.public.text(): (forged, forged)}))
