"""From one laptop to servers and back, as somebody types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command_line import CHARTERS, EVIDENCE, World, company, write_people
from tests.postgres import Server
from tests.seaweed import Weed


def settings_in(path: Path, postgres: Server, weed: Weed) -> Path:
    settings = path / "server.toml"
    settings.write_text(
        f'database = "{postgres.url(postgres.new_database())}"\n'
        f'objects = "{weed.url(weed.bucket(), weed.prefix())}"\n'
    )
    return settings


def test_from_a_laptop_to_servers(postgres: Server, weed: Weed, tmp_path: Path) -> None:
    """The short form; the whole way, and back, is a proof."""
    world = World(tmp_path, extra={"AWS_SHARED_CREDENTIALS_FILE": str(weed.credentials)})
    world.ask("init", "--seats", world.seats)
    settings = settings_in(tmp_path, postgres, weed)
    done = world.ask("migrate", "--to", "server", "--settings", settings, "--yes")
    assert (done["done"], done["from"], done["to"]) == (True, "embedded", "server")
    assert world.ask("status")["profile"]["name"] == "server"
    assert not list(world.home.glob("*.db"))


@pytest.mark.proof
def test_from_a_laptop_to_servers_and_back(postgres: Server, weed: Weed, tmp_path: Path) -> None:
    world = World(tmp_path, extra={"AWS_SHARED_CREDENTIALS_FILE": str(weed.credentials)})
    world.ask("init", "--seats", world.seats, "--charter", CHARTERS / "demo.yaml")
    people = write_people(company(3), tmp_path / "people.csv")
    world.run("people", "enrol", "--file", people, "--evidence", EVIDENCE)
    settings = settings_in(tmp_path, postgres, weed)
    server = ("migrate", "--to", "server", "--settings", settings)
    said = world.ask(*server)
    assert (said["done"], said["from"], said["to"]) == (False, "embedded", "server")
    done = world.ask(*server, "--yes")
    assert (done["done"], done["to"]) == (True, "server")
    status = world.ask("status")
    assert status["profile"] == {
        "name": "server",
        "control": "PostgreSQL",
        "journal": "PostgreSQL",
        "objects": "a bucket",
    }
    checks = {one["check"]: one for one in world.try_run("doctor", "--json").json["checks"]}
    assert checks["profile"]["ok"]
    assert checks["profile"]["found"].startswith("server: control in PostgreSQL 1")
    assert "--remove-old" in checks["profile"]["found"]
    refused = world.try_run("migrate", "--to", "embedded", "--yes", "--json")
    assert refused.error["rule"] == "migrate.left"
    world.ask("migrate", "--remove-old")
    assert world.ask("migrate", "--to", "embedded", "--yes")["to"] == "embedded"
    assert world.ask("people", "list")["enrolled"] == 3
    assert world.ask("status")["profile"]["name"] == "embedded"
    assert world.ask("ledger", "verify")["verified"] is True
    assert world.try_run("migrate", "--back", "--json").error["rule"] == "migrate.none"
    assert world.try_run("migrate", "--json").code == 2


def on_database(postgres: Server, weed: Weed, path: Path) -> World:
    return World(
        path,
        extra={
            "AWS_SHARED_CREDENTIALS_FILE": str(weed.credentials),
            "SAFEHOLD_DATABASE_URL": postgres.url(postgres.new_database()),
        },
    )


def test_a_home_is_not_made_on_servers_that_do_not_answer(
    postgres: Server, weed: Weed, tmp_path: Path
) -> None:
    world = on_database(postgres, weed, tmp_path)
    gone = "s3://plain/x?endpoint=http://127.0.0.1:9&region=us-east-1"
    words = ("init", "--profile", "server", "--seats", world.seats, "--objects", gone, "--json")
    assert world.try_run(*words).error["rule"] == "object.store"
    assert not world.home.exists()
    assert not world.seats.exists()


@pytest.mark.proof
def test_a_home_is_made_on_servers(postgres: Server, weed: Weed, tmp_path: Path) -> None:
    world = on_database(postgres, weed, tmp_path)
    words = ("init", "--profile", "server", "--seats", world.seats)
    assert world.try_run(*words, "--json").error["rule"] == "profile.places"
    made = world.ask(*words, "--objects", weed.url(weed.bucket(), weed.prefix()))
    assert made["profile"] == "server"
    assert not list(world.home.rglob("*.db"))
