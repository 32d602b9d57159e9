"""Gap records: what proves a silence, and what breaks the proof."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.collector_desk import DEVICE, KEEPER, SECOND, World
from tests.ingest_job import NOW_US

from safehold.access.gap import Head, Mark, commit_person, make_gap, sign_mark, verify_gap
from safehold.errors import InvalidError, SafeholdError, TamperedError
from safehold.signing import SigningKey


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


def test_of_a_contained_stream_only_its_own_numbers_count() -> None:
    first = Mark(at_us=NOW_US + 1, event_us=NOW_US - 9, positions={"key": 4, "chat": 1})
    on = {"at_us": NOW_US + 700, "event_us": NOW_US + 300}

    def record(reason: str, **positions: int) -> bytes:
        last = Mark(**on, positions=positions)
        marks = {DEVICE.public.text(): (sign_mark(first, DEVICE), sign_mark(last, DEVICE))}
        return gap(reason=reason, marks=marks)

    assert check(record("contained", key=4, chat=2)).streams == ("key",)
    for reason, positions in (
        ("contained", {"key": 5, "chat": 1}),
        ("pause", {"key": 4, "chat": 2}),
    ):
        with pytest.raises(TamperedError):
            check(record(reason, **positions))


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


def test_marks_must_be_signed_by_the_device() -> None:
    mark = Mark(at_us=NOW_US + 700, event_us=1, positions={"key": 4})
    forged = sign_mark(mark, KEEPER)
    with pytest.raises(TamperedError):
        check(gap(marks={DEVICE.public.text(): (forged, forged)}))
