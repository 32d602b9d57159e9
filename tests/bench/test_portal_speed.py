"""200 requests a second of mixed reads, pages and API, by people who are signed in, against keeper and portal as processes.

The load is open, and made on the same machine: what the generator takes is lacking to both.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.bench.board import Board
from tests.portal_load import load, yard_at

pytestmark = pytest.mark.bench

RATE = 200.0
GOAL_MS = 250.0
SECONDS = float(os.environ.get("SAFEHOLD_PORTAL_SECONDS", "20"))
PATHS = (
    "/", "/trust-in-pages", "/api/v1/me", "/api/v1/status", "/api/v1/requests", "/api/v1/grants", "/api/v1/budgets",
    "/api/v1/datasets", "/api/v1/purposes", "/api/v1/charter", "/api/v1/board", "/api/v1/openapi.json",
)  # fmt: skip


def test_mixed_reads(board: Board, tmp_path: Path) -> None:
    with yard_at(tmp_path) as yard:
        cookies = [yard.cookie(name) for name in yard.keys]
        requests = [(PATHS[n % len(PATHS)], cookies[n % len(cookies)]) for n in range(168)]
        load(yard, requests, rate=50, seconds=3)  # warm
        before = yard.cpu()
        told = load(yard, requests, rate=RATE, seconds=SECONDS)
        spent = {name: yard.cpu()[name] - before[name] for name in before}
        p50, p99, most = (told.quantile(share) for share in (0.5, 0.99, 1.0))
        print(told.statuses, spent)
        board.add(
            "portal: 200 mixed reads a second, p99",
            ours=f"{p99:.0f} ms (p50 {p50:.0f}, most {most:.0f})",
            peer="both cores; taken: " + ", ".join(f"{k} {v:.1f} s" for k, v in spent.items()),
            ratio=sum(spent.values()) / (2 * SECONDS),
            goal="p99 < 250 ms on 2 cores",
            met=p99 < GOAL_MS,
            # half of both cores at most: what is left is for whoever shares the machine
            most=0.5,
        )
        good = told.statuses[200]
        assert told.statuses[0] == 0
        assert not [one for one in told.statuses if one >= 500]
        assert good > 0.9 * sum(told.statuses.values()), told.statuses
