"""A sandbox of ours against gVisor around the same interpreter: start, arithmetic and system calls.

gVisor is Debian's package ``runsc``; where it is not, or does not run, the rows say so.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest
from tests.bench.board import Board, sized
from tests.bench.test_sandbox_cost import SOURCES, BenchLauncher, confined, work_confined

pytestmark = pytest.mark.bench
ROUNDS = sized(5, 1)
TESTS: Final = Path(__file__).resolve().parents[1]
PLACES: Final = (os.environ.get("SAFEHOLD_RUNSC", ""), shutil.which("runsc") or "", str(Path(sys.prefix) / "peers/bin/runsc"))  # fmt: skip
LABEL = "gVisor (runsc do)"


def find() -> tuple[str, str]:
    """Return the program, or why there is none."""
    for place in PLACES:
        if place and Path(place).is_file():
            done = subprocess.run(
                [place, "--network=none", "do", "/bin/true"], capture_output=True, check=False, timeout=60,
            )  # fmt: skip
            return (place, "") if done.returncode == 0 else ("", "installed, does not run here")
    return "", "not here (Debian's package runsc)"


def inside(runsc: str, code: str) -> tuple[float, str]:
    """Run a program of Python in gVisor; return seconds on the clock and what it said."""
    start = time.perf_counter()
    done = subprocess.run(
        [runsc, "--network=none", "do", sys._base_executable, "-I", "-S", "-c", code],
        stdin=subprocess.DEVNULL, capture_output=True, check=True, text=True, timeout=120,
    )  # fmt: skip
    return time.perf_counter() - start, done.stdout


def test_against_gvisor(board: Board) -> None:
    launcher, (runsc, why) = BenchLauncher(), find()
    file = os.__file__
    code = (
        f"import sys; sys.path[:0] = {[str(TESTS / 'unit'), *SOURCES]!r}\n"
        f"import json, sandbox_jobs; print(json.dumps(sandbox_jobs.measure({file!r})))"
    )
    starts, theirs, ours, other = [], [], [], []
    for _ in range(ROUNDS):
        starts.append(confined(launcher)[1])
        ours.append(work_confined(launcher, file))
        if runsc:
            theirs.append(inside(runsc, "pass")[0])
            other.append(json.loads(inside(runsc, code)[1]))
    level = launcher.probe.level
    start = statistics.median(starts)
    what = f"a sandbox ({level}) from its start to its end"
    if runsc:
        board.add(
            what, ours=f"{start * 1000:.0f} ms", peer=f"{LABEL}: {statistics.median(theirs) * 1000:.0f} ms",
            ratio=start / statistics.median(theirs), goal="<= 1 x", met=start <= statistics.median(theirs), most=6.0,
            rival=True,
        )  # fmt: skip
    else:
        board.miss(what, ours=f"{start * 1000:.0f} ms", peer=LABEL, why=why, goal="<= 1 x")
    for name, title, most in (
        ("cpu", "arithmetic", 1.5),
        ("getppid", "getppid", 1.5),
        ("open", "open and read", 1.5),
    ):
        mine = min(one[name] for one in ours)
        unit = "s" if name == "cpu" else "us"
        if not runsc:
            board.miss(f"{title} in a sandbox", ours=f"{mine:.2f} {unit}", peer=LABEL, why=why, goal="<= 1 x")  # fmt: skip
            continue
        peer = min(one[name] for one in other)
        board.add(
            f"{title} in a sandbox", ours=f"{mine:.2f} {unit}", peer=f"{LABEL}: {peer:.2f} {unit}",
            ratio=mine / peer, goal="<= 1 x", met=mine <= peer, most=most, rival=True,
        )  # fmt: skip
