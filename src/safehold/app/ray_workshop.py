"""The keeper's workshop, made of sandboxes on other workers; what is small or asks quickly stays on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from safehold.app.workshop import SandboxWorkshop, job_of, kind_of
from safehold.cluster.errand import Errand
from safehold.cluster.farm import Farm
from safehold.cluster.talk import Talk
from safehold.errors import UnavailableError
from safehold.keeper.ports import Frame, Job, Talker
from safehold.keeper.program import name_program
from safehold.sandbox.job import LEVELS
from safehold.sandbox.launch import Launcher

# the stages of the pipeline, training, and the attacks that train; a query and a look into a file are over before
# a worker would have been asked
SENT: Final = frozenset(
    {"ingest", "feature", "train", "embed", "embed.head", "membership", "canary", "reidentify"}
)
SHARD: Final = "train.shard"


class RayJob:
    """A sandbox on a worker, as the keeper sees it.

    What it was confined by is known once an attempt is whole; whoever asks earlier waits.
    """

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self.program = name_program()

    @property
    def level(self) -> str:
        """Its assurance level."""
        return self._errand.ran().level

    @property
    def kernel(self) -> str:
        """Release of its worker's kernel."""
        return self._errand.ran().kernel

    @property
    def mechanisms(self) -> Sequence[str]:
        """What confined it, and on which worker, in which attempt."""
        ran = self._errand.ran()
        return (*ran.mechanisms, f"ray-worker:{ran.worker}", f"ray-attempt:{ran.attempts}")

    def frames(self) -> Iterator[Frame]:
        """Return what the accepted attempt sent."""
        for frame in self._errand.frames():
            yield Frame(frame.header, frame.body)

    def kill(self) -> None:
        """End it at once."""
        self._errand.kill()


class RayTalker(RayJob):
    """A sandbox on a worker that is asked while it runs.

    What it was confined by is what all attempts had that answered so far; each of them counts, unlike those of a job
    that says everything at its end.
    """

    def __init__(self, talk: Talk) -> None:
        super().__init__(talk)
        self._talk = talk

    @property
    def level(self) -> str:
        """The least assurance level of its attempts."""
        return min((one.level for one in self._talk.rans()), key=LEVELS.index)

    @property
    def mechanisms(self) -> Sequence[str]:
        """What confined all of its attempts, on which workers, and how many there were."""
        rans = self._talk.rans()
        shared = set.intersection(*(set(one.mechanisms) for one in rans))
        return (
            *sorted(shared),
            *sorted({f"ray-worker:{one.worker}" for one in rans}),
            f"ray-attempt:{rans[-1].attempts}",
        )

    def tell(self, header: Mapping[str, Any], body: bytes) -> None:
        """Refuse: whoever is on a worker is asked.

        Raises:
            UnavailableError: Always.
        """
        del header, body
        raise UnavailableError("a sandbox on a worker is asked, not told", rule="cluster.question")

    def ask(self, header: Mapping[str, Any], body: bytes, *, remember: bool) -> Frame:
        """Return what it answers; an attempt that is lost is made again, and asked again."""
        answer = self._talk.ask(header, body, remember=remember)
        return Frame(answer.header, answer.body)


class RayWorkshop(SandboxWorkshop):
    """Start recipes in sandboxes of a cluster's workers.

    Args:
        launcher: Of this machine.
        farm: Carries jobs to workers.
        close: Called when the keeper ends, once the farm has.
    """

    def __init__(self, launcher: Launcher, farm: Farm, close: Callable[[], None]) -> None:
        super().__init__(launcher)
        self._farm = farm
        self._close = close

    @property
    def farm(self) -> Farm:
        """What carries jobs."""
        return self._farm

    def level(self) -> str:
        """Return the least of what this machine reaches and what its workers were enrolled with."""
        return min(
            super().level(),
            *(one.level for one in self._farm.cluster.crew.values()),
            key=LEVELS.index,
        )

    @contextmanager
    def start(
        self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str
    ) -> Iterator[Job]:
        """Start a recipe; leaving the context returns once nothing of it is left on any worker."""
        if kind_of(recipe) not in SENT:
            with super().start(recipe, spec, inputs, least=least) as local:
                yield local
            return
        # never less than what was told to whoever decided on this use
        least = max(least, self.level(), key=LEVELS.index)
        errand = Errand(self._farm, job_of(recipe, spec, inputs, least=least), least=least)
        try:
            yield RayJob(errand)
        finally:
            errand.close()

    @contextmanager
    def talk(
        self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str
    ) -> Iterator[Talker]:
        """Start a recipe that is told more while it runs; the lead of a training stays on this machine."""
        if recipe != SHARD:
            with super().talk(recipe, spec, inputs, least=least) as local:
                yield local
            return
        least = max(least, self.level(), key=LEVELS.index)
        talk = Talk(self._farm, job_of(recipe, spec, inputs, least=least), least=least)
        try:
            yield RayTalker(talk)
        finally:
            talk.close()

    def most_together(self) -> int:
        """Return how many workers there are: shards that wait for each other must all have a place."""
        return self._farm.cluster.width

    def abreast(self) -> int:
        """Return how many workers there are."""
        return self._farm.cluster.width

    def close(self) -> None:
        """End what was started for it."""
        self._farm.close()
        self._close()
