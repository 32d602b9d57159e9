"""Long work that a program does not wait for (RFC 7240): begun, looked at, and told when it is over.

A job is its owner's alone, and found at every portal of the home: how it stands rests sealed with the keeper, for an
hour. Of what a portal was waiting for when it ended the others say that it is lost, while the keeper carries it out and
the ledger tells how it ended. A keeper that ends takes its notes with it; portals that go on put theirs again.
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
from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US, Clock
from safehold.errors import MissingError, SafeholdError, UnavailableError, WentAwayError
from safehold.ids import random_bytes
from safehold.keeper.client import Progress
from safehold.portal.identity.cookie import Cookies
from safehold.portal.rate import TooManyError
from safehold.portal.shared import Shared

LIFE_US: Final = 3_600 * SECOND_US
AT_ONCE: Final = 8
APART_US: Final = SECOND_US  # between two notes of how far one job is
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
    name: str  # by which the keeper knows it
    owner: str
    operation: str
    begun_us: int
    state: str = RUNNING
    ended_us: int | None = None
    progress: dict[str, Any] | None = None
    sealed: bytes = b""
    noted_us: int = 0
    kept: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)


class Jobs:
    """The jobs of one portal, and the line to those of the others.

    Args:
        shared: Where every portal finds how they stand.
        cookies: Seals answers.
        clock: Tells the time.
    """

    def __init__(self, shared: Shared, cookies: Cookies, clock: Clock) -> None:
        self._shared = shared
        self._cookies = cookies
        self._clock = clock
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="job")
        shared.notes, shared.missing = self._names, self._again

    def begin(self, owner: str, operation: str, work: Work) -> Told:
        """Begin some work, and return how it stands.

        Raises:
            TooManyError: The owner has too many jobs.
        """
        now = self._clock.now_us()
        made = f"job_{b64url(random_bytes(16))}"
        job = _Job(
            id=made,
            name=self._shared.name("job", owner, made),
            owner=owner,
            operation=operation,
            begun_us=now,
            noted_us=now,
        )
        if self._put(job) != "kept":
            raise TooManyError("too many jobs", rule="job.many", fix="wait until some are over")
        with self._lock:
            self._sweep(now)
            self._jobs[job.name] = job
        self._pool.submit(self._carry_out, job, work)
        return self._told(job)

    def tell(self, owner: str, name: str) -> Told:
        """Return how a job stands, whichever portal is at work on it.

        Raises:
            MissingError: There is none of that name that is the owner's.
        """
        known = self._shared.name("job", owner, name)
        with self._lock:
            job = self._jobs.get(known)
        if job is not None:
            return self._told(job)
        found = self._found(owner, name=known)
        if not found:
            raise MissingError(
                "there is no such job",
                rule="job.missing",
                fix="what became of it is in the ledger: portals keep jobs for an hour, in memory",
            )
        return found[0]

    def listing(self, owner: str) -> Listed:
        """Return the jobs of an owner, newest first, without their answers."""
        with self._lock:
            self._sweep(self._clock.now_us())
            mine = [self._told(one) for one in self._jobs.values() if one.owner == owner]
        here = {one["job"] for one in mine}
        mine += [one for one in self._found(owner) if one["job"] not in here]
        mine.sort(key=lambda one: -one["begun_us"])
        return {"jobs": [{**one, "answer": None} for one in mine]}

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _found(self, owner: str, **which: str) -> list[Told]:
        told = self._shared.call("portal.notes", owner=self._shared.name("jobs", owner), **which)
        found: list[Told] = []
        for one in told["notes"]:
            whole = self._cookies.unwrap(unb64(str(one["record"])))
            if whole is None:  # sealed under keys that this portal does not have
                continue
            tree: Told = orjson.loads(whole)
            if one["lost"] and tree["state"] == RUNNING:
                lost = WentAwayError(
                    "the portal that waited for this has ended: how it went is not known here",
                    rule="job.lost",
                    fix="see what is there (safehold ledger tail)",
                )
                tree = {**tree, "state": FAILED, "problem": dict(lost.payload())}
            found.append(tree)
        return found

    def _carry_out(self, job: _Job, work: Work) -> None:
        def told(progress: dict[str, Any]) -> None:
            now = self._clock.now_us()
            with job.lock:
                job.progress = progress
                due = now - job.noted_us >= APART_US
                if due:
                    job.noted_us = now
            if due:
                self._try(job)

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
        self._try(job)

    def _try(self, job: _Job) -> None:
        """Leave with the keeper how a job stands; one that does not answer is told later."""
        try:
            job.kept = self._put(job) == "kept"
        except SafeholdError:
            job.kept = False

    def _put(self, job: _Job) -> str:
        told = self._told(job)
        record = self._cookies.wrap(orjson.dumps(told))
        return str(
            self._shared.call(
                "portal.put",
                name=job.name,
                owner=self._shared.name("jobs", job.owner),
                record=b64(record),
                over=told["state"] != RUNNING,
            )["state"]
        )

    def _names(self) -> list[str]:
        with self._lock:
            self._sweep(self._clock.now_us())
            mine = list(self._jobs.values())
        for one in mine:
            if not one.kept:
                self._try(one)
        return [one.name for one in mine]

    def _again(self, names: list[str]) -> None:
        with self._lock:
            mine = [self._jobs[name] for name in names if name in self._jobs]
        for one in mine:
            self._try(one)

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
