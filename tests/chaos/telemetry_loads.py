"""Loads that bring telemetry: collectors under leases, and files."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.chaos.loads import Holding
from tests.chaos.planted import STREAMS, Words, lines
from tests.chaos.record import ACKED, DOUBT, REFUSED, Event, Record
from tests.chaos.site import Site

from safehold.access.envelope import read_envelope
from safehold.app.collection import CollectorLine
from safehold.clock import SystemClock
from safehold.dlp import Rules
from safehold.errors import SafeholdError, UnavailableError
from safehold.ingest.collector import Collector
from safehold.ingest.preview import file_source
from safehold.signing import SigningKey, VerifyKey

KILLED = frozenset({"sandbox.failed", "sandbox.stopped"})
ONCE = "ingest.once"  # what was asked before, and whose answer was lost, goes on
MANY = 12  # events of a stream in one turn


class Collecting(Holding):
    """The reference collector of one person, at work.

    Args:
        record: Where everything is noted.
        person: Who is recorded.
        words: Give out words to plant.
        line: The way to the keeper.
        key: Of the device, by which the line proves itself.
        name: Of the load.
    """

    # its leases end with a keeper; a batch that was kept although its answer was lost is known by its numbers; a
    # sandbox was killed
    expects = frozenset(
        {"lease.dead", "lease.device", "capability.nonce", "sequence.duplicate", *KILLED}
    )

    def __init__(
        self,
        record: Record,
        person: str,
        words: Words,
        *,
        line: CollectorLine,
        key: SigningKey,
        name: str = "collectors",
    ) -> None:
        self.name, self.pause_s = name, 1.5
        self._record, self._person, self._words = record, person, words
        self._key, self._line = key, line
        self._dice = random.Random(person)
        self._collector: Collector | None = None
        self._number = 0
        self._waiting: dict[str, list[str]] = {}
        self._words_of: dict[bytes, list[str]] = {}
        self._error: SafeholdError | None = None

    def one(self) -> bool:
        if self._collector is None:
            first = self._line.ask()
            self._collector = Collector(
                self,
                person=self._person,
                device=self._key,
                keeper=VerifyKey.from_text(first["keeper"]),
                rules={name: Rules.from_spec(one) for name, one in first["rules"].items()},
                clock=SystemClock(),
            )
        self._error = None
        many = self._dice.randint(1, MANY)
        for stream in self._dice.sample(STREAMS, 2):
            words = [self._words.one() for _ in range(many)]
            self._waiting[stream] = words
            numbers = range(self._number + 1, self._number + many + 1)
            self._number += many
            for line in lines(self._person, stream, numbers, words, named=True):
                self._collector.feed(line)
        self._collector.flush()
        if self._error is not None:
            raise self._error
        return True

    # -- what the collector asks of its client

    def obtain(self) -> bytes:
        try:
            return self._line.obtain()
        except SafeholdError as error:
            self._error = error
            raise

    def submit(self, envelope: bytes) -> None:
        """Hand in, and note for every event what became of it."""
        assert self._collector is not None
        said = read_envelope(envelope, device=self._key.public)
        first = self._collector.positions.get(said.stream, 0)
        events = [Event(self._person, said.stream, first + at) for at in range(said.rows)]
        # one that was not answered comes again, when other words wait already
        words = self._words_of.setdefault(envelope, self._waiting.get(said.stream, []))
        try:
            self._line.submit(envelope)
        except UnavailableError as error:
            self._record.sent(DOUBT, events)
            self._error = error
            raise
        except SafeholdError as error:
            del self._words_of[envelope]
            self._record.sent(REFUSED, events)
            if error.rule != "sequence.duplicate":
                self._error = error
            raise
        del self._words_of[envelope]
        self._record.sent(ACKED, events, words if len(words) == said.rows else None)


class Files(Holding):
    """Files that are handed in again until somebody says that they were taken.

    Args:
        site: The site.
        record: Where everything is noted.
        people: Whose events each holds.
        words: Give out words to plant.
        first: Which keeper is asked first.
    """

    expects = frozenset({ONCE, *KILLED})

    def __init__(
        self, site: Site, record: Record, people: Sequence[str], words: Words, *, first: str = ""
    ) -> None:
        self.name, self.pause_s = "files", 1.0
        self._record, self._people, self._words = record, list(people), words
        self._folder, self._line = site.incoming, site.line(first)
        self._dice = random.Random("".join(people))
        self._numbers: dict[tuple[str, str], int] = {}
        self._left: tuple[Path, list[Event], list[str]] | None = None
        self._count = 0

    @property
    def waits(self) -> bool:
        """Whether a file was not answered for yet."""
        return self._left is not None

    def one(self) -> bool:
        file, events, words = self._left = self._left or self._write()
        try:
            taken = self._hand_in(file)
        except UnavailableError:
            self._record.sent(DOUBT, events)
            raise
        except SafeholdError as error:
            if error.rule in (
                ONCE,
                *KILLED,
            ):  # it is still being taken in, or was ended; it is handed in again
                self._record.sent(DOUBT, events)
                raise
            self._record.sent(REFUSED, events)
            self._left = None
            raise
        assert taken == len(events), f"{taken} of {len(events)} events of a file were taken"
        self._record.sent(ACKED, events, words)
        self._left = None
        file.unlink()
        return True

    def _hand_in(self, file: Path) -> int:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            answer: dict[str, Any] = self._line.call(
                "ingest", descriptors=[descriptor], source=file_source(file, None, None)
            )
        finally:
            os.close(descriptor)
        return sum(answer["tally"].get("taken", {}).values())

    def _write(self) -> tuple[Path, list[Event], list[str]]:
        """Write a file of one stream about some of the people."""
        stream = self._dice.choice(STREAMS)
        self._count += 1
        file = self._folder / f"{self._people[0]}-{self._count}.jsonl"
        events: list[Event] = []
        planted: list[str] = []
        with file.open("wb") as sink:
            for person in self._dice.sample(self._people, min(3, len(self._people))):
                many = self._dice.randint(1, 3 * MANY)
                first = self._numbers.get((person, stream), 0)
                self._numbers[person, stream] = first + many
                words = [self._words.one() for _ in range(many)]
                numbers = range(first + 1, first + many + 1)
                for line in lines(person, stream, numbers, words, named=False):
                    sink.write(line + b"\n")
                events += [Event(person, stream, number) for number in numbers]
                planted += words
        return file, events, planted
