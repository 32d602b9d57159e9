"""The keeper's side of a session between houses: a process with names, values and a line, and nothing else."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

import safehold
from safehold.errors import SafeholdError, UnavailableError, revive
from safehold.sandbox.parts import seal_bytes

LARGEST = 1 << 29  # bytes of what a party returns


class PartyProcess:
    """A running party.

    Args:
        process: The process.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def wait(self) -> dict[str, Any]:
        """Return its figures."""
        out = self._process.stdout
        told = b"" if out is None else out.read(LARGEST)
        self._process.wait()
        try:
            answer = orjson.loads(told)
        except orjson.JSONDecodeError:
            raise UnavailableError(
                "the session was ended", rule="join.ended", fix="start again on both sides"
            ) from None
        match answer:
            case {"figures": dict(figures)}:
                return figures
            case {"error": dict(error)}:
                raise revive(error)
            case _:
                raise SafeholdError("a party said something else", rule="join.party")


class PartyProcesses:
    """Start parties on this machine."""

    @contextmanager
    def start(self, order: Mapping[str, Any], listener: int | None) -> Iterator[PartyProcess]:
        """Start one; leaving the context kills what still runs."""
        if importlib.util.find_spec("rbcl") is None:
            raise UnavailableError(
                "joins need libsodium", rule="join.missing", fix="pip install 'safehold[mpc]'"
            )
        memory = seal_bytes(orjson.dumps(dict(order)))
        handed = [memory] if listener is None else [memory, listener]
        try:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-s",
                    "-m",
                    "safehold.federation.party",
                    str(memory),
                    str(-1 if listener is None else listener),
                ],
                pass_fds=handed,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={
                    "PATH": os.defpath,
                    "LC_ALL": "C.UTF-8",
                    "OPENBLAS_NUM_THREADS": "1",
                    "PYTHONPATH": str(
                        Path(safehold.__file__).parents[1]
                    ),  # this version and no other
                },
                cwd="/",
                close_fds=True,
            )
        finally:
            os.close(memory)
        with process:
            try:
                yield PartyProcess(process)
            finally:
                process.kill()
