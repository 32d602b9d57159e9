"""An errand that is asked while it runs: a shard of a training, which answers one question after the other.

Holds: one question is under way at a time, and it has one answer: the first whole one, of the attempt that goes on. An
attempt that is lost is made again like any errand; it is told again what was to be remembered, and then the question
that is open, byte for byte. So whoever asked cannot tell, and what a lost attempt had half said was heard by nobody.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from safehold.cluster.errand import Errand, Heard, Ran
from safehold.cluster.farm import Farm, Held
from safehold.cluster.parcel import FRAMES, TOLD
from safehold.cluster.seal import ASKED, PIECE
from safehold.errors import TamperedError, UnavailableError
from safehold.sandbox.frame import HEAD, MAX_HEADER, Frame, pack_frame, parse_header
from safehold.sandbox.job import Job


class Talk(Errand):
    """Carries one job that talks.

    Args:
        farm: Carries it.
        job: What to run; its inputs stay open until ``close``.
        least: Lowest assurance level that its worker may reach.
    """

    keeps = False

    def __init__(self, farm: Farm, job: Job, *, least: str) -> None:
        self._turn = threading.Condition()
        self._live: Held | None = None
        self._rans: list[Ran] = []
        self._number = 0
        self._known: bytes | None = None
        self._open: bytes | None = None
        self._found: Frame | None = None
        self._again = 0  # answers that are due to what is told again
        self._held = bytearray()
        self._taken = 0  # bytes of all answers
        super().__init__(farm, job, least=least)

    def ask(self, header: Mapping[str, Any], body: bytes, *, remember: bool) -> Frame:
        """Return the answer to one question.

        Args:
            header: Its header.
            body: Its body.
            remember: Whether an attempt that takes the place of this one must be told it as well; the last such one.

        Raises:
            SafeholdError: There will be none: what the job ended with.
        """
        asked = b"".join(pack_frame(header, body))
        with self._turn:
            self._begin(asked)
            self._turn.wait_for(lambda: self._found is not None or self._over.is_set())
            self._open = None
            if (answer := self._found) is None:
                raise self._error or UnavailableError(
                    "the job ended before its answer", rule="sandbox.stopped"
                )
            if remember:
                self._known = asked
            return answer

    def ran(self) -> Ran:
        """Return what confined the attempt that goes on, or the last one.

        Raises:
            SafeholdError: There is none: what it ended with.
        """
        return self.rans()[-1]

    def rans(self) -> Sequence[Ran]:
        """Return what confined each attempt so far, in their order: answers of any of them count.

        Raises:
            SafeholdError: There is none: what it ended with.
        """
        with self._turn:
            self._turn.wait_for(lambda: self._rans or self._over.is_set())
            if self._rans:
                return tuple(self._rans)
        return (super().ran(),)

    def _begin(self, asked: bytes) -> None:
        if self._open is not None:
            raise TamperedError("one question at a time", rule="cluster.question")
        self._open, self._found = asked, None
        if self._live is not None:
            self._say(self._live, asked)

    def _work(self) -> None:
        try:
            super()._work()
        finally:
            with self._turn:
                self._turn.notify_all()

    def _try(self, number: int) -> None:
        with self._turn:
            self._live = None
            self._held.clear()
        super()._try(number)

    def _read(self, heard: Heard, piece: bytes, *, last: bool) -> None:
        kind = piece[:1]
        if kind == (FRAMES if heard.ran is None else TOLD):
            # told again, it would be asked under numbers that were used before
            raise TamperedError("a worker says what confines it once, first", rule="cluster.parcel")
        if kind == FRAMES and not last:
            with self._turn:
                self._held += memoryview(piece)[1:]
                while (frame := self._frame()) is not None:
                    self._take_answer(frame)
            return
        super()._read(heard, piece, last=last)
        if kind == TOLD and heard.ran is not None:
            with self._turn:
                self._rans.append(heard.ran)
                self._live, self._number = heard.held, 0
                # one that has its answer, and whoever asked has not looked yet: it may be one to be remembered
                answered = self._found is not None
                due = [one for one in (self._known, self._open) if one is not None]
                self._again = len(due) - (self._open is not None and not answered)
                for one in due:
                    self._say(heard.held, one)
                self._turn.notify_all()

    def _take_answer(self, frame: Frame) -> None:
        self._taken += frame.size
        if self._again:
            self._again -= 1
        elif self._open is None or self._found is not None or self._taken > self._job.limits.egress:
            raise TamperedError("a worker says what nobody asked", rule="cluster.question")
        else:
            self._found = frame
            self._turn.notify_all()

    def _frame(self) -> Frame | None:
        """Return the next whole frame of what was heard so far."""
        if len(self._held) < HEAD.size:
            return None
        length, head = HEAD.unpack_from(self._held)
        if length > self._job.limits.frame or head > MAX_HEADER or head > length - 4:
            raise TamperedError("a frame is over the size limit", rule="sandbox.frame")
        if len(self._held) < 4 + length:
            return None
        start = HEAD.size + head
        header = parse_header(self._held[HEAD.size : start])
        body = memoryview(bytes(self._held[start : 4 + length]))
        del self._held[: 4 + length]
        return Frame(header, body, 4 + length)

    def _say(self, held: Held, asked: bytes) -> None:
        """Send a question; that it does not arrive is heard of as of any lost attempt."""
        with contextlib.suppress(UnavailableError):
            for at in range(0, len(asked), PIECE):
                sealed = held.keys.seal(ASKED, self._number, asked[at : at + PIECE], last=False)
                self._farm.write({"do": "ask", "number": self._number, **held.place}, sealed)
                self._number += 1
