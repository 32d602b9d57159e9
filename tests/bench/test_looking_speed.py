"""How long a person waits for a page of what is theirs, over a million entries."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.bench.board import Board
from tests.blast_desk import History, make_history
from tests.voices import Voice

ENTRIES = int(os.environ.get("SAFEHOLD_LOOKING_ENTRIES", "1000000"))
PEOPLE, GRANTS, ASKING = 1_000, 50, 5
LIMIT_S = 1.0
CALLS: dict[str, dict[str, Any]] = {
    "people.uses": {"limit": 50},
    "people.uses of one purpose, far back": {"limit": 50, "purpose": "train_ui_agent", "before": 1_000},
    "people.held": {},
    "people.journey": {},
    "people.receipts": {"limit": 25},
}  # fmt: skip


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _speaking(history: History, person: str) -> Voice:
    """Return somebody with a key that they set with a code."""
    bench = history.bench
    one = Voice(bench, bench.desk.people.standing(person).external)
    code = bench.call("people.invite", person=one.name)["code"]
    one.choose("key", new_key=one.key.public.text(), code=code)
    return one


@pytest.mark.bench
def test_looking_at_what_is_mine(board: Board, tmp_path: Path) -> None:
    history = make_history(tmp_path, entries=ENTRIES, people=PEOPLE, grants=GRANTS)
    bench = history.bench
    people = history.people[:ASKING]
    voices = {one: _speaking(history, one) for one in people}
    read = _timed(bench.verbs.looking.keep_up)
    board.note(f"an epoch of {ENTRIES:,} entries read once, as it goes on: {read:.0f} s")
    _ask(board, history, voices, "in an epoch that goes on")
    closing = _timed(lambda: bench.call("ledger.close-epoch"))
    board.note(f"closing it: {closing:.0f} s")
    bench.restart()
    _ask(board, history, voices, "in a closed epoch, after a start")
    bench.stop()


def _ask(board: Board, history: History, voices: dict[str, Voice], where: str) -> None:
    first, again = 0.0, 0.0
    for person, voice in voices.items():
        told: dict[str, Any] = {}
        first = max(
            first,
            _timed(lambda one=voice, into=told: into.update(one.ask("people.uses", limit=50))),
        )
        assert told["sorts"]["used"] == history.entries_of[person], "none missing, none too many"
        for name, more in CALLS.items():
            verb = name.partition(" ")[0]
            took = _timed(lambda one=voice, verb=verb, said=more: one.ask(verb, **said))
            board.note(f"{name}, {where}: {took * 1000:.0f} ms")
            again = max(again, took)
    most = max(history.entries_of[one] for one in voices)
    for what, took in (("the first page", first), ("any later page or picture", again)):
        board.add(
            f"{what}, {where}, at {ENTRIES:,} entries, {most:,} of them about the person",
            ours=f"{took * 1000:.0f} ms",
            peer="limit 1 s",
            ratio=LIMIT_S / took,
            goal="< 1 s",
            met=took < LIMIT_S,
            floor=1.0,
        )
