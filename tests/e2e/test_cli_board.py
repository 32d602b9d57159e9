"""The board on the command line: a charter proposed, signed elsewhere, handed in, refused; seats that change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command_line import CHARTERS, World


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("made")).init(CHARTERS / "demo.yaml")


@pytest.fixture
def world(made: World, tmp_path: Path) -> Iterator[World]:
    with made.copy(tmp_path).kept() as world:
        yield world


def seat(world: World, name: str) -> tuple[str | Path, ...]:
    return ("--seat", name, "--key", world.seats / f"{name}.key")


def test_a_charter_is_changed_step_by_step(world: World) -> None:
    file = world.root / "charter-2.yaml"
    text = (CHARTERS / "demo.yaml").read_text("utf-8")
    file.write_text(
        text.replace("version: 1", "version: 2", 1).replace("keep: 14d", "keep: 15d", 1)
    )
    assert file.read_text("utf-8") != text
    error = world.refuse("charter", "sign", file, *seat(world, "privacy"), code=1)
    assert error["rule"] == "charter.proposal"
    error = world.refuse("run", "--charter", file, "--source", file, code=3)
    assert error["rule"] == "charter.proposal"
    proposed = world.ask("charter", "propose", file, *seat(world, "legal"))
    assert (proposed["direction"], proposed["signed"]) == ("widen", ["legal"])
    # on a machine of its own: no home, no keeper
    elsewhere = world.root / "elsewhere"
    elsewhere.mkdir()
    for name in (file.name, f"{file.name}.proposal.json"):
        shutil.copy(world.root / name, elsewhere / name)
    nowhere = ("--home", elsewhere / "no-home")
    keys = elsewhere / "keys"
    keys.mkdir()
    for name in ("privacy", "hr", "security"):
        shutil.copy(world.seats / f"{name}.key", keys)
    world.ask("charter", "sign", elsewhere / file.name, "--seats", keys, *nowhere)
    shutil.copy(elsewhere / f"{file.name}.votes.json", world.root)
    handed = world.ask("charter", "hand-in", file)
    assert handed["signed"] == ["hr", "legal", "privacy", "security"]
    assert world.refuse("charter", "enact", file, code=3)["rule"] == "charter.quorum.widen"
    world.ask("charter", "sign", file, *seat(world, "employee_representative"))
    refused = world.refuse("charter", "enact", file, code=3)
    assert refused["rule"] == "proposal.notice"
    assert refused["entry"]
    assert len(world.ask("charter", "proposals")["proposals"]) == 1
    ended = world.ask("charter", "refuse", file, *seat(world, "employee_representative"))
    assert ended["ended"]
    assert world.ask("charter", "proposals")["proposals"] == []
    told = [one.get("state") for one in world.ask("charter", "log")["log"] if "state" in one]
    assert told == ["proposed", *["signed"] * 5, "refused", "lapsed"]
    assert world.ask("status")["charter"]["version"] == 1
    assert "charter" in world.run("charter", "log").out


@pytest.mark.proof  # tests/attack/test_board_*.py hold its parts, without a process for each command
def test_seats_change_hands(world: World) -> None:
    shown = world.ask("board", "show")
    assert shown["version"] == 1
    assert any("K2" in line for line in shown["limits"])
    world.ask("board", "key", world.root / "hr-2.key")
    assert world.refuse("board", "key", world.root / "hr-2.key", code=2)["rule"] == "board.key"
    turned = world.ask("board", "rotate", *seat(world, "hr"), "--new", world.root / "hr-2.key")
    assert turned["change"] == "rotate"
    stop = ("stop", "--reason", "a test")
    assert world.refuse(*stop, *seat(world, "hr"), code=3)["rule"] == "oversight.stop"
    key = world.ask("board", "key", world.root / "new.key")
    paper = world.root / "roster-3.json"
    drawn = ("--seat", "security", "--person", "dana", "--public", key["public"])
    world.ask("board", "replace", paper, *drawn)
    error = world.refuse("board", "sign", paper, *seat(world, "privacy"), code=1)
    assert "board propose" in error["fix"]
    proposed = world.ask("board", "propose", paper, *seat(world, "ml_lead"))
    assert (proposed["notice_s"], proposed["signed"]) == (14 * 86_400, ["ml_lead"])
    # the paper goes from seat to seat, to machines without a home
    nowhere = ("--home", world.root / "no-home")
    world.ask(
        "board", "sign", paper, "--seat", "security", "--key", world.root / "new.key", *nowhere
    )
    for name in ("privacy", "employee_representative", "legal"):
        signed = world.ask("board", "sign", paper, *seat(world, name), *nowhere)
    assert "legal" in signed["signed"]
    error = world.refuse("board", "sign", paper, *seat(world, "hr"), code=2)
    assert error["rule"] == "charter.seat"
    assert "board show" in error["fix"]
    # four take a notice; a fifth, and it counts at once
    handed = world.ask("board", "hand-in", paper)
    assert (len(handed["signed"]), handed["newcomer_signed"]) == (4, True)
    assert world.refuse("board", "enact", paper, code=3)["rule"] == "proposal.notice"
    world.ask("board", "sign", paper, "--seat", "hr", "--key", world.root / "hr-2.key")
    assert world.ask("board", "enact", paper)["change"] == "replace"
    other = world.root / "roster-other.json"
    key = world.ask("board", "key", world.root / "kim.key")
    drawn = ("--seat", "legal", "--person", "kim", "--public", key["public"])
    world.ask("board", "replace", other, *drawn)
    proposed = world.ask("board", "propose", other, *seat(world, "privacy"))
    assert proposed["notice_s"] == 14 * 86_400
    contested = world.ask("board", "refuse", str(proposed["proposal"]), *seat(world, "legal"))
    assert (contested["ended"], contested["contested"]) == (False, True)
    assert (contested["needed"], contested["notice_s"]) == (5, 28 * 86_400)
    ended = world.ask("board", "refuse", str(proposed["proposal"]), *seat(world, "ml_lead"))
    assert ended["ended"]
    renewal = world.root / "roster-4.json"
    world.ask("board", "renew", renewal, "--days", "390")
    world.ask("board", "propose", renewal, *seat(world, "privacy"))
    for name in ("employee_representative", "legal", "ml_lead"):
        world.ask("board", "sign", renewal, *seat(world, name))
    assert world.ask("board", "enact", renewal)["change"] == "renew"
    error = world.refuse("board", "witnesses", world.root / "same.json", code=2)
    assert error["rule"] == "board.witnesses"
    after = world.ask("board", "show")
    assert after["version"] == 4
    assert {"seat": "security", "person": "dana"}.items() <= next(
        one for one in after["seats"] if one["seat"] == "security"
    ).items()
    assert world.run("ledger", "verify").code == 0
    assert "board" not in world.ailing()
