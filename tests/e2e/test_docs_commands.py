"""The docs are run: every command of the tutorial and the how-to guides, and the reference is what the program says."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import orjson
from tests.command_line import CHARTERS, EVIDENCE, World, company, write_people, write_sources

from safehold_verify import main as verifier

DOCS = Path(__file__).resolve().parents[2] / "docs"
FENCE = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = {
    "safehold": ["-m", "safehold"],
    "safehold-verify": ["-m", "safehold_verify"],
    "python": [],
}


def commands_of(page: Path) -> list[tuple[str, int]]:
    """Return the commands of a page, each with the exit code it says it ends with."""
    found = []
    for block in FENCE.findall(page.read_text("utf-8")):
        for line in block.splitlines():
            text, _, remark = line.partition("   # ")
            code = re.fullmatch(r"exit (\d)", remark)
            found.append((text, int(code[1]) if code else 0))
    return found


def walk(page: Path, folder: Path, environment: dict[str, str]) -> int:
    """Run the commands of a page in order, as a shell would, and return how many there were."""
    environment = dict(environment)
    commands = commands_of(page)
    for text, code in commands:
        line, _, target = text.partition(" > ")
        words = [os.path.expandvars(word) for word in shlex.split(line)]
        words = [re.sub(r"\$(\w+)", lambda name: environment[name[1]], word) for word in words]
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            environment[name] = value
            continue
        start = [sys.executable, *PROGRAMS[words[0]]] if words[0] in PROGRAMS else [words[0]]
        done = subprocess.run(
            [*start, *words[1:]], cwd=folder, env=environment, capture_output=True, check=False
        )
        assert done.returncode == code, f"{text}: exit {done.returncode}\n{done.stderr.decode()}"
        assert b"Traceback" not in done.stderr
        if target:
            (folder / target.strip()).write_bytes(done.stdout)
    return len(commands)


def test_the_tutorial_works_as_it_stands(tmp_path: Path) -> None:
    world = World(tmp_path)
    environment = {
        name: value
        for name, value in world.environment.items()
        if name not in {"SAFEHOLD_HOME", "SAFEHOLD_PASSPHRASE"}
    }
    assert walk(DOCS / "tutorials" / "first-run.md", tmp_path, environment) > 20
    tutorial = World(tmp_path, passphrase="choose your own")
    (artifact,) = tutorial.ask("artifact", "list")["artifacts"]
    assert artifact["purpose"] == "train_ui_agent"
    with tutorial.kept():
        page = DOCS / "how-to" / "follow-the-data.md"
        assert walk(page, tmp_path, tutorial.environment) == 5
    assert f">{artifact['id'][:23]}" in (tmp_path / "lineage.svg").read_text("utf-8")
    events = [orjson.loads(line) for line in (tmp_path / "lineage.jsonl").read_bytes().splitlines()]
    assert events[-1]["outputs"][0]["name"] == artifact["id"]
    assert events[-1]["outputs"][0]["facets"]["safehold_release"]["unit"] == "person"


def test_the_how_to_guides_work_as_they_stand(tmp_path: Path) -> None:
    world = World(tmp_path).init(CHARTERS / "demo.yaml")
    spec = company(4)
    people = write_people(spec, tmp_path / "people.csv")
    world.run("people", "enrol", "--file", people, "--evidence", EVIDENCE)
    files = write_sources(spec, tmp_path / "sources")
    lines = files["key"].with_suffix(".jsonl").read_bytes().splitlines()
    mine = [orjson.loads(line) for line in lines if b'"emp-00000"' in line]
    events = b"".join(orjson.dumps({"stream": "key", **one}) + b"\n" for one in mine)
    (tmp_path / "events.jsonl").write_bytes(events)
    first = ("--person", "emp-00000", "--device", tmp_path / "device.key")
    world.run("source", "add", *first)
    world.run("source", "run", *first, "--from", tmp_path / "events.jsonl")

    pause = DOCS / "how-to" / "pause-and-prove-silence.md"
    with world.kept():
        asked, copy = tmp_path / "request.json", tmp_path / "copy.sealed"
        who = ["--home", outside_of(world).name, "--person", "emp-00000"]
        key = ["--key", str(tmp_path / "device.key"), "--out", str(asked)]
        assert verifier(["ask", *who, *key]) == 0
        assert asked.stat().st_mode & 0o777 == 0o600
        refused = world.refuse("people", "export", asked, "--out", copy, code=3)
        assert refused["rule"] == "export.waiting", "the device was enrolled a moment ago"
        assert not copy.exists()
        assert walk(pause, tmp_path, world.environment) >= 6
        gap = world.ask("source", "gap", "emp-00000", "--check", tmp_path / "gap.json")
    assert gap["reason"] == "pause"

    outside = outside_of(world)
    environment = {**world.environment, "OUTSIDE": str(outside)}
    page = DOCS / "how-to" / "check-the-uses-of-your-data.md"
    with world.kept():
        assert walk(page, tmp_path, environment) >= 8
        assert world.ask("people", "list")["erased"] == 1
        assert walk(DOCS / "how-to" / "erase-a-person.md", tmp_path, environment) >= 4
        assert world.ask("people", "list")["erased"] == 2

    (tmp_path / "kept-head").write_bytes((world.home / "ledger" / "checkpoint").read_bytes())
    assert walk(DOCS / "how-to" / "verify-the-ledger.md", tmp_path, environment) >= 5
    assert world.ask("status")["stopped"] is True


def outside_of(world: World) -> Path:
    """Return the outside of the one home of a world."""
    (found,) = [one for one in (world.root / "outside").iterdir() if one.name.startswith("home_")]
    return found


def test_the_reference_of_the_command_line_has_not_drifted() -> None:
    place = DOCS / "generate_cli.py"
    spec = importlib.util.spec_from_file_location("generate_cli", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "reference" / "cli.md").read_text("utf-8") == module.render(), (
        "run python docs/generate_cli.py"
    )


def test_every_link_of_these_pages_leads_somewhere() -> None:
    for page in (
        DOCS / "tutorials" / "first-run.md",
        DOCS / "how-to" / "verify-the-ledger.md",
        DOCS / "how-to" / "pause-and-prove-silence.md",
        DOCS / "how-to" / "check-the-uses-of-your-data.md",
        DOCS / "how-to" / "erase-a-person.md",
        DOCS / "how-to" / "follow-the-data.md",
        DOCS / "reference" / "labels.md",
        DOCS / "how-to" / "give-a-person-their-data.md",
        DOCS / "how-to" / "keep-objects-in-s3.md",
    ):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} points to {target}"
