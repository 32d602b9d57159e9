"""``safehold serve`` as a process: it starts, works by itself, is alone, and ends when told to."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command_line import World, command, eventually


@contextlib.contextmanager
def served(world: World) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command(("serve",)), env=world.environment, cwd=world.root, stderr=subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        assert b"is ready" in process.stderr.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_served_keeper_works_by_itself_and_ends_cleanly(
    tmp_path: Path, sign: signal.Signals
) -> None:
    world = World(tmp_path)
    world.init()
    assert world.ask("status")["periodic"] == []
    with served(world) as process:
        locked = World(tmp_path, passphrase="")  # the served keeper needs no passphrase of a caller

        def worked() -> bool:
            tasks = locked.ask("status")["periodic"]
            assert {task["task"] for task in tasks} == {
                "publish",
                "retention",
                "compaction",
                "grants",
                "keys",
                "reach",
                "leases",
                "monitor",
                "index",
                "anchor",
                "health",
                "drift",
                "milestones",
                "drill",
                "readings",
                "exports",
            }
            assert not [task for task in tasks if task["failures"]]
            # the drill waits for an hour after a start
            return all(task["last_us"] for task in tasks if task["task"] != "drill")

        eventually(worked)
        assert locked.ask("status")["monitor"]["ok"] is True
        second = world.try_run("serve")
        assert second.code == 1
        assert "is running already" in second.err
        assert locked.ask("status")["ledger"]["size"] > 0, "the first goes on"
        process.send_signal(sign)
        assert process.wait(120) == 0
    home, outside = world.home, tmp_path / "outside"
    assert not list(outside.rglob("*.sock"))
    assert not [file for file in home.rglob("*") if file.name.endswith((".part", ".tmp", ".new"))]
    assert world.ask("ledger", "verify")["verified"] is True
    with served(world):
        assert locked.ask("status")["stopped"] is False
