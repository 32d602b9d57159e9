"""Person-days: the same bytes for whoever asks, well-formed streams, one clock."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import safehold
from safehold.clock import DAY_US
from safehold.errors import InvalidError
from safehold.telemetry.schema import WIRE
from safehold.telemetry.stream import VOCABULARIES, KeyKind, PointerKind
from safehold.workforce import Spec, person_day, roster, write_files

START = 20_780
SPEC = Spec(people=24, days=2, start_day=START, seed=7)
SOURCE = Path(safehold.__file__).parents[1]


def _digest(tables):
    out = hashlib.sha256()
    for stream in sorted(tables):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, tables[stream].schema) as writer:
            writer.write_table(tables[stream].combine_chunks())
        out.update(sink.getvalue())
    return out.hexdigest()


@pytest.fixture(scope="module")
def days():
    return {(i, d): person_day(SPEC, i, d) for i in range(SPEC.people) for d in range(SPEC.days)}


def test_same_bytes_in_any_order_and_size(days):
    wide = Spec(people=5_000, days=30, start_day=START, seed=7)
    for index, day in ((23, 1), (0, 0), (7, 1), (3, 0)):
        person_day(wide, 4_711, 3)  # somebody else in between
        assert _digest(person_day(wide, index, day)) == _digest(days[index, day])


def test_same_bytes_in_another_process(days):
    code = (
        "import sys; sys.path.insert(0, 'tests/unit')\n"
        "import test_workforce_streams as t\n"
        "print([t._digest(t.person_day(t.SPEC, i, 0)) for i in range(24)])"
    )
    root = Path(__file__).parents[2]
    for seed in ("1", "2"):  # sets and dicts of strings iterate in another order
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(SOURCE)}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=env,
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == str([_digest(days[index, 0]) for index in range(24)])


def test_another_seed_person_or_day_is_another_day(days):
    seen = {_digest(tables) for tables in days.values()}
    other = Spec(people=24, days=2, start_day=START, seed=8)
    assert len(seen) == len(days)
    assert _digest(person_day(other, 0, 0)) not in seen


def test_roster_does_not_depend_on_size():
    small, wide = roster(SPEC), roster(Spec(people=300, days=1, start_day=START, seed=7))
    assert small == wide[:24]


def test_schema_is_the_wire_form(days):
    for tables in days.values():
        assert set(tables) == {"key", "pointer", "chat", "ai", "focus"}
        for stream, table in tables.items():
            assert table.schema.equals(WIRE[stream])
            table.validate(full=True)
            for field in table.schema:
                assert field.nullable or table[field.name].null_count == 0, field.name


def test_vocabularies(days):
    for tables in days.values():
        assert set(tables["key"]["field_kind"].to_pylist()) <= VOCABULARIES["field_kind"]
        assert set(tables["chat"]["channel_kind"].to_pylist()) <= VOCABULARIES["channel_kind"]
        assert set(tables["ai"]["role"].to_pylist()) <= VOCABULARIES["role"]
        clicks = tables["pointer"]
        named = clicks["target_role"].is_valid().to_numpy()
        assert (named == (clicks["kind"].to_numpy() == PointerKind.CLICK)).all()


def test_sequence_numbers_have_no_gap(days):
    for tables in days.values():
        for table in tables.values():
            session, seq = np.array(table["session"].to_pylist()), table["seq"].to_numpy()
            for name in set(session):
                assert (seq[session == name] == np.arange(1, (session == name).sum() + 1)).all()


def test_time_runs_forward_on_one_clock_within_the_day(days):
    for (index, day), tables in days.items():
        offsets = {}
        for stream, table in tables.items():
            t = table["t"].cast(pa.int64()).to_numpy()
            mono = table["mono"].cast(pa.int64()).to_numpy()
            assert (np.diff(t) >= 0).all(), (stream, index, day)
            assert len(mono) == 0 or mono.min() >= 0
            assert (t // DAY_US == START + day).all()
            for name, start in zip(table["session"].to_pylist(), (t - mono).tolist(), strict=True):
                assert offsets.setdefault(name, start) == start


def test_streams_interleave(days):
    """A message follows its own typing; a key belongs to the window in front."""
    tables = days[1, 0]
    keys = tables["key"].to_pydict()
    for row in tables["chat"].to_pylist():
        before = [at for at in range(len(keys["t"])) if keys["t"][at] < row["t"]]
        assert keys["key"][before[-1]] == "Enter"
        assert keys["app"][before[-1]] == "chat"
    windows = {row["ctx"]: row for row in tables["focus"].to_pylist() if not row["afk"]}
    for ctx, app, t in zip(keys["ctx"], keys["app"], keys["t"], strict=True):
        assert windows[ctx]["app"] == app
        assert windows[ctx]["t"] <= t


def test_every_key_that_goes_down_comes_up(days):
    repeats = 0
    for index in range(SPEC.people):
        keys = days[index, 0]["key"].to_pydict()
        repeats += sum(keys["repeat"])
        held = set()
        for kind, code, repeat in zip(keys["kind"], keys["code"], keys["repeat"], strict=True):
            if kind == KeyKind.DOWN:
                assert repeat == (code in held)
                held.add(code)
            elif kind == KeyKind.UP:
                held.remove(code)
        assert not held
    assert repeats > 20


def test_demo_scale(days):
    keys = np.mean([tables["key"].num_rows for tables in days.values()])
    moves = np.mean([tables["pointer"].num_rows for tables in days.values()])
    assert 1_000 <= keys <= 1_500
    assert 1_500 <= moves <= 2_500


def test_pace_scales_a_day():
    fast = Spec(people=1, days=1, start_day=START, pace=178_000)
    tables = person_day(fast, 0, 0)
    total = tables["key"].num_rows + tables["pointer"].num_rows
    assert 80_000 < total < 350_000
    assert int(tables["key"]["t"].cast(pa.int64()).to_numpy().max()) // DAY_US == START


def test_people_differ_in_consent_and_place():
    people = roster(Spec(people=300, days=1, start_day=START, seed=7))
    assert 0.8 < np.mean([bool(person.consent) for person in people]) < 0.97
    assert {person.jurisdiction for person in people} == {"US-CA", "US-WA", "DE"}
    assert any(person.withdraws for person in people[:30])
    assert any(person.pauses for person in people[:30])
    assert any(not person.consent for person in people[:8])
    assert not any(person.withdraws and not person.consent for person in people)
    ids = {person.id for person in people}
    assert len(ids) == len(people)
    assert all(person.manager in ids | {None} for person in people)


def test_those_who_agreed_talk_to_those_who_did_not(days):
    consent = {person.id: bool(person.consent) for person in roster(SPEC)}
    mixed = [
        row
        for (index, _), tables in days.items()
        if roster(SPEC)[index].consent
        for row in tables["chat"].to_pylist()
        if not all(consent.get(name, False) for name in row["participants"])
    ]
    assert len(mixed) >= 3


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
def test_files_hold_the_same_rows(tmp_path, days, form):
    paths = write_files(Spec(people=2, days=1, start_day=START, seed=7), tmp_path, form)
    assert [path.name for path in paths] == [
        f"{s}.{form}" for s in ("key", "pointer", "chat", "ai", "focus")
    ]
    for path in paths:
        stream = path.stem
        wanted = pa.concat_tables([days[0, 0][stream], days[1, 0][stream]])
        if form == "parquet":
            assert pq.read_table(path).equals(wanted)
        elif form == "jsonl":
            assert path.read_bytes().count(b"\n") == wanted.num_rows
        else:
            read = pyarrow.csv.read_csv(path)
            assert read.num_rows == wanted.num_rows
            assert read.column_names == wanted.column_names


def test_wrong_specs_are_refused(tmp_path):
    for bad in ({"people": 0}, {"days": 0}, {"pace": 1}, {"seed": -1}):
        with pytest.raises(InvalidError):
            Spec(**{"people": 2, "days": 1, "start_day": START, **bad})
    for raw in ({"people": 2}, {**SPEC.to_spec(), "more": 1}, {**SPEC.to_spec(), "people": "2"}):
        with pytest.raises(InvalidError):
            Spec.from_spec(raw)
    assert Spec.from_spec(SPEC.to_spec()) == SPEC
    for index, day in ((24, 0), (-1, 0), (0, 2)):
        with pytest.raises(InvalidError):
            person_day(SPEC, index, day)
    with pytest.raises(InvalidError):
        write_files(SPEC, tmp_path, "pickle")
