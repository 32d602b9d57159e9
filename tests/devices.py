"""Devices of the tests, and what a keeper that gives them no lease has done."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

from tests.world import World, raised

from safehold.errors import DeniedError
from safehold.signing import SigningKey

DEVICE = SigningKey(b"d" * 32)
OTHER = SigningKey(b"o" * 32)


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
