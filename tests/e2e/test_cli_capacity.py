"""``safehold capacity plan`` as it is called: no home, one answer, and words about what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

from tests.command_line import World


def test_a_plan_needs_no_home_and_names_what_is_full_first(tmp_path: Path) -> None:
    world = World(tmp_path)
    told = world.ask("capacity", "plan", "--people", "20000")
    assert told["people"] == 20_000
    assert told["full_first"] in told["roles"]
    assert told["one_keeper"]["homes"] == 1
    assert told["price"]["assumed"] is True
    assert told["measured"]["assumed"]
    assert "curves" not in told
    assert not world.home.exists()


def test_what_cannot_be_planned_is_refused_with_a_reason(tmp_path: Path) -> None:
    world = World(tmp_path)
    bad = tmp_path / "prices.json"
    bad.write_text(json.dumps({"gold": 1}))
    for words, rule in (
        (("--prices", bad), "capacity.prices"),
        (("--costs", bad), "capacity.costs"),
        (("--limit", "2"), "capacity.setting"),
        (("--way", "carrier-pigeon"), "capacity.setting"),
    ):
        done = world.try_run("capacity", "plan", *words)
        assert done.code == 2
        assert rule in done.err
