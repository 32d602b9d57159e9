"""One job on its way: attempt after attempt, until one of them is whole.

Holds: an attempt has a secret of its own and is warranted once; of all attempts the first whole one is accepted, and
nothing of any other is ever opened by anybody; nothing at all is handed on before one is whole. So a worker that was
lost costs time and nothing else: the intent, its charge and its result are the keeper's, and there is one of each.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from safehold import ids
from safehold.cluster.farm import Farm, Held
from safehold.cluster.letter import keys_of, read_claim, write_warrant
from safehold.cluster.parcel import ENDED, FRAMES, TOLD, pack_job, read_end, read_told
from safehold.cluster.seal import IN, fresh_secret
from safehold.cluster.spool import Spool
from safehold.errors import DeniedError, SafeholdError, TamperedError, UnavailableError
from safehold.sandbox.frame import Frame
from safehold.sandbox.job import LEVELS, Job, check_level

_LOG = logging.getLogger(__name__)
MOST_ATTEMPTS: Final = 4
CLAIM_S: Final = 60.0  # for an opener to claim once its carrier is placed
# a worker that could not start a sandbox, or heard nothing of the keeper: no word about the job
_NOT_ITS_OWN: Final = frozenset({"sandbox.start", "sandbox.stopped"})
GONE_S: Final = 20.0  # for a sandbox that has said its last to be gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What confined the sandbox of the attempt that was accepted.

    Args:
        level: Its assurance level.
        kernel: Release of its worker's kernel.
        mechanisms: What confined it.
        worker: Name of the worker.
        attempts: How many attempts it took.
    """

    level: str
    kernel: str
    mechanisms: Sequence[str]
    worker: str
    attempts: int


class _LostError(Exception):
    """An attempt ended without a result, and nothing of it was handed on."""


@dataclass(slots=True, eq=False)
class Heard:
    """What was heard of an attempt so far."""

    held: Held
    secret: bytes = field(repr=False)
    spool: Spool
    ran: Ran | None = None
    whole: bool = False
    until: float | None = None  # how long it is worth waiting for the next message


