"""A witness that somebody else keeps, a home that asks it, and a log that anybody can follow: by command."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command_line import World, command


@contextlib.contextmanager
def listening(world: World, *words: str | Path) -> Iterator[str]:
    """Run a command that serves, and yield where; it ends cleanly when told to."""
    process = subprocess.Popen(
        command(words), env=world.environment, cwd=world.root, stderr=subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline().decode()
        assert " listens on http" in line, line
        yield line.split()[-1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("witness"))
    world.init()
    return world


def name_witnesses(world: World, paper: str) -> None:
    """Have five seats name the witnesses that were drawn up; before there is a charter it takes no notice."""
    file = world.root / paper
    world.ask("board", "witnesses", file)
    first, *others = ("privacy", "employee_representative", "legal", "hr", "ml_lead")
    for verb, seat in (("propose", first), *(("sign", one) for one in others)):
        world.ask("board", verb, file, "--seat", seat, "--key", world.seats / f"{seat}.key")
    assert world.ask("board", "enact", file)["change"] == "witnesses"


def test_a_home_asks_a_witness_that_others_keep(world: World) -> None:
    council = world.root / "council"
    policy = world.root / "outside"
    (policy_file,) = policy.glob("home_*/policy")
    log = policy_file.read_text("utf-8").split()[1]
    made = world.ask(
        "ledger", "witness", "create", council, "--name", "works-council.example", "--trust", log
    )
    assert made["logs"] == [log]
    keys = [word for key in made["vkeys"] for word in ("--vkey", key)]
    assert (
        "the charter promises more"
        in next(
            one["found"]
            for one in world.try_run("doctor", "--json").json["checks"]
            if one["check"] == "witnesses"
        )
        or not world.try_run("doctor", "--json").json["ok"]
    )
    with listening(
        world, "ledger", "witness", "run", council, "--bind", "127.0.0.1:0", "--prefix", "/w"
    ) as url:
        added = world.ask(
            "ledger",
            "witness",
            "add",
            "council",
            "--url",
            url,
            *keys,
            "--seat",
            "employee_representative",
        )
        assert added["answers"] is True
        assert (added["quorum"], added["named"]) == (1, True)
        assert added["drawn_up"]["quorum"] == 2
        world.refuse("ledger", "witness", "add", "council", "--url", url, *keys, code=1)
        assert world.ask("status")["witnesses"]["remote"] == []  # the board has not named it
        name_witnesses(world, "named.json")
        listed = world.ask("ledger", "witness", "list")
        assert (listed["quorum"], listed["named"], listed["missing"]) == (2, True, None)
        status = world.ask("status")
        assert status["witnesses"]["remote"] == ["council"]
        assert status["witnesses"]["missing"] is None
        begun = world.ask("ledger", "rotate")
        refused = world.refuse("ledger", "rotate", "--retire", code=1)
        assert refused["rule"] == "ledger.rotate.witnesses"
        world.ask("ledger", "witness", "trust", council, begun["signing"][0])
        ended = world.ask("ledger", "rotate", "--retire")
        assert ended["signing"] == begun["signing"][:1]
        shown = world.ask("ledger", "witness", "distrust", council, begun["signing"][1])
        assert shown["logs"] == begun["signing"][:1]
        assert world.ask("ledger", "witness", "evidence", council)["evidence"] == []
        verified = world.ask("ledger", "verify")
        assert "works-council.example" in str(verified["witnesses"])
    # it is down: the home can be read, and nothing can be written
    assert "works-council.example" in str(world.ask("status")["witnesses"]["unreachable"])
    assert world.try_run("ledger", "rotate").code == 6
    for strict in ("--no-strict", "--strict"):  # that changes no policy
        assert "policy" not in world.ask("ledger", "witness", "require", strict)["next"]
    drawn = world.ask("ledger", "witness", "require", "--quorum", "1")
    assert "board witnesses" in drawn["next"]
    assert drawn["quorum"] == 2
    assert world.try_run("ledger", "rotate").code == 6
    early = world.ask("ledger", "witness", "require", "--quorum", "1", "--at-once")
    assert "new policy" in early["next"]
    assert (early["quorum"], early["named"]) == (1, False)
    assert world.ask("ledger", "rotate")["signing"]
    world.refuse("ledger", "witness", "require", "--quorum", "3", code=2)
    assert world.ask("ledger", "witness", "remove", "council")["drawn_up"]["quorum"] == 1
    name_witnesses(world, "named-again.json")
    assert [one["name"] for one in world.ask("ledger", "witness", "list")["witnesses"]] == ["local"]
    assert world.ask("ledger", "verify")["verified"] is True


def test_anybody_can_follow_the_log(world: World) -> None:
    with listening(world, "ledger", "serve", world.home, "--bind", "127.0.0.1:0") as url:
        with urllib.request.urlopen(f"{url}/checkpoint") as answer:  # noqa: S310 - our own server
            assert answer.read() == (world.home / "ledger" / "checkpoint").read_bytes()
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{url}/journal.db")  # noqa: S310 - our own server


def test_what_is_wrong_is_said(world: World) -> None:
    nowhere = world.root / "nowhere"
    assert world.refuse("ledger", "witness", "show", nowhere, code=1)["rule"] == "ledger.witness"
    assert world.refuse(
        "ledger", "witness", "create", nowhere, "--name", "a b", "--trust", "x", code=2
    )
    assert world.try_run("ledger", "witness", "run", nowhere, "--bind", "nonsense").code in (1, 2)
    assert world.try_run("ledger", "serve", nowhere).code == 1
    far = ("--url", "http://w.example", "--vkey", "x")
    assert world.refuse("ledger", "witness", "add", "far", *far, code=2)
