"""Proposals as tests make them: opened, enacted, and how each stands by the record."""

from __future__ import annotations

from typing import Any

from tests import debating
from tests.keeper_desk import Bench
from tests.seated import (
    wider,
)

from safehold.charter import Charter

NOTICE_DAYS = 14
FIVE = ("privacy", "employee_representative", "legal", "hr", "security")


def narrows(bench: Bench) -> None:
    bench.desk.trust.deliberation._asks.direction_of = lambda _old, _new: "narrow"


def propose(bench: Bench, charter: Charter | None = None, seat: str = "hr") -> dict[str, Any]:
    return debating.propose(bench, charter or wider(bench.charter()), seat)


def enact(bench: Bench, proposal: dict[str, Any]) -> dict[str, Any]:
    return bench.call("charter.enact", proposal=proposal["proposal"])


def states(bench: Bench) -> list[str]:
    return [
        leaf["pub"]["state"] for _, leaf in bench.desk.ledger.leaves() if leaf["k"] == "proposal"
    ]
