"""What a run saw: kept apart from everything that is tested, in memory and line by line in a file.

An event is acknowledged when the product said so to whoever sent it. One whose answer was lost is in doubt: it may be
held or not, once at most. One that was refused must not be held.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

ACKED, DOUBT, REFUSED = "acked", "doubt", "refused"


@dataclass(frozen=True, slots=True)
class Event:
    """One planted event; the number is unique for person and stream."""

    person: str
    stream: str
    number: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody chose, and what they were told.

    Args:
        person: Who.
        choice: ``pause``, ``resume`` or ``erase``.
        asked_us: When it was asked for.
        told_us: When it was acknowledged; 0 if the answer was lost.
        entry: The entry that they were told; -1 without.
    """

    person: str
    choice: str
    asked_us: int
    told_us: int
    entry: int


@dataclass(frozen=True, slots=True)
class Done:
    """One operation of a load that succeeded, in seconds of the monotonic clock."""

    load: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process held at a moment: bytes, descriptors, threads; and whether it is a keeper that led then."""

    at: float
    part: str
    pid: int
    memory: int
    files: int
    threads: int
    leads: bool = False


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that was carried out.

    Args:
        name: Of the fault.
        part: What it was done to, in the end.
        began: When, monotonic seconds.
        ended: When it was healed, woken or started again.
    """

    name: str
    part: str
    began: float
    ended: float


@dataclass
class Record:
    """Everything of one run.

    Args:
        file: Where each line is kept as well; None keeps none.
    """

    file: Path | None = None
    events: dict[Event, list[str]] = field(default_factory=dict)
    texts: dict[Event, str] = field(default_factory=dict)  # the word that was planted in it
    choices: list[Choice] = field(default_factory=list)
    uses: list[tuple[int, int]] = field(default_factory=list)  # entry of the intent, rows, as told
    done: list[Done] = field(default_factory=list)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)  # load and rule
    broken: list[str] = field(default_factory=list)  # what should never happen to a caller
    samples: list[Sample] = field(default_factory=list)
    struck: list[Struck] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def sent(self, state: str, events: list[Event], words: list[str] | None = None) -> None:
        """Note what became of events; ``words`` were planted in them, one each."""
        with self._lock:
            for event in events:
                self.events.setdefault(event, []).append(state)
            if state == ACKED and words is not None:
                self.texts.update(zip(events, words, strict=True))
            by = Counter((one.person, one.stream) for one in events)
            first = min((one.number for one in events), default=0)
            self._write(kind="sent", state=state, first=first, of=[[*k, n] for k, n in by.items()])

    def chose(self, choice: Choice) -> None:
        with self._lock:
            self.choices.append(choice)
            said = {name: getattr(choice, name) for name in Choice.__slots__}
            self._write(kind="choice", **said)

    def used(self, entry: int, rows: int) -> None:
        with self._lock:
            self.uses.append((entry, rows))
            self._write(kind="use", entry=entry, rows=rows)

    def succeeded(self, load: str, began: float) -> None:
        with self._lock:
            self.done.append(Done(load, began, time.monotonic()))

    def refused(self, load: str, rule: str) -> None:
        with self._lock:
            self.failed[load, rule] += 1
            self._write(kind="refused", load=load, rule=rule)

    def broke(self, text: str) -> None:
        with self._lock:
            self.broken.append(text)
            self._write(kind="broken", text=text)

    def saw(self, sample: Sample) -> None:
        with self._lock:
            self.samples.append(sample)
            self._write(kind="sample", **{name: getattr(sample, name) for name in Sample.__slots__})

    def strike(self, struck: Struck) -> None:
        with self._lock:
            self.struck.append(struck)
            self._write(kind="fault", name=struck.name, part=struck.part, seconds=struck.ended - struck.began)  # fmt: skip

    def _write(self, **said: Any) -> None:
        if self.file is not None:
            with self.file.open("ab") as sink:
                sink.write(orjson.dumps({"t_us": time.time_ns() // 1000, **said}) + b"\n")
