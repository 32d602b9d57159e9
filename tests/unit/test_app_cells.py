"""A session of cells: one sandbox, one set of names, and the same narrow way out."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pytest
from tests.command_line import World

from safehold.app.cells import Cells
from safehold.errors import ConflictError, DeniedError, SafeholdError
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.launch import Launcher

SECRET = "the-secret-of-the-input-31fa"


@pytest.fixture(scope="module")
def mine(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("cells") / "mine.arrow"
    feather.write_feather(pa.table({"word": [SECRET]}), file, compression="uncompressed")
    return file


@pytest.fixture(scope="module")
def cells(mine: Path):
    with Cells(mine) as cells:
        yield cells


def test_names_live_from_cell_to_cell(cells):
    assert cells.run("import safehold_enclave as e\ntable = e.table()")["ok"]
    answer = cells.run("e.count('rows', table.num_rows)\ne.say('done')\nprint('here')")
    assert answer == {"ok": True, "counts": {"rows": 1}, "words": ["done"], "printed": "here\n"}
    assert cells.run("pass")["counts"] == {}, "counters begin anew with each cell"


def test_a_cell_that_fails_ends_no_session(cells):
    answer = cells.run("1 / 0")
    assert not answer["ok"]
    assert "ZeroDivisionError" in answer["printed"]
    assert not cells.run("raise SystemExit(3)")["ok"]
    assert cells.run("import os\nif os.fork() == 0: pass")["ok"], "only the parent answers"
    assert cells.run("pass")["ok"]


def test_a_cell_is_as_confined_as_a_script(cells):
    for line in ("import socket; socket.socket()", "import os; os.execv('/bin/true', ['true'])"):
        assert "PermissionError" in cells.run(line)["printed"]


@pytest.mark.parametrize(
    "line",
    [
        "e.say(table['word'][0].as_py())",
        "e.count(table['word'][0].as_py())",
        "import os; os._exit(0)",
    ],
)
def test_what_may_not_leave_ends_the_session(mine, line):
    with Cells(mine) as own:
        own.run("import safehold_enclave as e\ntable = e.table()")
        with pytest.raises(SafeholdError) as caught:
            own.run(line)
        assert SECRET not in str(caught.value)
        with pytest.raises(ConflictError):
            own.run("pass")


def test_what_a_cell_prints_is_shown_to_whoever_asked(mine):
    world = World(mine.parent)
    lines = "".join(json.dumps({"code": code}) + "\n" for code in ("x = 7", "print(x)"))
    done = world.run("enclave", "kernel", "--input", mine, stdin=lines.encode())
    assert [json.loads(line) for line in done.out.splitlines()] == [
        {"counts": {}, "ok": True, "words": []}
    ] * 2


def test_no_recipe_takes_code_from_outside():
    with pytest.raises(DeniedError) as caught:
        Launcher().start(Job(recipe="feature", limits=Limits(), cells=0))
    assert caught.value.rule == "sandbox.cells"
