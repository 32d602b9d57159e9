"""How the board changes things, as the how-to guides say it: each page is one session of a shell, on a fresh home."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command_line import CHARTERS, World

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to"
FENCE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM = 'safehold() { "$PYTHON" -m safehold "$@"; }\n'
WRONG = 97  # a command that did not end as the page says


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("made"))
    shutil.copy(CHARTERS / "demo.yaml", world.root / "charter.yaml")
    world.init(world.root / "charter.yaml")
    for key in world.seats.glob("*.key"):  # as if each lay on the machine of its seat
        shutil.copy(key, world.root)
    return world


@pytest.fixture
def world(made: World, tmp_path: Path) -> Iterator[World]:
    with made.copy(tmp_path).kept() as world:
        yield world


def session(page: str) -> tuple[str, int]:
    """Return the commands of a page as a script that ends at the first one that ends otherwise than the page says."""
    script, count = PROGRAM, 0
    for block in FENCE.findall((HOW_TO / page).read_text("utf-8")):
        for line in block.splitlines():
            text, _, remark = line.partition("   # ")
            code = re.fullmatch(r"exit (\d)", remark)
            wanted = int(code[1]) if code else 0
            told = shlex.quote(f"{text}: exit {{}} and not {wanted}")
            script += f"{text}\ngot=$?; [ $got = {wanted} ] || {{ echo {told} $got >&2; exit {WRONG}; }}\n"
            count += 1
    return script, count


def walk(world: World, page: str) -> tuple[int, str, str]:
    """Go through a page in a shell; return how many commands there were, and what was written."""
    script, count = session(page)
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=world.root,
        env={**world.environment, "PYTHON": sys.executable, "SAFEHOLD_HOME": "home"},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return count, done.stdout, done.stderr


def test_a_charter_is_changed_as_the_page_says(world: World) -> None:
    count, out, err = walk(world, "change-the-charter.md")
    assert count >= 20
    assert "direction: narrow" in out
    assert "Keystrokes may be kept for only 10 days instead of 14 days." in out
    assert "Keystrokes may now be kept for 12 days instead of 10 days." in out
    assert "proposal.notice" in err
    assert "has ended" in err.partition("proposal.open")[0].rpartition("error[")[2]
    assert world.ask("status")["charter"]["version"] == 2
    # moments as dates, lengths of time in days, and nothing under the name that it has for programs
    assert re.search(r"notice: 14 days$", out, re.MULTILINE)
    assert not re.search(r"\w_(us|ms|s): ", out)
    assert not re.search(r": $", out, re.MULTILINE)
    states = {
        one["document"]: one["state"] for one in world.ask("charter", "documents")["documents"]
    }
    assert (states["notice"], states["record"], states["dpia"]) == ("current", "current", "missing")


def test_everything_is_stopped_and_resumed_as_the_page_says(world: World) -> None:
    (world.root / "samples.csv").write_text("")
    count, out, err = walk(world, "stop-and-resume.md")
    assert count >= 14
    assert "stopped: yes" in out
    assert "oversight.stop" in err
    assert "5 of 6 people have signed" in err
    assert world.ask("status")["stopped"] is False


@pytest.mark.proof
def test_something_is_contained_and_lifted_as_the_page_says(world: World) -> None:
    count, out, err = walk(world, "contain.md")
    assert count >= 14
    assert "containment.purpose" in err
    assert "containment.seat" in err
    assert "4 of 5 people have signed" in err
    (left,) = world.ask("containment", "list")["containments"]
    assert (left["what"], left["target"]) == ("segment", "us-ca.key")


def test_seats_change_hands_as_the_page_says(world: World) -> None:
    count, out, err = walk(world, "replace-a-lost-seat.md")
    assert count >= 25
    assert not re.search(r"\bdead\b", out)  # a digest in hexadecimal may hold the four letters
    assert err.count("error[") == 3
    assert "proposal.notice" in err
    shown = world.ask("board", "show")
    held = {one["seat"]: one["person"] for one in shown["seats"]}
    assert (shown["version"], held["ml_lead"], held["privacy"]) == (4, "dana", "privacy")
    assert world.run("ledger", "verify").code == 0
