"""A keeper that changes its keys and is killed at one step of it; see ``tests.crashing`` for how."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson
from tests.crashing import Job, Steps, main
from tests.keeper_desk import Bench
from tests.world import PASSPHRASE, outside

from safehold.app.custody import unlock
from safehold.clock import FixedClock, SystemClock
from safehold.settings import Home
from safehold.vault.kms import Cost, sealed

OLD = {"passphrase": PASSPHRASE}
NEW = {"passphrase": "a wholly other passphrase"}
CHEAP = Cost(memory_kib=8192, iterations=1, lanes=1)
ORDERS: dict[str, dict[str, Any]] = {
    "root": {"level": "root", "present": OLD, "new": NEW},
    "segment": {"level": "segment"},
    "mint": {"level": "mint"},
}


def cheap() -> None:
    """Let passphrases cost little: what is tried here is not their strength."""
    sealed.Cost = lambda: CHEAP  # type: ignore[assignment,misc]


def open_bench(path: Path, secret: dict[str, Any]) -> Bench:
    """Unlock and compose the keeper of a home that some process left."""
    with outside(path):
        home = Home.open(path / "home")
        root = unlock(home, secret)
    return Bench(path, home, root, FixedClock(SystemClock().now_us()), {}).start()  # type: ignore[arg-type]


def work(job: Job) -> None:
    """Change the keys of one level, and die at a step; ``mode`` is ``LEVEL`` or ``LEVEL-every``."""
    level, _, every = job.mode.partition("-")
    cheap()
    bench = open_bench(job.path, OLD)
    steps = Steps(die_at=job.die_at, fail_at=job.fail_at)
    bench.verbs.lifecycle.reached = steps.step
    bench.desk.vault._eraser._reached = steps.step
    if every:
        for name in ("fsync", "replace", "unlink", "pwrite", "link"):
            steps.wrap(os, name)
        steps.names.clear()
    bench.call("key.rotate", **ORDERS[level])
    out = os.open(job.acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(out, orjson.dumps({"steps": steps.names}) + b"\n")
    bench.stop()


if __name__ == "__main__":
    main(work)
