"""Many runs at once under one keeper, to see when the last of them ends after a stop, a pause, a withdrawal.

Half of them use data (a release, opened and packed), half take a source in. Each waits in its sandbox until it is
ended; nothing here waits for a clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from tests.keeper_desk import Bench, ScriptedJob, ScriptedWorkshop
from tests.world import PURPOSE

from safehold.access.principal import Workload
from safehold.app.workshop import SandboxJob, SandboxWorkshop
from safehold.errors import SafeholdError
from safehold.keeper.ask import Ask, Asker
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.launch import Launcher

AT_ONCE = 300.0  # seconds: far beyond what anything here takes
SANDBOX_LIMITS = Limits(wall=600.0, cpu=60)


class WaitingJob(ScriptedJob):
    """A sandbox that says it has begun, and waits until it is killed."""

    def __init__(self, begun: threading.Semaphore) -> None:
        super().__init__(iter(()))
        self._begun = begun
        self._over = threading.Event()

    def frames(self):
        self._begun.release()
        assert self._over.wait(AT_ONCE)
        yield from super().frames()

    def kill(self) -> None:
        super().kill()
        self._over.set()


class WaitingWorkshop(ScriptedWorkshop):
    """Its jobs wait; ``begun`` counts those that have."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Semaphore(0)

    @contextmanager
    def start(self, recipe, spec, inputs, *, least):
        yield WaitingJob(self.begun)


class _Sleepers(Launcher):
    _recipes = {"job": "sandbox_jobs"}  # noqa: RUF012 - as the class it extends has it
    _extra = (Path(__file__).resolve().parent / "unit",)


class SandboxWaiting(SandboxWorkshop):
    """The same with real sandboxes.

    Args:
        does: What is run in them: ``sleep``, or ``empty``, which ends at once.
    """

    def __init__(self, does: str = "sleep") -> None:
        super().__init__(_Sleepers())
        self.does = does
        self.scripts: dict[str, Any] = {}
        self.begun = threading.Semaphore(0)

    @contextmanager
    def start(
        self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str
    ) -> Iterator[SandboxJob]:
        job = Job(
            recipe="job",
            spec=orjson.dumps({"job": self.does}),
            inputs=(),
            limits=SANDBOX_LIMITS,
            least=least,
        )
        with self._launcher.start(job) as running:
            workshop = self

            class Asleep(SandboxJob):
                def frames(self) -> Iterator[Any]:
                    for _ in running.frames():
                        workshop.begun.release()
                    yield from ()

            yield Asleep(running)


@dataclass
class Crew:
    """Runs that go on.

    Args:
        bench: The keeper; somebody's rows are in it.
        workshop: Whose jobs wait.
    """

    bench: Bench
    workshop: Any
    errors: list[SafeholdError] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def begin(self, workers: int) -> None:
        """Start the workers; return when all of them wait in their sandboxes."""
        for number in range(workers):
            work = self._use if number % 2 else self._take
            thread = threading.Thread(target=self._do, args=(work, number), daemon=True)
            self._threads.append(thread)
            thread.start()
        for _ in range(workers):
            assert self.workshop.begun.acquire(timeout=AT_ONCE)

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(AT_ONCE)
            assert not thread.is_alive()

    def _do(self, work: Any, number: int) -> None:
        try:
            work(number)
        except SafeholdError as error:
            self.errors.append(error)
        finally:
            self.ended.append(time.monotonic())

    def _take(self, number: int) -> None:
        file = self.bench.path / f"source-{number}"
        file.write_text(str(number))
        with file.open("rb") as handle:
            self.bench.call("ingest", handle.fileno(), source={"kind": "file", "name": file.name})

    def _use(self, number: int) -> None:
        use(self.bench, spec={"number": number})


def use(bench: Bench, *, spec: Mapping[str, Any]) -> int:
    """Open everybody's rows for a run, as building features does, and run it; return its intent."""
    release = bench.verbs.work.release
    asker = Asker(principal=Workload(id="pipeline", role="engineer"), action="operate")
    ask = Ask(
        recipe="feature",
        kind="telemetry",
        streams=frozenset({"pointer"}),
        purpose=PURPOSE,
        stage="feature",
        least_people=1,
    )
    with release.opened(ask, asker) as opening:
        release.run(ask, opening, sorted(opening.blocks), spec, lambda _message: None)
        return opening.intent.index
