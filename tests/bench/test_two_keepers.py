"""How fast one keeper decides, how fast two do, and how soon what one is told holds in the other."""

from __future__ import annotations

import os
import statistics
import threading
import time
from typing import Any

import pytest
from tests.attack.test_two_keepers import (  # noqa: F401 - fixtures
    bench,
    grant,
    made,
    pair,
)
from tests.bench.board import Board
from tests.control_place import on_postgres  # noqa: F401 - a fixture
from tests.keeper_desk import Bench
from tests.keeper_yard import Yard
from tests.pair import Keeper
from tests.world import PASSPHRASE, PURPOSE

from safehold.keeper.client import KeeperClient

CALLERS = 8
SECONDS = float(os.environ.get("SAFEHOLD_KEEPERS_SECONDS", "6"))


def rate(clients: list[KeeperClient], verb: str, **arguments: Any) -> float:
    """Return how many answers a second callers get who ask at the same time."""
    end, counts = time.monotonic() + SECONDS, [0] * CALLERS

    def ask(at: int) -> None:
        client = clients[at % len(clients)]
        while time.monotonic() < end:
            client.call(verb, **arguments)
            counts[at] += 1

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


@pytest.mark.bench
def test_rates_of_one_keeper_and_of_two(board: Board, bench: Bench) -> None:  # noqa: F811
    """Two keepers cost a hop where the one that stands by is asked; they are there to be available, not fast."""
    yard = Yard()
    try:
        for name in ("", "b"):
            place = bench.home.outside.parent
            yard.keeper(bench.home.path, place, name, passphrase=PASSPHRASE, slow=0.0)
        one, two = (KeeperClient(bench.home.socket_of(name)) for name in ("", "b"))
        for verb, arguments in (
            ("nonce", {}),
            ("feature", {"purpose": PURPOSE}),
            ("people.choose", {"person": "p00", "choice": "pause"}),
        ):
            found = {
                "leading": rate([one], verb, **arguments),
                "standing by": rate([two], verb, **arguments),
                "both": rate([one, two], verb, **arguments),
            }
            lead = found.pop("leading")
            for name, value in found.items():
                board.add(
                    f"{verb}, {CALLERS} callers, asked of {name}",
                    ours=f"{value:,.0f} a second",
                    peer=f"of the one that leads: {lead:,.0f}",
                    ratio=value / lead,
                    goal="(none: there to be available)",
                    met=True,
                    floor=0.05,
                )
    finally:
        yard.close()


@pytest.mark.bench
def test_how_soon_the_other_refuses(
    board: Board,
    bench: Bench,  # noqa: F811
    pair: tuple[Keeper, Keeper],  # noqa: F811
) -> None:
    """From the call that tells one keeper to the answer with which the other refuses; goal: a second."""
    took: dict[str, list[float]] = {"revocation": [], "stop": []}
    for number in range(10):
        teller, other = pair if number % 2 else pair[::-1]
        holder = grant(bench, teller, max_runs=2)
        name = teller.call("grant.list")["grants"][-1]["id"]
        use = other.proof(holder, other.nonce())
        began = time.monotonic()
        teller.call("grant.revoke", grant=name)
        with pytest.raises(Exception, match="revoked"):
            other.call("train", **use)
        took["revocation"].append(time.monotonic() - began)
        holder = grant(bench, teller, max_runs=2)
        use, order = other.proof(holder, other.nonce()), bench.order("stop", "privacy")
        began = time.monotonic()
        teller.call("stop", **order)
        with pytest.raises(Exception, match="stopped"):
            other.call("train", **use)
        took["stop"].append(time.monotonic() - began)
        bench.clock.advance(1_000_000)
        teller.call("resume", **bench.order("resume"))
        bench.clock.advance(1_000_000)
    for what, times in took.items():
        middle = statistics.median(times)
        board.add(
            f"{what} told to one keeper holds in the other",
            ours=f"{middle:.3f} s, longest {max(times):.3f}",
            peer="limit 1 s",
            ratio=middle,
            goal="< 1 s",
            met=middle < 1,
            most=1.0,
        )
