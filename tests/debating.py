"""What seats do at a keeper's desk: propose a charter, and say yes or no to a proposal."""

from __future__ import annotations

from typing import Any

from tests.keeper_desk import Bench
from tests.seated import say, stated

from safehold.charter import Charter


def statement(bench: Bench, charter: Charter, seat: str = "hr", **changes: Any) -> dict[str, Any]:
    """Return what a seat says when it proposes a charter in the place of the one in force."""
    trust = bench.desk.trust
    facts = {
        "home": bench.home.id,
        "base": trust.digest(),
        "roster": trust.roster,
        "seat": seat,
        "key": bench.seats[seat],
        "at_us": bench.clock.now_us(),
    } | changes
    return stated(charter, **facts)


def propose(bench: Bench, charter: Charter, seat: str = "hr") -> dict[str, Any]:
    """Propose a charter and return the answer."""
    return bench.call("charter.propose", **statement(bench, charter, seat))


def agree(bench: Bench, proposal: dict[str, Any], *seats: str, decision: str = "sign") -> None:
    """Let seats decide on a proposal."""
    for seat in seats:
        say(bench.call, proposal["question"], seat, bench.seats[seat], decision)
