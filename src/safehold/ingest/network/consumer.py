"""From a queue to the keeper: at least once in, once stored; what can never be taken leaves the queue with its reason.

A batch is acknowledged after the keeper has made it durable. While the keeper is away or slow nothing more is pulled,
and what was pulled is held, so that no message uses up its deliveries for it. An envelope that comes a third time is
handed in alone: whatever it does, it does to no other.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from safehold.access.cover import uncover
from safehold.access.envelope import LATER, REFUSED, LeaseKey, name_of
from safehold.errors import SafeholdError, UnavailableError
from safehold.ingest.network.answer import Answer, prove_answer
from safehold.ingest.network.combine import LARGEST, MOST, Line, hand_in
from safehold.ingest.network.pace import wait_before
from safehold.ingest.network.queue import ANSWER_TO, MESSAGE_ID, TOKEN, Delivery, Queue

_LOG = logging.getLogger(__name__)
PULL_S: Final = 1.0
ALONE: Final = 3  # from this delivery on an envelope is handed in by itself
AGAIN_S: Final = 2.0  # before something is handed out again


class Consumer:
    """Takes envelopes from a queue.

    Args:
        queue: The queue.
        line: To the keeper, with nothing proved.
        key: What opens covers.
        most: Envelopes in one batch.
    """

    def __init__(self, queue: Queue, line: Line, *, key: LeaseKey, most: int = MOST) -> None:
        self._queue = queue
        self._line = line
        self._key = key
        self._most = min(most, MOST)
        self._closing = threading.Event()
        self.counted: Counter[str] = Counter()  # by state, and of what was refused by rule

    def run(self) -> None:
        """Take envelopes until ``close``; a queue that is away is waited for."""
        failed = 0
        while not self._closing.is_set():
            try:
                self.turn()
            except UnavailableError as error:
                failed += 1
                _LOG.warning("the queue is away: %s", error.rule)
                self._closing.wait(wait_before(failed))
            else:
                failed = 0

    def close(self) -> None:
        """Take nothing more; what was not answered is handed out again."""
        self._closing.set()

    def turn(self, *, wait_s: float = PULL_S) -> int:
        """Take what is there, once, and return how many messages that were.

        Raises:
            UnavailableError: The queue is away.
        """
        found = self._queue.pull(self._most, wait_s)
        if not found:
            return 0
        with self._keeping(found):
            known = [(one, data) for one in found if (data := self._open(one)) is not None]
            for group in _groups(known):
                self._settle(group)
        return len(found)

    def _open(self, one: Delivery) -> bytes | None:
        """Return the envelope under a cover; what is none leaves the queue."""
        try:
            data = uncover(one.data, self._key)
        except SafeholdError as error:
            self._end(one, Answer(REFUSED, error.rule or error.code))
            return None
        if one.headers.get(MESSAGE_ID) != name_of(data):
            # under another's name it would keep that one out
            self._end(one, Answer(REFUSED, "queue.id"))
            return None
        return data

    def _settle(self, group: Sequence[tuple[Delivery, bytes]]) -> None:
        """Hand a group in until it is known what became of it."""
        try:
            answers = self._ask(group)
        except UnavailableError:  # we are to end
            for one, _ in group:
                one.later(0)
            return
        except SafeholdError as error:
            if len(group) > 1:
                half = len(group) // 2
                self._settle(group[:half])
                self._settle(group[half:])
                return
            answers = [Answer(LATER, error.rule or error.code)]
        for (one, data), answer in zip(group, answers, strict=True):
            if answer.final:
                self._end(one, answer, data)
            elif one.times >= self._queue.limits.deliveries:
                self._end(one, Answer(REFUSED, "queue.deliveries"), data)
            else:
                self.counted[LATER] += 1
                one.later(AGAIN_S * one.times)

    def _ask(self, group: Sequence[tuple[Delivery, bytes]]) -> list[Answer]:
        """Hand a group in; a keeper that is away is waited for.

        Raises:
            UnavailableError: We are to end, and it is still away.
            SafeholdError: The keeper takes none of it.
        """
        failed = 0
        while True:
            try:
                return hand_in(self._line, [data for _, data in group])
            except UnavailableError as error:
                failed += 1
                _LOG.warning("the keeper is away: %s", error.rule)
                if self._closing.wait(wait_before(failed)):
                    raise

    def _end(self, one: Delivery, answer: Answer, envelope: bytes | None = None) -> None:
        """Say what became of a message, proved where its envelope is known, and take it out of the queue."""
        self.counted[answer.state] += 1
        if answer.rule:
            self.counted[f"{answer.state}.{answer.rule}"] += 1
        token = one.headers.get(ANSWER_TO, "")
        if TOKEN.fullmatch(token):
            name = one.headers.get(MESSAGE_ID, "")[:64]
            said = {"name": name, **answer.to_json()}
            if envelope is not None:
                said["proof"] = prove_answer(envelope, answer)
            self._queue.answer(token, json.dumps(said).encode())
        one.done()

    @contextmanager
    def _keeping(self, found: Sequence[Delivery]) -> Iterator[None]:
        """Say of messages that we are still at them, for as long as the block lasts."""
        over = threading.Event()

        def say() -> None:
            while not over.wait(self._queue.limits.wait_s / 3):
                for one in found:
                    one.working()

        thread = threading.Thread(target=say, daemon=True, name="keeping")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _groups(known: Sequence[tuple[Delivery, bytes]]) -> list[list[tuple[Delivery, bytes]]]:
    """Return messages as they are handed in: together as far as one call holds them, and alone what came often."""
    groups: list[list[tuple[Delivery, bytes]]] = []
    together: list[tuple[Delivery, bytes]] = []
    size = 0
    for one in known:
        if one[0].times >= ALONE:
            groups.append([one])
            continue
        if together and size + len(one[1]) > LARGEST:
            groups.append(together)
            together, size = [], 0
        together.append(one)
        size += len(one[1])
    # what never failed comes first: what is in its way waits
    return ([together] if together else []) + groups
