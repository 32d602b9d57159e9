"""The keeper's end of a cluster: the driver's process, which attempts go on, and the keeper's word for each.

A farm that lost its driver starts another one with the next attempt; nothing that was on its way counts any more.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import safehold
from safehold import ids
from safehold.cluster.letter import Worker
from safehold.cluster.line import Line, LineError
from safehold.cluster.opener import TETHER_S
from safehold.cluster.seal import Keys
from safehold.errors import UnavailableError
from safehold.sandbox.command import find_bwrap
from safehold.signing import SigningKey

_LOG = logging.getLogger(__name__)
WORD_S: Final = 2.0  # between two words of the keeper
START_S: Final = 120.0  # for Ray to come up
STORE: Final = (
    256 << 20
)  # bytes of Ray's store on this machine; what is over it goes to disk, as ciphertext
MARGIN_S: Final = 2.0  # beyond the tether, for a killed sandbox to be gone
STUCK_S: Final = TETHER_S / 2  # a driver that takes nothing for so long carries no word either
MOST_HEARD: Final = 64  # messages of one attempt that wait; the driver sends a few and then asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Which workers there are.

    Args:
        address: Of a cluster that runs, host:port; empty to start one on this machine.
        width: How many sandboxes run side by side.
        opener: Path of the opener's socket on every worker.
        crew: The workers that were enrolled, by name.
        memory: Bytes of Ray's store, where one is started.
    """

    address: str
    width: int
    opener: str
    crew: Mapping[str, Worker]
    memory: int = STORE


@dataclass(slots=True, eq=False)
class Held:
    """One attempt that goes on, as the farm knows it.

    Args:
        run: Which run.
        number: Which attempt at it.
        keys: Of this attempt.
        inbox: What the driver said of it; None once the driver has gone.
    """

    run: str
    number: int
    keys: Keys = field(repr=False)
    inbox: queue.Queue[tuple[str, bytes] | None] = field(default_factory=queue.Queue)
    worker: str = ""
    warranted: bool = False
    gone: bool = False
    words: int = 0  # of the last word: how long after the answer it was said, milliseconds
    answered: float = 0.0  # when its claim was, on the monotonic clock
    spoken: float = 0.0  # when the last word was said
    silent: bool = False

    @property
    def place(self) -> dict[str, Any]:
        """Names it in messages to the driver."""
        return {"run": self.run, "attempt": self.number}

    def left_s(self) -> float:
        """Return for how long a sandbox of it may still be there, seconds."""
        if self.gone or not self.warranted:
            return 0.0
        return max(0.0, self.spoken + TETHER_S + MARGIN_S - time.monotonic())


class Farm:
    """Carries jobs to workers.

    Args:
        cluster: Which workers there are.
        home: Of which home.
        keeper: Signs warrants.
        program: Version and hash of the program that workers must run.
        hidden: Folders that the driver must not see: what comes out of a cluster is unpickled there.
        enrolled: Returns who is enrolled now; whoever is not any more is answered nothing.
        ready: Called before an attempt begins; it makes sure that openers of this machine run.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        home: str,
        keeper: SigningKey,
        program: str,
        hidden: Sequence[Path] = (),
        enrolled: Callable[[], Mapping[str, Worker]] | None = None,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self.cluster, self.home, self.keeper, self.program = cluster, home, keeper, program
        self.ready, self.hidden = ready, tuple(hidden)
        self._enrolled = enrolled
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._held: dict[tuple[str, int], Held] = {}
        self._driver: _Driver | None = None
        self._closing = threading.Event()
        self._voice: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the driver, or of what confines it, while one runs."""
        driver = self._driver
        return None if driver is None else driver.pid

    def crew(self) -> Mapping[str, Worker]:
        """Return the workers that count: those there were from the start, as far as they are enrolled still.

        Raises:
            InvalidError: Who is enrolled cannot be read.
        """
        first = self.cluster.crew
        if self._enrolled is None:
            return first
        now = self._enrolled()
        return {
            name: one for name, one in first.items() if name in now and now[name].key == one.key
        }

    def write(self, header: Mapping[str, Any], body: bytes = b"") -> None:
        """Send one message to the driver.

        Raises:
            UnavailableError: It does not run.
        """
        driver = self._driver
        ended = UnavailableError("Ray's process has ended", rule="cluster.driver")
        if driver is None:
            raise ended
        try:
            driver.line.write(header, body)
        except LineError as error:
            # whoever reads from it may see its end later: until then every attempt would be lost to it
            driver.alive = False
            raise ended from error

    def hold(self, held: Held) -> None:
        """Let an attempt be heard of; a driver is started if none runs.

        Raises:
            UnavailableError: None starts.
        """
        with self._starting:
            if self._closing.is_set():
                raise UnavailableError("the keeper ends", rule="cluster.closed")
            self.ready()
            if self._voice is None:
                self._voice = threading.Thread(target=self._speak, daemon=True, name="cluster-word")
                self._voice.start()
            if self._driver is None or not self._driver.alive:
                self._driver = _Driver(self)
            with self._lock:
                self._held[held.run, held.number] = held

    def drop(self, held: Held) -> None:
        """Hear nothing more of an attempt: whatever comes of it now is nobody's."""
        with self._lock:
            self._held.pop((held.run, held.number), None)

    def forget(self, worker: str) -> None:
        """Take all attempts of a worker for gone: its opener was a child of this process, and has ended."""
        with self._lock:
            for one in self._held.values():
                one.gone = one.gone or one.worker == worker

    def close(self) -> None:
        """End the driver, and with it a cluster that it started."""
        self._closing.set()
        with self._starting:
            if self._driver is not None:
                self._driver.close()
        if self._voice is not None:
            self._voice.join()

    def hear(self, header: dict[str, Any], body: bytes) -> None:
        """Take what the driver said to the attempt that it is about; of others it is dropped."""
        place = (str(header.get("run")), int(header.get("attempt", 0)))
        with self._lock:
            held = self._held.get(place)
        # what nobody reads is an attempt that was given up, or a driver that does not wait: it fills no memory
        if held is not None and held.inbox.qsize() < MOST_HEARD:
            held.inbox.put((str(header.get("say")), body))

    def lose(self) -> None:
        """Let every attempt know that the driver has gone."""
        with self._lock:
            held = list(self._held.values())
        for one in held:
            one.inbox.put(None)

    def _speak(self) -> None:
        while not self._closing.wait(WORD_S):
            with self._lock:
                held = [one for one in self._held.values() if one.warranted and not one.silent]
            for one in held:
                with contextlib.suppress(UnavailableError):
                    # before it is said: whoever waits for the end of the tether must not wait too little
                    one.spoken = time.monotonic()
                    one.words = max(one.words + 1, int((one.spoken - one.answered) * 1000))
                    word = one.keys.word("going", one.words)
                    self.write({"do": "word", "number": one.words, **one.place}, word)


