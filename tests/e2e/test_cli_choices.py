"""A person and their choices on the command line: from the code they are handed to the proof that it was kept to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.command_line import CHARTERS, EVIDENCE, World

PURPOSE = "train_ui_agent"


def test_from_the_code_to_the_proof(tmp_path: Path) -> None:
    charter = tmp_path / "charter.yaml"
    lines = (CHARTERS / "demo.yaml").read_text("utf-8").splitlines(keepends=True)
    charter.write_text("".join(one for one in lines if "opt_in_by" not in one), "utf-8")
    world = World(tmp_path).init(charter)
    key, kept = tmp_path / "my.key", tmp_path / "receipts"
    mine = ("--key", key)
    keep = (*mine, "--receipts", kept)
    people = tmp_path / "people.csv"
    people.write_text("person,jurisdiction,level\nana,US-CA,manager\nbo,US-CA,\n", "utf-8")
    world.run("people", "enrol", "--file", people, "--evidence", EVIDENCE)

    refused = world.run("people", "consent", "ana", "key", "--evidence", "x", code=3)
    assert "subjects.proxy" in refused.err
    code = world.json("people", "invite", "ana")["code"]
    joined = world.json("me", "join", "ana", "--code", code, *keep)
    assert key.stat().st_mode & 0o777 == 0o600
    assert world.run("me", "join", "bo", "--code", code, "--key", tmp_path / "b", code=3)
    assert not (tmp_path / "b").exists(), "a key that was not taken is not left lying about"

    world.json("me", "consent", "ana", "key", "pointer", "--purpose", PURPOSE, *keep)
    world.json("me", "pause", "ana", "--in", "1d", "--for", "2h", *keep)
    asked = world.json("me", "object", "ana", "--purpose", PURPOSE, "--text", "no", *keep)
    assert [one["case"] for one in world.json("rights", "list")["requests"]] == [asked["case"]]
    seat = world.seats / "legal.key"
    read = world.json("rights", "read", asked["case"], "--seat", "legal", "--key", seat)
    assert (read["person"], read["text"]) == ("ana", "no")
    against = ("rights", "answer", asked["case"], "refused", "--text", "we need it")
    assert "rights.against" in world.run(*against, "--sign", f"legal={seat}", code=3).err
    world.json(*against[:3], "upheld", "--text", "yes", "--sign", f"legal={seat}")
    left = world.json("me", "withdraw", "ana", *keep)
    world.json("people", "move", "ana", "--jurisdiction", "DE")

    shown = world.json("me", "show", "ana", *mine)
    assert shown["withdrawn_us"] == left["at_us"]
    entered = [(one["choice"], one["by"]) for one in shown["entered_by_others"]]
    assert entered == [
        ("invite", "operator"),
        ("read", "seat:legal"),
        ("answer", "seat:legal"),
        ("move", "operator"),
    ]
    assert "withdrawn_us" not in world.json("people", "show", "ana")
    assert (
        "subjects.voice"
        in world.run("people", "trail", "ana", "--proof", tmp_path / "no", code=4).err
    )

    world.json("me", "receipts", "ana", *mine, "--out", kept)
    package = tmp_path / "package"
    world.run("me", "trail", "ana", *mine, "--proof", package)
    (receipt,) = kept.glob("*-withdraw.receipt")
    (moved,) = kept.glob("*-move.receipt")
    (policy,) = (world.root / "outside").glob("home_*/policy")
    told = subprocess.run(
        [
            *(sys.executable, "-m", "safehold_verify", "choice", str(receipt)),
            *("--policy", str(policy), "--key", joined["key"], "--json"),
            *("--package", str(package), "--later", str(moved)),
        ],
        capture_output=True,
        check=False,
        cwd=world.root,
        env=world.environment,
    )
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert (found["choice"], found["by"], found["index"]) == ("withdraw", "person", left["entry"])
    assert found["effect"]["unexplained"] == found["effect"]["ended_by"] == -1
    assert found["effect"]["stop"] > moved.name.partition("-")[0].__len__()
