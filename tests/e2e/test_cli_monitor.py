"""``safehold ledger monitor``, as somebody types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.command_line import CHARTERS, World
from tests.forged_log import ForgedLog


def test_the_monitor_of_a_home(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.init(CHARTERS / "demo.yaml")
    said = world.ask("ledger", "monitor")
    assert (said["ok"], said["broken"], said["findings"]) == (True, [], [])
    assert said["read"] == said["size"] > 0
    assert world.ask("status")["monitor"]["ok"] is True
    # an older copy of the published ledger is put back; the monitor remembers
    shutil.copytree(world.home / "ledger" / "tile", tmp_path / "tile")
    shutil.copy(world.home / "ledger" / "checkpoint", tmp_path)
    seat = ("--seat", "security", "--key", world.seats / "security.key")
    world.run("stop", *seat, "--reason", "a test")
    found = world.run("ledger", "monitor").out
    assert "1 of them new" in found
    assert "all is well" in found
    shutil.rmtree(world.home / "ledger" / "tile")
    shutil.copytree(tmp_path / "tile", world.home / "ledger" / "tile")
    shutil.copy(tmp_path / "checkpoint", world.home / "ledger")
    found = world.try_run("ledger", "monitor", "--json")
    assert found.code == 5
    assert [one["rule"] for one in found.json["broken"]] == ["monitor.truncated"]


def test_a_log_elsewhere(tmp_path: Path) -> None:
    log = ForgedLog(tmp_path)
    log.tell("home", synthetic=0)
    at = log.tell("access.intent")
    log.tell("access.result", ref=at, outcome="ok")
    log.publish()
    (tmp_path / "policy").write_text(log.policy)
    world = World(tmp_path)
    watch = ("ledger", "monitor", str(log.directory), "--policy", str(tmp_path / "policy"))
    watch += ("--state", str(tmp_path / "state"))
    assert world.ask(*watch)["read"] == 3
    log.tell("access.result", ref=at, outcome="ok")
    log.publish()
    found = world.try_run(*watch, "--json")
    assert found.code == 1
    (finding,) = json.loads(found.out)["findings"]
    assert finding == {
        "rule": "story.result",
        "index": 3,
        "sentence": "a result of no intent that waits for one",
    }
    assert "leaf 3: story.result" in world.try_run(*watch).out
    log.bribe()
    log.leaves.pop()
    log.publish()
    # followed, it ends as soon as the record does not hold
    found = world.try_run(*watch, "--follow", "--every", "0.1", "--json")
    assert found.code == 5
    assert json.loads(found.out)["broken"][0]["rule"] == "monitor.truncated"


@pytest.mark.parametrize("missing", ["--policy", "--state"])
def test_a_log_elsewhere_needs_policy_and_state(tmp_path: Path, missing: str) -> None:
    world = World(tmp_path)
    options = {"--policy": str(tmp_path / "policy"), "--state": str(tmp_path / "state")}
    del options[missing]
    given = [word for pair in options.items() for word in pair]
    found = world.try_run("ledger", "monitor", str(tmp_path), *given)
    assert found.code == 2
    assert "monitor.policy" in found.err
