"""How fast one keeper decides, how fast two do, and how soon what one is told holds in the other."""

from __future__ import annotations

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
from tests.control_place import on_postgres  # noqa: F401 - a fixture
from tests.keeper_desk import Bench
from tests.keeper_yard import Yard
from tests.pair import Keeper
from tests.world import PASSPHRASE, PURPOSE

from safehold.keeper.client import KeeperClient

CALLERS, SECONDS = 8, 6.0


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
def test_rates_of_one_keeper_and_of_two(bench: Bench) -> None:  # noqa: F811
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
            print(verb, {name: round(value, 1) for name, value in found.items()}, "a second")
    finally:
        yard.close()


@pytest.mark.bench
def test_how_soon_the_other_refuses(bench: Bench, pair: tuple[Keeper, Keeper]) -> None:  # noqa: F811
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
        print(what, f"median {statistics.median(times):.3f} s, longest {max(times):.3f} s")
        assert statistics.median(times) < 1.0
