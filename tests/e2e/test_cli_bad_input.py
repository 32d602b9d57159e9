"""Every kind of bad input through ``safehold run``: refused in words, and nothing half-written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.bad_input import Bench, found_bench
from tests.command_line import World

from safehold.clock import DAY_US, SystemClock
from safehold.telemetry.stream import PointerKind

CANARY = "zq-canary-7741-not-to-be-shown"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("bad-input"))


@pytest.fixture(scope="module")
def kept(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The same behind one keeper, so that no command has to start its own."""
    world = bench.world.copy(tmp_path_factory.mktemp("kept"))
    with world.kept():
        yield Bench(world, bench.files)
        assert world.ask("ledger", "verify")["verified"] is True


def change(table: pa.Table, column: str, row: int, value: object) -> pa.Table:
    """Return a table with one other value."""
    values = table[column].to_pylist()
    values[row] = value
    at = table.schema.get_field_index(column)
    return table.set_column(
        at, table.schema.field(at), pa.array(values, table.schema.field(at).type)
    )


def spoil_parquet(column: str, row: int, value: Callable[[], object]) -> Callable[[Bench], Path]:
    def make(bench: Bench) -> Path:
        path = bench.path("bad.parquet")
        pq.write_table(change(bench.table(), column, row, value()), path)
        return path

    return make


def spoil_line(column: str, row: int, value: object) -> Callable[[Bench], Path]:
    def make(bench: Bench) -> Path:
        rows = bench.lines()
        rows[row][column] = value
        path = bench.path("bad.jsonl")
        path.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in rows))
        return path

    return make


def cut(share: float) -> Callable[[Bench], Path]:
    def make(bench: Bench) -> Path:
        data = bench.files["key"].read_bytes()
        path = bench.path("bad.parquet")
        path.write_bytes(data[: int(len(data) * share)])
        return path

    return make


def other_type(bench: Bench) -> Path:
    table = bench.table()
    at = table.schema.get_field_index("seq")
    path = bench.path("bad.parquet")
    pq.write_table(table.set_column(at, "seq", pa.array([CANARY] * len(table))), path)
    return path


def same_number_twice(bench: Bench) -> Path:
    table = bench.table()
    numbers = table["seq"].to_pylist()
    path = bench.path("bad.parquet")
    pq.write_table(change(table, "seq", 40, numbers[39]), path)
    return path


def not_utf8(bench: Bench) -> Path:
    rows = bench.lines("chat")
    rows[3]["text"] = "@@"
    data = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    path = bench.path("bad.jsonl")
    path.write_bytes(data.replace(b"@@", b"\xff\xfe"))
    return path


def not_utf8_parquet(bench: Bench) -> Path:
    table = bench.table("chat")
    at = table.schema.get_field_index("text")
    raw = [f"t{number}".encode() for number in range(len(table))]
    raw[3] = b"\xff\xfe"
    kind = table.schema.field(at).type
    binary = pa.large_binary() if pa.types.is_large_string(kind) else pa.binary()
    path = bench.path("bad.parquet")
    pq.write_table(table.set_column(at, "text", pa.array(raw, binary).view(kind)), path)
    return path


def unknown_stream(bench: Bench) -> Path:
    rows = [{"stream": "key", **row} for row in bench.lines()]
    rows[5]["stream"] = CANARY
    path = bench.path("bad.jsonl")
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def unknown_columns(bench: Bench) -> Path:
    path = bench.path("bad.parquet")
    pq.write_table(pa.table({CANARY: [1, 2], "brainwave": [1, 2]}), path)
    return path


def empty(bench: Bench) -> Path:
    path = bench.path("bad.parquet")
    path.write_bytes(b"")
    return path


def with_mark(bench: Bench) -> Path:
    path = bench.path("bad.jsonl")
    rows = b"".join(orjson.dumps(row) + b"\n" for row in bench.lines())
    path.write_bytes(b"\xef\xbb\xbf" + rows)
    return path


