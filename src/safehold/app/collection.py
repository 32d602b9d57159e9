"""The reference collector on a device: its way to the keeper, and what it keeps beside its key."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import orjson

from safehold.access import prove_device
from safehold.app.paper import write_paper
from safehold.app.sources import how_to_enrol, read_device
from safehold.canonical import b64, unb64
from safehold.clock import SystemClock
from safehold.dlp import Rules
from safehold.errors import (
    DeniedError,
    InvalidError,
    UnavailableError,
)
from safehold.ingest.collector import Collector, LeaseClient, Unsettled
from safehold.keeper.client import KeeperClient
from safehold.keeper.messages import obtain_message
from safehold.signing import SigningKey, VerifyKey

OPEN = ".unsettled"


class KeeperLine:
    """A collector's way to the keeper.

    Args:
        client: The line.
        person: Whose events.
        device: The device's key.
    """

    def __init__(self, client: KeeperClient, *, person: str, device: SigningKey) -> None:
        self._client = client
        self._person = person
        self._key = device
        self._device = device.public.text()

    def ask(self) -> dict[str, Any]:
        """Return a signed lease with the rules that it names, or raise why there is none."""
        nonce = unb64(self._client.call("nonce")["nonce"])
        return self._client.call(
            "lease.obtain",
            person=self._person,
            device=self._device,
            nonce=b64(nonce),
            proof=b64(prove_device(self._key, nonce, obtain_message(self._person))),
        )

    def obtain(self) -> bytes:
        """Return a signed lease, or raise why there is none."""
        lease: str = self.ask()["lease"]
        return lease.encode()

    def submit(self, envelope: bytes) -> None:
        """Hand in an envelope, or raise why it is refused."""
        self._client.call("lease.submit", envelope=b64(envelope), device=self._device)

    def say(self, mark: bytes) -> None:
        """Tell the keeper, signed, how far the device has counted."""
        self._client.call(
            "lease.mark", mark=mark.decode(), person=self._person, device=self._device
        )


class CollectorLine(LeaseClient, Protocol):
    """A device's way to the keeper, by whatever carries it."""

    def ask(self) -> dict[str, Any]:
        """Return a signed lease with the rules that it names, or raise why there is none."""
        ...

    def say(self, mark: bytes) -> None:
        """Tell the keeper, signed, how far the device has counted."""
        ...


def collect(
    line: CollectorLine,
    *,
    person: str,
    device: Path,
    events: Path,
    check: Callable[[str], None] = lambda _keeper: None,
) -> dict[str, Any]:
    """Run the reference collector over events until they end.

    The numbering goes on where this device stopped; the numbers are kept beside its key, and so is an envelope of
    which it is not known whether it was taken: sealed, so that only the keeper could open it.

    Args:
        line: The way to the keeper.
        person: Whose events.
        device: Key file of the device.
        events: JSON lines; ``-`` for standard input.
        check: Told the keeper's key before it is believed.

    Raises:
        MissingError: There is no such key file.
        DeniedError: The device is not enrolled for this person, who has not opted in, or has paused, or everything
            is stopped.
        UnavailableError: What became of an earlier envelope cannot be found out now.
    """
    key = read_device(device)
    memory = device.with_name(device.name + ".positions")
    positions = orjson.loads(memory.read_bytes()) if memory.exists() else {}
    try:
        first = line.ask()
    except DeniedError as error:
        if error.rule == "lease.device":
            error.fix = how_to_enrol(device)
        raise
    check(str(first["keeper"]))
    rules: dict[str, Any] = first["rules"]
    collector = Collector(
        line,
        person=person,
        device=key,
        keeper=VerifyKey.from_text(first["keeper"]),
        rules={stream: Rules.from_spec(spec) for stream, spec in rules.items()},
        clock=SystemClock(),
        positions=positions,
        unsettled=_unsettled(device),
    )
    if not collector.settle():
        raise UnavailableError(
            "it is not known yet what became of an earlier envelope", rule="ingest.unsettled"
        )
    try:
        line.say(collector.mark())
        for event in _lines(events):
            collector.feed(event)
        collector.flush()
        settled = collector.settle()
    finally:
        write_paper(memory, orjson.dumps(collector.positions))
        _keep(device, collector.unsettled)
    if settled:
        line.say(collector.mark())
    counters = collector.counters
    return {
        "sealed": dict(counters.sealed),
        "masked": dict(counters.masked),
        "dropped": dict(counters.dropped),
        "refused": dict(counters.refused),
        "not_recorded": counters.not_recorded,
        "discarded": counters.discarded,
        "unsettled": 0 if collector.unsettled is None else collector.unsettled.rows,
    }


def collect_here(
    client: KeeperClient, *, person: str, device: Path, events: Path
) -> dict[str, Any]:
    """Run the reference collector against the keeper of this machine; see ``collect``."""
    line = KeeperLine(client, person=person, device=read_device(device))
    return collect(line, person=person, device=device, events=events)


def _unsettled(device: Path) -> Unsettled | None:
    file = device.with_name(device.name + OPEN)
    if not file.exists():
        return None
    try:
        held = orjson.loads(file.read_bytes())
        return Unsettled(**{**held, "envelope": unb64(held["envelope"])})
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InvalidError(
            "not an envelope that waits", file=file.name, rule="ingest.unsettled"
        ) from error


def _keep(device: Path, left: Unsettled | None) -> None:
    file = device.with_name(device.name + OPEN)
    if left is None:
        file.unlink(missing_ok=True)
        return
    held = {"stream": left.stream, "rows": left.rows, "event_us": left.event_us}
    write_paper(file, orjson.dumps({**held, "envelope": b64(left.envelope)}))


def _lines(events: Path) -> Iterator[bytes]:
    if str(events) == "-":
        yield from sys.stdin.buffer
        return
    try:
        with open(os.fspath(events), "rb") as file:  # noqa: PTH123 - may be a pipe by number
            yield from file
    except OSError as error:
        raise InvalidError(
            "the events cannot be opened", file=events.name, rule="source.open"
        ) from error
