"""The drill as people run it: on a fresh demo, by command, with its page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.command_line import World

from safehold.assurance.drill.outcome import NAMES
from safehold.assurance.drill.scenario import SCENARIOS

PEOPLE = 60


def test_wrong_usage_is_said_before_anything_is_made(tmp_path: Path) -> None:
    world = World(tmp_path)
    for words in (("--only", "S26"), ("--levels", "K9")):
        error = world.refuse("drill", *words, code=2)
        assert error["rule"].startswith("drill.")
    done = world.try_run("serve", "--drill", "hourly")
    assert done.code == 2
    assert "drill.how" in done.err


@pytest.mark.proof
def test_the_whole_drill_on_a_fresh_demo(tmp_path: Path) -> None:
    """All 25 run and hold, each control is red, the lake shows everything; the ledger has it; S04 keeps the gate shut."""
    world = World(tmp_path)
    truth = tmp_path / "truth.parquet"
    world.run(
        "demo", "--people", str(PEOPLE), "--truth", truth, "--home", world.home, timeout=1_200
    )
    world.passphrase = (
        next((tmp_path / "outside").glob("home_*/demo/passphrase")).read_text().strip()
    )
    page = tmp_path / "drill.html"
    done = world.try_run(
        "drill", "--truth", truth, "--levels", "K1,K2", "--html", page, "--json", timeout=3_600
    )
    report = json.loads(done.out)
    assert [one["id"] for one in report["scenarios"]] == [one.id for one in SCENARIOS]
    told = {one["id"]: (one["status"], one["reason"]) for one in report["scenarios"]}
    assert {state for state, _ in told.values()} <= {"held", "could not run"}, told
    unable = {name: why for name, (state, why) in told.items() if state == "could not run"}
    assert not {name: why for name, why in unable.items() if "root" not in why}, unable
    assert done.code == 0
    assert report["headline"]["does_not_discriminate"] == []
    assert report["headline"]["people_exposed_at_rest"] == 0
    for one in report["scenarios"]:
        assert set(NAMES.values()) <= set(one) & set(one["lake"]) & set(one["control"])
    s04 = next(one for one in report["scenarios"] if one["id"] == "S04")
    assert s04["live"]["told"]["resume_while_reverted"] == "oversight.restart"
    assert "<script" not in page.read_text("utf-8")
    assert world.ask("ledger", "verify")["verified"] is True
