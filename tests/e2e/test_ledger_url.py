"""A home whose journal lies in PostgreSQL, from the command line."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.command_line import CHARTERS, EVIDENCE, World, command, company, write_people
from tests.e2e.test_serve import served
from tests.postgres import Server

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def world(postgres: Server, tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    url = postgres.database()
    made = world.ask(
        "init", "--seats", world.seats, "--charter", CHARTERS / "demo.yaml", "--ledger-url", url
    )
    assert re.fullmatch(r"PostgreSQL, schema ledger_[0-9a-f]{32}", made["journal"])
    (world.root / "schema").write_text(made["journal"].rpartition(" ")[2], "ascii")
    yield world


def outside_of(world: World) -> Path:
    (found,) = [one for one in (world.root / "outside").iterdir() if one.name.startswith("home_")]
    return found


def test_a_home_works_as_with_a_journal_of_its_own(
    postgres: Server, world: World, tmp_path: Path
) -> None:
    assert not list(world.home.rglob("journal.db*"))
    file = outside_of(world) / "ledger-url"
    assert file.stat().st_mode & 0o077 == 0
    url = file.read_text("utf-8").strip().encode()
    assert not [one for one in world.home.rglob("*") if one.is_file() and url in one.read_bytes()]
    people = write_people(company(3), tmp_path / "people.csv")
    world.run("people", "enrol", "--file", people, "--evidence", EVIDENCE)
    report = world.ask("ledger", "verify")
    assert report["verified"] is True
    assert world.ask("ledger", "tail", "-n", "1")
    assert world.ask("ledger", "show", "0")
    assert world.ailing() == []

    head = world.home / "ledger" / "checkpoint"
    offline = ("-m", "safehold_verify", "log", str(world.home / "ledger"))
    offline += ("--policy", str(outside_of(world) / "policy"), "--head", str(head))
    postgres.stop()
    try:
        error = world.refuse("ledger", "verify", code=6)
        assert "the exported files hold" in error["message"]
        assert world.refuse("status", code=6)["rule"] == "ledger.database"
        done = subprocess.run(
            [*command(())[:1], *offline], env=world.environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
    finally:
        postgres.start()
    assert world.ask("ledger", "verify") == report
    schema = (world.root / "schema").read_text("ascii")
    with psycopg.connect(url.decode(), autocommit=True) as base:
        base.execute("SET session_replication_role = replica")
        base.execute(
            "DELETE FROM @.head WHERE size = %s".replace("@", schema).encode(), (report["size"],)
        )
    assert "journal" in world.refuse("ledger", "verify", code=5)["message"]


def test_callers_in_many_processes_append_through_one_keeper(
    postgres: Server, world: World, tmp_path: Path
) -> None:
    before = world.ask("ledger", "verify")["size"]
    with served(world):
        callers = []
        for number in range(4):
            people = tmp_path / f"people-{number}.csv"
            lines = [f"p-{number}-{at},us-ca,key" for at in range(5)]
            people.write_text("\n".join(["person,jurisdiction,streams", *lines]) + "\n", "utf-8")
            words = ("people", "enrol", "--file", people, "--evidence", EVIDENCE)
            callers.append(
                subprocess.Popen(command(words), env=world.environment, stdout=subprocess.PIPE)
            )
        for caller in callers:
            caller.communicate(timeout=240)
        assert [one.returncode for one in callers] == [0] * 4
        second = world.try_run("serve")
        assert (second.code, "is running already" in second.err) == (1, True)
    postgres.wait_until_left()
    assert world.counts()["rows"]["person"] == 20
    assert world.ask("ledger", "verify")["size"] >= before + 4


def test_the_keeper_needs_no_more_than_the_guide_grants(postgres: Server, world: World) -> None:
    schema = (world.root / "schema").read_text("ascii")
    page = (DOCS / "how-to" / "keep-the-ledger-in-postgresql.md").read_text("utf-8")
    [block] = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    file = outside_of(world) / "ledger-url"
    owner = file.read_text("utf-8").strip()
    keeper = owner.replace("user=postgres", "user=safehold_keeper")
    with psycopg.connect(owner, autocommit=True) as base:
        base.execute(b"DROP ROLE IF EXISTS safehold_keeper")
        base.execute(block.replace("ledger_...", schema).encode())
    try:
        file.write_text(keeper, "utf-8")
        people = write_people(company(2), world.root / "people.csv")
        world.run("people", "enrol", "--file", people, "--evidence", EVIDENCE)
        assert world.ask("ledger", "verify")["verified"] is True
        with psycopg.connect(keeper, autocommit=True) as base:
            for query in (
                "UPDATE @.journal SET count = 0",
                "DELETE FROM @.journal",
                "DELETE FROM @.sidecar",
                "TRUNCATE @.tile",
                "DELETE FROM @.idem",
                "UPDATE @.head SET size = 0",
                "UPDATE @.meta SET origin = ''",
                "ALTER TABLE @.journal DISABLE TRIGGER ALL",
                "DROP TABLE @.tile",
                "CREATE TABLE @.spare(one int)",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    base.execute(query.replace("@", schema).encode())
            with pytest.raises(
                psycopg.errors.RestrictViolation
            ):  # a key may join or leave, no more
                base.execute("UPDATE @.meta SET vkey = 'another'".replace("@", schema).encode())
    finally:
        with psycopg.connect(owner, autocommit=True) as base:
            base.execute(b"DROP OWNED BY safehold_keeper; DROP ROLE safehold_keeper")


def test_a_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    world = World(tmp_path)
    done = world.try_run(
        "init", "--seats", world.seats, "--ledger-url", "postgresql://me:canary@db.example/x"
    )
    assert done.code == 2
    assert "ledger.url" in done.err
    assert "canary" not in done.err + done.out
    assert not world.home.exists()
    assert not world.seats.exists()
