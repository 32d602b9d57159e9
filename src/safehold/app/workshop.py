"""The keeper's workshop, made of the sandbox launcher."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import orjson
import pyarrow as pa

from safehold.errors import SafeholdError, UnavailableError
from safehold.keeper.ports import Frame
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.launch import Launcher
from safehold.sandbox.parts import pack_parts
from safehold.sandbox.running import Running

SILENT: Final = frozenset({"sql"})  # how they fail could be made to tell of a row


def kind_of(recipe: str) -> str:
    """Return what runs a recipe; one that somebody wrote is named by what runs it and a hash."""
    return recipe.partition(":")[0]


class SandboxJob:
    """A running sandbox, as the keeper sees it."""

    def __init__(self, running: Running, level: str, *, silent: bool = False) -> None:
        self._running = running
        self._silent = silent
        self.level = level

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
    ) -> Iterator[SandboxJob]:
        """Start a recipe; leaving the context kills what still runs."""
        job = Job(
            recipe=(kind := kind_of(recipe)),
            spec=orjson.dumps(dict(spec)),
            inputs=tuple(inputs),
            limits=Limits.of(kind),
            least=least,
        )
        with self._launcher.start(job) as running:
            yield SandboxJob(running, self._launcher.probe.level, silent=kind in SILENT)

    def pack(self, parts: Iterable[tuple[Mapping[str, Any], pa.Table]]) -> int:
        """Return a sealed, read-only memory file of tables."""
        return pack_parts(parts)
