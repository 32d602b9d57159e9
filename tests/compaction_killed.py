"""A process that joins blocks in copies of a home and is killed at one step of it; run as a module of its own.

It imports everything, opens the root, and forks one worker for each copy before it has any thread.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.keeper_desk import Bench
from tests.world import PASSPHRASE, outside

from safehold.app.custody import unlock
from safehold.clock import FixedClock
from safehold.settings import Home
from safehold.vault.kms import Root


def work(path: Path, root: Root, step: str, at_us: int) -> None:
    """Join what there is in one copy, and die at a step."""

    def reached(name: str) -> None:
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    with outside(path):
        home = Home.open(path / "home")
    bench = Bench(path, home, root, FixedClock(at_us), {}).start()  # type: ignore[arg-type]
    bench.verbs.compaction.packing.reached = reached
    objects = bench.desk.vault._objects
    put = objects.put

    def stored(name: str, data: bytes | bytearray) -> None:
        put(name, data)
        reached("stored")

    objects.put = stored  # type: ignore[method-assign]
    bench.call("dataset.compact")
    os.kill(os.getpid(), signal.SIGKILL)


def main(at_us: int, *folders: str) -> None:
    """Fork a worker for each folder, whose name is the step to die at, one after the other."""
    with outside(Path(folders[0])):
        root = unlock(Home.open(Path(folders[0]) / "home"), {"passphrase": PASSPHRASE})
    for folder in folders:
        child = os.fork()
        if not child:
            try:
                work(Path(folder), root, Path(folder).name, at_us)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(f"not killed: {Path(folder).name}")


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
