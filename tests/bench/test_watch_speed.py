"""How fast the keeper turns leaves into events, against opening the same side-cars whole; and what judging them costs."""

from __future__ import annotations

import time

import pytest
from tests.bench.board import Board
from tests.keeper_desk import found_bench
from tests.watching import Post, flood

from safehold.ledger.opening import open_leaf
from safehold.sentinel.limits import Limits
from safehold.sentinel.reading import Reading, read_event

COUNT = 40_000
FLOOR = 0.4  # an event is more than an opened side-car; half as fast would be a fault
GOAL = 20_000  # events a second of one core


@pytest.mark.bench
def test_leaves_become_events(tmp_path, board: Board) -> None:
    bench = found_bench(tmp_path).start()
    flood(bench, COUNT)
    post = Post(bench)
    since, events, began = 0, [], time.process_time()
    while since < bench.desk.ledger.size - 5:
        answer = post.events(since=since)
        events += answer["events"]
        since = answer["next"]
    read = len(events) / (time.process_time() - began)
    journal, sidecar = bench.desk.ledger._journal, bench.desk.vault.sidecar
    opened, began = 0, time.process_time()
    for first, leaves in journal.batches(0):
        for leaf, sealed in zip(leaves, journal.sidecars(first), strict=False):
            open_leaf(leaf, sealed, sidecar)
            opened += 1
    whole = opened / (time.process_time() - began)
    bench.stop()
    board.add(
        "watching: leaves become events",
        ours=f"{read:,.0f} events a CPU-second",
        peer=f"opening each side-car whole: {whole:,.0f} a CPU-second",
        ratio=read / whole,
        goal=f"{GOAL:,} a second",
        met=read >= GOAL,
        floor=FLOOR,
    )
    assert (
        len(events) > COUNT - 10
    )  # the newest are left: the reading has written of itself by then
    told = [read_event(one) for one in events]
    rates = []
    for judge in (Reading(), Limits()):
        began = time.process_time()
        for event in told:
            judge.observe(event)
        rates.append(len(told) / (time.process_time() - began))
    board.note(
        f"watching: {rates[0]:,.0f} events a CPU-second are judged, {rates[1]:,.0f} by the limits alone"
    )
