"""The edges of the command line: what a stranger does wrong, and what is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.command_line import CHARTERS, World, command, eventually


def test_a_home_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    """A passphrase that is too short is found by the keeper, when home and seats are there already."""
    short = World(tmp_path, passphrase="short")
    assert short.refuse("init", "--seats", short.seats, code=2)["rule"] == "root.passphrase"
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == []
    assert not short.home.exists()
    assert not short.seats.exists()
    world = World(tmp_path)
    assert world.ask("init", "--seats", world.seats)["keeper_level"]
    # seats that were there before are not ours to take away, and an empty home is left empty
    again = World(tmp_path / "again", passphrase="short")
    again.home.mkdir(parents=True)
    again.refuse("init", "--seats", world.seats, code=2)
    assert again.home.is_dir()
    assert not any(again.home.iterdir())
    assert len(list(world.seats.glob("*.key"))) == 6
    assert world.ask("status")["stopped"] is False


def test_a_home_without_its_board_says_so(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.init()
    (world.home / "roster.json").unlink()
    charter = tmp_path / "charter.yaml"
    charter.write_bytes((CHARTERS / "demo.yaml").read_bytes())
    key = world.seats / "privacy.key"
    error = world.refuse("charter", "sign", charter, "--seat", "privacy", "--key", key, code=1)
    assert error["rule"] == "home.roster"


def test_wrong_usage_is_one_object_where_json_was_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    for words in (
        ("run",),
        ("status", "--nonsense"),
        ("demo", "--people", "many"),
        ("no-such-command",),
        ("charter", "check"),
    ):
        assert world.refuse(*words, code=2)["rule"] == "cli.usage", words


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_an_interruption_says_so_and_ends_with_130(tmp_path: Path, more: tuple[str, ...]) -> None:
    world = World(tmp_path)
    # a shell starts what runs in the background with SIGINT ignored, and children inherit that
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            command(("demo", "--people", "60", "--home", world.home, *more)),
            env=world.environment | {"SAFEHOLD_PASSPHRASE": ""},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    eventually((world.home / "root.sealed").exists)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 130
    said = json.loads(err)["error"]["message"] if more else err.decode().strip()
    assert said == "interrupted"
    assert out == b""
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".home.")]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_fault_of_ours_shows_its_place_and_no_value(as_json: bool) -> None:
    """A traceback, and the text of a foreign exception, may quote what a variable held."""
    code = (
        "import sys\n"
        "from safehold.app import doctor\n"
        "from safehold.cli import main\n"
        "def broken(path):\n    raise KeyError('maria typed this')\n"
        "doctor._training = broken\n"
        "doctor.probe_sandbox = broken\n"
        "sys.argv = ['safehold', 'doctor', *sys.argv[1:]]\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *(["--json"] if as_json else [])],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 1
    assert "maria" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert "safehold.app.doctor:" in done.stderr
    assert "cli.fault" in done.stderr


def test_a_damaged_database_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    """What the database library says of it may quote rows; the keeper's stderr is the caller's."""
    world = World(tmp_path)
    world.init()
    (world.home / "control.db").write_bytes(b"no database " * 4096)
    for file in world.home.glob("control.db-*"):
        file.unlink()
    error = world.refuse("status", code=6)
    assert error["rule"] == "keeper.start"
    assert "no database" not in error["message"]
