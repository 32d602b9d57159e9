"""An audit from the command line: the guide from the engagement to the last finding, and what the status says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import CHARTERS, World
from tests.e2e.test_docs_commands import DOCS, outside_of, walk

from safehold_verify import main as verifier

GUIDE = DOCS / "how-to" / "be-audited.md"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path).init(CHARTERS / "demo.yaml")


def part(world: World, heading: str) -> Path:
    """Return one part of the guide as a page of its own."""
    text = GUIDE.read_text("utf-8").split("\n## ")
    page = world.root / "part.md"
    page.write_text(next(one for one in text if one.startswith(heading)) + "\n", "utf-8")
    return page


def test_what_is_due_is_told_and_nothing_is_engaged_by_one_seat(world: World) -> None:
    public = world.root / "auditor.pub"
    key = world.root / "auditor.key"
    assert (
        verifier(["auditor", "--name", "a.example", "--key", str(key), "--public", str(public)])
        == 0
    )
    paper = world.root / "engage.json"
    with world.kept():
        assert world.ask("audit", "due")["step"] == "in_time"
        drawn = ("--auditor", public, "--organisation", "O", "--lead", "dora", "--seat", "hr")
        key_of = ("--key", world.seats / "hr.key", "--hand-in")
        error = world.refuse("audit", "engage", paper, *drawn, *key_of, code=3)
        assert error["rule"] == "audit.quorum"
        assert world.ask("audit", "list") == {"audits": []}
        assert world.refuse("audit", "engage", paper, code=2)["rule"] == "cli.paper"
        assert world.ask("status")["audit"]["stands"] == "none"
        checks = json.loads(world.try_run("doctor", "--json").out)["checks"]
        assert next(one for one in checks if one["check"] == "audit")["ok"]


@pytest.mark.proof
def test_the_guide_is_run_across_restarts_of_the_keeper(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    (world.root / "finding-1.md").write_text("A grant was longer than it had to be.\n")
    environment = {**world.environment, "OUTSIDE": str(outside_of(world))}

    def engagement() -> dict[str, Any]:
        return dict(world.ask("audit", "list")["audits"][0])

    with world.kept():
        assert walk(part(world, "1."), world.root, environment) == 1
        assert walk(part(world, "2."), world.root, environment) == 5
        one = engagement()
        environment["ENGAGEMENT"] = str(one["engagement"])
        assert walk(part(world, "3."), world.root, environment) == 4
    report = json.loads((world.root / "report.json").read_bytes())
    assert report["drafts"] == []
    with world.kept():  # another keeper: what was said is in the ledger
        assert engagement()["state"] == "begun"
        assert walk(part(world, "4."), world.root, environment) == 5
    with world.kept():
        (found,) = engagement()["findings"]
        environment["FINDING"] = str(found["finding"])
        size = world.ask("status")["ledger"]["size"]
        assert walk(part(world, "5."), world.root, environment | {"ANSWER": str(size)}) == 5
        one = engagement()
        assert (one["state"], one["opinion"]) == ("opinion", "qualified")
        assert [each["state"] for each in one["findings"]] == ["closed"]
        status = world.ask("status")["audit"]
        assert (status["step"], status["open_findings"]) == ("in_time", 0)
    assert world.ask("ledger", "verify")["verified"] is True
    capsys.readouterr()
    check = ["opinion", str(world.home / "ledger"), "--policy", f"{environment['OUTSIDE']}/policy"]
    assert verifier([*check, "--auditor", str(world.root / "auditor.pub"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["opinion"], [each["open"] for each in told["findings"]]) == ("qualified", [False])
    tampered = world.root / "opinion.json"
    tampered.write_bytes(tampered.read_bytes().replace(b"qualified", b"adverse"))
    assert (
        verifier([*check, "--auditor", str(world.root / "auditor.pub"), "--word", str(tampered)])
        == 5
    )
