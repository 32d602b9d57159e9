"""Programs of others, run in an environment of their own: one JSON object in, one out, a line each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.bench.board import SHORT

PYTHON: Final = Path(os.environ.get("SAFEHOLD_PEERS", Path(sys.prefix) / "peers/bin/python"))
HERE: Final = Path(__file__).resolve().parent


class Absent(Exception):
    """A peer is not on this machine; the text is for the table."""


class Peer:
    """A running script of a peer.

    Args:
        script: Name of the file in this folder.

    Raises:
        Absent: The environment of the peers is not there.
    """

    def __init__(self, script: str) -> None:
        if SHORT and "SAFEHOLD_PEERS" not in os.environ:
            raise Absent("left out of the short form")
        if not PYTHON.exists():
            raise Absent("not here (its environment is made by `make bench`)")
        self.process = subprocess.Popen(
            [str(PYTHON), str(HERE / script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, **order: Any) -> Any:
        """Return what the script answers to an order.

        Raises:
            Absent: It says that a package of its is missing, or it ended.
        """
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        text = stdout.readline()
        if not text:
            errors = self.process.stderr.read() if self.process.stderr else ""
            last = (errors.splitlines() or [f"code {self.process.wait(10)}"])[-1]
            raise Absent(f"it ended: {last[:90]}")
        answer = json.loads(text)
        if "missing" in answer:
            raise Absent(f"not here ({answer['missing']})")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
