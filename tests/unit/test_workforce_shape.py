"""Typing, pointing and writing have the shape that was measured on real people.

Figures: Aalto 136M keystrokes (gaps, holds, rollover, backspaces), Balabit (pointer), Ubuntu IRC (length of
messages). Tolerances are wide enough for another seed and narrow enough to catch a broken generator.
"""

import numpy as np
import pyarrow as pa
import pytest

from safehold.telemetry.stream import KeyKind, PointerKind
from safehold.workforce import Spec, person_day

SPEC = Spec(people=120, days=1, start_day=20_780, seed=5)
MODIFIERS = ("Shift", "Control")


def _numbers(table, name):
    return table[name].cast(pa.int64()).to_numpy()


def _typing(keys):
    """Return gap and hold in ms, rollover and backspace flags of the presses of a day."""
    names = np.array(keys["key"].to_pylist(), object)
    codes = np.array(keys["code"].to_pylist(), object)
    kinds, mono = keys["kind"].to_numpy(), _numbers(keys, "mono") / 1e3
    repeat = keys["repeat"].to_numpy(zero_copy_only=False)
    session = np.array(keys["session"].to_pylist())
    plain = ~np.isin(names, MODIFIERS) & ~repeat
    down = np.flatnonzero(plain & (kinds == KeyKind.DOWN))
    hold, pressed = np.full(len(names), np.nan), {}
    for at in np.flatnonzero(plain):
        if kinds[at] == KeyKind.DOWN:
            pressed[codes[at]] = at
        elif kinds[at] == KeyKind.UP and codes[at] in pressed:
            start = pressed.pop(codes[at])
            hold[start] = mono[at] - mono[start]
    gap = np.diff(mono[down])
    fits = (gap < 3_000) & (session[down][1:] == session[down][:-1])
    rolled = (hold[down][:-1] > gap)[fits]
    return gap[fits], hold[down], rolled, names[down] == "Backspace"


@pytest.fixture(scope="module")
def days():
    return [person_day(SPEC, index, 0) for index in range(SPEC.people)]


@pytest.fixture(scope="module")
def typing(days):
    return [_typing(tables["key"]) for tables in days]


def test_gaps(typing):
    medians = [np.median(np.log(gap)) for gap, *_ in typing]
    assert np.mean(medians) == pytest.approx(5.148, abs=0.1)
    assert np.std(medians) == pytest.approx(0.319, abs=0.08)
    assert np.mean([np.std(np.log(gap)) for gap, *_ in typing]) == pytest.approx(0.591, abs=0.1)
    gaps = np.concatenate([gap for gap, *_ in typing])
    assert np.quantile(gaps, 0.95) == pytest.approx(723, rel=0.15)
    assert np.quantile(gaps, 0.99) == pytest.approx(1_340, rel=0.15)


def test_holds(typing):
    holds = np.concatenate([hold for _, hold, *_ in typing])
    holds = np.log(holds[~np.isnan(holds)])
    assert holds.mean() == pytest.approx(4.64, abs=0.08)
    assert holds.std() == pytest.approx(0.396, abs=0.06)
    medians = [np.nanmedian(np.log(hold)) for _, hold, *_ in typing]
    assert np.std(medians) == pytest.approx(0.211, abs=0.05)


def test_rollover_and_corrections(typing):
    rolled = [rolled.mean() for *_, rolled, _ in typing]
    assert np.quantile(rolled, [0.1, 0.5, 0.9]) == pytest.approx([0.04, 0.16, 0.44], abs=0.06)
    erased = [erased.mean() for *_, erased in typing]
    assert np.quantile(erased, [0.1, 0.5, 0.9]) == pytest.approx([0.017, 0.046, 0.098], abs=0.025)
    runs = []
    for *_, erased in typing:
        edges = np.flatnonzero(np.diff(np.r_[0, erased.astype(int), 0]))
        runs += (edges[1::2] - edges[::2]).tolist()
    runs = np.array([run for run in runs if run < 10])  # longer ones remove planted secrets
    assert runs.mean() == pytest.approx(1.85, abs=0.25)
    assert np.quantile(runs, 0.9) == pytest.approx(4, abs=1)


def test_pointer(days):
    gaps, steps, kinds = [], [], []
    for tables in days:
        pointer = tables["pointer"]
        gap = np.diff(_numbers(pointer, "mono")) / 1e3
        kind = pointer["kind"].to_numpy()
        move = (kind[1:] == PointerKind.MOVE) & (kind[:-1] == PointerKind.MOVE)
        gaps.append(gap[(gap > 0) & (gap < 5_000)])
        display = pointer["display"].to_numpy()
        x = _numbers(pointer, "x") + 1920 * display.astype(int)
        steps.append(np.hypot(np.diff(x), np.diff(_numbers(pointer, "y")))[move])
        kinds.append(np.bincount(kind, minlength=6) / len(kind))
    gaps, steps = np.concatenate(gaps), np.concatenate(steps)
    assert np.quantile(gaps, [0.25, 0.5, 0.75, 0.95]) == pytest.approx([16, 94, 125, 422], rel=0.15)
    assert np.quantile(steps, 0.5) == pytest.approx(5, abs=3)
    assert np.quantile(steps, 0.95) == pytest.approx(119, rel=0.15)
    shares = np.mean(kinds, axis=0)
    assert shares[PointerKind.MOVE] == pytest.approx(0.85, abs=0.04)
    assert shares[PointerKind.PRESS] == pytest.approx(0.034, abs=0.01)
    assert shares[PointerKind.CLICK] == pytest.approx(shares[PointerKind.PRESS], abs=0.005)


def test_messages(days):
    lengths = np.log([len(text) for tables in days for text in tables["chat"]["text"].to_pylist()])
    assert lengths.mean() == pytest.approx(3.60, abs=0.2)
    assert lengths.std() == pytest.approx(1.06, abs=0.15)
    rows = [row for tables in days for row in tables["chat"].to_pylist()]
    public = [row for row in rows if row["channel_kind"] == "channel"]
    addressed = np.mean([len(row["participants"]) == 2 for row in public])
    assert addressed == pytest.approx(0.46, abs=0.12)
    assert {row["channel_kind"] for row in rows} == {"dm", "private", "channel"}


def test_assistant_turns_alternate(days):
    for tables in days[:40]:
        turns = tables["ai"].to_pylist()
        assert [row["role"] for row in turns] == ["user", "assistant"] * (len(turns) // 2)
        for asked, answered in zip(turns[::2], turns[1::2], strict=True):
            assert answered["conversation"] == asked["conversation"]
            assert answered["turn"] == asked["turn"] + 1
