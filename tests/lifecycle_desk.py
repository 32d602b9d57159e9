"""A home whose keys change: its root as a test orders it, and what still opens."""

from __future__ import annotations

from typing import Any

from tests.keeper_desk import Bench
from tests.key_crashing import OLD
from tests.key_services import PIN, SoftHsm
from tests.world import outside

from safehold.app.custody import unlock


def reopen(bench: Bench, secret: dict[str, Any]) -> Bench:
    bench.stop()
    with outside(bench.path):
        bench.root = unlock(bench.home, secret)  # type: ignore[assignment]
    return bench.start()


def blocks(bench: Bench) -> list[Any]:
    return list(bench.desk.catalog.blocks(kind="telemetry", streams=("pointer",), after_day=0))


def reads(bench: Bench) -> int:
    return len(list(bench.desk.vault.read(blocks(bench))))


def states(bench: Bench) -> list[tuple[str, str, str]]:
    return [
        (leaf["pub"]["level"], leaf["pub"]["kept"], leaf["pub"]["state"])
        for _, leaf in bench.desk.ledger.leaves(0)
        if leaf["k"] == "key.change"
    ]


def token(softhsm: SoftHsm, name: str, *, make: bool = True) -> dict[str, Any]:
    return {"place": softhsm.uri(name), "unlock": PIN, "make": make}


def root(new: dict[str, Any], present: dict[str, Any] = OLD, **more: Any) -> dict[str, Any]:
    return {"level": "root", "present": present, "new": new} | more
