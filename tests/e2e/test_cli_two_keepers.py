"""Two keepers of one home in PostgreSQL, from the command line: one is killed, and the other goes on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.command_line import CHARTERS, EVIDENCE, World, command, company, write_people
from tests.e2e.test_serve import served
from tests.postgres import Server


def test_what_one_keeper_took_in_the_other_goes_on_with(postgres: Server, tmp_path: Path) -> None:
    world = World(tmp_path)
    url = postgres.url(postgres.new_database())
    where = ("--ledger-url", url, "--control", url)
    made = world.ask("init", "--seats", world.seats, "--charter", CHARTERS / "demo.yaml", *where)
    assert re.fullmatch(r"PostgreSQL, schema control_[0-9a-f]{32}", made["control"])
    assert not list(world.home.rglob("*.db"))
    (file,) = (tmp_path / "outside").rglob("control-url")
    assert file.stat().st_mode & 0o077 == 0
    people = write_people(company(3), tmp_path / "people.csv")
    caller = World(tmp_path, passphrase="")  # keepers that run need none of a caller
    with served(world) as first:
        second = subprocess.Popen(
            command(("serve", "--name", "b")),
            env=world.environment,
            cwd=world.root,
            stderr=subprocess.PIPE,
        )
        try:
            assert second.stderr is not None
            assert b"stands by" in second.stderr.readline()
            caller.run("people", "enrol", "--file", people, "--evidence", EVIDENCE)
            first.kill()
            assert first.wait(60) != 0
            assert caller.ask("people", "list")["enrolled"] == 3
            assert caller.ask("status")["ledger"]["size"] > 0
        finally:
            second.terminate()
            second.communicate(timeout=120)
    assert second.returncode == 0
    assert world.ask("ledger", "verify")["verified"] is True


def test_a_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    world = World(tmp_path)
    url = "postgresql://me:canary@db.example/x"
    done = world.try_run("init", "--seats", world.seats, "--control", url)
    assert done.code == 2
    assert "control.url" in done.err
    assert "canary" not in done.err + done.out
    assert not world.home.exists()
