"""A model is trained, attacked, pulled and checked as the how-to guide says it, with real sandboxes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.command_line import CHARTERS, World, company, write_people, write_sources
from tests.e2e.test_docs_board import walk

from safehold.app.artifacts import verify
from safehold.errors import TamperedError

PEOPLE = 132  # about 110 take part: fifty on each side, which the charter asks for before anything is said
GATES = """gates:
  - {id: membership, attack: membership, measure: membership.advantage, must_be: "<=0.95"}
  - {id: canary, attack: canary, measure: canary.exposed, must_be: "<=0.9"}

assurance:"""


@pytest.mark.proof  # each part of it is in the tests of its package
def test_a_model_is_released_as_the_page_says(tmp_path: Path) -> None:
    world, files = made(tmp_path)
    taken = [word for name in ("key", "pointer") for word in ("--source", files[name])]
    with world.kept():
        trained = world.ask("run", *taken, "--seats", world.seats, timeout=3_000)["training"]
        assert trained["artifact"]
        world.root.joinpath("tokenizer.json").write_text(
            json.dumps(
                {"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}
            )
        )
        count, out, err = walk(world, "release-a-model.md")
    assert count >= 20
    assert "charter.guard.gates" in err
    assert out.count("would have failed this gate in 19 of 20") == 2
    assert "verified: yes" in out
    pulled = world.root / "model"
    assert sorted(one.name for one in pulled.iterdir()) == [
        "model.safetensors", "model.sig", "provenance.intoto.jsonl", "pull.leaf",
        "pull.tlog-proof", "release.json",
    ]  # fmt: skip
    forged(pulled, policy(world))


def forged(pulled: Path, policy: Path) -> None:
    """No byte of any file of a pull may differ, and no file may be more."""
    assert verify(pulled, policy)["verified"] is True
    for file in sorted(pulled.iterdir()):
        whole = file.read_bytes()
        changed = bytearray(whole)
        # of the proof its path: a head may carry signatures that this policy does not read
        changed[40 if file.suffix == ".tlog-proof" else len(changed) // 2] ^= 1
        file.write_bytes(changed)
        with pytest.raises(TamperedError):
            verify(pulled, policy)
        file.write_bytes(whole)
    (pulled / "more").write_text("x")
    with pytest.raises(TamperedError):
        verify(pulled, policy)


def made(path: Path) -> tuple[World, dict[str, Path]]:
    text = (CHARTERS / "demo.yaml").read_text("utf-8")
    assert text.count("\nassurance:") == 1
    text = text.replace("\nassurance:", f"\n{GATES}")
    role = "data_scientist: {do: ["
    assert text.count(role) == 1
    text = text.replace(role, f"{role}pull_artifact, ") if "pull_artifact" not in text else text
    charter = path / "charter.yaml"
    charter.write_text(text, "utf-8")
    world = World(path).init(charter)
    for key in world.seats.glob("*.key"):
        shutil.copy(key, world.root)
    spec = company(PEOPLE, pace=200)
    files = write_sources(spec, path / "sources")
    people = write_people(spec, path / "people.csv")
    world.extra["POLICY"] = str(policy(world))
    world.run("people", "enrol", "--file", people, "--evidence", "made up")
    return world, files


def policy(world: World) -> Path:
    (found,) = (world.root / "outside").rglob("policy")
    return found
