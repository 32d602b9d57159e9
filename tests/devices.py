"""Devices of the tests, and what a keeper that gives them no lease has done."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import orjson
from tests.ingest_job import key_rows
from tests.world import World, raised

from safehold.app.collection import KeeperLine
from safehold.dlp import Rules
from safehold.errors import DeniedError
from safehold.ingest.collector import Collector
from safehold.signing import SigningKey, VerifyKey

DEVICE = SigningKey(b"d" * 32)
OTHER = SigningKey(b"o" * 32)


class Recorder:
    """The reference collector of one person on a device of theirs, on the keeper's own clock."""

    def __init__(self, world: World, person: str, device: SigningKey = DEVICE) -> None:
        self.world = world
        self.person = person
        world.add(person, device)
        self.line = KeeperLine(world.client, person=person, device=device)
        first = self.line.ask()
        self.collector = Collector(
            self.line,
            person=person,
            device=device,
            keeper=VerifyKey.from_text(first["keeper"]),
            rules={name: Rules.from_spec(spec) for name, spec in first["rules"].items()},
            clock=world.clock,
        )
        self.number = 0

    def type(self, text: str) -> None:
        for row in key_rows(text, person=self.person):
            self.world.later(seconds=0.05)
            self.number += 1
            at = {"t": self.world.clock.now_us(), "mono": self.number * 1000, "seq": self.number}
            self.collector.feed(orjson.dumps({"stream": "key", **row, **at}))

    def hand_in(self, text: str) -> None:
        """Type, and seal what was typed at once."""
        self.type(text)
        self.collector.flush()

    def say(self) -> None:
        self.line.say(self.collector.mark())

    @property
    def sealed(self) -> int:
        return sum(self.collector.counters.sealed.values())


def refused(world: World, person: str, device: SigningKey, **changes: Any) -> None:
    """Pass if the keeper gives no lease, says why, and has it in the ledger."""
    size = world.desk.ledger.size
    error = raised(lambda: world.obtain(person, device, **changes))
    assert isinstance(error, DeniedError), repr(error)
    assert error.rule == "lease.device"
    assert "source add" in str(error.fix)
    assert person not in f"{error.message}{error.fix}"
    assert error.entry is not None
    said = world.desk.ledger.detail(error.entry)
    assert (said["object"], said["detail"]) == ("lease.obtain", {"rule": "lease.device"})
    kinds = {leaf["k"] for _, leaf in world.desk.ledger.leaves(size)}
    assert kinds == {"refusal"}, "nothing else happened"


def edit(world: World, *statements: str) -> None:
    """Change the control database of a company that has stopped."""
    with sqlite3.connect(world.home.control) as base:
        for statement in statements:
            assert base.execute(statement).rowcount, "the statement changed nothing"
    base.close()


def keep_control(world: World, path: Path) -> Path:
    """Copy the control database of a company that has stopped."""
    shutil.copy(world.home.control, path)
    return path


def put_back(world: World, path: Path) -> None:
    """Put a control database in the place of the one of a company that has stopped."""
    for file in world.home.path.glob("control.db*"):
        file.unlink()
    shutil.copy(path, world.home.control)
