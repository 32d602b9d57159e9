"""Results in the hands of others: the Arrow PyCapsule interface, as four libraries take it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from safehold.errors import UnavailableError
from safehold.sdk import Result

SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("share", pa.float64()),
        ("ends", pa.timestamp("us", tz="UTC")),
        ("models", pa.list_(pa.struct([("name", pa.string()), ("top1", pa.float64())]))),
    ]
)
INTO_PANDAS = """
import pandas
from tests.unit.test_sdk_arrow import ROWS, SCHEMA, Asked
from safehold.sdk import Result
asked = Asked()
result = Result("made up", SCHEMA, asked)
frame = result.to_pandas()
assert isinstance(frame, pandas.DataFrame)
print(list(frame["name"]), pandas.DataFrame.from_arrow(result)["name"].tolist(), asked.times)
"""
ROWS = [
    {"name": "a", "share": 0.5, "ends": 1_795_629_674_124_083, "models": [{"name": "x", "top1": 1.0}]},
    {"name": "b", "share": None, "ends": None, "models": []},
]  # fmt: skip


class Asked:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> list[dict[str, Any]]:
        self.times += 1
        return ROWS


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def result(asked: Asked) -> Result:
    return Result("made up", SCHEMA, asked)


def test_pyarrow(result: Result, asked: Asked) -> None:
    assert pa.schema(result) == SCHEMA
    assert asked.times == 0, "its columns are known before"
    table = pa.table(result)
    assert table.schema == SCHEMA
    assert table.column("name").to_pylist() == ["a", "b"]
    with pa.RecordBatchReader.from_stream(result) as reader:
        assert reader.read_all() == table
    assert pa.Table.from_batches(list(result)) == table == result.to_arrow()
    assert asked.times == 1


def test_what_an_answer_holds_besides_its_columns_is_not_taken_over() -> None:
    rows = [{"name": "a", "row": "of telemetry", "key": b"of somebody"}]
    assert Result("made up", pa.schema([("name", pa.string())]), lambda: rows).to_dicts() == [
        {"name": "a"}
    ]


def test_duckdb(result: Result, asked: Asked) -> None:
    with duckdb.connect() as base:
        found = base.sql("SELECT name, models[1].top1 AS top1 FROM result WHERE share > 0.1")
        assert found.fetchall() == [("a", 1.0)]
        assert base.sql("SELECT count(*) FROM result").fetchall() == [(2,)]
    assert asked.times == 1


def test_polars(result: Result, asked: Asked) -> None:
    frame = pl.DataFrame(result)
    assert frame["name"].to_list() == ["a", "b"]
    assert frame.equals(result.to_polars())
    assert frame["models"][0].to_list() == [{"name": "x", "top1": 1.0}]
    assert asked.times == 1


def test_pandas() -> None:
    """In a process of its own: where pandas can be imported, pyarrow loads it into each that uses an array."""
    frames = Path(sys.prefix) / "frames"
    if not (frames / "pandas").is_dir():
        pytest.skip("pandas is not here (make setup-dev)")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", INTO_PANDAS],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (root / "src", root, frames)))},
    )
    assert (done.returncode, done.stdout) == (0, "['a', 'b'] ['a', 'b'] 1\n"), done.stderr


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_without_a_package_nothing_is_asked(
    result: Result, asked: Asked, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnavailableError) as caught:
        getattr(result, f"to_{package}")()
    assert caught.value.rule == f"sdk.{package}"
    assert package in str(caught.value.fix)
    assert (asked.times, result.state) == (0, "waiting")


def test_threads_that_read_it_together_ask_once(asked: Asked) -> None:
    begun, many = threading.Event(), 8
    ready = threading.Barrier(many)

    def slow() -> list[dict[str, Any]]:
        begun.wait(60)
        return asked()

    result = Result("made up", SCHEMA, slow)
    tables: list[pa.Table] = []

    def read() -> None:
        ready.wait(60)
        tables.append(result.to_arrow())

    threads = [threading.Thread(target=read) for _ in range(many)]
    for thread in threads:
        thread.start()
    begun.set()
    for thread in threads:
        thread.join(60)
    assert asked.times == 1
    assert len(tables) == many
    assert all(table is tables[0] for table in tables)
