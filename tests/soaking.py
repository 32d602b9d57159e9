"""Appending for a while: what is acknowledged, how fast, how late, and what it does to memory."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.ledger_desk import Desk, intent

import safehold_verify as verifier
from safehold.clock import SystemClock
from safehold.ledger import Ledger
from safehold.ledger.note import Checkpoint, split_note
from safehold.vault.sidecar import Sidecar

WARM = 0.1  # part of the time after which memory should grow no more


@dataclass(slots=True)
class Soak:
    """What some time of appending gave.

    Args:
        seconds: How long it went on.
        cpu: CPU-seconds of the process meanwhile, publishing included.
        waits: Seconds that each call took until its entries were durable.
        spans: First index, last index and number of entries of each call.
        memory: Resident bytes, a sample now and then.
        behind: Entries that were durable and not yet published, at the same moments.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    waits: list[float] = field(default_factory=list)
    spans: list[tuple[int, int, int]] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)

    @property
    def entries(self) -> int:
        return sum(count for _, _, count in self.spans)

    @property
    def growth(self) -> int:
        """Bytes that the process grew by after it was warm."""
        return max(self.memory) - self.memory[int(len(self.memory) * WARM)]

    def wait(self, part: float) -> float:
        """Milliseconds within which some part of the calls was acknowledged."""
        return sorted(self.waits)[min(int(len(self.waits) * part), len(self.waits) - 1)] * 1e3

    def text(self) -> str:
        return (
            f"{self.entries:,} entries in {self.seconds:.0f} s: {self.entries / self.seconds:,.0f}/s, "
            f"{self.entries / self.cpu:,.0f}/CPU-s; acknowledged after p50 {self.wait(0.5):.0f}, "
            f"p99 {self.wait(0.99):.0f}, at most {self.wait(1):.0f} ms; memory grew by "
            f"{self.growth / 1e6:.0f} MB to {max(self.memory) / 1e6:.0f}; at most "
            f"{max(self.behind):,} entries not yet published"
        )


def soak(desk: Desk, *, seconds: float, producers: int, batch: int) -> Soak:
    """Append from some threads for some time, each waiting for every call, then close the ledger."""
    entries = [intent(at, segment="eu.keys") for at in range(batch)]
    found = Soak()
    with desk.open() as ledger:
        started, cpu = time.monotonic(), time.process_time()
        errors: list[BaseException] = []

        def produce() -> None:
            try:
                mine = 0
                while mine == 0 or time.monotonic() - started < seconds:  # once, however slow
                    mine += 1
                    asked = time.monotonic()
                    receipts = ledger.append(entries)
                    found.waits.append(time.monotonic() - asked)
                    first, last = receipts[0].index, receipts[-1].index
                    found.spans.append((first, last, len(receipts)))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=produce) for _ in range(producers)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            found.memory.append(_resident())
            found.behind.append(ledger.size - _published(ledger))
            threads[0].join(max(seconds / 100, 0.02))
        found.seconds, found.cpu = time.monotonic() - started, time.process_time() - cpu
        if errors:
            raise errors[0]
    return found


def check(desk: Desk, found: Soak) -> None:
    """Nothing that was acknowledged is missing, twice or out of order, and the offline verifier agrees."""
    at = 0
    for first, last, count in sorted(found.spans):
        assert (first, last) == (at, at + count - 1)
        at += count
    assert at == found.entries
    report = verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])
    assert report.size == found.entries


def soaked_desk(path: Path) -> Desk:
    """A desk with the clock of this machine and the side-car sealer of the product."""
    desk = Desk(path, clock=SystemClock())
    key = os.urandom(32)
    desk.sealer = Sidecar(lambda segment, name, *, make: key)  # type: ignore[assignment]
    return desk


def _published(ledger: Ledger) -> int:
    found = ledger._journal.head()
    return 0 if found is None else Checkpoint.parse(split_note(found[1])[0]).size


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
