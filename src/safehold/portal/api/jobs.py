"""Long work that a program does not wait for (RFC 7240): begun, looked at, and told when it is over.

A job is its owner's alone. Its answer rests here sealed, for an hour; a portal that ends forgets what it was waiting
for, and says so, while the keeper carries it out and the ledger tells how it ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from typing_extensions import TypedDict

from safehold.access.identity.jose import b64url
from safehold.clock import SECOND_US, Clock
from safehold.errors import MissingError, SafeholdError, UnavailableError
from safehold.ids import random_bytes
from safehold.keeper.client import Progress
from safehold.portal.identity.cookie import Cookies
from safehold.portal.rate import TooManyError

LIFE_US: Final = 3_600 * SECOND_US
AT_ONCE: Final = 8
MOST_EACH: Final = 20
RUNNING: Final = "running"
DONE: Final = "done"
FAILED: Final = "failed"
Work = Callable[[Progress], dict[str, Any]]


class Step(TypedDict, total=False):
    """How far the work is."""

    title: str
    done: int
    of: int
    note: str


class Told(TypedDict):
    """How a job stands."""

    job: str
    operation: str
    state: str
    begun_us: int
    ended_us: int | None
    progress: dict[str, Any] | None
    answer: dict[str, Any] | None
    problem: dict[str, Any] | None


class Listed(TypedDict):
    """The jobs of whoever asks."""

    jobs: list[Told]


@dataclass(slots=True, kw_only=True)
class _Job:
    id: str
    owner: str
    operation: str
    begun_us: int
    state: str = RUNNING
    ended_us: int | None = None
    progress: dict[str, Any] | None = None
    sealed: bytes = b""
    version: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Jobs:
    """The jobs of one portal.

    Args:
        cookies: Seals answers.
        clock: Tells the time.
    """

    def __init__(self, cookies: Cookies, clock: Clock) -> None:
        self._cookies = cookies
        self._clock = clock
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="job")

    def begin(self, owner: str, operation: str, work: Work) -> Told:
        """Begin some work, and return how it stands.

        Raises:
            TooManyError: The owner has too many jobs.
        """
        now = self._clock.now_us()
        job = _Job(
            id=f"job_{b64url(random_bytes(16))}", owner=owner, operation=operation, begun_us=now
        )
        with self._lock:
            self._sweep(now)
            held = [one for one in self._jobs.values() if one.owner == owner]
            if len(held) >= MOST_EACH:
                raise TooManyError("too many jobs", rule="job.many", fix="wait until some are over")
            self._jobs[job.id] = job
        self._pool.submit(self._carry_out, job, work)
        return self.tell(owner, job.id)

    def tell(self, owner: str, name: str) -> Told:
        """Return how a job stands.

        Raises:
            MissingError: There is none of that name that is the owner's.
        """
        with self._lock:
            job = self._jobs.get(name)
        if job is None or job.owner != owner:
            raise MissingError(
                "there is no such job",
                rule="job.missing",
                fix="what became of it is in the ledger: a portal keeps jobs for an hour, in memory",
            )
        return self._told(job)

    def listing(self, owner: str) -> Listed:
        """Return the jobs of an owner, newest first, without their answers."""
        with self._lock:
            self._sweep(self._clock.now_us())
            mine = [one for one in self._jobs.values() if one.owner == owner]
        mine.sort(key=lambda one: -one.begun_us)
        return {"jobs": [{**self._told(one), "answer": None} for one in mine]}

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _carry_out(self, job: _Job, work: Work) -> None:
        def told(progress: dict[str, Any]) -> None:
            with job.lock:
                job.progress, job.version = progress, job.version + 1

        state, said = DONE, {}
        try:
            said = work(told)
        except SafeholdError as error:
            state, said = FAILED, dict(error.payload())
        except Exception as error:  # noqa: BLE001 - one job's failure must not end the pool
            state = FAILED
            said = dict(
                UnavailableError(
                    f"a fault in Safehold itself: {type(error).__name__}", rule="portal.fault"
                ).payload()
            )
        with job.lock:
            job.sealed = self._cookies.wrap(orjson.dumps(said))
            job.state, job.ended_us = state, self._clock.now_us()
            job.version += 1

    def _told(self, job: _Job) -> Told:
        with job.lock:
            said = self._cookies.unwrap(job.sealed) if job.sealed else None
            tree = None if said is None else orjson.loads(said)
            return {
                "job": job.id,
                "operation": job.operation,
                "state": job.state,
                "begun_us": job.begun_us,
                "ended_us": job.ended_us,
                "progress": job.progress,
                "answer": tree if job.state == DONE else None,
                "problem": tree if job.state == FAILED else None,
            }

    def _sweep(self, now: int) -> None:
        over = [
            name
            for name, one in self._jobs.items()
            if one.ended_us is not None and now - one.ended_us > LIFE_US
        ]
        for name in over:
            del self._jobs[name]
