"""What a lease costs the keeper and the ledger: first ones and renewals, one by one and many in a call.

The keeper is a process of its own behind its socket; what is counted is its CPU, the nonces included.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bench.board import SHORT, Board
from tests.lease_desk import MANY_AT_ONCE, Cost, keeper_at

PEOPLE = 50 if SHORT else 500
BATCHES = (1, 10, 100, 500)
RENEWALS = 100 if SHORT else 2_000
# by batch: of what one by one takes, the goal for the keeper's CPU, and what no run may be above
GOALS = {1: (1.15, 1.6), 10: (0.3, 0.5), 100: (0.15, 0.3), 500: (0.15, 0.3)}


@pytest.mark.bench
def test_what_a_lease_costs(board: Board, tmp_path: Path) -> None:
    with keeper_at(tmp_path, people=PEOPLE) as keeper:
        first = keeper.cost(1, batch=0)
        alone = keeper.cost(1, batch=0)
        found = {
            # few renewals are enough where each takes long
            one: keeper.cost(max(1, RENEWALS * min(one, 10) // 10 // PEOPLE), batch=one)
            for one in BATCHES
            if one <= PEOPLE
        }
    add(board, "first leases of devices, one by one", first, alone, None)
    for batch, cost in found.items():
        calls = "" if batch <= MANY_AT_ONCE else f" (in {-(-batch // MANY_AT_ONCE)} calls)"
        add(board, f"renewals, {batch} together{calls}", cost, alone, GOALS[batch])


def add(board: Board, what: str, cost: Cost, alone: Cost, goal: tuple[float, float] | None) -> None:
    """Put what leases take beside what they take one by one."""
    good, most = goal or (0.0, 6.0)
    once = "(none: once in the life of a device)"
    ratio = cost.cpu_ms / alone.cpu_ms
    board.add(
        f"CPU of the keeper: {what}",
        ours=f"{cost.cpu_ms:.2f} ms a lease",
        peer=f"renewals one by one: {alone.cpu_ms:.2f} ms",
        ratio=ratio,
        goal=f"<= {good} of one by one" if goal else once,
        met=goal is None or ratio <= good,
        most=most,
    )
    board.add(
        f"ledger: {what}",
        ours=f"{cost.entries:.3f} entries, {cost.bytes:,.0f} bytes",
        peer=f"one by one: {alone.entries:.3f} entries, {alone.bytes:,.0f} bytes",
        ratio=cost.bytes / alone.bytes,
        goal=f"<= {good} of one by one" if goal else once,
        met=goal is None or cost.bytes / alone.bytes <= good,
        most=most if goal else 20.0,
    )
