"""Where sandboxes run, from the command line."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from tests.command_line import (
    CHARTERS,
    EVIDENCE,
    World,
    command,
    company,
    write_people,
    write_sources,
)
from tests.world import outside

from safehold.settings import Home
from safehold.signing import SigningKey


def test_an_opener_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.ask("worker", "new", tmp_path / "w.key")
    world.ask("worker", "new", tmp_path / "k.key")
    socket = tmp_path / "s"
    words = (
        "worker",
        "serve",
        "w",
        "--key",
        tmp_path / "w.key",
        "--keeper",
        tmp_path / "k.key.pub",
    )
    process = subprocess.Popen(
        command((*map(str, words), "--of", "home_x", "--socket", str(socket))),
        env=world.environment,
        cwd=world.root,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        assert b"is ready" in process.stderr.readline()
        assert socket.is_socket()
        assert socket.stat().st_mode & 0o077 == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not socket.exists()
    finally:
        process.kill()
        process.communicate()


def test_workers_are_enrolled_by_name_key_and_level(tmp_path: Path) -> None:
    world = World(tmp_path)
    with outside(tmp_path):
        Home.create(world.home)
    key = tmp_path / "w.pub"
    key.write_text(SigningKey.generate().public.text() + "\n")
    world.run("worker", "use", "127.0.0.1:6379", "--workers", "4", "--socket", "/x/s")
    told = world.ask("worker", "add", "node-1", key, "--level", "E2")
    assert (told["width"], told["workers"]["node-1"]["level"]) == (4, "E2")
    refused = world.refuse("worker", "add", "Node 1", key, "--level", "E2", code=2)
    assert refused["rule"] == "cluster.name"


@pytest.mark.proof
def test_sources_go_in_together_on_a_home_that_runs_on_ray(tmp_path: Path) -> None:
    """One command, a keeper of its own, a cluster for as long as it takes; the tallies are those of a home without."""
    spec = company(3)
    files = write_sources(spec, tmp_path / "sources")
    people = write_people(spec, tmp_path / "people.csv")
    chosen = [word for file in list(files.values())[:2] for word in ("--source", file)]
    taken = []
    for name in ("here", "ray"):
        (tmp_path / name).mkdir()
        world = World(tmp_path / name)
        world.init(CHARTERS / "demo.yaml")
        if name == "ray":
            assert world.ask("worker", "use", "local:2")["ray"] == "local:2"
        with world.kept():
            world.run("people", "enrol", "--file", people, "--evidence", EVIDENCE)
            done = world.ask("run", *chosen)
            taken.append([one["totals"] for one in done["sources"]])
            abreast = world.ask("status")["sandboxes_abreast"]
            assert abreast == (2 if name == "ray" else 1)
        assert world.ask("ledger", "verify")["verified"] is True
    assert taken[0] == taken[1]
