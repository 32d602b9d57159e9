"""The long-lived parts of a site, each of which can be started, killed, halted and looked at."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import psutil
from tests.chaos.servers import halt, wake

STARTS_S = 120.0  # a busy machine


class Part(Protocol):
    """One of them.

    Args:
        name: Its name in schedules and tables.
    """

    name: str

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def family(self) -> list[int]: ...


class Program:
    """A part that is a process with a log.

    Args:
        name: Its name.
        command: How it is run.
        environment: Of the process.
        folder: Where it runs, and where its log lies.
        hears: Whether it answers; asked until it does.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: dict[str, str],
        folder: Path,
        hears: Callable[[], bool],
    ) -> None:
        self.name = name
        self._command = [*_BOUND, *command]
        self._environment = environment
        self._folder = folder
        self._hears = hears
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start it, and do not wait. What starts it must live on: it ends with the thread that did."""
        assert threading.current_thread() is threading.main_thread()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        deadline = time.monotonic() + STARTS_S
        while not self._hears():
            assert self.process is not None
            assert self.process.poll() is None, f"{self.name} ended: {self.log.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"{self.name} does not answer"
            time.sleep(0.05)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """Kill it with everything that it started, as a power cut does."""
        process, self.process = self.process, None
        if process is None:
            return
        family = tree(process.pid)
        halt(family)  # so that nothing starts anew meanwhile
        for pid in {*family, *tree(process.pid)}:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait(60)

    def stop(self) -> int:
        """End it as whoever runs it does, and return how it ended."""
        process, self.process = self.process, None
        if process is None:
            return 0
        wake(tree(process.pid))
        process.terminate()
        try:
            return process.wait(60)
        except subprocess.TimeoutExpired:
            self.process = process
            self.kill()
            return -1

    def family(self) -> list[int]:
        return [] if self.process is None else tree(self.process.pid)


_BOUND = ("setpriv", "--pdeathsig=KILL")  # it ends with the tests, however they end


def tree(pid: int) -> list[int]:
    """Return a process and all below it, the first one first."""
    try:
        top = psutil.Process(pid)
        return [pid, *(one.pid for one in top.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def answers(port: int) -> bool:
    """Return whether somebody listens at a port of this machine."""
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        return int(link.getsockname()[1])


__all__ = ["Part", "Program", "answers", "free_port", "halt", "tree", "wake"]
