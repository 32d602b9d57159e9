"""A device, from the first key to its removal, as the person at the keyboard meets it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from tests.command_line import (
    CHARTERS,
    EVIDENCE,
    World,
    command,
    company,
    write_people,
    write_sources,
)

from safehold.signing import SigningKey

PERSON, COLLEAGUE = "emp-00000", "emp-00001"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A company whose keeper is served."""
    world = World(tmp_path).init(CHARTERS / "demo.yaml")
    spec = company(4)
    people = tmp_path / "people.csv"
    write_people(spec, people)
    everybody = [line.split(",")[0] for line in people.read_text("utf-8").splitlines()[1:]]
    rows = [f"{name},US-CA,key pointer" for name in everybody]
    people.write_text("\n".join(["person,jurisdiction,streams", *rows]) + "\n", "utf-8")
    lines = write_sources(spec, tmp_path / "sources")["key"].with_suffix(".jsonl").read_bytes()
    mine = [orjson.loads(line) for line in lines.splitlines() if f'"{PERSON}"'.encode() in line]
    events = b"".join(orjson.dumps({"stream": "key", **one}) + b"\n" for one in mine[:400])
    (tmp_path / "events.jsonl").write_bytes(events)
    keeper = subprocess.Popen(
        command(("serve",)), env=world.environment, cwd=tmp_path, stderr=subprocess.PIPE
    )
    try:
        assert keeper.stderr is not None
        assert b"ready" in keeper.stderr.readline()
        world.run("people", "enrol", "--file", people, "--evidence", EVIDENCE)
        yield world
    finally:
        keeper.terminate()
        assert keeper.wait(600) == 0
        keeper.stderr.close()


@pytest.mark.proof  # tests/attack/test_devices*.py hold its parts
def test_a_device_from_its_first_key_to_its_removal(world: World, tmp_path: Path) -> None:
    device, events = tmp_path / "my device.key", tmp_path / "events.jsonl"
    run = ("source", "run", "--person", PERSON, "--device", device, "--from", events)

    # nothing is made in passing: whoever has no key is told how to get one
    refused = world.refuse(*run, code=1)
    assert refused["fix"] == f"safehold source add --person PERSON --device '{device}'"
    assert not device.exists()

    # a key of one's own is not enough
    stranger = tmp_path / "stranger.key"
    SigningKey.generate().write(stranger)
    other = ("source", "run", "--person", PERSON, "--device", stranger, "--from", events)
    refused = world.refuse(*other, code=3)
    assert refused["rule"] == "lease.device"
    assert refused["fix"] == f"safehold source add --person PERSON --device {stranger}"
    assert world.ask("ledger", "show", str(refused["entry"]))["leaf"]["k"] == "refusal"

    added = world.ask("source", "add", "--person", PERSON, "--device", device)
    assert (added["key_made"], added["already"]) == (True, False)
    assert device.stat().st_mode & 0o777 == 0o600
    assert sum(world.ask(*run)["sealed"].values()) > 0
    world.refuse(*other, code=3)

    # the public half is all that has to leave the device; one key stands for one person
    public = device.with_name(device.name + ".pub")
    again = world.ask("source", "add", "--person", PERSON, "--device", public)
    assert (again["device"], again["already"]) == (added["device"], True)
    taken = world.refuse("source", "add", "--person", COLLEAGUE, "--device", public, code=3)
    assert taken["rule"] == "source.key"
    world.refuse("source", "add", "--person", PERSON, "--device", tmp_path / "no.pub", code=1)
    assert not (tmp_path / "no.pub").exists()
    (tmp_path / "bad.pub").write_text("not a key\n")
    world.refuse("source", "add", "--person", PERSON, "--device", tmp_path / "bad.pub", code=2)
    wrong = ("source", "run", "--person", COLLEAGUE, "--device", device, "--from", events)
    assert world.refuse(*wrong, code=3)["rule"] == "lease.device"

    (listed,) = world.ask("source", "devices", PERSON)["devices"]
    assert listed["device"] == added["device"]
    assert listed["first_lease_us"] is not None
    assert listed["removed_us"] is None
    assert world.ask("source", "devices", COLLEAGUE) == {"devices": []}

    remove = ("source", "remove", "--person", PERSON, "--device")
    world.refuse(*remove, "0123456789abcdef", code=1)
    assert world.ask(*remove, listed["device"])["already"] is False
    assert world.ask(*remove, device)["already"] is True
    assert world.refuse(*run, code=3)["rule"] == "lease.device"
    world.refuse("source", "add", "--person", PERSON, "--device", device, code=3)
    assert world.ask("source", "devices") == {"enrolled": 0, "recorded": 1, "removed": 1}
    assert world.ask("ledger", "verify")["verified"] is True


def test_a_device_joins_a_person_who_is_known(world: World, tmp_path: Path) -> None:
    refused = world.refuse(
        "source", "add", "--person", "nobody", "--device", tmp_path / "device.key", code=1
    )
    assert refused["rule"] == "subjects.find"
    there = ("source", "add", "--person", PERSON, "--device")
    world.refuse(*there, tmp_path / "no such folder" / "device.key", code=2)
    world.refuse(*there, tmp_path, code=2)
