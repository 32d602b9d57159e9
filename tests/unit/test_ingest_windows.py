"""What was in front in an earlier chunk: a cut neither opens a denied window nor parts a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from tests.ingest_job import NOW_US, as_jsonl, key_rows, run_bytes
from tests.unit.test_ingest_collector import World

from safehold.dlp import Rules
from safehold.dlp.context import denied_so_far
from safehold.telemetry.schema import WIRE

SECOND = 1_000_000
BANK = {"app": "browser", "app_name": "Browser", "title": "Overview", "url_host": "www.paypal.com"}
WORK = {"app": "editor", "app_name": "Editor", "title": "notes"}


def window(at_s: float, **more: Any) -> dict[str, Any]:
    mono = int(at_s * SECOND)
    row = {"person": "ann", "device": "d1", "session": "s1", "seq": mono // 1000, "kind": 0}
    return row | {"t": NOW_US - 3_600_000_000 + mono, "mono": mono, "stream": "focus"} | more


def pressed(at_s: float, key: str = "a") -> dict[str, Any]:
    mono = int(at_s * SECOND)
    row = key_rows(key)[0] | {"stream": "key", "seq": mono // 1000}
    return row | {"t": NOW_US - 3_600_000_000 + mono, "mono": mono}


def kept(rows: list[dict[str, Any]], tmp_path: Path, chunk_rows: int) -> tuple[int, int]:
    frames = run_bytes(as_jsonl(rows), "a.jsonl", tmp_path, limits={"chunk_rows": chunk_rows})
    held = sum(len(table) for table in frames.tables("key"))
    return held, frames.tally()["dropped"].get("denied_context", 0)


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 5, 1000])
def test_a_denied_window_stays_denied_however_the_session_is_cut(
    tmp_path: Path, chunk_rows: int
) -> None:
    rows = [window(0, **WORK), pressed(1), window(2, **BANK), *map(pressed, (3, 20, 30, 400))]
    rows += [window(401, afk=True, kind=2), pressed(402)]  # an absence does not end it
    rows += [window(410, **WORK), pressed(412), pressed(414.9), pressed(415.1), pressed(900)]
    # before it, and more than five seconds after it; its own event is dropped as well
    assert kept(rows, tmp_path, chunk_rows) == (3, 8)


def test_what_is_remembered_of_a_window_holds_no_word_of_it() -> None:
    rows = [
        window(0, **WORK), window(1, **BANK, ctx=7), window(2, **WORK, ctx=8), window(3, **WORK),
        window(5000, **WORK), window(5001, **BANK, session="s2"),
    ]  # fmt: skip
    schema = WIRE["focus"]
    arrays = [
        pa.array(
            [row.get(item.name) for row in rows],
            pa.int64() if pa.types.is_temporal(item.type) else item.type,
        ).cast(item.type)
        for item in schema
    ]
    focus = pa.Table.from_arrays(arrays, schema=schema)
    rules = Rules(stream="key")
    left = denied_so_far(focus, rules)
    assert left["session"].to_pylist() == ["s2"]  # the first ended more than an hour before
    early = denied_so_far(focus.slice(0, 4), rules)
    assert early["ctx"].to_pylist() == [7, 8]
    assert denied_so_far(early, rules).equals(early)
    for table in (left, early):
        for name in ("app", "title", "url_host", "pid", "dur"):
            assert table[name].null_count == len(table)
        assert set(table["app_name"].to_pylist()) <= {"1password", "window"}
    assert denied_so_far(focus.slice(0, 1), rules).num_rows == 0


def feed(world: World, row: dict[str, Any]) -> None:
    world.seq += 1
    at = {"t": world.clock.now_us(), "mono": world.clock.now_us() - NOW_US, "seq": world.seq}
    world.collector.feed(orjson.dumps({**row, **at}))


def test_a_collector_remembers_the_window_in_front() -> None:
    world = World()
    feed(world, window(0, **BANK))
    for _ in range(5):
        world.clock.advance(100 * SECOND)
        feed(world, pressed(0))
        world.collector.flush()
    assert world.collector.counters.dropped["denied_context"] == 5
    assert not world.received
    feed(world, window(0, **WORK))
    world.clock.advance(6 * SECOND)
    feed(world, pressed(0))
    world.collector.flush()
    assert world.collector.counters.sealed == {"key": 1}


@pytest.mark.parametrize("told", [False, True])
def test_after_a_pause_the_window_in_front_is_unknown_until_the_recorder_tells_it(
    told: bool,
) -> None:
    world = World()
    if told:
        feed(world, window(0, **WORK))
    feed(world, pressed(0))
    world.collector.pause()
    feed(world, window(0, **BANK))  # while nothing is read
    world.collector.resume()
    for _ in range(3):
        world.clock.advance(100 * SECOND)
        feed(world, pressed(0))
    world.collector.flush()
    assert world.collector.counters.dropped["window_unknown"] == (3 if told else 0)
    assert world.collector.counters.sealed["key"] == (0 if told else 3)
    feed(world, window(0, **WORK))
    feed(world, pressed(0))
    world.collector.flush()
    assert world.collector.counters.sealed["key"] == (1 if told else 4)


def test_a_full_collector_waits_for_a_pause_in_typing() -> None:
    world = World()
    text = "my card is 4111 1111 1111 1111 ok"
    for letter in "a" * 40 + text:  # a key in 1.5 s: the minute is over within the first words
        feed(world, pressed(0, letter))
        world.clock.advance(1_500_000)
    assert not world.received
    world.clock.advance(SECOND)
    feed(world, pressed(0, "b"))
    assert len(world.received) == 1
    assert world.collector.counters.masked["CARD"] == 19
    assert world.collector.waiting == 1


def test_a_collector_does_not_wait_for_ever() -> None:
    world = World()
    for _ in range(130):
        feed(world, pressed(0))
        world.clock.advance(1_500_000)
    assert len(world.received) == 1
    for _ in range(15_000):
        feed(world, pressed(0))
    assert len(world.received) == 2
