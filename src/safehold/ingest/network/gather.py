"""Small requests of many callers, brought to the keeper together: many cost it hardly more than one.

Whoever asks while nobody else does is not kept waiting. Where many ask, a call begins so much after the one before at
the earliest, and takes everybody who came meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from safehold.errors import SafeholdError, UnavailableError
from safehold.ingest.network.combine import FullError

WAITING: Final = 4_096  # requests that may wait
PATIENCE_S: Final = 25.0  # for an answer; the front has thirty seconds

Asked = TypeVar("Asked")
Told = TypeVar("Told")


class _Waiting(Generic[Asked, Told]):
    """What one caller asked for."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.answer: list[Told] = []
        self.error: SafeholdError | None = None
        self.left = False  # whoever asked has gone
        self.done = threading.Event()


class Gatherer(Generic[Asked, Told]):
    """Brings requests to the keeper.

    Args:
        call: Asks the keeper for all of them; returns an answer or an error for each, in order.
        most: Requests in one call.
        every_s: Seconds from the beginning of one call to the next, at least.
        name: Of the thread.
        waiting: Requests that may wait; whoever comes then is told to come again.
        patience_s: How long an answer is waited for.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Asked]], Sequence[Told | SafeholdError]],
        *,
        most: int,
        every_s: float,
        name: str,
        waiting: int = WAITING,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._call = call
        self._most, self._every_s = most, every_s
        self._most_waiting, self._patience_s = waiting, patience_s
        self._queue: deque[_Waiting[Asked, Told]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, daemon=True, name=name)
        self._thread.start()

    def ask(self, asked: Asked) -> Told:
        """Return the answer to a request.

        Raises:
            FullError: So many wait already.
            UnavailableError: The keeper is away or slow; what became of the request is not known.
            SafeholdError: Whatever the keeper says of this request.
        """
        ours: _Waiting[Asked, Told] = _Waiting(asked)
        with self._changed:
            if self._closing or len(self._queue) >= self._most_waiting:
                raise FullError("so many wait already", rule="ingest.full", fix="come again later")
            self._queue.append(ours)
            self._changed.notify()
        if not ours.done.wait(self._patience_s):
            ours.left = True  # it asks again: nobody needs an answer that is not heard
            raise UnavailableError("the keeper does not answer", rule="ingest.slow")
        if ours.error is not None:
            raise ours.error
        return ours.answer[0]

    def close(self) -> None:
        """Take no more; who waits is still answered."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(self._patience_s)

    def _work(self) -> None:
        begun = -self._every_s
        while some := self._next(begun + self._every_s):
            begun = time.monotonic()
            self._settle(some)
            for one in some:
                one.done.set()

    def _next(self, from_s: float) -> list[_Waiting[Asked, Told]]:
        """Return who goes into the next call, not before a moment; nobody once it is closed and nobody waits."""
        some: list[_Waiting[Asked, Told]] = []
        with self._changed:
            while not some:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue:
                    return []
                while (
                    (left_s := from_s - time.monotonic()) > 0
                    and len(self._queue) < self._most
                    and not self._closing
                ):
                    self._changed.wait(left_s)
                while self._queue and len(some) < self._most:
                    one = self._queue.popleft()
                    if not one.left:
                        some.append(one)
        return some

    def _settle(self, some: Sequence[_Waiting[Asked, Told]]) -> None:
        """Have some callers answered, each by what was said of their own request."""
        wrong: SafeholdError = UnavailableError(
            "the keeper answers for others", rule="ingest.answer"
        )
        told: Any  # of a keeper; it may have any shape
        try:
            told = self._call([one.asked for one in some])
        except SafeholdError as error:
            wrong, told = error, []
        except Exception:  # noqa: BLE001 - one call's failure must not end the thread that all wait for
            told = []  # not an answer of a keeper
        whole = isinstance(told, Sequence) and len(told) == len(some)
        for at, one in enumerate(some):
            answer = told[at] if whole else wrong
            if isinstance(answer, SafeholdError):
                one.error = answer
            else:
                one.answer.append(answer)
