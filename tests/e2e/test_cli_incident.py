"""An incident as people handle it: every command of the guide, and what is refused meanwhile."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from tests.command_line import CHARTERS, World
from tests.e2e.test_docs_commands import DOCS, walk

GUIDE = DOCS / "how-to" / "handle-an-incident.md"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path).init(CHARTERS / "demo.yaml")


def test_one_is_opened_looked_at_and_not_closed_by_anybody(world: World) -> None:
    with world.kept():
        one = str(world.ask("incident", "open", "--text", "before", "--severity", "2")["incident"])
        shown = world.run("incident", "show", one).out
        assert "could be read" in shown
        assert "gdpr-authority" in shown
        error = world.refuse(
            "incident", "close", one, "--seat", "hr", "--key", world.seats / "hr.key", code=3
        )
        assert (error["rule"], error["entry"] is not None) == ("incident.missing", True)
        assert world.refuse("incident", "close", one, code=2)["rule"] == "cli.seat"
        assert world.try_run("incident", "restart").code == 1


@pytest.mark.proof
def test_the_guide_is_run_from_opening_to_closing(world: World) -> None:
    (world.root / "cause.md").write_text("A table had no label, and nobody had to give it one.\n")
    told, learn = GUIDE.read_text("utf-8").split("## 5. Learn")
    before, after = world.root / "before.md", world.root / "after.md"
    before.write_text(told)
    after.write_text(learn)
    with world.kept():
        incident = world.ask("status")["ledger"]["size"]  # whatever comes next has this number
        (policy,) = (world.root / "outside").rglob("policy")
        environment = world.environment | {
            "INCIDENT": str(incident),
            "POLICY": str(policy),
            "PROOF": f"{incident:08}",
        }
        walk(before, world.root, environment)
        size = world.ask("status")["ledger"]["size"]
        # the second command of that part is the action, right behind the move
        walk(after, world.root, environment | {"ACTION": str(size + 1)})
        shown = world.ask("incident", "show", str(incident))
        assert (shown["state"], shown["severity"], shown["missing"]) == (
            "closed",
            3,
            ["it has ended already"],
        )
        assert {name: told["decision"] for name, told in shown["notices"].items()} == {
            "authority": "sent",
            "board": "sent",
            "people": "sent",
            "regulator": "not_needed",
            "attorney": "not_needed",
        }
        assert ET.parse(world.root / "timeline.svg").getroot().tag.endswith("svg")  # noqa: S314
        assert (world.root / "people" / "people.csv").read_text().startswith("person,")
        assert len(list((world.root / "report" / "proofs").glob("*.tlog-proof"))) > 10
        page = (world.root / "report" / "report.html").read_text()
        assert "<svg" in page
        assert "a colleague could read" not in page + json.dumps(shown)
        text = world.run("incident", "timeline", str(incident)).out
        assert "two people closed the incident" in text
        assert world.try_run("incident", "restart", "--json").json["stopped"] is False
    assert world.ask("ledger", "verify")["verified"] is True
