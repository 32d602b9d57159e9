"""A queue of envelopes as tests use it: its key, short limits, and what goes in and comes out."""

from __future__ import annotations

import time
from typing import Any

from safehold.access.cover import cover
from safehold.access.envelope import LeaseKey, name_of
from safehold.ingest.network.broker import Broker
from safehold.ingest.network.consumer import Consumer
from safehold.ingest.network.queue import Limits

KEY = LeaseKey(b"q" * 32)
TOKEN = "ab" * 16
SHORT = Limits(bytes=16 << 20, age_s=600, same_s=600, wait_s=2.0, deliveries=4)


def put(broker: Broker, *envelopes: bytes, token: str = TOKEN) -> None:
    """Publish envelopes under covers, as a sender does."""
    for one in envelopes:
        broker.publish(cover(one, KEY.public), name=name_of(one), token=token)


def drain(consumer: Consumer, broker: Broker, *, seconds: float = 30) -> None:
    """Take until the queue is empty."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        consumer.turn(wait_s=0.3)
        time.sleep(0.05)
        if not broker.waiting():
            return
    raise AssertionError(f"{broker.waiting()} messages are left")


def answers(heard: Any, many: int) -> dict[str, tuple[str, str]]:
    """Return what is heard of so many envelopes, by name; less of them where nothing comes any more."""
    found: dict[str, tuple[str, str]] = {}
    end = time.monotonic() + 20
    while len(found) < many and time.monotonic() < end:
        if (said := heard.next(1.0)) is not None:
            found[said["name"]] = (said["state"], said.get("rule", ""))
    return found
