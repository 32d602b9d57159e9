"""Three houses from the command line: homes, keepers, nodes and coordinator, each a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests.command_line import CHARTERS, World, company, write_people, write_sources
from tests.federated import NAMES, make_certificates
from tests.flowers import need_flower

pytestmark = pytest.mark.proof
PEOPLE = 180  # of one house, of whom more than half agree to both streams: fifty have to train


def house(path, seed):
    world = World(path)
    world.root.mkdir()
    world.run("init", "--seats", world.seats, "--charter", CHARTERS / "demo.yaml")
    spec = company(PEOPLE, pace=200, seed=seed)
    files = write_sources(spec, path / "sources")
    people = write_people(spec, path / "people.csv")
    world.run("people", "enrol", "--file", people, "--evidence", "made up")
    world.run(
        "run",
        *(word for name in ("key", "pointer") for word in ("--source", files[name])),
        timeout=1200,
    )
    assert world.ask("dataset", "build")["people"] >= 50
    return world


def test_three_houses_from_the_command_line(tmp_path):
    need_flower()
    make_certificates(tmp_path)
    worlds = {name: house(tmp_path / name, seed) for seed, name in enumerate(NAMES)}
    cards = []
    for name, world in worlds.items():
        cards.append(tmp_path / f"{name}.card")
        world.run("federate", "card", name, "--key", tmp_path / f"{name}.node", "--out", cards[-1])
    chief = worlds[NAMES[0]]
    drafted = chief.ask(
        "federate", "draft", *cards, "--out", tmp_path / "agreement.json", "--key", tmp_path / "coordinator.key",
        "--certificate", tmp_path / "server.pem", "--people", "240", "--honest", "3", "--steps", "4",
        "--checks", "0", "--held-out", "0", "--worse", "1.0",
    )  # fmt: skip
    assert drafted["least_silos"] == 3
    common = ("--agreement", tmp_path / "agreement.json")
    coordinator = subprocess.Popen(
        [
            sys.executable, "-m", "safehold", "federate", "run", *map(str, common), "--key",
            str(tmp_path / "coordinator.key"), "--certificate", str(tmp_path / "server.pem"), "--tls-key",
            str(tmp_path / "server.key"), "--out", str(tmp_path / "out"), "--port", "0", "--patience", "300", "--json",
        ],
        env=chief.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said = ""
    while "listening on" not in said:
        said = coordinator.stderr.readline()
        assert said, "the coordinator ended"
    port = said.rsplit(":", 1)[1].strip()
    nodes = [
        subprocess.Popen(
            [
                sys.executable, "-m", "safehold", "federate", "node", name, *map(str, common), "--coordinator",
                f"127.0.0.1:{port}", "--ca", str(tmp_path / "ca.pem"), "--key", str(tmp_path / f"{name}.node"),
                "--seats", str(world.seats),
            ],
            env=world.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for name, world in worlds.items()
    ]  # fmt: skip
    try:
        out, err = coordinator.communicate(timeout=1800)
    finally:
        coordinator.kill()
        for node in nodes:
            node.terminate()
            node.wait(60)
    assert coordinator.returncode == 0, err
    answer = json.loads(out)
    assert answer["rounds"] == 4
    assert answer["silos"] == sorted(NAMES)
    statement = json.loads((tmp_path / "out" / "model.intoto.json").read_bytes())
    assert statement["payload"]
    for world in worlds.values():
        assert world.ask("ledger", "verify")["verified"] is True
        (budget,) = [
            one
            for one in world.ask("budget", "show")["budgets"]
            if one["purpose"] == "train_ui_agent"
        ]
        assert budget["epsilon_left"] == 0
