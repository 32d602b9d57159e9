"""Files that would burst whoever reads them: refused in words and in little memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.bad_input import Bench, found_bench

GIB = 1 << 30
MOST_MEMORY = 2_000_000_000


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("bombs"))


def long_line(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b'{"person":"')
        file.truncate(GIB)  # sparse: no block of it is on the disk


def long_cell_of_csv(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b'person,device,session,seq,t,mono,kind,key\n"')
        file.truncate(GIB)


MAKE_LONG_CELL = """
import sys, pyarrow as pa, pyarrow.parquet as pq
small = pq.read_table(sys.argv[1]).slice(0, 1)
at = small.schema.get_field_index("text")
big = pa.array(["x" * int(sys.argv[3])], small.schema.field(at).type)
pq.write_table(small.set_column(at, small.schema.field(at), big), sys.argv[2], compression="zstd", use_dictionary=False, write_statistics=False)
"""
MAKE_WIDE = """
import sys, pyarrow as pa, pyarrow.parquet as pq
names = ["c%d" % number for number in range(400_000)]
one = pa.array([1], pa.int8())
table = pa.Table.from_arrays([one] * len(names), names)
pq.write_table(table, sys.argv[1], compression="none", use_dictionary=False, write_statistics=False)
"""


def write_elsewhere(code: str, *arguments: Path | str) -> None:
    """Make a large file in a process of its own, so that its memory is given back."""
    subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True)


def bomb(bench: Bench, kind: str) -> Path:
    path = bench.path(kind.replace(" ", "-"))
    match kind:
        case "gigabyte.jsonl":
            long_line(path)
        case "gigabyte.csv":
            long_cell_of_csv(path)
        case "long-cell.parquet" | "gigabyte.parquet":
            size = GIB if kind == "gigabyte.parquet" else 300 << 20
            chat = bench.files["chat"].with_suffix(".parquet")
            write_elsewhere(MAKE_LONG_CELL, chat, path, str(size))
        case "columns.csv":
            names = b",".join(b"c%d" % number for number in range(1_000_000))
            path.write_bytes(names + b"\n" + b"1," * 999_999 + b"1\n")
        case "columns.jsonl":
            cells = b",".join(b'"c%d":1' % number for number in range(1_000_000))
            path.write_bytes(b"{" + cells + b"}\n")
        case "columns.parquet":
            write_elsewhere(MAKE_WIDE, path)
    return path


@pytest.mark.parametrize(
    ("kind", "rules"),
    [
        ("gigabyte.jsonl", {"source.line"}),
        pytest.param("gigabyte.csv", {"source.csv"}, marks=pytest.mark.proof),
        ("long-cell.parquet", {"source.cell_size", "source.size"}),
        pytest.param(  # writing such a file takes several gigabytes; reading it must not
            "gigabyte.parquet", {"source.cell_size", "source.size"}, marks=pytest.mark.proof
        ),
        pytest.param("columns.csv", {"source.columns", "source.line"}, marks=pytest.mark.proof),
        ("columns.jsonl", {"source.columns", "source.line"}),
        ("columns.parquet", {"source.columns", "source.footer"}),
    ],
)
def test_a_bomb_is_refused_in_little_memory(bench: Bench, kind: str, rules: set[str]) -> None:
    path = bomb(bench, kind)
    world = bench.world
    try:
        before = world.counts(keys=True)
        done = world.measured("run", "--source", path, "--json")
        print(kind, done.error["rule"], f"{done.peak / 1e6:.0f} MB", f"{done.seconds:.1f} s")
        assert done.code == 2, done.err
        assert done.out == ""
        assert done.error["rule"] in rules, done.error
        assert path.name in done.error["message"]
        assert done.peak < MOST_MEMORY
        assert world.counts(keys=True) == before
        # the engineer's own process looks into a file when people are enrolled from it: the same limits
        looked = world.measured("people", "enrol", "--source", path, "--evidence", "x", "--json")
        assert looked.code == 2, looked.err
        assert looked.error["rule"] in rules | {"mapping.unknown"}, looked.error
        assert looked.peak < MOST_MEMORY
        assert world.counts(keys=True) == before
    finally:
        path.unlink()
