"""The how-to of queries is run as it stands, on a home of made-up people, through the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.command_line import CHARTERS, EVIDENCE, World, company, write_people, write_sources
from tests.e2e.test_docs_board import HOW_TO, session

PAGE = "ask-in-sql.md"
CLAUSE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def charter(file: Path) -> Path:
    """Write the demo's charter with the page's purpose, and a role that has its stage."""
    (clause,) = CLAUSE.findall((HOW_TO / PAGE).read_text("utf-8"))
    text = (CHARTERS / "demo.yaml").read_text("utf-8")
    text = text.replace("\npurposes:\n", f"\npurposes:\n{clause}", 1)
    file.write_text(
        text.replace(
            "stages: [feature, training], grant", "stages: [feature, training, query], grant"
        )
    )
    return file


@pytest.mark.proof  # each part of it is in the tests of its package
def test_the_page_works_as_it_stands(tmp_path: Path) -> None:
    world = World(tmp_path).init(charter(tmp_path / "charter.yaml"))
    spec = company(84)
    people = write_people(spec, tmp_path / "people.csv")
    files = write_sources(spec, tmp_path / "sources")
    script, count = session(PAGE)
    with world.kept():
        world.run("people", "enrol", "--file", people, "--evidence", EVIDENCE)
        world.run("run", "--source", files["pointer"])
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=world.root,
            env={**world.environment, "PYTHON": sys.executable},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        again = world.ask(
            "enclave", "sql", "--file", "clicks.sql", "--grant", "clicks.json", "--holder", "me.key"
        )
        spent = world.refuse(
            "enclave",
            "sql",
            "--file",
            "clicks.sql",
            "--grant",
            "clicks.json",
            "--holder",
            "me.key",
            code=3,
        )
    assert count >= 7
    shown = done.stdout.decode()
    assert "± error" in shown
    assert "95 % interval" in shown
    assert "epsilon 0.5 spent, 1.5 left" in done.stderr.decode()
    assert (again["epsilon_left"], spent["rule"]) == (1.0, "grant.closed")
    for one in again["figures"]:
        assert one["value"] is None or one["low"] <= one["value"] <= one["high"]
