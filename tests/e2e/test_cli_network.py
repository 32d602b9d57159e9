"""Devices hand in over the network, as their users and operators meet it: processes, some of which are killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.command_line import (
    CHARTERS,
    EVIDENCE,
    World,
    command,
    company,
    eventually,
    write_people,
    write_sources,
)
from tests.lease_desk import Device
from tests.nats import Nats, find_nats
from tests.web_desk import Authority

from safehold.access.lease import Lease, read_lease
from safehold.ingest.network.broker import Broker
from safehold.ingest.network.line import HttpLine
from safehold.ingest.network.queue import Place
from safehold.keeper.client import KeeperClient
from safehold.settings import Home
from safehold.signing import SigningKey, VerifyKey

PERSON = "emp-00000"


class Process:
    """One command that serves until it is ended."""

    def __init__(self, world: World, *words: str | Path, said: str) -> None:
        self._world, self._words, self._said = world, words, said
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            command(self._words),
            env=self._world.environment,
            cwd=self._world.root,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline().decode()
        assert self._said in line, line + self.process.stderr.read().decode()
        self.line = line.strip()

    def kill(self) -> None:
        """End it as a power failure would, and start another."""
        self.process.kill()
        self._reap()
        self.start()

    def end(self, how: signal.Signals = signal.SIGTERM) -> str:
        self.process.send_signal(how)
        return self._reap()

    def _reap(self) -> str:
        out, _ = self.process.communicate(timeout=300)
        return out.decode()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A company of real people, as far as the home knows, with one device enrolled."""
    world = World(tmp_path).init(CHARTERS / "demo.yaml")
    spec = company(4)
    people = tmp_path / "people.csv"
    write_people(spec, people)
    everybody = [line.split(",")[0] for line in people.read_text("utf-8").splitlines()[1:]]
    rows = [f"{name},US-CA,key pointer" for name in everybody]
    people.write_text("\n".join(["person,jurisdiction,streams", *rows]) + "\n", "utf-8")
    lines = write_sources(spec, tmp_path / "sources")["key"].with_suffix(".jsonl").read_bytes()
    mine = [orjson.loads(line) for line in lines.splitlines() if f'"{PERSON}"'.encode() in line]
    events = [orjson.dumps({"stream": "key", **one}) + b"\n" for one in mine[:400]]
    (tmp_path / "events.jsonl").write_bytes(b"".join(events))
    return world


@pytest.fixture
def keeper(world: World) -> Iterator[Process]:
    one = Process(world, "serve", said="ready")
    world.run("people", "enrol", "--file", "people.csv", "--evidence", EVIDENCE)
    world.run("source", "add", "--person", PERSON, "--device", "device.key")
    yield one
    one.end()


def rows(world: World) -> int:
    return int(world.ask("status")["counts"]["rows"])


def collect(world: World, *words: str | Path) -> dict[str, Any]:
    """Run the collector on a machine that has no home."""
    away = World(world.root, extra={"SAFEHOLD_HOME": "/nowhere"})
    run = ("source", "run", "--person", PERSON, "--device", "device.key", "--from", "events.jsonl")
    return dict(away.ask(*run, *words))


def test_collector_over_http_and_through_a_queue(
    world: World, keeper: Process, nats_server: Nats, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "ca")
    chain, key = authority.issue("localhost")
    tls = ("--certificate", chain, "--certificate-key", key)
    front = Process(world, "ingest", "serve", "--bind", "localhost:0", *tls, said="hand in at")
    to = (
        "--to",
        f"https://localhost:{front.line.rpartition(':')[2]}",
        "--authority",
        authority.root,
    )
    try:
        told = collect(world, *to)
        taken = sum(told["sealed"].values())
        assert taken > 0
        assert (told["unsettled"], told["discarded"]) == (0, 0)
        assert rows(world) == taken
        assert (tmp_path / "device.key.keeper").exists()

        place = nats_server.place(name="cli")
        taking = ("ingest", "consume", "--queue", place.url, "--name", "cli", "--key", "queue.key")
        consumer = Process(world, *taking, "--size", "64", "--json", said="taking from the queue")
        assert (tmp_path / "queue.key").stat().st_mode & 0o777 == 0o600
        through = ("--queue", place.url, "--queue-name", "cli", "--queue-key", "queue.key.pub")
        told = collect(world, *to, *through)
        assert sum(told["sealed"].values()) == taken
        consumer.kill()  # nothing was left behind
        assert rows(world) == 2 * taken
        broker = Broker(Place(url=place.url, name="cli"))
        assert broker.waiting() == 0
        broker.close()
        consumer.end()
    finally:
        front.end()


