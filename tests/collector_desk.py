"""A keeper that gives leases, and a collector on a device, with one clock."""

from __future__ import annotations

from typing import Any

import orjson
from tests.ingest_job import NOW_US, key_rows, rules_spec

from safehold.access.keystore import MemoryStore
from safehold.access.lease import Lessor
from safehold.clock import FixedClock
from safehold.dlp import Rules
from safehold.ingest.collector import Collector
from safehold.signing import SigningKey

KEEPER, DEVICE = SigningKey(b"k" * 32), SigningKey(b"d" * 32)
SECOND = 1_000_000
RULES = {stream: Rules.from_spec(rules_spec(stream)) for stream in ("key", "pointer")}
HASHES = {stream: rules.version for stream, rules in RULES.items()}


class World:
    """A keeper and a device with one clock."""

    def __init__(self, person: str = "ann") -> None:
        self.clock = FixedClock(NOW_US)
        self.store = MemoryStore()
        self.lessor = Lessor(KEEPER, store=self.store, clock=self.clock)
        self.received: list[tuple[Any, Any, bytes]] = []
        self.envelopes: list[bytes] = []
        self.asked = 0
        self.seq = 0
        self.person = person
        self.collector = Collector(
            self,
            person="ann",
            device=DEVICE,
            keeper=KEEPER.public,
            rules=RULES,
            clock=self.clock,
        )

    def obtain(self) -> bytes:
        self.asked += 1
        return self.lessor.grant(
            person=self.person, device=DEVICE.public, charter=bytes(32), streams=HASHES
        )

    def submit(self, envelope: bytes) -> None:
        self.envelopes.append(envelope)
        self.received.append(self.lessor.receive(envelope, device=DEVICE.public))

    def type(self, text: str, *, step_us: int = 0) -> None:
        for row in key_rows(text):
            self.clock.advance(step_us)
            self.seq += 1
            at = {"t": self.clock.now_us(), "mono": self.seq * 1000, "seq": self.seq}
            self.collector.feed(orjson.dumps({"stream": "key", **row, **at}))

    @property
    def rows(self) -> int:
        return sum(envelope.rows for _, envelope, _ in self.received)