class _Driver:
    """One process of the driver, and the thread that started it: it ends with that thread."""

    def __init__(self, farm: Farm) -> None:
        self._farm, self._cluster = farm, farm.cluster
        self._ready: queue.Queue[bool] = queue.Queue()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="safehold-ray-"))  # short: sockets lie in it
        self.alive = True
        self._thread = threading.Thread(target=self._run, daemon=True, name="cluster-driver")
        self._thread.start()
        try:
            up = self._ready.get(timeout=START_S)
        except queue.Empty:
            up = False
        if not up:
            self.close()
            raise UnavailableError(
                "Ray does not start",
                rule="cluster.start",
                fix="is the extra `ray` installed, and does the cluster that --ray names answer?",
            )

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError, ValueError):
                if process.stdin is not None:
                    process.stdin.close()  # its sign to finish
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join()

    def _run(self) -> None:
        try:
            process = self._process = subprocess.Popen(
                [*self._confine(), sys.executable, "-P", "-m", "safehold.cluster.driver"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(self._folder, local=not self._cluster.address),
                cwd="/",
                start_new_session=True,
            )
            self.line = Line(process.stdout, _Sink(process))
            cluster = self._cluster
            with contextlib.suppress(LineError, TypeError, ValueError):
                self.line.write(
                    {
                        "address": cluster.address,
                        "width": cluster.width,
                        "opener": cluster.opener,
                        "memory": cluster.memory,
                        "folder": str(self._folder),
                    }
                )
                self._ready.put(self.line.read()[0].get("say") == "ready")
                while True:
                    self._farm.hear(*self.line.read())
            self.alive = False
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
        except OSError as error:
            _LOG.warning("Ray's process could not be started: %s", error.strerror)
        finally:
            self.alive = False
            self._ready.put(False)  # noqa: FBT003 - read only if it never was ready
            shutil.rmtree(self._folder, ignore_errors=True)
            self._farm.lose()

    def _confine(self) -> list[str]:
        """Return what keeps the driver from the keeper's files.

        A cluster that it starts here is reached by nobody else then, and ends with it.
        """
        wrapper = find_bwrap()
        if wrapper is None:
            return []
        alone = ("--proc", "/proc", "--unshare-net", "--unshare-pid")
        return [
            *(wrapper, "--dev-bind", "/", "/"),
            *(word for one in self._farm.hidden for word in ("--tmpfs", str(one.resolve()))),
            *(() if self._cluster.address else alone),
            *("--die-with-parent", "--"),
        ]


class _Sink:
    """Where messages to a driver go; one that takes nothing for ``STUCK_S`` is ended, so that nobody waits for it.

    Args:
        process: The driver, with a pipe to it.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is None:
            raise OSError("no pipe")
        self._process, self._pipe = process, process.stdin
        os.set_blocking(self._pipe.fileno(), False)

    def write(self, data: bytes | memoryview) -> None:
        """Write all of it.

        Raises:
            OSError: The driver has ended, or was ended now.
        """
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._pipe.fileno(), left) :]
            except BlockingIOError:
                if not select.select([], [self._pipe], [], STUCK_S)[1]:
                    self._process.kill()
                    raise TimeoutError("the driver takes nothing") from None

    def flush(self) -> None:
        """Do nothing: nothing is held back."""


def _environment(folder: Path, *, local: bool) -> dict[str, str]:
    """Return what Ray is told: nothing leaves, nobody without the token comes in, logs stay small."""
    kept = (
        *("PATH", "LANG", "RAY_AUTH_TOKEN_PATH"),
        *("RAY_USE_TLS", "RAY_TLS_CA_CERT", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY"),
    )
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        **({"RAY_AUTH_TOKEN": ids.random_bytes(32).hex()} if local else {}),
        "HOME": str(folder),
        "PYTHONPATH": str(Path(safehold.__file__).parent.parent),
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_LOG_TO_DRIVER": "0",
        "RAY_BACKEND_LOG_LEVEL": "error",
        "RAY_ROTATION_MAX_BYTES": str(1 << 20),
        "RAY_ROTATION_BACKUP_COUNT": "1",
        "RAY_task_events_report_interval_ms": "0",
        "RAY_enable_metrics_collection": "0",
        # carriers only carry; at Ray's 15 they wait behind the very sandboxes that wait for them
        "RAY_worker_niceness": "0",
    }