def half_a_line(bench: Bench) -> Path:
    path = bench.path("bad.jsonl")
    path.write_bytes(orjson.dumps(bench.lines()[0]) + b'\n{"seq": \n')
    return path


def folder(bench: Bench) -> Path:
    path = bench.path("bad-folder.parquet")
    path.mkdir(exist_ok=True)
    return path


def pipe(bench: Bench) -> Path:
    path = bench.world.root.with_name(
        "bad-pipe.jsonl"
    )  # beside: a world with a pipe in it cannot be copied
    if not path.exists():
        os.mkfifo(path)
    return path


def in_a_day() -> object:
    return SystemClock().now_us() + DAY_US


CASES: dict[str, tuple[Callable[[Bench], Path], str, tuple[str, ...]]] = {
    "truncated parquet": (cut(0.6), "source.parquet", ()),
    "parquet without its last byte": (cut(0.99999), "source.parquet", ()),
    "empty file": (empty, "source.empty", ()),
    "wrong type of a column": (other_type, "source.type", ("seq",)),
    "wrong type in a line": (spoil_line("seq", 7, CANARY), "source.type", ("row 7", "seq")),
    "a time in the future": (
        spoil_parquet("t", 11, in_a_day), "time.future", ("row 11", "field t")
    ),
    "a time before the epoch": (
        spoil_parquet("t", 12, lambda: -1), "time.before_1970", ("row 12", "field t")
    ),
    "a sequence number twice": (same_number_twice, "seq.duplicate", ("row 40", "field seq")),
    "not UTF-8": (not_utf8, "source.utf8", ("row 3",)),
    "not UTF-8 in Parquet": (not_utf8_parquet, "source.utf8", ("row 3",)),
    "an unknown stream": (unknown_stream, "source.unknown_stream", ("row 5", "field stream")),
    "a byte order mark": (with_mark, "source.json", ("row 0", "byte order mark")),
    "half a line": (half_a_line, "source.json", ("row 1)",)),
    "a directory": (folder, "ingest.source", ()),
    "a pipe that nobody writes to": (pipe, "ingest.source", ()),
    "no format that is known": (unknown_columns, "", ()),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_bad_input_is_refused_in_words_and_leaves_nothing(kept: Bench, name: str) -> None:
    make, rule, words = CASES[name]
    world = kept.world
    path = make(kept)
    before = world.counts()
    error = world.refuse("run", "--source", path, code=2)
    assert path.name in error["message"]
    for word in words:
        assert word in error["message"]
    assert error["rule"] == rule or not rule, error
    assert CANARY not in str(error)
    after = world.counts()
    changed = {
        name: (before["rows"][name], count)
        for name, count in after["rows"].items()
        if before["rows"][name] != count
    }
    assert changed == {}, "something was left behind"
    assert after["objects"] == before["objects"]


def test_a_refusal_says_the_same_to_people(bench: Bench) -> None:
    done = bench.world.try_run("run", "--source", unknown_stream(bench))
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("error[invalid]: ")
    assert "rule: source.unknown_stream" in done.err
    assert "bad.jsonl, row 5, field stream" in done.err
    assert CANARY not in done.err


def test_a_mapping_that_is_not_there_is_bad_input(bench: Bench) -> None:
    error = bench.world.refuse("run", "--source", bench.files["key"], "--mapping", "nosuch", code=2)
    assert error["rule"] == "mapping.file"
    assert "nosuch" in error["message"]


def test_events_that_came_before_name_the_file_they_come_in_again(
    bench: Bench, tmp_path: Path
) -> None:
    """One of several sources: the keeper knows numbers, the reader wants the file."""
    world = bench.world.copy(tmp_path)
    table = bench.table()
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    pq.write_table(table, first)
    pq.write_table(table.slice(0, len(table) - 1), second)
    error = world.refuse("run", "--source", first, "--source", second, code=2)
    assert error["rule"] == "sequence.duplicate"
    assert "file second.parquet" in error["message"]


def test_a_late_mistake_takes_back_what_came_before_it(bench: Bench, tmp_path: Path) -> None:
    """The bad row lies behind chunks that were sealed and committed already."""
    world = bench.world.copy(tmp_path)
    table = many_rows(bench)
    path = tmp_path / "late.parquet"
    pq.write_table(change(table, "t", len(table) - 1, -5), path, row_group_size=50_000)
    before, known = world.counts(), chunks_in_ledger(world)
    error = world.refuse("run", "--source", path, code=2)
    assert f"row {len(table) - 1}" in error["message"]
    assert error["rule"] == "time.before_1970"
    assert world.counts() == before
    assert chunks_in_ledger(world) > known, "something was sealed and taken back"
    # tolerated on purpose, the same file goes in without that row
    taken = world.ask("run", "--source", path, "--tolerate", "0.001")["sources"][0]
    assert taken["totals"]["refused"] == 1
    assert taken["refusals"] == [{"row": len(table) - 1, "field": "t", "rule": "time.before_1970"}]
    assert taken["taken"] == {"pointer": len(table) - 1}
    # and the good file's events are known by now: the same numbers do not come twice
    pq.write_table(table, path, row_group_size=50_000)
    held = world.counts()
    error = world.refuse("run", "--source", path, code=2)
    assert error["rule"] == "sequence.duplicate"
    assert world.counts() == held
    assert world.ask("ledger", "verify")["verified"] is True


def chunks_in_ledger(world: World) -> int:
    """Return how many leaves of the ledger say that blocks were sealed."""
    entries = world.ask("ledger", "tail", "-n", "1000")["entries"]
    return sum("objects" in entry["leaf"].get("pub", {}) for entry in entries)


def many_rows(bench: Bench) -> pa.Table:
    """Return one person's clicks over many sessions: more than one chunk, and every row of it is kept."""
    pointer = bench.table("pointer")
    one = pointer.filter(pa.compute.equal(pointer["kind"], int(PointerKind.CLICK))).slice(0, 1)
    count = 150_000
    sessions = np.arange(count) // 10_000
    table = one.take(pa.array(np.zeros(count, np.int64)))
    start = one["t"].cast(pa.int64())[0].as_py()
    for column, values in (
        ("seq", np.arange(count) % 10_000),
        ("mono", np.arange(count) % 10_000 * 20_000),
        ("t", start + np.arange(count) * 20_000),
        ("session", [f"late-{number}" for number in sessions]),
    ):
        at = table.schema.get_field_index(column)
        kind = table.schema.field(at).type
        column_values = pa.array(values)
        if pa.types.is_timestamp(kind):
            column_values = column_values.cast(pa.int64())
        table = table.set_column(at, table.schema.field(at), column_values.cast(kind))
    return table


def test_a_good_file_beside_a_bad_one(bench: Bench, tmp_path: Path) -> None:
    world = bench.world.copy(tmp_path)
    good, bad = bench.files["key"], unknown_stream(bench)
    before = world.counts()
    error = world.refuse("run", "--source", good, "--source", bad, code=2)
    assert "bad.jsonl" in error["message"]
    assert len(world.counts()["objects"]) > len(before["objects"]), "each source stands alone"
    again = world.ask("run", "--source", good, "--source", bench.files["pointer"])
    first, second = again["sources"]
    assert first["already"] is True
    assert second["already"] is False
    assert second["totals"]["taken"] > 0
    assert world.ask("ledger", "verify")["verified"] is True


def test_after_all_that_a_good_run_works(bench: Bench, tmp_path: Path) -> None:
    world = bench.world.copy(tmp_path)
    for make in (unknown_stream, same_number_twice):
        world.refuse("run", "--source", make(bench), code=2)
    taken = world.ask("run", "--source", bench.files["key"])["sources"][0]
    assert taken["already"] is False
    assert taken["totals"]["taken"] > 0
    assert taken["totals"]["refused"] == 0
    assert world.ask("ledger", "verify")["verified"] is True
