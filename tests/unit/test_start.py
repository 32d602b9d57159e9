"""What the command line loads before it says anything: words and forms, never the columns, tables and keys of a keeper."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import typer

from safehold.cli import build
from safehold.telemetry.schema import REST, WIRE
from safehold.telemetry.stream import STREAMS, WHAT_TO_STREAM

# each takes a tenth of a second or more to load
HEAVY = (
    "pyarrow",
    "numpy",
    "sqlalchemy",
    "obstore",
    "re2",
    "safehold.vault",
    "safehold.keeper.desk",
)
# who asks the keeper for something, by the module that the command line loads for it
CALLERS = (
    "agents", "answering", "board", "charters", "containment", "grants", "incidents", "me", "permit", "requests",
    "run", "setup", "signing_in", "sources", "trail", "verification", "watch",
)  # fmt: skip


@pytest.mark.parametrize("caller", CALLERS)
def test_who_asks_does_not_load_what_answers(caller: str) -> None:
    code = f"import sys, safehold.cli, safehold.app.{caller}; print(*sorted({set(HEAVY)!r} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []


def test_a_backup_knows_every_table_whatever_else_was_loaded() -> None:
    """Tables are made known by being imported; a backup that knew fewer would refuse the home, or leave some out."""

    def known(module: str) -> list[str]:
        code = f"import {module}; from safehold import db; print(*sorted(db.metadata.tables))"
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()

    assert known("safehold.app.backup.moment") == known("safehold.app.keeper")


def test_the_streams_by_name_are_those_with_columns() -> None:
    """Names and columns lie in two files, so that names can be had without Arrow; they are told in one order."""
    assert tuple(WIRE) == tuple(REST) == STREAMS
    assert set(WHAT_TO_STREAM.values()) == set(STREAMS)


def described(command: Any) -> Any:
    """What a command takes, and what those below it do."""
    if isinstance(command, typer.core.TyperGroup):
        return {name: described(one) for name, one in command.commands.items()}
    return command.help, [(one.name, one.opts, one.required) for one in command.params]


def test_a_word_is_given_what_the_whole_command_line_has_for_it() -> None:
    whole = described(typer.main.get_command(build()))
    assert {"source", "charter", "run", "init", "drill", "migrate"} <= whole.keys()
    for word, said in whole.items():
        few = described(typer.main.get_command(build(word)))
        assert few[word] == said
        assert len(few) < len(whole) / 2, f"{word} is given much else"


@pytest.mark.parametrize("word", ["", "sorce", "--help", "--version", "-h"])
def test_whoever_misspells_or_asks_for_help_is_given_all(word: str) -> None:
    assert described(typer.main.get_command(build(word))) == described(
        typer.main.get_command(build())
    )
