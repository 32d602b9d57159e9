"""The list of uses as an employee and an auditor meet it: on the command line, with files that travel."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command_line import CHARTERS, EVIDENCE, World

PEOPLE = ("ana", "bo", "cy")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path).init(CHARTERS / "demo.yaml")
    rows = [f"{name},US-CA,key pointer" for name in PEOPLE]
    file = tmp_path / "people.csv"
    file.write_text("\n".join(["person,jurisdiction,streams", *rows]) + "\n", "utf-8")
    with world.kept():
        world.run("people", "enrol", "--file", file, "--evidence", EVIDENCE)
        yield world


def verify(world: World, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run the offline verifier with the policy from outside."""
    (policy,) = (world.root / "outside").glob("home_*/policy")
    start = [sys.executable, "-m", "safehold_verify", *map(str, words)]
    return subprocess.run(
        [*start, "--policy", str(policy), "--json"],
        capture_output=True,
        check=False,
        cwd=world.root,
        env=world.environment,
    )


def test_from_the_receipt_to_the_erasure(world: World, tmp_path: Path) -> None:
    receipt = tmp_path / "receipt.json"
    world.run("people", "receipt", "ana", "--out", receipt)
    assert receipt.stat().st_mode & 0o777 == 0o600
    world.run("people", "pause", "ana")
    world.run("ledger", "close-epoch")
    world.run("people", "pause", "bo")

    package = tmp_path / "package"
    told = world.run("people", "trail", "ana", "--proof", package, "--receipt", receipt).out
    assert "2 about you, and no more" in told
    assert "a choice of yours was recorded" in told
    assert "nobody used your data" in told
    assert "What this does not show" in told
    assert [one.name for one in package.iterdir()] == ["package.json"]

    done = verify(world, "package", package, "--receipt", receipt)
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert [span["count"] for span in report["spans"]] == [2, 0]
    assert report["bound"]

    # the receipt of somebody else does not fit, and neither does a changed package
    world.run("people", "receipt", "bo", "--out", tmp_path / "other.json")
    assert verify(world, "package", package, "--receipt", tmp_path / "other.json").returncode == 5
    again = ("people", "trail", "ana", "--proof", package, "--receipt", tmp_path / "other.json")
    assert world.refuse(*again, code=5)["rule"] == "trail.package"
    file = package / "package.json"
    data = file.read_bytes()
    file.write_bytes(data.replace(b'"flags":0', b'"flags":1', 1))
    assert verify(world, "package", package).returncode == 5
    file.write_bytes(data)

    # the auditor
    key, public, bundle = (tmp_path / name for name in ("dpo.key", "dpo.pub", "bundle"))
    made = [sys.executable, "-m", "safehold_verify", "auditor", "--name", "dpo.example"]
    made += ["--key", str(key), "--public", str(public)]
    assert (
        subprocess.run(made, env=world.environment, check=False, capture_output=True).returncode
        == 0
    )
    assert (
        subprocess.run(made, env=world.environment, check=False, capture_output=True).returncode
        == 5
    )
    world.run("ledger", "audit", "0", "--auditor", public, "--out", bundle)
    world.refuse("ledger", "audit", "7", "--auditor", public, "--out", bundle, code=1)
    words = ("index", world.home / "ledger", "--bundle", bundle, "--name", "dpo.example")
    note = tmp_path / "complete.note"
    done = verify(world, *words, "--key", key, "--statement", note)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["people"] == 3
    assert note.read_text("utf-8").startswith("safehold.index-complete/1\n")

    # erased
    answer = world.ask("people", "erase", "ana", "--evidence", "a letter")
    assert answer["request"].startswith("ers_")
    assert world.refuse("people", "show", "ana", code=1)["rule"] == "subjects.find"
    world.refuse("people", "trail", "ana", "--proof", tmp_path / "later", code=1)
    assert world.ask("people", "list")["erased"] == 1
    assert world.ask("ledger", "verify")["verified"]
    assert verify(world, "package", package, "--receipt", receipt).returncode == 0
    assert verify(world, *words, "--key", key).returncode == 0


def test_a_package_is_not_written_over_other_files(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "letter").write_text("mine")
    refused = world.refuse("people", "trail", "ana", "--proof", folder, code=1)
    assert refused["rule"] == "trail.directory"
    assert [one.name for one in folder.iterdir()] == ["letter"]