def test_devices_that_ask_at_the_same_time_meet_in_few_entries(
    world: World, keeper: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several of each person; then the keeper is killed, and starts with what the ledger tells of all of them."""
    people = [
        line.split(",")[0] for line in (world.root / "people.csv").read_text().splitlines()[1:]
    ]
    monkeypatch.setenv("SAFEHOLD_OUTSIDE", str(world.root / "outside"))
    line = KeeperClient(Home.open(world.home).socket)
    devices = [
        Device(one, SigningKey.generate()).enrol(line) for one in people * (24 // len(people))
    ]
    front = Process(world, "ingest", "serve", "--bind", "127.0.0.1:0", said="hand in at")
    url = front.line.rpartition(" ")[2]

    def ask(device: Device) -> Lease:
        way = HttpLine(url, person=device.person, device=device.key)
        try:
            said = way.ask()
        finally:
            way.close()
        return read_lease(said["lease"].encode(), keeper=VerifyKey.from_text(said["keeper"]))

    def all_ask() -> int:
        """Have all ask at once, and return by how many entries the ledger grew."""
        size = int(line.call("status")["ledger"]["size"])
        with ThreadPoolExecutor(len(devices)) as pool:
            leases = list(pool.map(ask, devices))
        assert [(one.person, one.device) for one in leases] == [
            (one.person, one.public) for one in devices
        ]
        return int(line.call("status")["ledger"]["size"]) - size

    try:
        assert all_ask() > len(devices), "the first of each has an entry of its own"
        assert all_ask() < len(devices)
        keeper.kill()
        assert all_ask() < len(devices)
        found = world.ask("source", "devices", people[0])["devices"]
        assert all(
            one["first_lease_us"] for one in found if one["key"] in {d.public for d in devices}
        )
        world.run("ledger", "verify")
    finally:
        front.end()


@pytest.mark.proof  # tests/attack/test_queue.py dies between any two steps, in one process
def test_consumer_keeper_and_server_are_killed_again_and_again(
    world: World, keeper: Process, tmp_path: Path
) -> None:
    """Whatever the collector was told is stored is there, once; what it was told is lost is not."""
    server = find_nats()
    place = server.place(name="kills")
    front = Process(world, "ingest", "serve", "--bind", "127.0.0.1:0", said="hand in at")
    taking = ("ingest", "consume", "--queue", place.url, "--name", "kills", "--key", "queue.key")
    consumer = Process(world, *taking, "--size", "64", said="taking from the queue")
    words = (
        *("--to", front.line.rpartition(" ")[2]),
        *("--queue", place.url, "--queue-name", "kills", "--queue-key", "queue.key.pub"),
    )
    run = ("source", "run", "--person", PERSON, "--device", "device.key", "--from", "events.jsonl")
    dice, told = random.Random(int(os.environ.get("KILLS_SEED", "7"))), 0
    for turn in range(int(os.environ.get("KILLS", "12"))):
        process = subprocess.Popen(
            command((*run, *words, "--json")), env=world.environment, cwd=world.root,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        time.sleep(dice.uniform(1.0, 6.0))
        match turn % 3:
            case 0:
                consumer.kill()
            case 1:
                keeper.kill()
            case _:
                server.kill()
                time.sleep(dice.uniform(0, 2))
                server.start()
        out, err = process.communicate(timeout=400)
        if process.returncode == 0:
            told += sum(orjson.loads(out)["sealed"].values())
        else:
            assert process.returncode in (3, 6), err.decode()
    # what was open at the end of one run is found out by the next
    told += sum(collect(world, *words)["sealed"].values())
    eventually(lambda: rows(world) == told)
    assert told > 0
    consumer.end()
    front.end()
    server.remove()
    world.run("ledger", "verify")
