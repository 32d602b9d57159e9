"""A home on servers is backed up and put back, as somebody types it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.command_line import CHARTERS, EVIDENCE, World, company, write_people
from tests.postgres import Server
from tests.seaweed import Weed


@pytest.mark.proof
def test_a_home_on_servers_is_lost_and_comes_back_elsewhere(
    postgres: Server, weed: Weed, tmp_path: Path
) -> None:
    world = World(tmp_path, extra={"AWS_SHARED_CREDENTIALS_FILE": str(weed.credentials)})
    database, bucket = postgres.new_database(), weed.url(weed.bucket(), weed.prefix())
    server = ("--database", postgres.url(database), "--objects", bucket)
    world.ask("init", "--profile", "server", *server, "--seats", world.seats, "--charter", CHARTERS / "demo.yaml")  # fmt: skip
    people = write_people(company(3), tmp_path / "people.csv")
    world.run("people", "enrol", "--file", people, "--evidence", EVIDENCE)
    with world.kept():  # a keeper works
        assert world.ask("status")["profile"]["name"] == "server"
        made = world.ask("backup", "create", "--out", tmp_path / "backups")
        size = world.ask("status")["ledger"]["size"]
    place = Path(made["backup"])
    assert made["profile"] == world.ask("backup", "verify", place)["profile"] == "server"

    shutil.move(world.home, tmp_path / "broken")
    refused = world.try_run("backup", "restore", place, "--to", "embedded", "--json")
    assert refused.error["rule"] == "backup.there"
    assert world.try_run("backup", "restore", place, *server, "--json").code == 2
    with postgres.admin(database) as base:
        for (schema,) in base.execute(
            "SELECT nspname::text FROM pg_namespace WHERE nspname ~ '^(control|ledger)_'"
        ).fetchall():
            base.execute(f"ALTER SCHEMA {schema} RENAME TO broken_{schema}".encode())
    assert world.try_run("backup", "restore", place, "--back", "--json").error["rule"] == "backup.none"  # fmt: skip
    assert world.ask("backup", "restore", place, "--to", "embedded")["profile"] == "embedded"
    assert world.ask("status")["profile"]["name"] == "embedded"
    assert world.ask("status")["ledger"]["size"] >= size
    assert world.ask("people", "list")["enrolled"] == 3
    assert world.ask("ledger", "verify")["verified"] is True
