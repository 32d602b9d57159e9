"""The whole edition: all streams on one clock, lives, and a truth that can be looked up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.test_workforce_streams import SOURCE, _digest

from safehold.clock import DAY_US
from safehold.errors import InvalidError
from safehold.telemetry.schema import WIRE
from safehold.telemetry.stream import STREAMS, KeyKind
from safehold.workforce import Spec, life, lives, person_day, roster, truth
from safehold.workforce.life import on_leave, works
from safehold.workforce.samples import write_samples
from safehold.workforce.spec import SIZES

START = 20_780
SPEC = Spec(people=30, days=2, start_day=START, seed=7, edition=2)
COMPOSER = 3  # types with an input method


@pytest.fixture(scope="module")
def days():
    return {(i, d): person_day(SPEC, i, d) for i in range(SPEC.people) for d in range(SPEC.days)}


@pytest.fixture(scope="module")
def rows():
    return truth(SPEC).to_pylist()


def test_every_stream_is_well_formed(days):
    for tables in days.values():
        assert set(tables) == set(STREAMS)
        for stream, table in tables.items():
            assert table.schema.equals(WIRE[stream])
            table.validate(full=True)
            for field in table.schema:
                assert field.nullable or table[field.name].null_count == 0, field.name
    assert all(sum(len(tables[s]) for tables in days.values()) > 100 for s in STREAMS)


def test_every_stream_keeps_one_clock_and_counts_without_a_gap(days):
    for (index, day), tables in days.items():
        offsets = {}
        for stream, table in tables.items():
            t = table["t"].cast(pa.int64()).to_numpy()
            mono = table["mono"].cast(pa.int64()).to_numpy()
            assert (np.diff(t) >= 0).all(), (stream, index, day)
            assert len(mono) == 0 or mono.min() >= 0, (stream, index, day)
            assert (t // DAY_US == START + day).all()
            session, seq = table["session"].to_pylist(), table["seq"].to_pylist()
            for name, start in zip(session, (t - mono).tolist(), strict=True):
                assert offsets.setdefault(name, start) == start
            count = Counter()
            for name, number in zip(session, seq, strict=True):
                count[name] += 1
                assert number == count[name]


def test_same_bytes_in_any_order_size_and_process(days):
    wide = Spec(people=400, days=9, start_day=START, seed=7, edition=2)
    for index, day in ((23, 1), (0, 0), (COMPOSER, 1)):
        person_day(wide, 311, 8)
        assert _digest(person_day(wide, index, day)) == _digest(days[index, day])
    code = (
        "from tests.unit import test_workforce_whole as t\n"
        "print([t._digest(t.person_day(t.SPEC, i, 0)) for i in range(6)])"
    )
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONHASHSEED": "5", "PYTHONPATH": f"{SOURCE}{os.pathsep}{root}"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str([_digest(days[index, 0]) for index in range(6)])


def test_the_first_edition_knows_nothing_of_it():
    first = Spec(people=30, days=2, start_day=START, seed=7)
    assert set(person_day(first, 0, 0)) == {"key", "pointer", "chat", "ai", "focus"}
    assert len(lives(first)) == 0
    table = person_day(first, COMPOSER, 0)["key"]
    assert table["commit"].null_count == len(table)
    assert all(set(one.consent) <= set(first_streams()) for one in roster(first))


def first_streams():
    return ("key", "pointer", "chat", "ai", "focus")


def test_the_truth_of_every_stream_can_be_looked_up(days, rows):
    seen = Counter()
    for row in rows:
        seen[row["stream"], row["column"]] += 1
        if row["column"] == "key":
            continue
        table = days[int(row["person"][4:]), row["day"]][row["stream"]].to_pylist()
        inside = [
            event
            for event in table
            if event["session"] == row["session"]
            and row["first_seq"] <= event["seq"] <= row["last_seq"]
        ]
        assert row["value"] in inside[-1][row["column"]], row["span_id"]
        if row["column"] == "commit":
            assert inside[-1]["kind"] == KeyKind.COMMIT
            pressed = [event for event in inside[:-1] if event["kind"] == KeyKind.DOWN]
            assert all(event["composing"] or event["key"] == "Shift" for event in pressed)
    assert min(seen[s, c] for s, c in (("speech", "text"), ("metric", "name"))) >= 4
    assert min(seen["focus", "url_host"], seen["focus", "title"], seen["key", "commit"]) >= 6


def test_a_composed_text_is_what_its_message_says(days):
    found = 0
    for tables in (days[COMPOSER, 0], days[COMPOSER, 1]):
        commits = [text for text in tables["key"]["commit"].to_pylist() if text]
        for text in tables["chat"]["text"].to_pylist():
            if not text.isascii():
                found += 1
                assert any(text.startswith(commit) for commit in commits)
    assert found >= 1


def test_meetings_have_the_people_of_a_team_and_do_not_overlap(days):
    for (index, day), tables in days.items():
        said = tables["speech"].to_pylist()
        ends = {}
        for row in said:
            assert row["end"] > row["start"] >= ends.get(row["meeting"], row["start"])
            ends[row["meeting"]] = row["end"]
            assert int(row["speaker"][4:]) // 8 == index // 8
            assert row["app"] == "meeting"
            assert 0.7 <= row["confidence"] <= 1
        if day == 0:
            assert len(ends) >= 1
            assert index >= 6 * 4 or {row["speaker"] for row in said} > {
                row["person"] for row in said
            }


def test_metrics_count_what_was_done(days):
    for tables in days.values():
        metrics = tables["metric"].to_pylist()
        sent = sum(row["value"] for row in metrics if row["name"] == "messages_sent")
        assert sent == len(tables["chat"])


def test_lives_hold_at_the_rates_of_a_company():
    spec = Spec(people=2_000, days=90, start_day=START, seed=3, edition=2)
    told = lives(spec).to_pylist()
    what = Counter(row["what"] for row in told)
    share = {name: count / spec.people for name, count in what.items()}
    assert share["role.changed"] == pytest.approx(0.03, abs=0.01)  # 2 %, and one of each hundred
    assert share["asked_for_access"] == pytest.approx(0.015, abs=0.007)
    assert share["withdrew"] == pytest.approx(0.018, abs=0.008)
    assert share["left"] == pytest.approx(0.044, abs=0.015)
    assert 0.5 < share["leave.begins"] < 0.7
    assert all(row["before"] != row["after"] for row in told if row["what"] == "role.changed")
    gone = {row["person"]: row["day"] for row in told if row["what"] == "left"}
    assert all(row["day"] <= gone.get(row["person"], spec.days) for row in told)
    short = Spec(people=2_000, days=30, start_day=START, seed=3, edition=2)
    assert lives(short).to_pylist() == [row for row in told if row["day"] < 30]


def test_councils_speak_for_regions_that_have_one():
    spec = Spec(people=300, days=1, start_day=START, seed=3, edition=2)
    for index, one in enumerate(roster(spec)):
        told = life(spec, index)
        assert (told.council is not None) == (one.jurisdiction == "DE")
        assert told.council is None or told.region in told.council.lower()


def test_nobody_works_on_leave_or_after_leaving_and_a_move_moves_the_hours():
    spec = Spec(people=300, days=120, start_day=START, seed=3, edition=2)
    away = next((i, d) for i in range(300) for d in range(1, 90) if on_leave(spec, i, d))
    gone = next(i for i in range(300) if (life(spec, i).leaves or 999) < 119)
    for index, day in (away, (gone, life(spec, gone).leaves)):
        assert not works(spec, index, day)
        assert all(len(table) == 0 for table in person_day(spec, index, day).values())
    mover = next(i for i in range(300) if (life(spec, i).new_place or ("", "DE"))[1] == "DE"
                 and life(spec, i).new_place)  # fmt: skip
    day = next(d for d in range(10, 60) if len(person_day(spec, mover, d)["key"]))
    before, after = (person_day(spec, mover, d)["key"]["t"][0].as_py().hour for d in (0, day))
    assert before >= 15
    assert after < 12


def test_sizes_are_the_agreed_ones(tmp_path):
    for size, (people, count, _) in SIZES.items():
        spec = Spec.sized(size, start_day=START)
        assert (spec.people, spec.days, spec.edition) == (people, count, 2)
        assert Spec.from_spec(spec.to_spec()) == spec
    with pytest.raises(InvalidError):
        Spec.sized("vast", start_day=START)
    with pytest.raises(InvalidError):
        Spec(people=1, days=1, start_day=START, edition=3)
    spec = Spec.sized("tiny", start_day=START)
    write_samples(spec, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {f"{stream}.parquet" for stream in (*STREAMS, "lives", "truth", "traces")}
    assert pq.read_table(tmp_path / "truth.parquet").equals(truth(spec))
