"""Reads a second behind the balancer: two portals against one, in the same run, on the same two cores.

The cores are shared by portals, keepers, balancer and generator, so a second portal can only take what the first left.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from itertools import cycle, islice
from pathlib import Path

import pytest
from tests.bench.board import Board
from tests.fleet_desk import Fleet, fleet_at

pytestmark = pytest.mark.bench

READERS, SECONDS = 12, 6.0  # each asks again as soon as it is answered
PATHS = ("/api/v1/me", "/api/v1/status", "/api/v1/board", "/trust-in-pages")


def reads(fleet: Fleet, cookies: list[str]) -> tuple[float, float, dict[str, float]]:
    """Return answers a second, CPU-milliseconds of an answer, and shares of the processes in it."""
    counts, wrong = [0] * READERS, Counter[int]()

    def ask(at: int, end: float) -> None:
        link = http.client.HTTPConnection("127.0.0.1", fleet.port, timeout=30)
        while time.monotonic() < end:
            path = PATHS[counts[at] % len(PATHS)]
            cookie = f"safehold={cookies[at % len(cookies)]}"
            link.request("GET", path, headers={"Cookie": cookie, "Host": f"localhost:{fleet.port}"})
            answer = link.getresponse()
            answer.read()
            counts[at] += 1
            wrong[answer.status] += answer.status != 200
        link.close()

    def run(seconds: float) -> float:
        counts[:] = [0] * READERS
        began = time.monotonic()
        threads = [
            threading.Thread(target=ask, args=(at, began + seconds)) for at in range(READERS)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        return sum(counts) / (time.monotonic() - began)

    run(2.0)
    before = fleet.cpu()
    rate = run(SECONDS)
    spent = {name: took - before[name] for name, took in fleet.cpu().items()}
    assert not +wrong, wrong
    total = sum(spent.values())
    return rate, 1_000 * total / sum(counts), {name: took / total for name, took in spent.items()}


def test_two_portals_against_one(board: Board, tmp_path: Path) -> None:
    with fleet_at(tmp_path, portals=("portal",)) as fleet:
        # a session each, which may read twenty times a second for a minute
        names = islice(cycle(fleet.keys), READERS)
        cookies = [fleet.cookie(name, at=f"127.0.3.{at + 1}") for at, name in enumerate(names)]
        one, each_one, share_one = reads(fleet, cookies)
        fleet.start("portal-b")
        time.sleep(2)  # until the balancer has seen it
        two, each_two, share_two = reads(fleet, cookies)
    board.add(
        "portals behind a balancer: reads a second, two",
        ours=f"{two:,.0f}/s; {each_two:.1f} CPU-ms each",
        peer=f"one portal: {one:,.0f}/s; {each_one:.1f} CPU-ms each",
        ratio=two / one,
        goal="(none: both cores are shared)",
        met=True,
        floor=0.5,
    )
    for name, shares in (("one", share_one), ("two", share_two)):
        told = ", ".join(f"{which} {share:.0%}" for which, share in sorted(shares.items()))
        board.note(f"CPU with {name}: {told}; the generator is beside")
