"""The sentinel as a child of a keeper that leads: started, started again when it ends, ended with the keeper."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

import orjson

from safehold.app.embedded import keeper_environment
from safehold.settings import Home

_LOG = logging.getLogger(__name__)
REST_S: Final = 1.0  # before it is started again; doubled with each early end, up to
LONGEST_REST_S: Final = 30.0
HEALTHY_S: Final = 60.0  # whoever ran this long ends no more early
PATIENCE_S: Final = 2.0  # to keep what it learnt, once it is told to end


class Companion:
    """Keeps one sentinel running.

    Args:
        home: The home.
        name: Of the keeper beside which it runs.
        word: Returns a fresh word by which the keeper knows it; the one before ends.
    """

    def __init__(self, home: Home, name: str, word: Callable[[], str]) -> None:
        self._home, self._name, self._word = home, name, word
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True, name="sentinel")

    @property
    def pid(self) -> int | None:
        """The process id of the sentinel that runs now."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> None:
        """Start it, and keep it running until ``close``."""
        self._thread.start()

    def close(self) -> None:
        """Let it keep what it learnt, and end it."""
        self._closing.set()
        with self._lock:
            process = self._process
        if process is not None:
            _end(process)
        self._thread.join()

    def _keep(self) -> None:
        rest = REST_S
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                with self._lock:
                    if self._closing.is_set():
                        return
                    self._process = self._start()
                code = self._process.wait()
            except OSError as error:
                _LOG.error("the sentinel does not start: %s", error.strerror)
                code = -1
            if self._closing.is_set():
                return
            rest = REST_S if time.monotonic() - began > HEALTHY_S else min(2 * rest, LONGEST_REST_S)
            _LOG.warning("the sentinel ended (%s) and is started again", code)
            self._closing.wait(rest)

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            # -P: no module of the directory it happens to be started in
            [sys.executable, "-P", "-m", "safehold.app.sentinel", str(self._home.path), self._name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=keeper_environment(),
            start_new_session=True,
        )
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it died: whoever waits for it sees so
                process.stdin.write(orjson.dumps({"word": self._word()}) + b"\n")
                process.stdin.flush()
        return process


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()  # its sign to finish
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
