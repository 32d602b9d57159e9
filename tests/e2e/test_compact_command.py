"""``safehold dataset compact`` as people use it: counted first, then done."""

from __future__ import annotations

from pathlib import Path

from tests.command_line import World

from safehold.charter import shipped


def test_the_command_counts_and_joins(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.init(shipped("demo"))
    planned = world.ask("dataset", "compact", "--dry-run")
    assert planned["dry_run"]
    assert planned["runs"] == planned["blocks"] == 0
    done = world.ask("dataset", "compact")
    assert done["before"] == done["after"] == {"blocks": 0, "objects": 0, "bytes": 0}
    assert done["passed_over"] == 0
