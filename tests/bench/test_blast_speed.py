"""How far an incident reaches, and who touched whose data, over a million entries."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bench.board import Board
from tests.blast_desk import make_history

from safehold import canonical
from safehold.canonical import unb64
from safehold.incident.target import Target

ENTRIES = int(os.environ.get("SAFEHOLD_BLAST_ENTRIES", "1000000"))
PEOPLE, GRANTS = 1_000, 50
LIMIT_S = 1.0


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


@pytest.mark.bench
def test_blast_radius(board: Board, tmp_path: Path) -> None:
    history = make_history(tmp_path, entries=ENTRIES, people=PEOPLE, grants=GRANTS)
    bench = history.bench
    read = _timed(bench.service.keep_up)
    board.note(f"read from leaves, once: {read:.1f} s, {ENTRIES / read:,.0f} entries/s")
    bench.restart()
    load = _timed(bench.service.keep_up)
    assert bench.service.responder.index.read < ENTRIES // 100
    size = sum(one.stat().st_size for one in bench.home.index.glob("reach-*.blk"))
    board.note(f"taken over at a start: {load:.2f} s; {size / 1e6:.0f} MB at rest")
    leaf, grant = next(iter(history.grants.items()))
    now = bench.clock.now_us()
    targets = {
        "grant": {"grant": grant},
        "capability": {"capability": f"token-{leaf}-1"},
        "principal": {"principal": f"user-{leaf % 97}"},
        "segment key": {"key": "us-ca.pointer"},
        "root": {"key": "@root"},
        "time": {"since_us": 0, "until_us": now},
    }
    worst = 0.0
    for name, target in targets.items():
        took = max(
            _timed(lambda asked=target: bench.call("incident.blast", target=asked))
            for _ in range(3)
        )
        worst = max(worst, took)
        board.note(f"blast radius of {name}: {took * 1000:.0f} ms")
    was, could = bench.service.responder.measure(Target(grant=grant))
    assert was.people == history.people_of[grant]
    assert was.count == history.runs_of[grant]
    assert could.people <= set(history.people)
    board.add(
        f"blast radius at {ENTRIES:,} entries, slowest of {3 * len(targets)}",
        ours=f"{worst * 1000:.0f} ms",
        peer="limit 1 s",
        ratio=LIMIT_S / worst,
        goal="< 1 s",
        met=worst < LIMIT_S,
        floor=1.0,
    )
    bench.stop()


@pytest.mark.bench
def test_who_touched_my_data(board: Board, tmp_path: Path) -> None:
    history = make_history(tmp_path, entries=ENTRIES, people=PEOPLE, grants=GRANTS, at_once=64)
    bench = history.bench
    names = {one: bench.desk.people.standing(one).external for one in history.people}
    closing = _timed(lambda: bench.call("ledger.close-epoch"))
    board.note(f"closing an epoch of {ENTRIES:,} entries: {closing:.0f} s")
    slow, spent, told = [], [], dict[str, dict[str, str]]()
    for person in history.people[:20]:
        cpu = time.process_time()
        slow.append(
            _timed(
                lambda one=person: told.update({one: bench.call("people.trail", person=names[one])})
            )
        )
        spent.append(time.process_time() - cpu)
        package = canonical.decode(told[person]["package"].encode())
        entries = [entry for epoch in package["epochs"] for entry in epoch.get("entries", ())]
        intents = [one for one in entries if b'"k":"access.intent"' in unb64(one["leaf"])]
        assert len(intents) == history.entries_of[person], "none missing and none too many"
    lists = [history.entries_of[one] for one in history.people[:20]]
    board.add(
        f"who touched my data, at {ENTRIES:,} entries, {max(lists):,} of them about the person",
        ours=f"{max(slow):.2f} s, of the processor {max(spent):.2f} s",
        peer="limit 1 s",
        ratio=LIMIT_S / max(slow),
        goal="< 1 s",
        met=max(slow) < LIMIT_S,
        floor=0.0,
    )
    bench.stop()
