"""Memory of the whole path, keeper and sandboxes together, at one, four and ten times the input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from tests.bench.board import Board, sized
from tests.bench.path_desk import write

from safehold.clock import SystemClock, day_of
from safehold.workforce import Spec, person_day

pytestmark = pytest.mark.bench
ONCE = sized(300_000, 1_000)
TIMES = (1, 4, 10)
MOST = 1.5  # a fault, whatever the machine; the goal is below
GOAL = 1.15


def days() -> list[pa.Table]:
    """Return busy days of keys."""
    spec = Spec(
        people=4, days=1, start_day=day_of(SystemClock().now_us()) - 1, seed=5,
        pace=sized(90_000, 900),
    )  # fmt: skip
    return [person_day(spec, at, 0)["key"] for at in range(spec.people)]


def peak(folder: Path, file: Path) -> dict[str, float]:
    """Take a file in, in a process of its own, and return what it says."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.path_memory", str(folder), str(file)],
        stdout=subprocess.PIPE, check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, text=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def test_memory_does_not_grow_with_the_input(board: Board, tmp_path: Path) -> None:
    busy, found = days(), {}
    for times in TIMES:
        file = write(
            tmp_path / f"{times}.parquet", busy, rows=ONCE * times, prefix=f"m{times}-", most=10**6
        )
        found[times] = peak(tmp_path / str(times), file)
    least = found[1]["peak"]
    for times in TIMES[1:]:
        ratio = found[times]["peak"] / least
        board.add(
            f"memory of the whole path, {times} times the input", ours=f"{found[times]['peak'] / 2**20:.0f} MiB",
            peer=f"at {ONCE:,} key events: {least / 2**20:.0f} MiB", ratio=ratio, goal=f"<= {GOAL}, and <= 2 GiB",
            met=ratio <= GOAL and found[times]["peak"] < 1 << 31, most=MOST,
        )  # fmt: skip
    board.note(
        "of it the keeper: "
        + ", ".join(f"{found[times]['keeper'] / 2**20:.0f} MiB at {times} x" for times in TIMES)
    )
