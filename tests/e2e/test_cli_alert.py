"""The live sentinel beside ``safehold serve``, and ``safehold alert``: as processes."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.command_line import CHARTERS, World, command, eventually
from tests.world import outside

from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient
from safehold.settings import Home

LIMIT_S = 60.0  # from an attempt to its alert, whatever the machine is doing


@contextlib.contextmanager
def served(world: World, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command(("serve", *more)), env=world.environment, cwd=world.root, stderr=subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        assert b"is ready" in process.stderr.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def line_to(world: World) -> KeeperClient:
    with outside(world.root):
        return KeeperClient(Home.open(world.home).socket)


def world_alert(world: World, alert: dict[str, Any]) -> tuple[Any, ...]:
    shown = world.ask("alert", "show", str(alert["alert"]))
    return shown["signal"], shown["principal"], shown["events"], shown["sentence"]


def sentinel_of(process: subprocess.Popen[bytes]) -> psutil.Process | None:
    for one in psutil.Process(process.pid).children():
        with contextlib.suppress(psutil.Error):
            if "safehold.app.sentinel" in one.cmdline():
                return one
    return None


def knock(client: KeeperClient, times: int, verb: str = "train") -> float:
    """Try a door without a right; return when the first attempt was refused."""
    first = 0.0
    for _ in range(times):
        with contextlib.suppress(SafeholdError), tempfile.TemporaryFile() as file:
            said = {
                "token": "none",
                "proof": "",
                "nonce": "",
                "purpose": "x",
                "dataset": "x",
                "artifact": "x",
            }
            client.call(
                verb, descriptors=[file.fileno()], **said
            )  # a pull brings a file to write to
        first = first or time.monotonic()
    return first


def test_it_is_there_is_killed_comes_back_and_people_answer(tmp_path: Path) -> None:
    world = World(tmp_path).init(CHARTERS / "demo.yaml")
    with served(world) as process:
        client = line_to(world)
        eventually(lambda: client.call("status")["sentinel"]["alive"])
        began = knock(client, 25)
        eventually(lambda: bool(client.call("alert.list")["alerts"]), seconds=LIMIT_S)
        assert time.monotonic() - began < LIMIT_S
        (alert,) = client.call("alert.list")["alerts"]
        assert (alert["signal"], alert["principal"]) == ("denied_burst", "caller")

        killed = sentinel_of(process)
        assert killed is not None
        killed.send_signal(signal.SIGKILL)
        knock(client, 1, verb="embed.export")  # while nobody watches
        eventually(lambda: client.call("alert.list")["of"] == 2, seconds=LIMIT_S)
        again = sentinel_of(process)
        assert again is not None
        assert again.pid != killed.pid

        shown = world.run("alert", "list")
        assert shown.out.splitlines()[-1].startswith(f"{alert['alert']}  ")
        assert "severity 3  denied_burst  caller: 20 attempts were refused" in shown.out
        assert "2 of 2 wait" in shown.err
        answered = world.ask("alert", "ack", str(alert["alert"]), "--reason", "a test of the doors")
        assert answered["state"] == "acked"
        assert client.call("alert.list", open=True)["open"] == 1
        told = world.run("alert", "show", str(alert["alert"])).out
        assert "answered by caller: a test of the doors" in told
        assert f"entries: {client.call('alert.show', alert=alert['alert'])['events'][0]}" in told
        assert world.refuse("alert", "show", "1", code=1)["rule"] == "alert.missing"
        eventually(lambda: client.call("status")["sentinel"]["behind"] == 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
        assert not again.is_running() or again.status() == psutil.STATUS_ZOMBIE
    # the same events, read afresh, are the same episodes: nothing is new
    assert world.run("alert", "watch", "--once").out == ""
    written = world.run("alert", "events").out
    (tmp_path / "events.jsonl").write_text(written)
    replayed = world.ask("alert", "replay", tmp_path / "events.jsonl", "--live")["alerts"]
    live = [world_alert(world, one) for one in world.ask("alert", "list")["alerts"]]
    assert [
        (one["signal"], one["principal"], one["events"], one["sentence"]) for one in replayed
    ] == live[::-1]
    lines = [json.loads(line) for line in written.splitlines()]
    assert [one["action"] for one in lines].count("embedding.export") == 1
    assert world.ask("ledger", "verify")["verified"] is True


def test_a_house_without_one(tmp_path: Path) -> None:
    world = World(tmp_path).init(CHARTERS / "demo.yaml")
    with served(world, "--no-sentinel") as process:
        client = line_to(world)
        knock(client, 25)
        assert sentinel_of(process) is None
        assert client.call("status")["sentinel"]["alive"] is False
        line = world.run("alert", "watch", "--once").out
        assert "denied_burst  caller" in line
        assert line.endswith("[raised]\n")


@pytest.mark.parametrize(
    "words", [("alert", "ack", "1"), ("alert", "show"), ("alert", "show", "x")]
)
def test_wrong_usage(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert World(tmp_path).try_run(*words).code == 2
