"""Our ledger against pymerkle over the same leaves: append, prove inclusion and consistency, verify both.

Both come to the same roots (RFC 6962), which is checked. pymerkle hashes and stores leaves; ours also makes a side-car for
each that is sealed, signs every head, has it cosigned and writes the static files. Appending is on the clock, since both
wait for the disk; the rest is CPU time.
"""

from __future__ import annotations

import os
import random
import statistics
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.bench.board import Board, cpu, sized
from tests.bench.peers import Absent, Peer
from tests.ledger_desk import Desk, intent

import safehold_verify.merkle as merkle
from safehold.clock import SystemClock
from safehold.ledger import Ledger
from safehold.vault.sidecar import Sidecar

pytestmark = pytest.mark.bench
BATCH = sized(1_000, 50)
ROUNDS = sized(5, 1)
EACH = sized(8_000, 100)  # entries of a round
SINGLE = sized(200, 10)  # of which each is waited for
PROOFS = sized(400, 10)
LABEL = "pymerkle 7.0"
WAYS = {"as shipped": False, "WAL as our journal": True}
FLOORS = {"as shipped": 0.3, "WAL as our journal": 0.3}


def take(leaves: Sequence[bytes], path: Path) -> Path:
    """Write leaves so that another program can read them."""
    path.write_bytes(b"".join(struct.pack(">I", len(one)) + one for one in leaves))
    return path


def timed(work: Callable[[], object]) -> float:
    """Return seconds on the clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def test_against_pymerkle(board: Board, tmp_path: Path) -> None:
    desk = Desk(tmp_path, clock=SystemClock())
    key = os.urandom(32)
    desk.sealer = Sidecar(lambda segment, name, *, make: key)  # type: ignore[assignment]
    whole, single = [], []
    entries = [intent(at, segment="eu.keys") for at in range(BATCH)]
    with desk.open() as ledger:
        for _ in range(ROUNDS):
            whole.append(timed(lambda: [ledger.append(entries) for _ in range(EACH // BATCH)]))
            single.append(timed(lambda: [ledger.append([one]) for one in entries[:SINGLE]]))
        ledger.publish()
        rate = EACH / statistics.median(whole)
        alone = SINGLE / statistics.median(single)
        leaves = take([ledger.leaf(at) for at in range(ledger.size)], tmp_path / "leaves")
        for way, wal in WAYS.items():
            try:
                with Peer("ledger_peers.py") as peer:
                    peer.ask(
                        do="open", leaves=str(leaves), database=str(tmp_path / f"{wal}.db"), wal=wal
                    )
                    many, one = _append(peer)
                    _row(
                        board,
                        f"appends, {BATCH:,} at once",
                        f"{LABEL}, {way}",
                        rate,
                        many,
                        FLOORS[way],
                    )
                    _row(
                        board,
                        "appends, each waited for",
                        f"{LABEL}, {way}",
                        alone,
                        one,
                        FLOORS[way],
                    )
                    if wal:
                        told = peer.ask(do="append", count=0, batch=1)
                        assert told["root"] == ledger.tree.root().hex()
                        _prove(board, ledger, peer)
            except Absent as absent:
                for what, mine in (
                    (f"appends, {BATCH:,} at once", rate),
                    ("appends, each waited for", alone),
                ):
                    board.miss(
                        what,
                        ours=f"{mine:,.0f}/s on the clock",
                        peer=f"{LABEL}, {way}",
                        why=str(absent),
                    )
                if wal:
                    _prove(board, ledger, absent)


def _append(peer: Peer) -> tuple[float, float]:
    many, single = [], []
    for _ in range(ROUNDS):
        many.append(peer.ask(do="append", count=EACH, batch=BATCH)["wall"])
        single.append(peer.ask(do="append", count=SINGLE, batch=1)["wall"])
    return EACH / statistics.median(many), SINGLE / statistics.median(single)


def _row(board: Board, what: str, peer: str, ours: float, theirs: float, floor: float) -> None:
    board.add(
        f"ledger {what}", ours=f"{ours:,.0f}/s on the clock", peer=f"{peer}: {theirs:,.0f}/s",
        ratio=ours / theirs, goal=">= 1 x, though sealed and signed", met=ours >= theirs, floor=floor, rival=True,
    )  # fmt: skip


def _prove(board: Board, ledger: Ledger, peer: Peer | Absent) -> None:
    size, chance = ledger.size, random.Random(3)
    indices = [chance.randrange(size) for _ in range(PROOFS)]
    olds = [chance.randrange(1, size) for _ in range(PROOFS)]
    proofs = [ledger.path(at, size) for at in indices]
    steps = [ledger.consistency(old, size) for old in olds]
    root = ledger.tree.root()
    hashes = [merkle.leaf_hash(ledger.leaf(at)) for at in indices]
    roots = [ledger.root_at(old) for old in olds]
    works: dict[str, tuple[str, Callable[[], Any], dict[str, Any], float]] = {
        "inclusion proof": (
            "include", lambda: [ledger.path(at, size) for at in indices], {"numbers": indices}, 0.05),
        "inclusion proofs of one package": (
            "include", lambda: list(map(ledger.prover(size), indices)), {"numbers": indices}, 0.05),
        "consistency proof": (
            "consist", lambda: [ledger.consistency(old, size) for old in olds], {"numbers": olds}, 0.05),
        "check of an inclusion proof": (
            "verify_inclusion",
            lambda: [merkle.verify_inclusion(*one, root) for one in zip(indices, [size] * PROOFS, hashes, proofs, strict=True)],
            {}, 0.5),
        "check of a consistency proof": (
            "verify_consistency",
            lambda: [merkle.verify_consistency(old, size, step, was, root) for old, step, was in zip(olds, steps, roots, strict=True)],
            {}, 0.5),
    }  # fmt: skip
    for title, (order, work, told, floor) in works.items():
        ours, theirs = float("inf"), float("inf")
        for _ in range(ROUNDS):
            ours = min(ours, cpu(work, rounds=1))
            if isinstance(peer, Peer):
                theirs = min(theirs, peer.ask(do=order, **told)["cpu"])
        mine = f"{ours / PROOFS * 1e6:,.0f} CPU-us"
        what = f"{title}, {size:,} entries"
        if isinstance(peer, Absent):
            board.miss(what, ours=mine, peer=LABEL, why=str(peer), goal=">= 1 x")
            continue
        board.add(
            what, ours=mine, peer=f"{LABEL}: {theirs / PROOFS * 1e6:,.0f}", ratio=theirs / ours,
            goal=">= 1 x", met=theirs >= ours, floor=floor, rival=True,
        )  # fmt: skip
