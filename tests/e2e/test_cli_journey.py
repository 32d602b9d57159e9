"""The way of the README, word by word, as a newcomer walks it; and the edges beside the path."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import (
    CHARTERS,
    EVIDENCE,
    QUORUM,
    World,
    company,
    write_people,
    write_sources,
)

SHARED = Path(__file__).resolve().parents[3] / "shared"  # beside the checkout
HEAVY = ("pyarrow", "fastapi", "duckdb", "jax", "sqlalchemy", "numpy", "cryptography", "cedarpy")
NOUNS = ("charter", "people", "source", "dataset", "request", "enclave", "artifact", "ledger")


def sources_of(files: dict[str, Path]) -> list[str | Path]:
    return [word for file in files.values() for word in ("--source", file)]


def test_the_way_of_the_readme(tmp_path: Path) -> None:
    world = World(tmp_path)
    made = world.ask("init", "--seats", world.seats)
    assert made["home"] == str(world.home)
    assert made["seats"] == sorted([*QUORUM, "security"])
    assert sorted(file.stem for file in world.seats.glob("*.key")) == made["seats"]
    assert not Path(made["outside"]).is_relative_to(world.home)

    charter = tmp_path / "charter.yaml"
    charter.write_bytes((CHARTERS / "demo.yaml").read_bytes())
    assert world.ask("charter", "check", charter)["charter"] == "demo.ui-agent-study"

    spec = company(60)
    files = write_sources(spec, tmp_path / "sources")
    people = write_people(spec, tmp_path / "people.csv")
    job = ("run", "--charter", charter, *sources_of(files))

    # unsigned: nothing is collected
    before = world.counts()
    refused = world.refuse(*job, code=3)
    assert refused["rule"].startswith("charter.quorum")
    assert "employee_representative" in refused["message"]
    assert world.counts() == before
    assert before["objects"] == []

    # signed seat by seat; one seat too few is still too few
    for number, seat in enumerate(QUORUM):
        state = world.ask(
            "charter", "sign", charter, "--seat", seat, "--key", world.seats / f"{seat}.key"
        )
        assert len(state["signed"]) == number + 1
        if number + 1 < len(QUORUM):
            assert world.refuse(*job, code=3)["rule"].startswith("charter.quorum")
    assert state["needed"] == 5
    assert state["missing"] == []

    enrolled = world.ask("people", "enrol", "--file", people, "--evidence", EVIDENCE)
    assert enrolled == {"enrolled": 60, "known": 0}
    again = world.ask("people", "enrol", "--file", people, "--evidence", EVIDENCE)
    assert again == {"enrolled": 0, "known": 60}

    taken = world.ask(*job)
    by_file = {one["file"]: one for one in taken["sources"]}
    assert set(by_file) == {file.name for file in files.values()}
    for stream, file in files.items():
        one = by_file[file.name]
        assert not one["already"]
        assert set(one["taken"]) <= {stream}
        assert one["totals"] == {group: sum(one[group].values()) for group in one["totals"]}, (
            "the totals are the sums of what is listed"
        )
    assert by_file["key.parquet"]["taken"]["key"] > 0
    assert by_file["key.parquet"]["masked"], "secrets were planted, so something is masked"
    assert taken["training"] == {"skipped": "no grant was given"}
    assert taken["verification"]["verified"] is True
    assert taken["verification"]["size"] == taken["status"]["ledger"]["size"]

    # the same sources again: known, and nothing new
    once = world.counts()
    repeated = world.ask(*job)
    assert all(one["already"] for one in repeated["sources"])
    assert [one["totals"] for one in repeated["sources"]] == [
        one["totals"] for one in taken["sources"]
    ]
    assert world.counts() == once

    # a use of the data: asked for, approved by two seats, proved by its holder
    request, holder = tmp_path / "request.json", tmp_path / "holder.key"
    asked = ("request", "new", request, "--requester", "ana", "--purpose", "train_ui_agent")
    reason = ("--reason", "ticket ML-12: next-action model", "--holder", holder)
    shown = world.ask(*asked, *reason)
    assert shown["file"] == "request.json"
    assert world.refuse(*asked, *reason, code=2)["rule"] == "request.file"
    use = (*job, "--grant", request, "--holder", holder)
    assert world.refuse(*use, code=3)["rule"]
    for seat in ("privacy", "legal"):
        world.run(
            "request", "approve", request, "--seat", seat, "--key", world.seats / f"{seat}.key"
        )
    assert world.ask("request", "show", request)["decisions"] == {
        "legal": "approve", "privacy": "approve"
    }  # fmt: skip
    stranger = tmp_path / "stranger.key"
    stranger.write_bytes((world.seats / "hr.key").read_bytes())
    unproved = world.refuse(*job, "--grant", request, "--holder", stranger, code=4)
    assert unproved["rule"] == "capability.holder"
    assert unproved["entry"] is not None, "the refusal is in the ledger"

    trained = world.ask(*use)
    assert trained["training"]["people"] >= 50
    assert trained["training"]["epsilon"] <= 4.0
    assert trained["verification"]["size"] == trained["status"]["ledger"]["size"]

    # the budget is spent: the next run is refused in words, and the refusal is in the ledger
    twice = world.ask(*use)
    assert "budget" in str(twice["training"].get("rule")), twice["training"]
    (budget,) = world.ask("budget", "show")["budgets"]
    assert budget["epsilon_left"] == pytest.approx(0.0, abs=0.01)

    with world.kept():
        look_around(world, trained)


def look_around(world: World, trained: dict[str, Any]) -> None:
    """Read what is there with every reading verb."""
    (grant,) = [one["id"] for one in world.ask("grant", "list")["grants"]]
    (asked,) = world.ask("request", "list")["requests"]
    assert (asked["request"], asked["state"]) == (grant, "enacted")
    assert world.ask("request", "show", grant)["price"]["people"] >= 50
    held = world.ask("grant", "show", grant)
    assert held["done"]["runs"] == 1
    assert {one["kind"] for one in held["differences"]} == {"refused", "less"}
    world.ask("grant", "revoke", grant, "--yes")
    assert [one["grant"] for one in world.ask("grant", "list", "--due")["due"]] == [grant]
    seat = ("--seat", "ml_lead", "--key", world.seats / "ml_lead.key", "--outcome", "as_stated")
    world.ask("grant", "review", grant, *seat)
    assert world.ask("grant", "show", grant)["review"]["state"] == "reviewed"
    proof = world.ask("ledger", "verify")
    assert proof["verified"] is True
    assert proof["size"] > trained["verification"]["size"]
    assert world.ask("ledger", "verify", world.home)["root"] == proof["root"]
    assert world.ask("ledger", "verify", world.home / "ledger")["root"] == proof["root"]

    newest = world.ask("ledger", "tail", "-n", "3")["entries"]
    assert [entry["index"] for entry in newest] == list(range(proof["size"] - 3, proof["size"]))
    whole = world.ask("ledger", "tail", "-n", "1000")["entries"]
    kinds = [entry["leaf"]["k"] for entry in whole]
    assert {"charter", "choice", "ingest", "grant", "access.intent", "access.result"} <= set(kinds)
    refusal = kinds.index("refusal")
    shown = world.ask("ledger", "show", str(refusal))
    assert shown["detail"]["rule"]
    world.refuse("ledger", "show", "100000", code=1)

    datasets = world.ask("dataset", "list")["datasets"]
    assert {one["kind"] for one in datasets} >= {"source", "feature", "model"}
    model = next(one for one in datasets if one["kind"] == "model")
    assert world.ask("dataset", "lineage", model["id"])
    assert world.ask("dataset", "lineage", model["id"][:12])
    world.refuse("dataset", "lineage", "no-such-thing", code=1)

    (artifact,) = world.ask("artifact", "list")["artifacts"]
    shown = world.ask("artifact", "show", artifact["id"])
    assert artifact["id"] in json.dumps(shown)
    world.refuse("artifact", "show", "art_nothing", code=1)

    assert world.ailing() == []
    status = world.ask("status")
    assert status["counts"]["people"] >= 50
    assert status["stopped"] is False
    assert status["limits"]
    assert world.ask("people", "list")["enrolled"] == 60
    for words in (("status",), ("ledger", "tail"), ("dataset", "list")):
        plain = world.run(*words)
        assert plain.out
        assert not plain.out.startswith("{")


def test_a_charter_only_moves_forward(tmp_path: Path) -> None:
    world = World(tmp_path).init(CHARTERS / "demo.yaml")
    text = (CHARTERS / "demo.yaml").read_text("utf-8")
    source = write_sources(company(2), tmp_path / "sources")["chat"]

    def charter(version: int, name: str, change: tuple[str, str]) -> Path:
        changed = text.replace("\nversion: 1\n", f"\nversion: {version}\n")
        assert change[0] in changed
        file = tmp_path / f"charter-{version}-{name}.yaml"
        file.write_text(changed.replace(*change, 1), "utf-8")
        return file

    with world.kept():
        move_forward(world, charter, source)


def move_forward(world: World, charter: Any, source: Path) -> None:
    """Propose charters that go back, are wider, and are narrower."""
    seat = ("--seat", "legal", "--key", world.seats / "legal.key")
    before = world.counts()
    other = charter(1, "another", ("title: How", "title: Another How"))
    world.refuse("charter", "propose", other, *seat, code=3)
    assert world.try_run("run", "--charter", other, "--source", source).code != 0
    wider = charter(2, "wider", ("title: How", "title: A wider How"))
    assert world.ask("charter", "propose", wider, *seat)["direction"] == "widen"
    world.refuse("charter", "enact", wider, code=3)
    assert world.counts()["objects"] == before["objects"]
    assert world.ask("charter", "show")["version"] == 1

    newer = charter(2, "newer", ("keep: 14d", "keep: 13d"))
    assert world.ask("charter", "propose", newer, *seat)["direction"] == "narrow"
    world.run("charter", "enact", newer)
    assert world.ask("charter", "show")["version"] == 2
    back = world.root / "back.yaml"
    back.write_bytes((CHARTERS / "demo.yaml").read_bytes())
    world.refuse("charter", "propose", back, *seat, code=3)
    assert world.try_run("run", "--charter", back, "--source", source).code != 0
    assert world.ask("charter", "show")["version"] == 2
    assert world.ask("ledger", "verify")["verified"] is True


def test_every_charter_at_hand_passes_its_check(tmp_path: Path) -> None:
    world = World(tmp_path)
    charters = [CHARTERS / "demo.yaml", CHARTERS / "example.yaml"]
    example = SHARED / "examples" / "charter.yaml"
    if example.exists():
        charters.append(example)
    for charter in charters:
        found = world.ask("charter", "check", charter)
        assert found["charter"]
        assert found["policies"] > 0
    assert world.run("charter", "check", charters[0]).out


def test_a_charter_with_a_mistake_is_refused_with_its_line(tmp_path: Path) -> None:
    world = World(tmp_path)
    text = (CHARTERS / "demo.yaml").read_text("utf-8")
    prose = '  - {id: be-nice, plain: "Everybody is nice.", rule: "everybody is nice"}\n'
    for name, wrong in (
        ("unknown key", text.replace("\ntitle:", "\nnickname: x\ntitle:", 1)),
        ("duplicate key", text.replace("\ntitle:", "\ntitle: x\ntitle:", 1)),
        ("prose red line", text.replace("red_lines:\n", f"red_lines:\n{prose}", 1)),
        ("not YAML", "charter: [\n"),
    ):
        file = tmp_path / "wrong.yaml"
        file.write_text(wrong, "utf-8")
        error = world.refuse("charter", "check", file, code=2)
        assert "wrong.yaml" in error["message"], (name, error)


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from safehold.cli import build\n"
        "try:\n    build()(sys.argv[1:], standalone_mode=False)\n"
        "except SystemExit:\n    pass\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)\n"
    )
    for words in (["--help"], *([noun, "--help"] for noun in NOUNS), ["run", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
        )
        assert "Usage:" in done.stdout
        assert done.stderr.strip() == "[]", f"{words} loads {done.stderr}"


def test_version_says_which(tmp_path: Path) -> None:
    assert World(tmp_path).run("--version").out.startswith("safehold ")


def test_wrong_usage_ends_with_two_and_words(tmp_path: Path) -> None:
    world = World(tmp_path)
    for words in (
        ("no-such-command",),
        ("run",),
        ("run", "--source", "nothing-here.parquet"),
        ("run", "--nonsense"),
        ("demo", "--people", "many"),
        ("people", "enrol", "--evidence", "x"),
        ("charter", "check", "nothing-here.yaml"),
        ("init", "--seats", world.home / "seats"),
    ):
        done = world.try_run(*words)
        assert done.code == 2, (words, done.err)
        assert done.out == ""
        assert done.err
    assert not world.home.exists() or not any(world.home.iterdir())


def test_without_home_or_passphrase_it_says_what_to_do(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.refuse("status", code=1)["fix"] == "safehold init"
    world.init()
    locked = World(tmp_path, passphrase="")
    assert "SAFEHOLD_PASSPHRASE" in locked.refuse("status", code=6)["fix"]
    wrong = World(tmp_path, passphrase="not this one")
    assert wrong.try_run("status").code in {4, 5}
