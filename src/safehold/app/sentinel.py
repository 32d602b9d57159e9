"""The live sentinel: a process that reads who asked for data, and raises what it finds.

It speaks to the keeper like anybody else and holds no key. Exactly once: what it has learnt is kept together with how
far it has read; an alert is found by its episode, so one that is raised again after a crash is the same leaf; and
nothing is kept while an alert waits to be raised. Killed at any moment it loses none and doubles none. The time it
judges by is that of the leaves.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from safehold import ids
from safehold.app.hardening import harden
from safehold.canonical import b64, unb64
from safehold.errors import DeniedError, InvalidError, SafeholdError, SignInError, UnavailableError
from safehold.keeper.caller import SENTINEL
from safehold.keeper.client import KeeperClient
from safehold.sentinel.alert import Alert
from safehold.sentinel.answers import Answers
from safehold.sentinel.event import Event
from safehold.sentinel.reading import Reading, read_event
from safehold.settings import Home

_LOG = logging.getLogger(__name__)
EVERY_S: Final = 1.0  # between two looks at a ledger that has nothing new
KEEP_S: Final = 10.0  # what was learnt is kept at most so often
REST_S: Final = 1.0  # after trouble; doubled with each, up to
LONGEST_REST_S: Final = 30.0
REFUSED_S: Final = 60.0  # after the keeper refused: only people can mend that
BATCH: Final = 5_000  # leaves
LONGEST: Final = 600  # characters of a sentence
MOST_EVENTS: Final = 256
DAMAGED: Final = "entry_damaged"  # of nobody: for people to look at
STRETCH: Final = 256  # entries that are one alert

Raised = Callable[[dict[str, Any]], None]


class Reader:
    """Reads on from where it was, one batch a turn.

    Args:
        client: The line to the keeper.
        answers: Returns what the house turned down.
        told: Is given each alert as it was raised.
        keep_s: What was learnt is kept at most so often, seconds.
    """

    def __init__(
        self,
        client: KeeperClient,
        *,
        answers: Callable[[], Answers] = Answers,
        told: Raised = lambda _alert: None,
        keep_s: float = KEEP_S,
    ) -> None:
        self._client = client
        self._answers = answers
        self._told = told
        self._keep_s = keep_s
        self._name = ids.random_bytes(16).hex()
        self._reading: Reading | None = None
        self._events: deque[Event] = deque()
        self._pending: deque[tuple[Alert, str]] = deque()
        self._next = self._kept = 0
        self._kept_at = 0.0
        self.read = 0  # events

    def turn(self) -> bool:
        """Read one batch and raise what it shows; return whether there is more to read.

        Whatever it raises, the next turn goes on at the same event.

        Raises:
            SafeholdError: As the keeper says.
        """
        if self._reading is None:
            self._begin()
        self._work()
        try:
            answer = self._client.call(
                "sentinel.events", reader=self._name, since=self._next, limit=BATCH
            )
        except InvalidError as error:
            if (
                error.rule == "watch.since"
            ):  # another ledger is there: begin again from what fits it
                self._reading = None
            raise
        self._events.extend(map(read_event, answer["events"]))
        self._pending.extend((one, "") for one in damage([tuple(one) for one in answer["damaged"]]))
        self._next = int(answer["next"])  # kept only once all of these are through
        self._work()
        more = self._next < int(answer["size"])
        if self._next > self._kept and time.monotonic() - self._kept_at >= self._keep_s:
            self.keep()
        return more

    def keep(self) -> None:
        """Keep what was learnt, together with how far that is."""
        if self._reading is None or self._events or self._pending or self._next == self._kept:
            return
        state = b64(self._reading.snapshot())
        self._client.call("sentinel.keep", next=self._next, state=state)
        self._kept, self._kept_at = self._next, time.monotonic()

    def end(self) -> None:
        """Keep what was learnt and end the reading."""
        self.keep()
        self._client.call("sentinel.done", reader=self._name)

    def _begin(self) -> None:
        found = self._client.call("sentinel.recall")
        self._events.clear()
        self._pending.clear()
        reading, after = Reading(), 0
        if found["state"] is not None:
            try:
                reading, after = Reading.restore(unb64(found["state"])), int(found["next"])
            except InvalidError:
                found = {**found, "lost": "version"}
        if found["lost"] not in (None, "missing"):
            _LOG.warning("what was learnt is not used (%s): reading from the first", found["lost"])
        self._reading, self._next, self._kept = reading, after, after

    def _work(self) -> None:
        """Raise what waits, then take the next event; what cannot be raised now is raised before any other."""
        if self._reading is None:
            return
        self._raise_pending()
        while self._events:
            event = self._events[0]
            self._pending.extend((alert, event.kind) for alert in self._reading.observe(event))
            self._events.popleft()
            self.read += 1
            self._raise_pending()

    def _raise_pending(self) -> None:
        while self._pending:
            alert, kind = self._pending[0]
            self._raise(alert, kind)
            self._pending.popleft()

    def _raise(self, alert: Alert, kind: str) -> None:
        said: dict[str, Any] = {
            "principal": alert.principal,
            "signal": alert.signal,
            "severity": alert.severity,
            "sentence": "".join(one for one in alert.sentence if one.isprintable())[:LONGEST],
            "events": sorted(set(alert.events))[-MOST_EVENTS:],
            "t_us": alert.t_us,
            "answers": list(self._answers().of(alert, kind)),
        }
        try:
            answer = self._client.call("alert.raise", **said)
        except (
            InvalidError
        ) as error:  # a fault of ours: the others must not wait behind it for ever
            _LOG.error("an alert %s could not be raised: %s", alert.signal, error.rule)
            return
        self._told({**said, **answer})


def damage(entries: Sequence[tuple[int, int]]) -> list[Alert]:
    """Return an alert for each stretch of entries whose sealed part was taken away or changed: nobody reads who it was.

    The first of a stretch stands for it, so that it is one alert however often and from wherever it is read.

    Args:
        entries: Number and time of each, microseconds, in order.
    """
    firsts: dict[int, tuple[int, int]] = {}
    for number, t_us in entries:
        firsts.setdefault(number // STRETCH, (number, t_us))
    return [
        Alert(
            t_us=t_us,
            principal="unnamed",
            signal=DAMAGED,
            severity=4,
            sentence="the sealed part of an entry about a use was taken away or changed: who it was cannot be read",
            events=(number,),
        )
        for number, t_us in firsts.values()
    ]


def watch(
    reader: Reader,
    *,
    until: threading.Event,
    every_s: float = EVERY_S,
    say: Callable[[str], None] = _LOG.warning,
) -> None:
    """Read on until an event is set; trouble is said once and waited out.

    Raises:
        SignInError: The keeper does not know us any more: whoever started us starts another.
    """
    rest, said = REST_S, ""
    while not until.is_set():
        pause = 0.0
        try:
            pause = 0.0 if reader.turn() else every_s
            rest, said = REST_S, ""
        except SignInError:
            raise
        except SafeholdError as error:
            if isinstance(error, UnavailableError):
                pause, rest = rest, min(2 * rest, LONGEST_REST_S)
            else:
                pause = REFUSED_S if isinstance(error, DeniedError) else rest
                rest = min(2 * rest, LONGEST_REST_S)
            words = f"{error.message} ({error.rule or error.code})"
            if words != said:
                say(words if error.fix is None else f"{words}; {error.fix}")
            said = words
        until.wait(pause)


def answers_of(home: Home) -> Answers:
    """Return what a house turned down to a review; a file that says nothing we know counts for nothing.

    Raises:
        InvalidError: There is a file and it is no list of answers.
    """
    try:
        return Answers.from_json(orjson.loads(home.answers_file.read_bytes()))
    except FileNotFoundError:
        return Answers()
    except (OSError, orjson.JSONDecodeError) as error:
        raise InvalidError("a list of answers cannot be read", rule="sentinel.answers") from error


def answers_now(home: Home) -> Callable[[], Answers]:
    """Return what reads the house's list each time; a broken one turns nothing down, and is said."""

    def read() -> Answers:
        try:
            return answers_of(home)
        except InvalidError as error:
            _LOG.warning("%s: every alert is answered by the table", error.message)
            return Answers()

    return read


def main(arguments: list[str]) -> int:
    """Run as the process beside a keeper: its word comes in one line on standard input, and its end when that ends."""
    harden()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="sentinel: %(message)s")
    home = Home.open(Path(arguments[0]))
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    word = str(orjson.loads(line)["word"])
    client = KeeperClient(home.socket_of(arguments[1] if len(arguments) > 1 else "")).proving(
        lambda _line: lambda _verb, _arguments: {SENTINEL: word}
    )
    until = threading.Event()

    def wait_for_end() -> None:
        while os.read(0, 4096):
            pass
        until.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    reader = Reader(client, answers=answers_now(home))
    try:
        watch(reader, until=until)
        reader.end()
    except UnavailableError:
        return 0  # the keeper went first; what was not kept is read again
    except SafeholdError as error:
        _LOG.warning("ends: %s", error.rule or error.code)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
