"""What the command line does with sources: formats, devices, the collector, and gap records."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import orjson

from safehold.access import prove_device
from safehold.access.gap import verify_gap
from safehold.app.paper import write_paper
from safehold.app.workshop import SandboxWorkshop
from safehold.canonical import b64, unb64
from safehold.clock import SystemClock
from safehold.dlp import Rules
from safehold.errors import (
    DeniedError,
    InvalidError,
    MissingError,
    SafeholdError,
    TamperedError,
    UnavailableError,
    in_file,
)
from safehold.ingest.collector import Collector, LeaseClient, Unsettled
from safehold.ingest.folder import open_path
from safehold.ingest.preview import file_source
from safehold.ingest.shelf import describe, shipped_mappings
from safehold.keeper.client import KeeperClient
from safehold.keeper.names import choose_names, chosen_names
from safehold.keeper.sources import obtain_message
from safehold.sandbox.launch import Launcher
from safehold.settings import Home
from safehold.signing import SigningKey, VerifyKey

PUBLIC = ".pub"
OPEN = ".unsettled"
PROOF = ("record", "keeper", "devices")


def formats() -> list[dict[str, Any]]:
    """Return the formats that are understood without writing a mapping."""
    return [describe(mapping) for _, mapping in sorted(shipped_mappings().items())]


def preview(path: Path, *, mapping: str | None, person: str | None) -> dict[str, Any]:
    """Return what a mapping makes of a file, in counts and never in values; it is read in a sandbox.

    Args:
        path: A file, or a folder of JSON.
        mapping: A shipped name or a file; None to recognise it.
        person: Whose events they are, where the format does not say.

    Raises:
        InvalidError: The file or the mapping does not fit; names file, row and rule.
    """
    descriptor = open_path(path)
    try:
        spec = {
            "source": file_source(path, mapping, person),
            "preview": True,
            "now_us": SystemClock().now_us(),
            "pseudonym_key": "00" * 32,  # nothing is named: no batch is made
            "policy": "00" * 32,
            "rules": {},
        }
        workshop = SandboxWorkshop(Launcher())
        with workshop.start("ingest", spec, [descriptor], least="E0") as job:
            (frame,) = [one.header for one in job.frames()]
    except SafeholdError as error:
        raise in_file(error, path.name) from error
    finally:
        os.close(descriptor)
    del frame["type"]
    return {"file": path.name, **frame, "sandbox": job.level}


def add_device(
    client: KeeperClient, *, person: str, device: Path, evidence: str | None = None
) -> dict[str, Any]:
    """Enrol a device for a person; a key that does not exist yet is made.

    Args:
        client: The line to the keeper.
        person: Whom it records.
        device: Key file of the device, or of its public half, which is all the keeper needs.
        evidence: Where it is recorded that this device is theirs.

    Raises:
        DeniedError: The key stands for somebody else, or was removed.
    """
    made = not device.exists()
    if made:
        if device.suffix == PUBLIC:
            raise MissingError(
                f"no key file {device.name}",
                rule="signing.key",
                fix="make the key on the device, and bring its public half here",
            )
        _make_key(device)
    key = read_public(device)
    answer = client.call("source.add", person=person, device=key.text(), evidence=evidence or "")
    return {**answer, "key_made": made}


def remove_device(client: KeeperClient, *, person: str, device: str) -> dict[str, Any]:
    """Remove a device for good; it is named by a key file, or as ``source devices`` lists it.

    Raises:
        MissingError: The person has no such device.
    """
    if Path(device).exists():
        keys = [read_public(Path(device)).text()]
    else:
        listed = client.call("source.list", person=person)["devices"]
        keys = [one["key"] for one in listed if one["device"] == device]
    if len(keys) != 1:
        raise MissingError(
            "this person has no such device", rule="source.device", fix="safehold source devices"
        )
    return client.call("source.remove", person=person, device=keys[0])


def read_public(path: Path) -> VerifyKey:
    """Return the public key in a key file of either half."""
    try:
        return VerifyKey.from_text(path.read_text("ascii").strip())
    except (InvalidError, OSError, UnicodeDecodeError):
        return SigningKey.read(path).public


def _make_key(path: Path) -> None:
    key = SigningKey.generate()
    try:
        key.write(path)
        path.with_name(path.name + PUBLIC).write_text(key.public.text() + "\n", "ascii")
    except OSError as error:
        raise InvalidError(
            "the key file cannot be written", file=path.name, rule="signing.key"
        ) from error


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
            error.fix = _enrol(device)
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


def read_device(device: Path) -> SigningKey:
    """Return a device's key.

    Raises:
        MissingError: There is no such key file.
    """
    if not device.exists():
        raise MissingError(f"no key file {device.name}", rule="signing.key", fix=_enrol(device))
    return SigningKey.read(device)


def _enrol(device: Path) -> str:
    return f"safehold source add --person PERSON --device {shlex.quote(str(device))}"


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


def names(home: Path, tier: str | None) -> dict[str, Any]:
    """Return which names a home masks when data comes in; set it first if a tier is given.

    Raises:
        InvalidError: There is no such tier.
        UnavailableError: It is not installed.
    """
    place = Home.open(home)
    if tier is not None:
        choose_names(place, tier)
    return {"names": chosen_names(place)}


def write_gap(
    client: KeeperClient, *, person: str, out: Path | None, stream: str | None = None
) -> dict[str, Any]:
    """Fetch a signed gap record, of one stream that was contained if it is named, and write it where asked."""
    named: dict[str, Any] = {} if stream is None else {"stream": stream}
    answer = client.call("gap", person=person, **named)
    if out is not None:
        proof = {name: answer[name] for name in PROOF}
        out.write_bytes(orjson.dumps(proof) + b"\n")
    return answer


def check_gap(home: Path, file: Path) -> dict[str, Any]:
    """Verify a gap record: signatures, times, and that the counts join up.

    Raises:
        TamperedError: It does not hold.
    """
    pinned = Home.open(home).keeper_key
    try:
        answer = orjson.loads(file.read_bytes())
        record, keeper = answer["record"].encode(), VerifyKey.from_text(answer["keeper"])
        devices = [VerifyKey.from_text(one) for one in answer["devices"]]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InvalidError("not a gap record", file=file.name, rule="gap.shape") from error
    if set(answer) != set(PROOF):  # nothing in the file that no signature covers
        raise InvalidError("not a gap record", file=file.name, rule="gap.shape")
    # a record that names its own key proves nothing: the key is taken from outside the home
    if not pinned.exists() or pinned.read_text("ascii").strip() != keeper.text():
        raise TamperedError("another keeper signed this", rule="gap.keeper")
    gap = verify_gap(record, keeper=keeper, devices=devices)
    return {
        "verified": True,
        "from_us": gap.from_us,
        "to_us": gap.to_us,
        "reason": gap.reason,
        "streams": list(gap.streams),
        "devices": gap.devices,
        "absent": gap.absent,
        "ledger": [gap.before.size, gap.after.size],
    }


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
