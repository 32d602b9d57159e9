"""Drift and milestones as an operator meets them: a served home, one changed flag, and the clause by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command_line import CHARTERS, World
from tests.e2e.test_serve import served

from safehold import canonical


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path).init(CHARTERS / "demo.yaml")


def test_one_changed_flag_is_named_and_milestones_say_so(world: World) -> None:
    file = world.home / "charter.json"
    signed = file.read_bytes()
    with served(world):
        assert world.ask("drift")["ok"] is True
        tree = canonical.decode(signed)
        tree["charter"]["collect"][1]["keep_days"] += 1
        file.write_bytes(canonical.encode(tree))
        found = world.try_run("drift", "--json")
        assert found.code == 1
        clause = found.json["found"][0]["clause"]
        assert clause == f"collect.{tree['charter']['collect'][1]['what']}.keep"
        assert world.ask("status")["drift"] == [clause]
        source = world.root / "none.csv"
        source.write_text("t\n")
        error = world.refuse("run", "--source", source, code=3)
        assert error["rule"] == f"drift.{clause}"
        assert error["entry"] is not None
        shown = world.try_run("evidence", "milestones", "--measure", "--json")
        assert shown.code == 1
        states = {one["promise"]: one["state"] for one in shown.json["promises"]}
        assert states["no-drift"] == "broken"
        file.write_bytes(signed)
        assert world.ask("drift")["ok"] is True
        states = {
            one["promise"]: one["state"]
            for one in world.ask("evidence", "milestones", "--measure")["promises"]
        }
        assert states["no-drift"] == "kept"
        plain = world.run("evidence", "milestones").out
        assert "Leaving the study makes your data unreadable within 24 hours" in plain
    assert world.ask("ledger", "verify")["verified"] is True
