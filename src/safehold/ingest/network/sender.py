"""A collector's way through a queue: envelopes are published under a cover, and the keeper's answer is waited for.

What the queue has is not yet what the keeper has: a lease may end while an envelope waits. So it counts as taken when
an answer says so that only whoever read the envelope can give; if none is heard, the same envelope is handed in by
HTTP, which stores it or says what became of it.
Leases, nonces and marks go by HTTP: they want an answer at once and name the person, which nothing in a queue may.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from safehold.access.cover import cover
from safehold.access.envelope import name_of
from safehold.clock import SECOND_US, Clock, SystemClock
from safehold.errors import UnavailableError
from safehold.ids import random_bytes
from safehold.ingest.network.answer import Answer, prove_answer
from safehold.ingest.network.line import HttpLine
from safehold.ingest.network.pace import wait_before
from safehold.ingest.network.queue import FullError

ANSWER_S: Final = 60.0  # how long an answer is waited for before it is asked for by HTTP


class Heard(Protocol):
    """Where answers arrive."""

    def next(self, wait_s: float) -> dict[str, Any] | None:
        """Return the next answer, or nothing after a while."""
        ...


class Outlet(Protocol):
    """The sender's end of a queue."""

    def publish(self, data: bytes, *, name: str, token: str) -> None:
        """Put a message into the queue."""
        ...

    def listen(self, token: str) -> Heard:
        """Hear what is answered to a word of ours."""
        ...


class QueueLine:
    """One device's line.

    Args:
        front: Its line by HTTP.
        outlet: The queue.
        key: Public key of whoever takes from it, 32 bytes.
        answer_s: How long an answer is waited for.
        clock: The time.
        sleep: Waits.
    """

    def __init__(
        self,
        front: HttpLine,
        outlet: Outlet,
        *,
        key: bytes,
        answer_s: float = ANSWER_S,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._front = front
        self._outlet = outlet
        self._to = key
        self._answer_s = answer_s
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._token = random_bytes(16).hex()
        self._heard = outlet.listen(self._token)
        self.ask, self.obtain, self.say = front.ask, front.obtain, front.say

    def submit(self, envelope: bytes) -> None:
        """Hand in an envelope; returns when the keeper has stored it.

        Raises:
            DeniedError: It is refused for good.
            UnavailableError: What became of it is not known.
        """
        name = name_of(envelope)
        if self._publish(name, envelope):
            end = time.monotonic() + self._answer_s
            while (left := end - time.monotonic()) > 0:
                said = self._heard.next(left)
                if said is not None and said.get("name") == name:
                    answer = Answer.read(said)
                    proof = str(said.get("proof", "")).encode()
                    if answer.final and hmac.compare_digest(
                        proof, prove_answer(envelope, answer).encode()
                    ):
                        answer.require_taken()
                        return
        self._front.submit(envelope)

    def _publish(self, name: str, envelope: bytes) -> bool:
        """Put an envelope into the queue while its lease lasts; return whether it is there."""
        attempt = 0
        while True:
            try:
                self._outlet.publish(cover(envelope, self._to), name=name, token=self._token)
            except UnavailableError as error:
                attempt += 1
                wait_s = wait_before(attempt)
                late = self._clock.now_us() + round(wait_s * SECOND_US) >= self._front.until_us
                # a queue that is away is gone round; one that is full is waited for, as everybody does
                if late or (attempt > 2 and not isinstance(error, FullError)):
                    return False
                self._sleep(wait_s)
            else:
                return True
