"""A NATS server of our own: on loopback, with its streams in a temporary folder, made for the tests and gone with them."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.ports import free_port

from safehold.ingest.network.queue import Place


class Nats:
    """One server.

    Args:
        program: The ``nats-server`` program.
        options: Lines of its configuration besides address and folder.
    """

    host = "127.0.0.1"
    inside: tuple[str, ...] = ()  # what runs it somewhere else, such as in a network namespace

    def __init__(self, program: str, options: str = "") -> None:
        self._program = program
        self.path = Path(tempfile.mkdtemp(prefix="safehold-nats-"))
        self.port = free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._names = 0
        self.start()

    def place(self, **changes: Any) -> Place:
        """Return a queue on it; a fresh one, if no name is given."""
        self._names += 1
        given: Mapping[str, Any] = {
            "url": f"nats://{self.host}:{self.port}",
            "name": f"q{self._names}",
            **changes,
        }
        return Place(**given)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it listens."""
        file = self.path / "server.conf"
        file.write_text(
            f'host: "{self.host}"\nport: {self.port}\n'
            f'jetstream {{ store_dir: "{self.path / "streams"}", max_file_store: 8GB, max_memory_store: 64MB }}\n'
            f"max_payload: 9MB\n{self._options}\n"
        )
        with (self.path / "log").open("ab") as log:
            self._process = subprocess.Popen(
                # it ends with the tests, however they end
                [*self.inside, "setpriv", "--pdeathsig=KILL", self._program, "-c", str(file)],
                stdout=log,
                stderr=log,
            )
        for _ in range(200):
            try:
                socket.create_connection((self.host, self.port), 1).close()
            except OSError:
                assert self._process.poll() is None, (self.path / "log").read_text()[-2000:]
                time.sleep(0.05)
            else:
                return
        raise AssertionError("nats-server does not listen")

    def kill(self) -> None:
        """End it as a power failure would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def halt(self) -> None:
        """Let it hang."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """End it and remove what it kept."""
        self.kill()
        shutil.rmtree(self.path)


def find_nats(options: str = "") -> Nats:
    """Start a server, or skip aloud where its program is missing."""
    return Nats(find_program(), options)


def find_program() -> str:
    """Return the ``nats-server`` program, or skip aloud where it is missing."""
    program = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
    if program is None:
        pytest.skip("nats-server is not installed")
    pytest.importorskip("nats", reason="nats-py is not installed")
    return program
