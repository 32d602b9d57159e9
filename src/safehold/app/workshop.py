"""The keeper's workshop, made of the sandbox launcher."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import orjson
import pyarrow as pa

from safehold.access.code import CODE
from safehold.errors import SafeholdError, UnavailableError
from safehold.keeper import ports
from safehold.keeper.ports import Frame
from safehold.keeper.program import name_program
from safehold.sandbox.frame import pack_frame
from safehold.sandbox.job import TALKERS, Job, Limits
from safehold.sandbox.launch import Launcher
from safehold.sandbox.parts import pack_parts
from safehold.sandbox.running import Running

LEAST: Final = "E1"  # code that nobody reviewed never runs unconfined, whoever the data is of
TOGETHER: Final = 16  # sandboxes of one machine that wait for each other
SILENT: Final = frozenset({"sql"})  # how they fail could be made to tell of a row


def kind_of(recipe: str) -> str:
    """Return what runs a recipe; one that somebody wrote is named by what runs it and a hash."""
    return recipe.partition(":")[0]


def job_of(recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str) -> Job:
    """Return what a sandbox is asked to do for a recipe, and how much it may use."""
    name = kind_of(recipe)
    limits = Limits.of(name)
    if name == CODE:
        limits = replace(limits, wall=float(spec["seconds"]))
        least = max(least, LEAST)
    return Job(
        recipe=name,
        spec=orjson.dumps(dict(spec)),
        inputs=tuple(inputs),
        limits=limits,
        least=least,
        talks=name in TALKERS,
    )


class SandboxJob:
    """A running sandbox, as the keeper sees it."""

    def __init__(self, running: Running, *, silent: bool = False) -> None:
        self._running = running
        self._silent = silent
        self._telling = threading.Lock()
        self.level: str = running.confined.level
        self.kernel: str = running.confined.kernel
        self.mechanisms: Sequence[str] = running.confined.mechanisms
        self.program = name_program()

    def frames(self) -> Iterator[Frame]:
        """Return what it sends; of a silent one, whatever went wrong inside, it is one sentence."""
        try:
            for frame in self._running.frames():
                yield Frame(frame.header, memoryview(frame.body))
        except SafeholdError:
            if not self._silent:
                raise
            raise UnavailableError(
                "the job did not come to its end", rule="sandbox.unsaid"
            ) from None

    def kill(self) -> None:
        """End it at once."""
        self._running.kill()

    def tell(self, header: Mapping[str, Any], body: bytes) -> None:
        """Hand it one message."""
        with self._telling:
            for part in pack_frame(header, body):
                self._running.tell(part)

    def ask(self, header: Mapping[str, Any], body: bytes, *, remember: bool) -> Frame:
        """Return what it answers; of this machine none is lost and started again, so nothing is remembered."""
        del remember
        self.tell(header, body)
        for frame in self._running.frames():
            return Frame(frame.header, memoryview(frame.body))
        raise UnavailableError("the job ended before its answer", rule="sandbox.stopped")


class SandboxWorkshop:
    """Start recipes in sandboxes of this machine.

    Args:
        launcher: The launcher.
    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def level(self) -> str:
        """Return the assurance level that this machine reaches."""
        return str(self._launcher.probe.level)

    @contextmanager
    def start(
        self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str
    ) -> Iterator[ports.Job]:
        """Start a recipe; leaving the context kills what still runs."""
        with self._launcher.start(job_of(recipe, spec, inputs, least=least)) as running:
            yield SandboxJob(running, silent=kind_of(recipe) in SILENT)

    @contextmanager
    def talk(
        self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str
    ) -> Iterator[ports.Talker]:
        """Start a recipe that is told more while it runs; leaving the context kills what still runs."""
        with self._launcher.start(job_of(recipe, spec, inputs, least=least)) as running:
            yield SandboxJob(running)

    def most_together(self) -> int:
        """Return how many sandboxes may go on at once that wait for each other."""
        return TOGETHER

    def pack(self, parts: Iterable[tuple[Mapping[str, Any], pa.Table]]) -> int:
        """Return a sealed, read-only memory file of tables."""
        return pack_parts(parts)

    def abreast(self) -> int:
        """Return how many sandboxes are worth starting side by side for one use."""
        return 1

    def close(self) -> None:
        """Let go of everything; sandboxes of this machine end with their jobs."""
