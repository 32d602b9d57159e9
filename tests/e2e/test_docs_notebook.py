"""The tutorial of the notebook, cell by cell and command by command; then a look into the notebook's memory.

The one real run of the SDK: a keeper that the session started, seats at the command line, features and training in
sandboxes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from ahocorasick_rs import BytesAhoCorasick
from tests.command_line import World, write_sources
from tests.world import PASSPHRASE, found_world, spec_at

from safehold.app.keeper import open_desk
from safehold.clock import SystemClock
from safehold.settings import Home
from safehold.vault.keyring import KeyName
from safehold.vault.kms import open_sealed
from safehold.vault.tables import key

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorials" / "notebook.md"
FENCE = re.compile(r"^```(python)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REASON = "ticket ML-12: my first model"  # of the page: the notebook knows it
ROW = 24  # characters of a message that nobody else writes

KILL = """
import psutil

def kill(told):
    for one in psutil.Process().children():
        one.kill()

def tried(request):
    use = other.find(request).open()
    try:
        use.features().to_dicts()
    except safehold.errors.UnavailableError as error:
        return error.rule, error.fix, use.state

import safehold.errors
other = safehold.connect("home", holder="notebook.key", progress=kill)
"""


class Notebook:
    """A process that runs cells."""

    def __init__(self, world: World) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.notebook_run"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=world.root,
            env={
                **world.environment,
                "PYTHONPATH": f"{ROOT}/src:{ROOT}",
                "IPYTHONDIR": str(world.root / "ipython"),
            },
        )

    def run(self, cell: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"cell": cell}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert answer["error"] is None, f"{cell}\n{answer['error']}"
        return answer

    def memory(self) -> Iterator[bytes]:
        """Yield what the process holds of its own: every page that it ever wrote to and that was not taken back."""
        place = Path(f"/proc/{self.process.pid}")
        page = os.sysconf("SC_PAGESIZE")
        with (
            (place / "mem").open("rb", buffering=0) as memory,
            (place / "pagemap").open("rb") as map_,
        ):
            for line in (place / "maps").read_text("ascii").splitlines():
                span, rights, *_ = line.split()
                if not rights.startswith("rw") or "[v" in line:
                    continue
                start, end = (int(one, 16) for one in span.split("-"))
                map_.seek(start // page * 8)
                words = np.frombuffer(map_.read((end - start) // page * 8), np.uint64)
                there = np.concatenate([[False], (words >> np.uint64(62)) != 0, [False]])
                for first, last in np.flatnonzero(there[1:] != there[:-1]).reshape(-1, 2).tolist():
                    memory.seek(start + first * page)
                    yield memory.read((last - first) * page)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def rows_of(files: dict[str, Path]) -> list[bytes]:
    """Return pieces of what people wrote, long enough to be nobody else's words."""
    lines = [json.loads(line) for line in files["chat"].read_bytes().splitlines()]
    texts = {str(one.get("text", "")) for one in lines}
    return [text[:ROW].encode() for text in sorted(texts) if len(text) >= ROW and text.isascii()][
        :12
    ]


@pytest.fixture
def world(tmp_path: Path) -> World:
    found_world(tmp_path)
    return World(tmp_path, PASSPHRASE)


def test_the_notebook_works_as_it_stands_and_holds_no_row_and_no_key(
    world: World, tmp_path: Path
) -> None:
    files = write_sources(spec_at(SystemClock().now_us()), tmp_path / "sources")
    notebook = Notebook(world)
    try:
        answers = []
        for kind, text in FENCE.findall(PAGE.read_text("utf-8")):
            if "session.close()" in text:
                break
            if kind:
                answers.append(notebook.run(text))
                continue
            request = notebook.run("request.id")["shown"].split("'")[1]
            for line in text.splitlines():
                program, *words = line.replace("$REQUEST", request).split()
                assert program == "safehold"
                world.run(*words)
        purposes, asked, price, waited, used, figures, columns, budget, verified = (
            one["shown"] for one in answers
        )
        assert "Teach a software agent" in purposes
        assert "0 of 2 approvals" in asked
        assert re.search(r"'people': [56]\d\b", price), "everybody who opted in, of seventy"
        assert "approved by legal, privacy" in waited
        assert "used 1 of 3 runs" in used
        assert "1 row of 12 columns, entry" in figures
        assert "top1" in columns
        assert "'epsilon_left': 0.0" in budget
        assert "'verified': True" in verified
        assert "<div" in answers[1]["html"]

        memory = list(notebook.memory())
        lose_the_keeper(notebook, request)
        notebook.run("session.close()")
        ended = notebook.run("[one.status() for one in psutil.Process().children()]")["shown"]
        assert "[]" in ended, "a session ends the keeper that it started"
    finally:
        notebook.end()
    held = {
        "known": [REASON.encode()],
        "row": rows_of(files),
        "person": [b"emp-000"],
        "key": keys_of(world),
    }
    assert len(held["row"]) >= 10
    assert len(held["key"]) > 100
    found = found_in(memory, held)
    assert "known" in found, "the search finds what is there"
    assert found == {"known"}, "a row or a key reached the notebook"


def lose_the_keeper(notebook: Notebook, request: str) -> None:
    """Kill the keeper in the middle of a run, and go on."""
    notebook.run(KILL)
    lost = notebook.run(f"tried({request!r})")["shown"]
    assert "keeper.reachable" in lost
    assert "lost" in lost
    assert "reconnect" in lost
    again = notebook.run(f"other.reconnect().find({request!r}).open()")["shown"]
    assert "open, 2 of 3 runs left" in again
    assert "'verified': True" in notebook.run("other.ledger.verify().to_dicts()")["shown"]
    notebook.run("other.close()")


def found_in(memory: list[bytes], held: dict[str, list[bytes]]) -> set[str]:
    """Return of which kinds something lies in the memory; one pass, whatever their number."""
    kinds = [kind for kind, pieces in held.items() for _ in pieces]
    search = BytesAhoCorasick([piece for pieces in held.values() for piece in pieces])
    return {kinds[number] for one in memory for number, _, _ in search.find_matches_as_indexes(one)}


def keys_of(world: World) -> list[bytes]:
    """Return every key of the home in plain: root, mint, and what its key database holds."""
    home = Home.open(world.home)
    root = open_sealed(home.root_file, world.passphrase)
    found = [bytes(root._raw.view()), root.derive("capability-mint")]
    desk = open_desk(home, root, clock=SystemClock())
    try:
        with desk.engine.begin() as connection:
            rows = connection.execute(sa.select(key)).all()
            names: dict[str, list[KeyName]] = {}
            for row in rows:
                name = KeyName(row.kind, row.owner, row.stream, row.period)
                names.setdefault(row.segment, []).append(name)
            for segment, wanted in names.items():
                found += desk.vault._keyring.find(connection, segment, wanted).values()
    finally:
        desk.ledger.close()
        desk.engine.dispose()
    return found
