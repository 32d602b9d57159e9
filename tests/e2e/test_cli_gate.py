"""A dataset passes its gate as people meet it: a run that is refused, an attack, and a training that is not."""

from __future__ import annotations

from pathlib import Path

from tests.command_line import CHARTERS, World, company, write_people, write_sources

PEOPLE = 75
GATE = """gates:
  - {id: reidentify-l3, attack: reidentify, level: L3, measure: reidentify.top1, must_be: "<=0.5"}

assurance:"""


def test_a_dataset_is_attacked_before_anything_is_trained_on_it(tmp_path: Path) -> None:
    charter = tmp_path / "charter.yaml"
    text = (CHARTERS / "demo.yaml").read_text("utf-8")
    assert text.count("\nassurance:") == 1
    charter.write_text(text.replace("\nassurance:", f"\n{GATE}"), "utf-8")
    world = World(tmp_path).init(charter)
    spec = company(PEOPLE, pace=200)
    files = write_sources(spec, tmp_path / "sources")
    people = write_people(spec, tmp_path / "people.csv")
    with world.kept():
        pass_the_gate(world, files, people)


def pass_the_gate(world: World, files: dict[str, Path], people: Path) -> None:
    """Be refused, attack, and train."""
    world.run("people", "enrol", "--file", people, "--evidence", "made up")

    sources = [word for name in ("key", "pointer") for word in ("--source", files[name])]
    done = world.ask("run", *sources, "--seats", world.seats)
    assert done["training"]["rule"] == "charter.guard.data-gates"
    dataset = done["features"]["dataset"]
    (before,) = world.ask("attack", "gates")["gates"]
    assert (before["dataset"], before["state"]) == (dataset, "unmeasured")

    asked = ("--seats", world.seats)
    found = world.ask("attack", "dataset", *asked, timeout=3_000)
    assert found["dataset"] == dataset
    assert {one["stream"] for one in found["gates"]} == {"key", "pointer"}
    for one in found["gates"]:
        assert one["people"] >= 50
        assert one["top1"] < one["upper"] <= 0.5
        assert one["state"] == "passed"
        assert world.ask("ledger", "show", str(one["entry"]))["leaf"]["k"] == "gate"
    assert "reidentify-l3 <=0.5: passed" in world.run("attack", "gates").out

    # over two sandboxes: what is planted trains in one of them like anybody
    assert world.ask("enclave", "train", *asked, "--workers", "2", timeout=3_000)["artifact"]
    assert world.ask("ledger", "verify")["verified"] is True
