"""The ways by which a device reaches the keeper: its socket, HTTP, and a queue."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from tests.chaos.site import Site

from safehold.app.collection import CollectorLine, KeeperLine
from safehold.ingest.network.broker import Broker
from safehold.ingest.network.line import HttpLine
from safehold.ingest.network.sender import QueueLine
from safehold.signing import SigningKey

ANSWER_S = 10.0  # that a device of ours waits for an answer from the queue before it asks by HTTP

Way = Callable[[str], tuple[CollectorLine, SigningKey]]


def ways(site: Site, undo: ExitStack) -> dict[str, Way]:
    """Return for each way, by the name of its load, what makes a line for somebody; their device is enrolled.

    Args:
        site: The site.
        undo: Ends what the lines need.
    """

    def enrolled(person: str) -> SigningKey:
        key = SigningKey.generate()
        site.line().call("source.add", person=person, device=key.public.text(), evidence="made up")
        return key

    def front_of(person: str, key: SigningKey) -> HttpLine:
        line = HttpLine(site.front, person=person, device=key)
        undo.callback(line.close)
        return line

    def by_socket(person: str) -> tuple[CollectorLine, SigningKey]:
        key = enrolled(person)
        first = "b" if person[-1] in "13579" else ""
        return KeeperLine(site.line(first), person=person, device=key), key

    def by_http(person: str) -> tuple[CollectorLine, SigningKey]:
        key = enrolled(person)
        return front_of(person, key), key

    def by_queue(person: str) -> tuple[CollectorLine, SigningKey]:
        key = enrolled(person)
        front = front_of(person, key)
        broker = Broker(site.queue.place_of(person))
        undo.callback(broker.close)
        public = site.queue_key.with_name(site.queue_key.name + ".pub").read_text("ascii")
        to = bytes.fromhex(public.strip())
        return QueueLine(front, broker, key=to, answer_s=ANSWER_S), key

    return {"collectors": by_socket, "http": by_http, "queue": by_queue}
