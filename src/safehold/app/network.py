"""Telemetry over the network: the front for collectors, the consumer of a queue, and a collector's line to both."""

from __future__ import annotations

import contextlib
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safehold.access.envelope import LeaseKey
from safehold.app.collection import collect
from safehold.app.sources import PUBLIC, read_device
from safehold.errors import InvalidError, MissingError, TamperedError
from safehold.ingest.network.front import A_MINUTE, Front
from safehold.ingest.network.line import HttpLine
from safehold.ingest.network.queue import Limits, Place
from safehold.keeper.client import KeeperClient
from safehold.ledger.web import tls_context
from safehold.settings import Home
from safehold.vault import durable

if TYPE_CHECKING:
    from safehold.ingest.network.broker import Broker
    from safehold.ingest.network.consumer import Consumer

KEEPER = ".keeper"  # beside a device's key: the key of the keeper that gave it its first lease


def open_front(
    home: Path,
    *,
    bind: str,
    certificate: Path | None = None,
    certificate_key: Path | None = None,
    a_minute: int = A_MINUTE,
) -> Front:
    """Return the front of a home, not yet serving; a keeper must serve the home.

    Raises:
        InvalidError: Address or certificate cannot be used, or others would hear it without TLS.
    """
    tls = None
    if certificate is not None or certificate_key is not None:
        if certificate is None or certificate_key is None:
            raise InvalidError("a certificate and its key come together", rule="ingest.tls")
        tls = tls_context(str(certificate), str(certificate_key))
    line = KeeperClient(*Home.open(home).sockets)
    return Front(line, bind=bind, tls=tls, a_minute=a_minute)


def take_from_queue(
    home: Path,
    place: Place,
    *,
    key: Path,
    limits: Limits | None = None,
    most: int,
    ready: Callable[[], None],
) -> dict[str, int]:
    """Take envelopes from a queue until a signal ends it, and return what was counted.

    Args:
        home: The home; a keeper must serve it.
        place: Where the queue is.
        key: File of the key that opens covers; made if it is not there.
        limits: Of the queue.
        most: Envelopes in one batch.
        ready: Called when it takes.
    """
    from safehold.ingest.network.consumer import Consumer

    broker = _broker(place, limits)
    try:
        broker.prepare()
        line = KeeperClient(*Home.open(home).sockets)
        consumer = Consumer(broker, line, key=queue_key(key), most=most)
        with _until_ended(consumer):
            ready()
            consumer.run()
        return dict(consumer.counted)
    finally:
        broker.close()


def queue_key(file: Path) -> LeaseKey:
    """Return the key that opens covers; it is made, with its public half beside it, if it is not there.

    Raises:
        InvalidError: The file holds no key.
    """
    if not file.exists():
        made = LeaseKey.generate()
        durable.write_new(file, made.raw().hex().encode() + b"\n")
        file.with_name(file.name + PUBLIC).write_text(made.public.hex() + "\n", "ascii")
        return made
    return LeaseKey(_hexadecimal(file))


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a device reaches the keeper.

    Args:
        front: URL of the front.
        authority: File of certificates that the front's must come from, PEM; the system's without.
        keeper: File of the keeper's public key; without, the first one that answers is kept beside the device's key.
        queue: Where the queue is, if envelopes go through one.
        queue_key: File of the public key of whoever takes from it.
    """

    front: str
    authority: Path | None = None
    keeper: Path | None = None
    queue: Place | None = None
    queue_key: Path | None = None


def collect_from_afar(way: Way, *, person: str, device: Path, events: Path) -> dict[str, Any]:
    """Run the reference collector over events until they end, on a machine that has no home.

    Raises:
        MissingError: There is no such key file.
        DeniedError: The device gets no lease.
        TamperedError: Another keeper answers than before.
        UnavailableError: Nothing answers.
    """
    key = read_device(device)
    tls = None
    if way.authority is not None:
        try:
            tls = ssl.create_default_context(cafile=way.authority)
        except (OSError, ssl.SSLError) as error:
            raise InvalidError(
                "the file of authorities cannot be used", file=way.authority.name, rule="ingest.tls"
            ) from error
    front = HttpLine(way.front, person=person, device=key, tls=tls)
    pinned = way.keeper or device.with_name(device.name + KEEPER)

    def check_keeper(said: str) -> None:
        if not pinned.exists():
            pinned.write_text(said + "\n", "ascii")
        elif pinned.read_text("ascii").strip() != said:
            raise TamperedError("another keeper answers than before", rule="ingest.keeper")

    with contextlib.closing(front):
        if way.queue is None:
            return collect(front, person=person, device=device, events=events, check=check_keeper)
        return _through_queue(
            way, way.queue, front, person=person, device=device, events=events, check=check_keeper
        )


def _through_queue(
    way: Way,
    place: Place,
    front: HttpLine,
    *,
    person: str,
    device: Path,
    events: Path,
    check: Callable[[str], None],
) -> dict[str, Any]:
    """Run the collector with envelopes through a queue, and everything else by HTTP."""
    if way.queue_key is None:
        raise InvalidError(
            "a queue is written to under a cover",
            rule="cover.key",
            fix="give --queue-key: the .pub file of safehold ingest consume",
        )
    from safehold.ingest.network.sender import QueueLine

    broker = _broker(place, None)
    try:
        line = QueueLine(front, broker, key=_hexadecimal(way.queue_key))
        return collect(line, person=person, device=device, events=events, check=check)
    finally:
        broker.close()


def _hexadecimal(file: Path) -> bytes:
    try:
        raw = bytes.fromhex(file.read_text("ascii").strip())
    except (ValueError, OSError):
        raw = b""
    if len(raw) != 32:
        raise InvalidError("not the key of a queue", file=file.name, rule="cover.key")
    return raw


def _broker(place: Place, limits: Limits | None) -> Broker:
    try:
        from safehold.ingest.network.broker import Broker
    except ModuleNotFoundError as error:
        raise MissingError(
            "NATS is not installed here", rule="queue.missing", fix="pip install safehold[nats]"
        ) from error
    return Broker(place, limits=limits)


@contextlib.contextmanager
def _until_ended(consumer: Consumer) -> Iterator[None]:
    """Let a signal end a consumer after what it is at."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {
        one: signal.signal(one, lambda *_: consumer.close())
        for one in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for one, handler in old.items():
            signal.signal(one, handler)
