"""The whole path: a Parquet file, sandbox, minimisation, vault, catalogue, ledger, live.

A rate is events of the source by CPU-seconds of all processes. The peer is what somebody does who protects nothing: read
the same file and write it again as compressed Parquet, on one thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.bench.board import Board, sized
from tests.bench.path_desk import Bench, opened, rewrite, write

from safehold.clock import SystemClock, day_of
from safehold.workforce import Spec, person_day

pytestmark = pytest.mark.bench

GOALS = {"key": 100_000, "pointer": 250_000}  # events a second and core
FLOORS = {"key": 0.07, "pointer": 0.09}  # of the peer: about a third of what was measured
MANY, HALF, FEW = sized(1_000_000, 4_000), sized(500_000, 2_000), sized(200_000, 1_000)


@pytest.fixture(scope="module")
def days() -> dict[str, list[pa.Table]]:
    """Person-days of about 30 k key and 60 k pointer events."""
    spec = Spec(
        people=6,
        days=1,
        start_day=day_of(SystemClock().now_us()) - 1,
        seed=5,
        pace=sized(90_000, 900),
    )
    made: dict[str, list[pa.Table]] = {stream: [] for stream in GOALS}
    for index in range(spec.people):
        tables = person_day(spec, index, 0)
        for stream in GOALS:
            made[stream].append(tables[stream])
    return made


def report(
    board: Board, bench: Bench, what: str, stream: str, path: Path, *, goal: bool = True
) -> None:
    rows = pq.read_metadata(path).num_rows
    keeper, sandbox, wall = bench.take(path)
    peer = rewrite(path)
    rate = rows / (keeper + sandbox)
    wanted = GOALS[stream]
    board.add(
        what,
        ours=f"{rate:,.0f} events/CPU-s",
        peer=f"no privacy, Parquet read and written: {rows / peer:,.0f}",
        ratio=peer / (keeper + sandbox),
        goal=f">= {wanted:,} events/CPU-s" if goal else "(none: small blocks)",
        met=rate >= wanted or not goal,
        floor=FLOORS[stream] / (1 if goal else 4),
        rival=True,
    )
    phases = ", ".join(f"{name} {used:.2f}" for name, used in sorted(bench.spent.items()))
    board.note(
        f"{what}: {rows:,} events in {wall:.1f} s ({rows / wall:,.0f}/s on the clock); CPU-seconds: sandbox "
        f"{sandbox:.2f}, keeper {keeper:.2f} (of it {phases})"
    )


def test_whole_path_with_order_only(board: Board, tmp_path: Path, days: Any) -> None:
    with opened(tmp_path, level="L3") as bench:
        keys = write(tmp_path / "key.parquet", days["key"], rows=MANY, prefix="k", most=10**6)
        report(board, bench, "whole path, key, L3 (order only)", "key", keys)
        moves = write(
            tmp_path / "pointer.parquet", days["pointer"], rows=MANY, prefix="p", most=10**6
        )
        report(board, bench, "whole path, pointer, L3 (order only)", "pointer", moves)
        small = write(tmp_path / "small.parquet", days["key"], rows=FEW, prefix="s", most=1_000)
        report(board, bench, "whole path, key, L3, 1 k events a block", "key", small, goal=False)


def test_whole_path_with_coarse_times(board: Board, tmp_path: Path, days: Any) -> None:
    with opened(tmp_path, level="L2") as bench:
        keys = write(tmp_path / "key.parquet", days["key"], rows=HALF, prefix="k", most=10**6)
        report(board, bench, "whole path, key, L2 (coarse times)", "key", keys)
        moves = write(
            tmp_path / "pointer.parquet", days["pointer"], rows=MANY, prefix="p", most=10**6
        )
        report(board, bench, "whole path, pointer, L2 (coarse times)", "pointer", moves)
