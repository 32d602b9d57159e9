"""Runs the sentinel and its rivals over one log each, and scores them by one rule."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import access_bed, access_loom, access_mill, access_port, access_ward
from tests.access_world import live
from tests.access_world.__main__ import write
from tests.bench.sentinel_score import Score, judge, read

PEERS = Path(os.environ.get("SAFEHOLD_PEERS", Path(sys.prefix) / "peers/bin/python"))
RIVALS = ("isolation forest", "ECOD", "half-space trees")
SETS = ("raw", "features")
LEARN_DAYS = 25
BUDGETS = (1.0, 2.0, 4.0, 8.0)  # alerts a day for a hundred principals that a threshold is set for
OURS = "sentinel"


# logs by further authors, none of whom saw the detector or each other's
OTHERS = {
    "bed": access_bed.write,
    "loom": access_loom.write,
    "mill": access_mill.write,
    "port": access_port.write,
    "ward": access_ward.write,
}


def make_log(seed: int, into: Path, author: str = "world") -> Path:
    """Write the log of a seed by an author, and return its folder."""
    into.mkdir(parents=True, exist_ok=True)
    if author == "world":
        write(live(seed, learn_days=LEARN_DAYS), into)
    else:
        OTHERS[author](seed, into, learn_days=LEARN_DAYS)
    return into


def replay(log: Path, budget: float) -> tuple[list[dict[str, Any]], float]:
    """Run the real command; return its alerts and its CPU-seconds, start and reading of the file included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "safehold", "alert", "replay", str(log / "events.jsonl"), "--json",
         "--learn-days", str(LEARN_DAYS), "--budget", str(budget)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr[-2000:]
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout)["alerts"], spent


def run_ours(
    log: Path, budgets: tuple[float, ...] = BUDGETS
) -> dict[tuple[str, str, float], Score]:
    """Score the sentinel at each budget on one log."""
    events, truth = read(log / "events.jsonl"), read(log / "truth.jsonl")
    found = {}
    for budget in budgets:
        alerts, spent = replay(log, budget)
        score = judge(events, truth, alerts, LEARN_DAYS)
        score.cpu_s = spent
        found[OURS, "", budget] = score
    return found


def run_rivals(log: Path, sets: tuple[str, ...] = SETS) -> dict[tuple[str, str, float], Score]:
    """Score each rival, with each set of columns and at each budget, on one log."""
    events, truth = read(log / "events.jsonl"), read(log / "truth.jsonl")
    found = {}
    for peer in RIVALS:
        for columns in sets:
            done = subprocess.run(
                [str(PEERS), str(Path(__file__).with_name("sentinel_peers.py")), str(log / "events.jsonl"),
                 str(LEARN_DAYS), peer, columns, *map(str, BUDGETS)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-2000:]
            for line in done.stdout.splitlines():
                answer = json.loads(line)
                if "missing" in answer:
                    break
                score = judge(events, truth, answer["alerts"], LEARN_DAYS)
                score.cpu_s = answer["cpu_s"]
                found[peer, columns, answer["budget"]] = score
    return found


def compare(
    seeds: tuple[int, ...],
    into: Path,
    *,
    budgets: tuple[float, ...] = BUDGETS,
    sets: tuple[str, ...] = SETS,
    author: str = "world",
) -> dict[tuple[str, str, float], Score]:
    """Add up the scores of every method over some seeds; ours is under (``sentinel``, "", budget)."""
    added: dict[tuple[str, str, float], Score] = {}
    for seed in seeds:
        log = make_log(seed, into / f"{author}{seed}", author)
        for name, score in {**run_ours(log, budgets), **run_rivals(log, sets)}.items():
            added.setdefault(name, Score()).add(score)
    return added


if (
    __name__ == "__main__"
):  # ``python -m tests.bench.sentinel_run FOLDER SEED...`` prints the table as JSON
    folder, *chosen = sys.argv[1:]
    author = os.environ.get("SAFEHOLD_LOGS_BY", "world")
    for key, value in compare(tuple(map(int, chosen)), Path(folder), author=author).items():
        print(json.dumps({"method": key, **value.row()}), flush=True)
