"""Devices that ask for leases, one by one and together, and what a ledger grows by."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil
from tests.keeper_desk import PASSPHRASE, found_bench
from tests.keeper_yard import Yard

from safehold.access import prove_device
from safehold.canonical import b64, unb64
from safehold.keeper.client import KeeperClient
from safehold.keeper.grants import MOST_NONCES
from safehold.keeper.leasing import MANY
from safehold.keeper.leasing import MOST as MANY_AT_ONCE
from safehold.keeper.messages import obtain_message
from safehold.settings import Home
from safehold.signing import SigningKey


class Line(Protocol):
    """The way to a keeper."""

    def call(self, verb: str, **arguments: Any) -> dict[str, Any]: ...


class Verbs:
    """A keeper's verbs in this process, as a line to it."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table = table

    def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._table[verb](arguments, (), lambda _: None)
        return answer


@dataclass(frozen=True)
class Device:
    """One person's device."""

    person: str
    key: SigningKey

    @property
    def public(self) -> str:
        return self.key.public.text()

    def enrol(self, line: Line) -> Device:
        line.call("source.add", person=self.person, device=self.public, evidence="a form")
        return self

    def asks(self, nonce: str, **changes: Any) -> dict[str, Any]:
        """Return what it asks with; parts may be spoilt."""
        proof = prove_device(self.key, unb64(nonce), obtain_message(self.person))
        return {
            "person": self.person, "device": self.public, "nonce": nonce, "proof": b64(proof),
        } | changes  # fmt: skip


def enrolled(line: Line, people: Sequence[str]) -> list[Device]:
    return [Device(one, SigningKey.generate()).enrol(line) for one in people]


def one_by_one(line: Line, devices: Sequence[Device]) -> list[dict[str, Any]]:
    return [line.call("lease.obtain", **one.asks(line.call("nonce")["nonce"])) for one in devices]


def nonces(line: Line, many: int) -> list[str]:
    found: list[str] = []
    while len(found) < many:
        said = line.call("nonce", count=min(many - len(found), MOST_NONCES))
        found += said.get("nonces", [said["nonce"]])
    return found


def together(line: Line, devices: Sequence[Device]) -> dict[str, Any]:
    """Ask for a lease of each device in one call, as the front does."""
    asked = [
        one.asks(nonce) for one, nonce in zip(devices, nonces(line, len(devices)), strict=True)
    ]
    return line.call(MANY, asked=asked)


@dataclass(frozen=True)
class Cost:
    """What one lease took: CPU-milliseconds of the keeper, and bytes and entries of the ledger."""

    cpu_ms: float
    bytes: float
    entries: float


class Keeper:
    """A keeper as a process of its own, behind its socket.

    Args:
        pid: Its process.
        home: Its home.
        line: To it.
        people: Who get a device.
    """

    def __init__(self, pid: int, home: Home, line: KeeperClient, people: Sequence[str]) -> None:
        self._process, self._home, self.line = psutil.Process(pid), home, line
        self.devices = enrolled(line, people)

    def cost(self, turns: int, *, batch: int) -> Cost:
        """Return what a lease takes when all devices renew so many times: one by one (0), or so many together."""
        cpu, size, entries = self._cpu(), self._bytes(), self._entries()
        for _ in range(turns):
            if batch == 0:
                one_by_one(self.line, self.devices)
            for at in range(0, len(self.devices) if batch else 0, batch or 1):
                some = self.devices[at : at + batch]
                for start in range(0, len(some), MANY_AT_ONCE):
                    answers = together(self.line, some[start : start + MANY_AT_ONCE])["answers"]
                    assert all("lease" in one for one in answers)
        many = turns * len(self.devices)
        return Cost(
            (self._cpu() - cpu) / many * 1_000,
            (self._bytes() - size) / many,
            (self._entries() - entries) / many,
        )

    def renewals(self, turns: int, *, batch: int) -> Cost:
        """Return what a lease takes when all devices renew so many times, so many in a call; nonces are not in it."""
        cpu, size, entries = 0.0, self._bytes(), self._entries()
        for _ in range(turns):
            for at in range(0, len(self.devices), batch):
                some = self.devices[at : at + batch]
                fresh = nonces(self.line, len(some))
                asked = [one.asks(nonce) for one, nonce in zip(some, fresh, strict=True)]
                start = self._cpu()
                answers = self.line.call(MANY, asked=asked)["answers"]
                cpu += self._cpu() - start
                assert all("lease" in one for one in answers)
        many = turns * len(self.devices)
        return Cost(
            cpu / many * 1_000,
            (self._bytes() - size) / many,
            (self._entries() - entries) / many,
        )

    def nonce_s(self, calls: int) -> float:
        """Return what a call for nonces takes."""
        start = self._cpu()
        for _ in range(calls):
            self.line.call("nonce")
        return (self._cpu() - start) / calls

    def _cpu(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def _entries(self) -> int:
        return int(self.line.call("status")["ledger"]["size"])

    def _bytes(self) -> int:
        return ledger_bytes(self._home)


def ledger_bytes(home: Home) -> int:
    """Return the bytes of leaves, in the journal and as they are published, and of side-cars."""
    file = home.path / "ledger/journal.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as base:
        ((leaves,),) = base.execute("SELECT sum(length(body)) FROM journal").fetchall()
        ((sealed,),) = base.execute("SELECT sum(length(body)) FROM sidecar").fetchall()
    return 2 * int(leaves) + int(sealed)


@contextmanager
def keeper_at(folder: Path, *, people: int, devices: int = 0) -> Iterator[Keeper]:
    """Run a keeper with so many people, so many of them (all without) with a device."""
    names = [f"p{number}" for number in range(people)]
    bench = found_bench(folder, people=names)
    outside, old = str(folder / "outside"), os.environ.get("SAFEHOLD_OUTSIDE")
    yard = Yard()
    try:
        os.environ["SAFEHOLD_OUTSIDE"] = outside
        pid = yard.keeper(bench.home.path, Path(outside), "one", passphrase=PASSPHRASE, slow=0.1)
        home = Home.open(bench.home.path)
        yield Keeper(pid, home, KeeperClient(home.socket_of("one")), names[: devices or people])
    finally:
        yard.close()
        if old is None:
            os.environ.pop("SAFEHOLD_OUTSIDE", None)
        else:
            os.environ["SAFEHOLD_OUTSIDE"] = old
