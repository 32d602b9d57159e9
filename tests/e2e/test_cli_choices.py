"""A person and their choices on the command line: from the code they are handed to the proof that it was kept to.

The commands run in this process against a keeper that is served beside them, so that each costs what it does and not
the start of a program.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench
from tests.voices import found_voices
from tests.world import PURPOSE, outside
from typer.testing import CliRunner

from safehold.cli import build
from safehold.errors import SafeholdError
from safehold_verify.command import main as verify


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with outside(tmp_path):
        one = found_voices(tmp_path).start()
        assert one.service is not None
        thread = threading.Thread(target=one.service.serve, daemon=True)
        thread.start()
        yield one
        one.stop()
        thread.join(300)


class Line:
    """The command line of one home."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._root = build()

    def ask(self, *words: str | Path, home: bool = True) -> Any:
        """Run a command that must succeed, and return its object."""
        where = ["--home", str(self._home)] if home else []
        done = CliRunner().invoke(self._root, [*map(str, words), *where, "--json"])
        if done.exception is not None:
            raise done.exception
        return json.loads(done.stdout)

    def refuse(self, *words: str | Path, home: bool = True) -> str | None:
        """Run a command that must be refused, and return the rule."""
        with pytest.raises(SafeholdError) as found:
            self.ask(*words, home=home)
        return found.value.rule


def test_from_the_code_to_the_proof(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = Line(bench.home.path)
    key, kept = tmp_path / "my.key", tmp_path / "receipts"
    mine = ("--key", key)
    keep = (*mine, "--receipts", kept)
    people = tmp_path / "people.csv"
    people.write_text("person,jurisdiction,level\nana,US-CA,manager\nbo,US-CA,\n", "utf-8")
    assert line.ask("people", "enrol", "--file", people, "--evidence", "a list")["enrolled"] == 2
    assert line.refuse("people", "consent", "ana", "key", "--evidence", "x") == "subjects.proxy"

    code = line.ask("people", "invite", "ana")["code"]
    joined = line.ask("me", "join", "ana", "--code", code, *keep)
    assert key.stat().st_mode & 0o777 == 0o600
    assert line.refuse("me", "join", "bo", "--code", code, "--key", tmp_path / "b")
    assert not (tmp_path / "b").exists(), "a key that was not taken is not left lying about"

    line.ask("me", "consent", "ana", "key", "pointer", "--purpose", PURPOSE, *keep)
    line.ask("me", "pause", "ana", "--in", "1d", "--for", "2h", *keep)
    line.ask("me", "resume", "ana", "--planned", *keep)
    line.ask("me", "correct", "ana", "--about", "label", "--days", "key:2026-01-05", *keep)
    line.ask("me", "restrict", "ana", *keep)
    line.ask("me", "lift", "ana", *keep)
    asked = line.ask("me", "object", "ana", "--purpose", PURPOSE, "--text", "no", *keep)
    listed = [one["case"] for one in line.ask("rights", "list")["requests"]]
    assert asked["case"] in listed
    assert len(listed) == 2
    seat = tmp_path / "seats" / "legal.key"
    read = line.ask("rights", "read", asked["case"], "--seat", "legal", "--key", seat)
    assert (read["person"], read["text"]) == ("ana", "no")
    signed = ("--text", "we need it", "--sign", f"legal={seat}")
    assert line.refuse("rights", "answer", asked["case"], "refused", *signed) == "rights.against"
    line.ask("rights", "answer", asked["case"], "upheld", *signed)
    left = line.ask("me", "withdraw", "ana", *keep)
    line.ask("people", "move", "ana", "--jurisdiction", "DE", "--since", "2026-11-01")

    shown = line.ask("me", "show", "ana", *mine)
    assert shown["withdrawn_us"] == left["at_us"]
    assert [(one["choice"], one["by"]) for one in shown["entered_by_others"]] == [
        ("invite", "operator"),
        ("read", "seat:legal"),
        ("answer", "seat:legal"),
        ("move", "operator"),
    ]
    assert "withdrawn_us" not in line.ask("people", "show", "ana")
    assert line.refuse("people", "trail", "ana", "--proof", tmp_path / "no") == "subjects.voice"
    assert line.refuse("people", "symmetry", "--purpose", PURPOSE, "--epsilon", "0.5")

    line.ask("me", "receipts", "ana", *mine, "--out", kept)
    line.ask("me", "trail", "ana", *mine, "--proof", tmp_path / "package")
    (receipt,) = kept.glob("*-withdraw.receipt")
    (moved,) = kept.glob("*-move.receipt")
    words = ["choice", receipt, "--policy", bench.home.policy_file, "--key", joined["key"]]
    words += ["--package", tmp_path / "package", "--later", moved]
    assert verify([*map(str, words), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["choice"], found["by"], found["index"]) == ("withdraw", "person", left["entry"])
    assert found["effect"]["unexplained"] == found["effect"]["ended_by"] == -1
    assert found["effect"]["stop"] > int(moved.name.partition("-")[0])
    assert verify([*map(str, words)]) == 0
    told = capsys.readouterr().out
    assert "withdrew" in told
    assert "Kept: none of the leaves" in told
