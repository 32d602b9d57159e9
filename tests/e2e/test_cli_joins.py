"""Two homes of two houses, each with its own command line, keeper, sandbox and ledger: the guide works as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer.main
from tests.command_line import CHARTERS, EVIDENCE, World, yesterday
from tests.ports import free_port

from safehold.cli import build
from safehold.clock import DAY_US
from safehold.telemetry.schema import WIRE

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "join-two-houses.md"
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
HERE = [f"emp-{number}" for number in range(200)]
THERE = [f"emp-{number}" for number in range(40, 240)]  # 160 in both


def charter_of(guide: str, file: Path) -> Path:
    """Write the demo's charter with what the guide says must be in it."""
    (lines,) = [body for name, body in BLOCK.findall(guide) if name == "yaml"]
    collect, rest = lines.removeprefix("collect:\n").split("purposes:\n")
    purposes, who = rest.split("who_may:\n")
    text = (CHARTERS / "demo.yaml").read_text("utf-8")
    text = text.replace("never_collect:", collect + "never_collect:", 1)
    text = text.replace("\npurposes:\n", "\npurposes:\n" + purposes, 1)
    text = re.sub(r"^  data_scientist:.*\n", lambda _: who, text, count=1, flags=re.MULTILINE)
    file.write_text(text, "utf-8")
    return file


def rows(stream: str, people: list[str]) -> pa.Table:
    """Return wire rows: three clicks of everybody, or one metric of everybody."""
    each = 3 if stream == "pointer" else 1
    count = len(people) * each
    values = {
        "person": [one for one in people for _ in range(each)],
        "device": ["d"] * count,
        "session": [f"s-{one}" for one in people for _ in range(each)],
        "seq": list(range(each)) * len(people),
        "t": [yesterday() * DAY_US + 36_000_000_000 + number for number in range(count)],
        "mono": list(range(each)) * len(people),
        "kind": [3] * count,
        "x": [10] * count,
        "y": [10] * count,
        "button": [0] * count,
        "name": ["tickets"] * count,
        "value": [float(number % 9) for number in range(count)],
    }
    schema = WIRE[stream]
    return pa.table(
        {
            field.name: pa.array(values.get(field.name, [None] * count)).cast(field.type)
            if field.name in values
            else pa.nulls(count, field.type)
            for field in schema
        },
        schema=schema,
    )


def open_house(folder: Path, charter: Path, stream: str, people: list[str]) -> World:
    folder.mkdir()
    world = World(folder).init(charter)
    lines = [f"{one},US-CA,{stream}" for one in people]
    (folder / "people.csv").write_text("\n".join(["person,jurisdiction,streams", *lines]) + "\n")
    with world.kept():
        world.run("people", "enrol", "--file", folder / "people.csv", "--evidence", EVIDENCE)
        pq.write_table(rows(stream, people), folder / f"{stream}.parquet")
        world.try_run(
            "run", "--source", folder / f"{stream}.parquet"
        )  # of metrics no features are made
        assert world.ask("status")["counts"]["rows"] == len(rows(stream, people))
    return world


def commands(guide: str) -> list[str]:
    return [
        line.strip()
        for name, body in BLOCK.findall(guide)
        if not name
        for line in body.splitlines()
    ]


@pytest.mark.proof
def test_the_guide_joins_two_houses(tmp_path: Path) -> None:
    guide = GUIDE.read_text("utf-8")
    charter = charter_of(guide, tmp_path / "charter.yaml")
    port = free_port()
    houses = {
        "tel": open_house(tmp_path / "tel", charter, "pointer", HERE),
        "hr": open_house(tmp_path / "hr", charter, "metric", THERE),
    }

    def start(line: str) -> subprocess.Popen[bytes]:
        words = shlex.split(line.replace("7443", str(port)))
        assert words[0] == "safehold"
        world = houses["hr" if any(one.startswith("hr/home") for one in words) else "tel"]
        environment = {
            name: value for name, value in world.environment.items() if name != "SAFEHOLD_HOME"
        }
        return subprocess.Popen(
            [sys.executable, "-m", "safehold", *words[1:], "--json"],
            cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def end(process: subprocess.Popen[bytes]) -> dict:
        out, err = process.communicate(timeout=400)
        assert process.returncode == 0, err.decode()
        return orjson.loads(out) if out else {}

    joined = []
    lines = commands(guide)
    together = [line for line in lines if "join psi-sum" in line]
    assert len(together) == 2
    assert len(lines) > 10
    with ExitStack() as kept:
        for world in houses.values():
            kept.enter_context(world.kept())
        for line in lines:
            if line == together[0]:
                joined = [end(process) for process in [start(one) for one in together]]
            elif line not in together:
                end(start(line))
        entries = {
            name: world.ask("ledger", "tail", "-n", "200")["entries"]
            for name, world in houses.items()
        }
        # the same again finds the grant used up, and nobody is called
        again = start(together[1])
        out, err = again.communicate(timeout=400)
        assert again.returncode == 3, err.decode()
        assert out == b""
    left, right = joined
    values = dict(zip(THERE, (float(number % 9) for number in range(len(THERE))), strict=True))
    both = [one for one in HERE if one in values]
    true = round(sum(values[one] for one in both))
    assert left["session"] == right["session"]
    assert (left["sum"], left["people"]) == (right["sum"], right["people"])
    # each noise of the sum has scale 20: beyond 700 together once in 10^13 sessions
    assert abs(left["sum"] - true) < 700
    assert 50 <= left["at_least"] <= len(both)
    for told in entries.values():
        kinds = [one["leaf"]["k"] for one in told]
        assert kinds.count("join") == 2
        assert "release" in kinds


def test_every_command_of_the_guide_is_one() -> None:
    """The short form: options and nouns are there; nothing is run."""
    root = typer.main.get_command(build())
    lines = commands(GUIDE.read_text("utf-8"))
    assert sum("join psi-sum" in line for line in lines) == 2
    for line in lines:
        command, words = root, shlex.split(line)[1:]
        while hasattr(command, "commands"):
            command, words = command.commands[words[0]], words[1:]
        assert command.make_context(line, words).params
