"""Nothing at rest tells the time more finely than its level promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.ingest_job import wire_table
from tests.planted import minimised

from safehold.clock import DAY_US
from safehold.dlp import Rules, minimise
from safehold.dlp.level import floor_times
from safehold.ingest.rest import rest_batches
from safehold.workforce import Spec

SPEC = Spec(people=2, days=2, start_day=20_780, seed=4242)
STEPS = {1: 100_000, 2: 1_000_000}


@pytest.mark.parametrize("step", STEPS.values())
def test_two_clocks_tell_no_more_than_one(step: int) -> None:
    """Whatever the phase between the clocks, both change at the same moments only."""
    dice = np.random.default_rng(1)
    for base in dice.integers(10**15, 2 * 10**15, 20).tolist():
        mono = np.sort(dice.integers(0, 100 * step, 5_000))
        t, whole = floor_times(base + mono, mono, step=step)
        assert len(np.unique(t - whole)) == 1
        assert (whole % step == 0).all()
        assert (t % step == 0).all()
        assert (np.abs(t - (base + mono)) < 2 * step).all()
    assert floor_times(np.array([5]), np.array([7 * step]), step=step)[0][0] >= 0


def rest(level: int) -> dict[str, pa.Table]:
    _, after, _ = minimised(SPEC, level=level)
    return {
        stream: pa.concat_tables(
            [
                batch.table.unify_dictionaries()
                for batch in rest_batches(stream, table, key=b"k" * 32, policy=b"p" * 8)
            ]
        )
        for stream, table in after.items()
    }


def numbers(table: pa.Table, name: str) -> Any:
    return table[name].cast(pa.int64()).to_numpy()


def test_at_l3_no_column_tells_the_time_of_day() -> None:
    ranks: dict[tuple[bytes, bytes], list[int]] = {}
    for stream, table in rest(3).items():
        t = numbers(table, "t")
        assert (t % DAY_US == 0).all(), stream
        for name in ("dur", "start", "end", "pid", "x", "y", "mods", "repeat"):
            if name in table.column_names:
                assert not any(table[name].to_pylist()), (stream, name)
        if "event_id" in table.column_names:  # a UUID version 7 begins with milliseconds
            for at, event in zip(t.tolist(), table["event_id"].to_pylist(), strict=True):
                assert int.from_bytes(event[:6], "big") * 1000 == at
                assert event[6] >> 4 == 7
        places = zip(table["device"].to_pylist(), table["session"].to_pylist(), strict=True)
        for place, rank in zip(places, numbers(table, "mono").tolist(), strict=True):
            ranks.setdefault(place, []).append(rank)
    for listed in ranks.values():  # a rank: no hole that a lost event or a pause could leave
        assert sorted(listed) == list(range(1, len(listed) + 1))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_numbers_at_rest_have_no_holes(level: int) -> None:
    """A hole would tell the length of a password, or which releases lay between two presses."""
    for stream, table in rest(level).items():
        found: dict[Any, list[int]] = {}
        places = zip(
            table["device"].to_pylist(), table["session"].to_pylist(), table["seq"].to_pylist(),
            strict=True,
        )  # fmt: skip
        for device, session, seq in places:
            found.setdefault((device, session), []).append(seq)
        for listed in found.values():
            assert listed == list(range(listed[0], listed[0] + len(listed))), stream


@pytest.mark.parametrize("level", STEPS)
def test_at_l1_and_l2_times_lie_on_one_grid(level: int) -> None:
    step = STEPS[level]
    for stream, table in rest(level).items():
        t, mono = numbers(table, "t"), numbers(table, "mono")
        if stream == "key" and level == 2:
            gaps = np.diff(mono)
            # the four gaps, and the fall to the next session
            assert set(gaps[gaps >= 0].tolist()) <= {125_000, 625_000, 2_000_000, 5_000_000}
            assert (t % DAY_US == 0).all()
            continue
        assert (t % step == 0).all(), stream
        assert (mono % step == 0).all(), stream
        places = zip(table["device"].to_pylist(), table["session"].to_pylist(), strict=True)
        phases: dict[Any, set[int]] = {}
        for place, phase in zip(places, (t - mono).tolist(), strict=True):
            phases.setdefault(place, set()).add(phase)
        # a masked run has its begin to the second, so a phase of its own; microseconds of the
        # two clocks of the generator may part by one
        assert all(len(found) <= 3 for found in phases.values()), stream
        if "dur" in table.column_names:
            assert (
                numbers(table.filter(pa.compute.is_valid(table["dur"])), "dur") % step == 0
            ).all()


def test_the_end_of_a_window_lies_on_the_grid_of_its_beginning() -> None:
    rows = []
    for at in range(200):
        mono = at * 1_234_567
        rows.append({"person": "p", "device": "d", "session": "s", "seq": at, "t": 10**15 + mono,
                     "mono": mono, "kind": 0, "app": "editor", "dur": 1_234_567})  # fmt: skip
    rules = Rules.from_spec({"stream": "focus", "level": 2})
    out = minimise("focus", wire_table("focus", rows), rules).table
    mono, dur = numbers(out, "mono"), numbers(out, "dur")
    assert (mono[:-1] + dur[:-1] == mono[1:]).all()


@pytest.mark.parametrize("levels", [
    {"level": 3, "pointer": 2}, {"level": 2, "key": 3}, {"level": 1, "focus": 4}, {"level": 2}, {"level": 0},
])  # fmt: skip
def test_a_stream_with_times_shares_no_window_with_any_other(levels: dict[str, int]) -> None:
    _, after, _ = minimised(SPEC, **levels)
    for stream, table in after.items():
        if not len(table):
            continue
        timed = levels.get(stream, levels["level"]) < 3
        assert (table["ctx"].null_count == len(table)) == timed, stream


def test_to_stop_collecting_the_last_stream_without_times_adds_nothing_to_the_others() -> None:
    # one charter drops the keys, and what stays must hold no more than it did: this is a narrowing
    _, both, _ = minimised(SPEC, level=2, key=3)
    _, fewer, _ = minimised(SPEC, level=2, without=("key",))
    assert "key" in both
    assert "key" not in fewer
    for stream, table in fewer.items():
        assert table.equals(both[stream]), stream


def test_a_password_leaves_no_hole_in_the_numbers() -> None:
    rows = [
        {"person": "p", "device": "d", "session": "s", "seq": at, "t": 10**15 + at, "mono": at,
         "kind": 1, "key": "a", "field_kind": "password" if 3 <= at < 15 else "text"}
        for at in range(20)
    ]  # fmt: skip
    out = minimise("key", wire_table("key", rows), Rules(stream="key")).table
    (batch,) = rest_batches("key", out, key=b"k" * 32, policy=b"p" * 8)
    assert batch.table["seq"].to_pylist() == list(range(8))
    assert [each[2:] for each in batch.extents] == [[0, 19]]  # what came in, for the catalogue
