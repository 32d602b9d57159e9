"""Keepers as processes that can be killed: one process imports everything and forks a keeper for each that is asked for.

What runs in their sandboxes is a script, so that a hundred kills take minutes. Everything else is real: the doors,
the control database, the ledger, the right to lead.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[1]


class Yard:
    """The process that forks them; it ends with the test."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.keeper_yard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
        self.pids: set[int] = set()

    def keeper(self, home: Path, outside: Path, name: str, *, passphrase: str, slow: float) -> int:
        """Start a keeper and return its process id once it leads or stands by.

        Args:
            home: The home.
            outside: Where its outside lies.
            name: Of the keeper.
            passphrase: Of its root.
            slow: Seconds that a run takes.
        """
        said = self._ask(
            home=str(home), outside=str(outside), name=name, passphrase=passphrase, slow=slow
        )
        assert "pid" in said, said
        self.pids.add(said["pid"])
        return int(said["pid"])

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.pids.discard(pid)
        self._ask(reap=pid)

    def close(self) -> None:
        for pid in list(self.pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
                self.kill(pid)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(300)
        self._process.stdout.close()

    def _ask(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(orjson.dumps(order) + b"\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = orjson.loads(self._process.stdout.readline())
        return answer


def main() -> None:
    """Fork a keeper for every order; ``reap`` waits for one that was killed."""
    # everything that a keeper needs is imported before the first fork
    from tests.pair import Keeper  # noqa: F401

    from safehold.app.keeper import unlock  # noqa: F401

    for line in sys.stdin.buffer:
        order = orjson.loads(line)
        if "reap" in order:
            os.waitpid(order["reap"], 0)
            answer: dict[str, Any] = {"gone": order["reap"]}
        else:
            near, far = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(near)
                _keep(order, far)
            os.close(far)
            with os.fdopen(near, "rb") as said:
                answer = orjson.loads(said.read() or b'{"error": "it died"}')
            answer |= {"pid": pid} if "ready" in answer else {}
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


def _keep(order: Mapping[str, Any], far: int) -> None:
    from tests.keeper_desk import Bench
    from tests.pair import Keeper

    from safehold.app.keeper import unlock
    from safehold.clock import SystemClock
    from safehold.errors import SafeholdError
    from safehold.settings import Home

    os.environ["SAFEHOLD_OUTSIDE"] = order["outside"]
    home = Home.open(Path(order["home"]))

    def feature(_spec: Mapping[str, Any]) -> Iterator[Any]:
        threading.Event().wait(order["slow"])
        yield from ()

    try:
        root = unlock(home, {"passphrase": order["passphrase"]})
        bench = Bench(home.path.parent, home, root, SystemClock(), {})  # type: ignore[arg-type]
        bench.workshop.scripts["feature"] = feature
        keeper = Keeper(bench, order["name"])
        keeper.candidate.start()
    except SafeholdError as error:
        os.write(far, orjson.dumps({"error": error.rule or error.code}))
        os._exit(1)
    os.write(far, b'{"ready": true}')
    os.close(far)
    keeper.door.serve()
    os._exit(0)


if __name__ == "__main__":
    main()