class Errand:
    """Carries one job.

    Attributes:
        keeps: Whether what comes back waits until all of it is there.

    Args:
        farm: Carries it.
        job: What to run; its inputs stay open until ``close``.
        least: Lowest assurance level that its worker may reach.
    """

    keeps = True

    def __init__(self, farm: Farm, job: Job, *, least: str) -> None:
        self._farm, self._job, self._least = farm, job, least
        self._run = ids.opaque_id("run")
        self._killed = threading.Event()
        self._lock = threading.Lock()
        self._attempts: list[Held] = []
        self._over = threading.Event()
        self._ran: Ran | None = None
        self._spool: Spool | None = None
        self._error: SafeholdError | None = None
        self._thread = threading.Thread(target=self._work, daemon=True, name="cluster-errand")
        self._thread.start()

    def ran(self) -> Ran:
        """Return what confined the accepted attempt, once there is one.

        Raises:
            SafeholdError: There is none: what it ended with.
        """
        self._over.wait()
        if self._error is not None:
            raise self._error
        if self._ran is None:
            raise UnavailableError("the job was stopped", rule="sandbox.stopped")
        return self._ran

    def frames(self) -> Iterator[Frame]:
        """Yield what the accepted attempt sent.

        Raises:
            SafeholdError: There is none: what it ended with.
        """
        self.ran()
        limits = self._job.limits
        if self._spool is not None:
            for frame in self._spool.frames(budget=limits.egress, largest=limits.frame):
                if self._killed.is_set():
                    raise UnavailableError("the job was stopped", rule="sandbox.stopped")
                yield frame

    def kill(self) -> None:
        """End it at once: the present attempt is told, and there is no other."""
        self._killed.set()
        with self._lock:
            present = self._attempts[-1] if self._attempts else None
        if present is not None:
            # without the keeper's word it ends, whether Ray hands on that it should or not; nothing is written here,
            # because whoever ends many must not wait for the driver
            present.silent = True
            present.inbox.put(("killed", b""))

    def close(self) -> None:
        """Return once nothing of any attempt is left anywhere."""
        if not self._over.is_set():
            self.kill()
        self._thread.join()
        for one in self._attempts:
            self._await_end(one)
            self._farm.drop(one)
        if self._spool is not None:
            self._spool.close()

    def _await_end(self, held: Held) -> None:
        """Return once the worker has said that nothing of an attempt is left, or its tether has run out."""
        while (left := held.left_s()) > 0:
            try:
                said = held.inbox.get(timeout=min(left, 0.5))  # another thread may know by now
            except queue.Empty:
                continue
            if said is not None and said[0] == "gone":
                with contextlib.suppress(TamperedError):
                    held.keys.require_word(said[1], "gone")
                    held.gone = True

    def _work(self) -> None:
        why: SafeholdError | None = None
        try:
            for number in range(1, MOST_ATTEMPTS + 1):
                if self._killed.is_set():
                    break
                try:
                    self._try(number)
                except _LostError as error:
                    why = error.__cause__ if isinstance(error.__cause__, SafeholdError) else why
                    _LOG.warning("attempt %d at a run was lost", number)
                    continue
                return
            self._error = (
                UnavailableError("the job was stopped", rule="sandbox.stopped")
                if self._killed.is_set()
                else why
                or UnavailableError(
                    f"{MOST_ATTEMPTS} attempts were lost with their workers",
                    rule="cluster.lost",
                    fix="ask again once the workers hold",
                )
            )
        except SafeholdError as error:
            self._error = error
        except OSError as error:
            self._error = UnavailableError(
                f"a job could not be carried: {error.strerror}", rule="cluster.carry"
            )
        finally:
            self._over.set()

    def _try(self, number: int) -> None:
        """Make one attempt; when it returns, it was accepted or the job's own end is known."""
        secret = fresh_secret()
        keys = keys_of(secret, home=self._farm.home, run=self._run, attempt=number)
        held = Held(self._run, number, keys)
        with self._lock:
            self._attempts.append(held)
        spool = Spool(keys, keep=self.keeps)
        try:
            self._farm.hold(held)
            self._send(held)
            self._receive(held, secret, spool)
        except UnavailableError as error:
            if error.rule != "cluster.driver":
                raise
            raise _LostError from error
        finally:
            held.silent = True
            if not held.gone:  # its place is free then, even if nobody has claimed it
                with contextlib.suppress(UnavailableError):
                    self._farm.write({"do": "end", **held.place})
            if self._spool is not spool:
                spool.close()

    def _send(self, held: Held) -> None:
        pieces = pack_job(self._job)
        due: bytes | None = next(pieces)
        number = 0
        while due is not None:
            after = next(pieces, None)
            sealed = held.keys.seal(IN, number, due, last=after is None)
            self._farm.write({"do": "piece", **held.place}, sealed)
            due, number = after, number + 1
            if self._killed.is_set():
                raise UnavailableError("the job was stopped", rule="sandbox.stopped")
        self._farm.write({"do": "go", **held.place})

    def _receive(self, held: Held, secret: bytes, spool: Spool) -> None:
        heard = Heard(held, secret, spool)
        while not (heard.whole and held.gone):
            said, body = self._next(held, heard)
            if said in {"over", "lost"} or not self._take(heard, said, body):
                break
        if self._killed.is_set():
            raise UnavailableError("the job was stopped", rule="sandbox.stopped")
        if not heard.whole:
            raise _LostError
        if self._error is None:
            if heard.ran is None:
                raise TamperedError("a worker did not say what confined it", rule="cluster.parcel")
            self._ran, self._spool = heard.ran, spool

    def _take(self, heard: Heard, said: str, body: bytes) -> bool:
        """Take one message; return whether there is more to come."""
        held = heard.held
        match said:
            case "placed":
                heard.until = time.monotonic() + CLAIM_S
            case "claim":
                heard.until = None
                self._answer(held, body, heard.secret)
            case "piece" | "last":
                self._farm.write({"do": "next", **held.place})
                piece = heard.spool.add(body, last=said == "last")
                self._read(heard, piece, last=said == "last")
            case "gone":
                held.keys.require_word(body, "gone")
                held.gone = True
                return heard.whole
            case _:
                return False
        return True

    def _read(self, heard: Heard, piece: bytes, *, last: bool) -> None:
        kind, held = piece[:1], heard.held
        if kind == ENDED and last:
            error = read_end(piece)
            if error is not None and error.rule in _NOT_ITS_OWN and not self._killed.is_set():
                raise _LostError from error
            self._error = error
            heard.whole, heard.until = True, time.monotonic() + GONE_S
        elif kind == TOLD and not last:
            level, kernel, mechanisms = read_told(piece)
            if level not in LEVELS or not check_level(self._least, level):
                raise TamperedError("a worker confined less than it claimed", rule="cluster.level")
            heard.ran = Ran(
                level=level,
                kernel=kernel,
                mechanisms=mechanisms,
                worker=held.worker,
                attempts=held.number,
            )
        elif kind != FRAMES or last:
            raise TamperedError("a worker sent something else", rule="cluster.parcel")

    def _next(self, held: Held, heard: Heard) -> tuple[str, bytes]:
        """Return what the driver said next of an attempt; ``over`` once nothing more is to be expected."""
        while True:
            until = heard.until
            try:
                left = None if until is None else max(0.0, until - time.monotonic())
                said = held.inbox.get(timeout=left)
            except queue.Empty:
                return "over", b""
            if said is None:
                return "over", b""
            if said[0] != "killed":
                return said
            if not held.warranted or heard.whole:
                return "over", b""
            with contextlib.suppress(UnavailableError):
                self._farm.write({"do": "end", **held.place})
            # its sandbox may still say how it ended; whatever else comes, it is waited for no longer
            heard.until = time.monotonic() + held.left_s()

    def _answer(self, held: Held, body: bytes, secret: bytes) -> None:
        """Answer the claim to an attempt, once."""
        if held.warranted:
            _LOG.warning("a second claim to one attempt was refused")
            return
        try:
            claim = read_claim(body, self._farm.crew())
            if (claim.home, claim.run, claim.attempt) != (self._farm.home, held.run, held.number):
                raise TamperedError("a claim to something else", rule="cluster.claim")
            if claim.program != self._farm.program:
                raise DeniedError(
                    "a worker runs another program than the keeper",
                    rule="cluster.program",
                    fix="install the same version of Safehold on it",
                )
            if not check_level(self._least, claim.level):  # type: ignore[arg-type]
                raise DeniedError(
                    f"the job needs assurance level {self._least}, a worker reaches {claim.level}",
                    rule="sandbox.level",
                    fix="enrol workers that confine better: safehold worker add",
                )
        except SafeholdError as error:
            with contextlib.suppress(UnavailableError):
                self._farm.write({"do": "end", **held.place})
            raise _LostError from error
        held.worker, held.answered = claim.worker, time.monotonic()
        held.spoken = held.answered
        with self._lock:
            for one in self._attempts:
                one.gone = one.gone or (one.worker == claim.worker and one.number in claim.gone)
        if self._killed.is_set():
            return
        held.warranted = True
        warrant = write_warrant(body, claim.key, secret, self._farm.keeper)
        self._farm.write({"do": "warrant", **held.place}, warrant)
