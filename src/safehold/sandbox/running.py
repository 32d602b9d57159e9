"""A job that runs: its frames, its end, and nothing it says that is not one of these."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from safehold import errors
from safehold.errors import SafeholdError, TamperedError, UnavailableError
from safehold.sandbox.boot import OWN_FRAMES
from safehold.sandbox.cgroup import Group
from safehold.sandbox.frame import Frame, read_frames
from safehold.sandbox.job import Limits, Outcome, Probe, Reason
from safehold.sandbox.resident import measure_memory

_RULE = re.compile(r"[a-z0-9_.-]{1,100}")
_SENTENCE = 600
_LOOK = 0.05  # seconds between two looks at a job's memory, where no group bounds it


class Running:
    """One sandbox, from start to end. Use it as a context manager: leaving it ends the job.

    Args:
        process: Started as the leader of its own process group.
        egress: Where its frames arrive; closed here.
        printed: Where what it prints arrives; closed here.
        limits: What it may use.
        confined: Level and mechanisms it was started with.
        marker: What its ``started`` frame must list.
        group: Its control groups; removed here.
        told: Where it is told more while it runs; closed here.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        *,
        egress: int,
        printed: int,
        limits: Limits,
        confined: Probe,
        marker: list[str],
        group: Group,
        told: int | None = None,
    ) -> None:
        self._process = process
        self._egress = egress
        self._printed_fd = printed
        self._limits = limits
        self._confined = self.confined = confined
        self._marker = marker
        self._group = group
        self._bounded = "memory-watch" not in confined.mechanisms
        self._told = told
        self._telling = threading.Lock()
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._seconds = 0.0
        self._reaped = False
        self._over = threading.Event()
        self._cause: Reason | None = None
        self._started = False
        self._last: str | None = None
        self._error: SafeholdError | None = None
        self._frames = 0
        self._bytes = 0
        self._printed = 0
        self._shown = bytearray()
        self._stream = self._read()
        self._pidfd = os.pidfd_open(process.pid)
        threading.Thread(target=self._watch, name="sandbox-watch", daemon=True).start()

    def frames(self) -> Iterator[Frame]:
        """Return the one stream of frames, each read only when it is asked for.

        While nobody asks, the pipe fills and the job waits: nothing is stored on its behalf. The
        stream ends normally only if the recipe returned. Giving the stream up ends the job.

        Raises:
            TamperedError: The job broke the frame protocol or a budget; it was killed.
            UnavailableError: It did not start, was stopped, or ran out of time.
            SafeholdError: What the recipe itself raised, or "the job failed" for everything else.
        """
        return self._stream

    def kill(self) -> None:
        """End the job now, with everything it started."""
        self._stop("stopped")

    def tell(self, data: bytes | memoryview) -> None:
        """Hand more bytes to a job that talks; waits until it has taken them, and drops them once it has ended."""
        left = memoryview(data)
        with self._telling, contextlib.suppress(BrokenPipeError):
            while left and self._told is not None:
                left = left[os.write(self._told, left) :]

    def wait(self) -> Outcome:
        """Read the rest of the frames away, wait for the end and say how it was."""
        with contextlib.suppress(SafeholdError, ValueError):
            # ValueError: another thread is reading; it will come to the end by itself.
            for _ in self._stream:
                pass
        self._over.wait()
        return Outcome(
            ok=self._reason() == "finished",
            reason=self._reason(),
            started=self._started,
            level=self._confined.level,
            kernel=self._confined.kernel,
            mechanisms=self._confined.mechanisms,
            frames=self._frames,
            egress=self._bytes,
            printed=self._printed > 0,
            seconds=self._seconds,
        )

    def shown(self) -> bytes:
        """Return the beginning of what it printed; nothing unless its limits let some be shown."""
        self._over.wait()
        return bytes(self._shown)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._over.is_set() and self._last is None:
            self.kill()
        self.wait()

    def _read(self) -> Iterator[Frame]:
        ended = False
        try:
            try:
                for frame in read_frames(
                    self._egress, budget=self._limits.egress, largest=self._limits.frame
                ):
                    self._bytes += frame.size
                    if self._take(frame):
                        self._frames += 1
                        yield frame
                ended = True
            except TamperedError as error:
                # A job that was killed stops in the middle of a frame; that is not its doing.
                spent = error.rule == "sandbox.egress.budget"
                if self._stop("budget" if spent else "protocol"):
                    raise
        finally:
            if not ended:
                self._stop("stopped")
            os.close(self._egress)
        self._over.wait()
        if self._reason() != "finished":
            raise self._failure()

    def _take(self, frame: Frame) -> bool:
        """Keep the boot's own frames; return whether the frame is the recipe's."""
        kind = frame.header["type"]
        if not self._started:
            if frame.header != {"type": "started", "mechanisms": self._marker} or frame.body:
                raise _broken("the job did not say that it is confined")
            self._started = True
            return False
        if self._last is not None or kind == "started":
            raise _broken("the job goes on after its end")
        if kind not in OWN_FRAMES:
            return True
        if kind == "error":
            error = _revive(frame)
            # whoever wrote the code chose the words, and data could be in them
            self._error = error if self._limits.words else None
        self._last = kind
        return False

    def _watch(self) -> None:
        """Count what is printed, keep the time, and collect the end."""
        deadline = self._begun + self._limits.wall
        poll = select.poll()
        poll.register(self._printed_fd, select.POLLIN)
        poll.register(self._pidfd, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                self._stop("time")
                left = 60.0
            if not self._bounded:
                left = min(left, _LOOK)
                if measure_memory(self._process.pid) > self._limits.memory:
                    self._stop("memory")
            ready = {fd for fd, _ in poll.poll(min(left, 86_400.0) * 1000)}
            if self._printed_fd in ready:
                self._drain(poll)
            if self._pidfd in ready:
                break
        with self._lock:
            # The leader is not reaped yet, so its number still names its group and nobody else's.
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            self._kill_all()
            self._process.wait()
            self._reaped = True
        self._group.remove()
        self._seconds = time.monotonic() - self._begun
        with contextlib.suppress(OSError):
            while data := os.read(self._printed_fd, 1 << 16):
                self._count(data)
        os.close(self._printed_fd)
        os.close(self._pidfd)
        self._over.set()
        with self._telling:  # whoever still tells it something has found the pipe broken by now
            if self._told is not None:
                os.close(self._told)
                self._told = None

    def _drain(self, poll: select.poll) -> None:
        data = os.read(self._printed_fd, 1 << 16)
        self._count(data)
        if not data:
            poll.unregister(self._printed_fd)
        if self._printed > self._limits.stderr:
            self._stop("budget")

    def _count(self, data: bytes) -> None:
        """Count what is printed; keep the beginning of it only where that was asked for."""
        self._printed += len(data)
        self._shown += data[: max(self._limits.shown - len(self._shown), 0)]

    def _stop(self, cause: Reason) -> bool:
        """End the job; return whether this is the reason it ended."""
        with self._lock:
            mine = self._cause is None
            if mine and not self._over.is_set():
                self._cause = cause
            if not self._reaped:
                self._kill_all()
        return mine

    def _kill_all(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._group.kill()

    def _reason(self) -> Reason:
        if self._cause is not None:
            return self._cause
        if not self._started:
            return "not started"
        if self._last == "finished" and self._process.returncode == 0:
            return "finished"
        return "refused" if self._error is not None else "failed"

    def _too_much(self, cause: str) -> SafeholdError:
        if cause == "memory":
            return SafeholdError(
                f"the job uses more than {self._limits.memory} bytes of memory",
                rule="sandbox.memory",
                fix="give it less at once, or raise the limit of its recipe",
            )
        return TamperedError(
            f"the job prints more than {self._limits.stderr} bytes", rule="sandbox.stderr.budget"
        )

    def _failure(self) -> SafeholdError:
        match self._reason():
            case "refused" if self._error is not None:
                return self._error
            case "not started":
                return UnavailableError(
                    "the sandbox did not start",
                    rule="sandbox.start",
                    fix="safehold enclave probe shows what this machine can confine",
                )
            case "time":
                return UnavailableError(
                    f"the job ran longer than {self._limits.wall:g} s",
                    rule="sandbox.wall",
                    fix="give it less at once, or raise the limit of its recipe",
                )
            case "stopped":
                return UnavailableError("the job was stopped", rule="sandbox.stopped")
            case "budget" | "memory" as cause:
                return self._too_much(cause)
            case _:
                return SafeholdError(
                    "the job failed; nothing it might have said about its data is kept",
                    rule="sandbox.failed",
                    fix="run the same recipe on synthetic data to see why",
                )


def _revive(frame: Frame) -> SafeholdError:
    """Rebuild a recipe's error, accepting only what ``payload`` gives, in short plain text."""
    header: dict[str, Any] = frame.header
    match header:
        case {
            "type": "error",
            "code": str(code),
            "message": str(message),
            "rule": str() | None as rule,
            "fix": str() | None as fix,
            "entry": None,
        } if (
            len(header) == 6
            and not frame.body
            and code in errors.ERRORS
            and all(len(text) <= _SENTENCE and text.isprintable() for text in (message, fix or ""))
            and (rule is None or _RULE.fullmatch(rule))
        ):
            return errors.revive({key: header[key] for key in header if key != "type"})
        case _:
            raise _broken("the job reports an error that is none")


def _broken(message: str) -> TamperedError:
    return TamperedError(message, rule="sandbox.frame")
