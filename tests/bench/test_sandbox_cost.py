"""What a sandbox costs: start to first frame, and bytes through its pipe."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest

from safehold.sandbox.command import ENVIRONMENT
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.launch import Launcher

HERE = Path(__file__).resolve().parent
ROUNDS = 11
SOURCES = [str(HERE.parents[1] / "src"), *(one for one in sys.path if one.endswith("-packages"))]


class BenchLauncher(Launcher):
    _recipes: ClassVar = {"job": "sandbox_jobs"}
    _extra = (HERE.parent / "unit",)


def plain() -> float:
    """Start the same interpreter with nothing around it, until it is gone again, in seconds."""
    begun = time.perf_counter()
    subprocess.run(
        [sys._base_executable, "-I", "-S", "-c", "pass"],
        check=True,
        env=ENVIRONMENT,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )
    return time.perf_counter() - begun


def confined(launcher: Launcher) -> tuple[float, float]:
    """Start an empty recipe; return seconds until it could be read and until it was over."""
    begun = time.perf_counter()
    spec = b'{"job":"many","count":1,"size":1}'
    with launcher.start(Job(recipe="job", spec=spec, limits=Limits(wall=30.0), least="E0")) as run:
        frames = run.frames()
        next(frames)
        first = time.perf_counter() - begun
        assert list(frames) == []
    assert run.wait().ok
    return first, time.perf_counter() - begun


def through_a_pipe(size: int, count: int) -> float:
    """Seconds to pass bytes from a plain process to this one, through a pipe of the same width."""
    code = f"import os\nb = bytes({size})\nfor _ in range({count}):\n    v = memoryview(b)\n    while v: v = v[os.write(1, v):]"
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys._base_executable, "-I", "-S", "-c", code],
        stdout=subprocess.PIPE,
        pipesize=1 << 20,
        bufsize=0,
    ) as process:
        buffer = memoryview(bytearray(size))
        while process.stdout.readinto(buffer):
            pass
    return time.perf_counter() - begun


@pytest.mark.bench
def test_start_to_first_frame(board):
    launcher = BenchLauncher()
    level = launcher.probe.level
    confined(launcher)
    bare, first, whole = [], [], []
    for _ in range(ROUNDS):  # interleaved, so that a busy machine slows both
        bare.append(plain())
        one, all_of_it = confined(launcher)
        first.append(one)
        whole.append(all_of_it)
    least = min(first), min(bare)
    board.add(
        f"start of a sandbox ({level}) to its first frame",
        ours=f"{statistics.median(first) * 1000:.0f} ms, least {least[0] * 1000:.0f}",
        peer=f"plain Python: {statistics.median(bare) * 1000:.0f} ms, least {least[1] * 1000:.0f}",
        ratio=least[0] / least[1],
        goal="<= 150 ms more",
        met=least[0] - least[1] <= 0.150,
        most=20.0,
    )


@pytest.mark.bench
def test_frames_flow(board):
    launcher = BenchLauncher()
    size, count = 1 << 20, 256
    spec = b'{"job":"many","count":256,"size":1048576}'
    limits = Limits(wall=60.0, egress=1 << 30)
    ratios = []
    for _ in range(3):
        begun = time.perf_counter()
        outcome = launcher.start(Job(recipe="job", spec=spec, limits=limits, least="E0")).wait()
        ours = time.perf_counter() - begun
        assert outcome.ok
        ratios.append((through_a_pipe(size, count) / ours, outcome.egress / ours / (1 << 20)))
    ratio, rate = max(ratios)
    board.add(
        "frames out of a sandbox",
        ours=f"{rate:,.0f} MiB/s",
        peer=f"plain pipe between processes: {rate / ratio:,.0f} MiB/s",
        ratio=ratio,
        goal=">= 300 MiB/s",
        met=rate >= 300,
        floor=0.05,
    )


def work_in_plain(file: str) -> dict[str, float]:
    """What ``sandbox_jobs.measure`` says in a plain interpreter; in a session of its own, as a sandbox is."""
    code = (
        f"import sys; sys.path[:0] = {[str(HERE.parent / 'unit'), *SOURCES]!r}\n"
        f"import json, sandbox_jobs; print(json.dumps(sandbox_jobs.measure({file!r})))"
    )
    done = subprocess.run(
        [sys._base_executable, "-I", "-S", "-c", code],
        check=True,
        env=ENVIRONMENT,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout)


def work_confined(launcher: Launcher, file: str) -> dict[str, float]:
    spec = json.dumps({"job": "work", "file": file}).encode()
    with launcher.start(Job(recipe="job", spec=spec, limits=Limits(wall=120.0), least="E0")) as run:
        (frame,) = run.frames()
    assert run.wait().ok
    return frame.header


@pytest.mark.bench
def test_work_and_system_calls(board):
    """Processor time of the same loops, inside and outside, one after the other in each round."""
    launcher = BenchLauncher()
    file = os.__file__  # shown in a sandbox too
    rounds = [(work_in_plain(file), work_confined(launcher, file)) for _ in range(ROUNDS)]
    for name, title, goal, most in (
        ("cpu", "arithmetic in a sandbox", 1.05, 1.3),
        ("getppid", "getppid in a sandbox", 1.35, 2.5),
        ("open", "open and read in a sandbox", 1.35, 2.5),
    ):
        bare, ours = (min(one[side][name] for one in rounds) for side in (0, 1))
        unit = "s" if name == "cpu" else "us"
        board.add(
            title,
            ours=f"{ours:.2f} {unit}",
            peer=f"plain Python: {bare:.2f} {unit}",
            ratio=ours / bare,
            goal=f"<= {goal} x",
            met=ours / bare <= goal,
            most=most,
        )
