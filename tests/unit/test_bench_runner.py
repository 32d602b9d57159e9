"""The runner of the benches: groups, bounded time, verdicts, and what comes out at the end."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from pathlib import Path

import pytest
from tests.bench import __main__ as runner
from tests.bench.board import Board, Row
from tests.bench.groups import GROUPS, HERE, MORE, Group, find_files, group_of
from tests.bench.growth import fit, measure
from tests.bench.record import Part, Record, markdown, summary

ROOT = HERE.parents[1]


def row(**changes: object) -> Row:
    base = Row("ledger", "appends", "10/s", "raw: 20", 0.5, ">= 1", "NOT MET", "lost", floor=0.2)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _floors_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bench.board.SHORT", False)


def test_every_file_of_a_group_is_there_and_belongs_to_one() -> None:
    named = [name for group in GROUPS.values() for name in group.files]
    assert len(named) == len(set(named))
    assert not [name for name in named if not (HERE / f"test_{name}.py").exists()]
    assert group_of(HERE / "test_ledger_append.py") == "ledger"
    assert group_of(HERE / "test_of_tomorrow.py") == MORE
    assert all(find_files(group) for group in GROUPS)
    assert not find_files(MORE)  # what no group names would have one limit for all of it


def test_no_bench_writes_past_the_board() -> None:
    """What is put into its lists by hand has another shape, and ends the run of all groups when it is read."""
    past = re.compile(r"\bboard\.(notes|rows|faults)\b")
    assert not [
        file.name for file in HERE.glob("test_*.py") if past.search(file.read_text("utf-8"))
    ]


def test_no_group_may_take_a_third_of_the_time_of_all() -> None:
    assert max(group.limit_s for group in GROUPS.values()) < 60 * runner.MINUTES / 3


def test_a_ratio_below_its_floor_fails_after_all_rows_were_made() -> None:
    board = Board(group="ledger")
    common = {"ours": "1", "peer": "2", "goal": ">= 1", "met": False}
    board.add("one", ratio=0.5, floor=0.9, rival=True, **common)  # type: ignore[arg-type]
    board.add("two", ratio=0.5, most=0.9, rival=True, **common)  # type: ignore[arg-type]
    board.miss("three", peer="gVisor", why="not here")
    assert [one.verdict for one in board.rows] == ["lost", "won", ""]
    assert [one.state for one in board.rows] == ["NOT MET", "NOT MET", "not here"]
    with pytest.raises(AssertionError, match=r"one: ratio 0\.50 is below its floor of 0\.9"):
        board.settle()
    board.settle()  # told once


def test_a_goal_that_is_not_met_is_no_fault_and_a_missed_floor_is(tmp_path: Path) -> None:
    assert not row().fault
    assert row(floor=0.6).fault
    assert row(floor=None, most=0.4).fault
    assert not row(ratio=None, floor=None).fault
    part = Part("ledger", (row(), row(floor=0.6)), fault=row(floor=0.6).fault)
    assert "1 lost" not in summary([part])  # two
    assert "2 lost of 2" in summary([part])
    assert "Floors missed: ledger" in summary([part])


def test_a_record_comes_back_and_newer_groups_take_the_place_of_older(tmp_path: Path) -> None:
    record = Record()
    record.put(Part("policy", (row(group="policy"),), ("a note",), took_s=1.5))
    record.put(Part("ledger", (row(),)))
    record.put(Part("ledger", (row(what="newer"), row(what="a | bar", ratio=None, floor=None))))
    record.write(tmp_path / "rows.json")
    again = Record.read(tmp_path / "rows.json")
    assert again == record
    text = markdown(again)
    assert text.index("`ledger`") < text.index("`policy`")  # the order of a run
    assert "**not met**" in text
    assert "**lost**" in text
    assert "appends" not in text.partition("`policy`")[0]
    assert "a / bar" in text


def test_a_group_that_hangs_is_ended_and_keeps_what_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.dumps({"rows": [dataclasses.asdict(row())], "notes": [], "curves": []})
    program = (
        "import os, time\n"
        f"open(os.environ['SAFEHOLD_BENCH_ROWS'], 'w').write({told!r})\n"
        "time.sleep(120)"
    )
    # a program that starts at once: a busy machine may need longer than the limit to load a test runner
    monkeypatch.setattr(runner, "_command", lambda files: [sys.executable, "-IS", "-c", program])
    monkeypatch.setitem(GROUPS, "ledger", Group("slow", GROUPS["ledger"].files, 6))
    part = runner.run("ledger", tmp_path, 100)
    assert [one.what for one in part.rows] == ["appends", "slow: the rest"]
    assert part.rows[-1].peer == "ended after 6 s"
    assert part.fault == "ended after 6 s"
    assert part.took_s < 60
    late = runner.run("ledger", tmp_path, 1)
    assert [one.peer for one in late.rows] == ["no time was left"]
    assert not late.fault


def test_an_unknown_group_is_a_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAFEHOLD_BENCH_OUT", str(tmp_path / "out"))
    assert runner.main(["nothing"]) == 2
    assert "ledger" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_exit_code_says_whether_floors_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAFEHOLD_BENCH_OUT", str(tmp_path))
    found = {"ledger": Part("ledger", (row(),)), "policy": Part("policy", (row(group="policy"),))}
    monkeypatch.setattr(runner, "run", lambda name, out, left, stretch: found[name])
    assert runner.main(["ledger", "policy"]) == 0
    found["policy"] = dataclasses.replace(found["policy"], fault="a floor")
    assert runner.main(["policy"]) == 1
    shown = capsys.readouterr()
    assert "[1/2] ledger ..." in shown.err
    assert "Floors missed: policy." in shown.out
    kept = json.loads((tmp_path / "rows.json").read_text())
    assert [one["name"] for one in kept["groups"]] == ["ledger", "policy"]
    assert (tmp_path / "table.md").read_text().startswith("2 rows.")


def test_exponents() -> None:
    assert fit(((1, 2.0), (10, 20.0), (100, 200.0))) == pytest.approx(1)
    assert fit(((1, 2.0), (10, 2.0), (100, 2.0))) == pytest.approx(0)
    assert fit(((1, 1.0), (10, 100.0), (100, 10_000.0))) == pytest.approx(2)
    curve = measure("squares", "things", 3, lambda size: lambda: float(size * size))
    assert curve.points == ((3, 9.0), (30, 900.0), (300, 90_000.0))
    assert curve.last == pytest.approx(2)


def test_the_page_and_the_record_agree() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import generate_benchmarks
    finally:
        sys.path.remove(str(ROOT / "docs"))
    assert generate_benchmarks.main(["--check"]) == 0
    record, text = (
        Record.read(generate_benchmarks.KEPT),
        generate_benchmarks.PAGE.read_text("utf-8"),
    )
    record.put(Part("ledger", (row(what="a row that nobody pasted"),)))
    assert "a row that nobody pasted" in generate_benchmarks.page_of(text, record) != text
