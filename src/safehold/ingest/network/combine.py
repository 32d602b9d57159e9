"""Envelopes of many callers, handed to the keeper together: while one batch is under way the next one gathers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Protocol

from safehold.canonical import b64
from safehold.errors import InvalidError, SafeholdError, UnavailableError
from safehold.ingest.network.answer import Answer

MOST: Final = 256  # envelopes in one batch; the keeper takes twice as many
LARGEST: Final = 24 << 20  # bytes of one; JSON carries a third more
WAITING: Final = 64 << 20  # bytes that may wait for the next batch
PATIENCE_S: Final = 300.0  # for an answer; a keeper that takes longer hangs


class Line(Protocol):
    """The way to the keeper."""

    def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """Ask for one thing, or raise why not."""
        ...


class FullError(UnavailableError):
    """So much waits already that no more is taken."""


class _Waiting:
    """What one caller handed in."""

    def __init__(self, envelopes: Sequence[bytes]) -> None:
        self.envelopes = list(envelopes)
        self.size = sum(map(len, envelopes))
        self.answers: list[Answer] | SafeholdError | None = None
        self.done = threading.Event()


class Combiner:
    """Hands envelopes in.

    Args:
        line: To the keeper.
        waiting: Bytes that may wait; whoever brings more is told to come again.
    """

    def __init__(self, line: Line, *, waiting: int = WAITING) -> None:
        self._line = line
        self._most_waiting = waiting
        self._queue: deque[_Waiting] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="combiner")
        self._thread.start()

    def hand_in(self, envelopes: Sequence[bytes]) -> list[Answer]:
        """Hand envelopes in and return the answers, in their order; waits until the keeper has made them durable.

        Raises:
            InvalidError: One alone is larger than any batch.
            FullError: So much waits already.
            UnavailableError: The keeper is away; what became of them is not known.
        """
        ours = _Waiting(envelopes)
        if ours.size > LARGEST or len(envelopes) > MOST:
            raise InvalidError("more than one batch holds", rule="ingest.size")
        with self._changed:
            if self._closing or (self._queue and self._size + ours.size > self._most_waiting):
                raise FullError("so much waits already", rule="ingest.full", fix="come again later")
            self._queue.append(ours)
            self._size += ours.size
            self._changed.notify()
        if not ours.done.wait(PATIENCE_S):
            raise UnavailableError("the keeper does not answer", rule="ingest.slow")
        if isinstance(ours.answers, list):
            return ours.answers
        raise ours.answers or UnavailableError("nobody answered", rule="ingest.closed")

    def close(self) -> None:
        """Take no more; what waits is still handed in."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(PATIENCE_S)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue:
                    return
                some = self._take()
            self._settle(some)
            for one in some:
                one.done.set()

    def _settle(self, some: list[_Waiting]) -> None:
        """Have what some callers brought answered; what the keeper refuses as a whole is brought caller by caller."""
        try:
            answers = hand_in(self._line, [data for one in some for data in one.envelopes])
        except UnavailableError as error:
            for one in some:
                one.answers = error
        except SafeholdError as error:
            if len(some) == 1:
                some[0].answers = error
            else:  # one of them is the reason: it is told, and nobody else
                for one in some:
                    self._settle([one])
        else:
            at = 0
            for one in some:
                one.answers = answers[at : at + len(one.envelopes)]
                at += len(one.envelopes)

    def _take(self) -> list[_Waiting]:
        """Return what fits into one batch; called with the lock."""
        some: list[_Waiting] = []
        count = size = 0
        while self._queue:
            first = self._queue[0]
            if some and (count + len(first.envelopes) > MOST or size + first.size > LARGEST):
                break
            some.append(self._queue.popleft())
            self._size -= first.size
            count, size = count + len(first.envelopes), size + first.size
        return some


def hand_in(line: Line, envelopes: Sequence[bytes]) -> list[Answer]:
    """Hand one batch to the keeper.

    Raises:
        SafeholdError: The keeper took none of it, or what became of it is not known.
    """
    said = line.call("lease.hand-in", envelopes=[b64(one) for one in envelopes])
    answers = [Answer.read(one) for one in said["answers"]]
    if len(answers) != len(envelopes):
        raise UnavailableError("the keeper answers for others", rule="ingest.answer")
    return answers
