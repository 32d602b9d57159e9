"""Whether an attack was noticed, and how soon whoever was noticed could do no more.

A twin is noticed about by the sentinel that ``safehold serve`` starts beside its keeper; the moment of an alert is that
of its leaf.
"""

from __future__ import annotations

import contextlib
import time
from typing import Final

from safehold.assurance.drill.outcome import Exposure
from safehold.errors import InvalidError, SafeholdError
from safehold.keeper.client import KeeperClient

PATIENCE_S: Final = 60.0  # what the note allows
EVERY_S: Final = 0.2


def noticed(client: KeeperClient, since: float, *, within_s: float = PATIENCE_S) -> Exposure:
    """Return how many seconds after a moment the first alert was written down; it is wrong if none is in time.

    Args:
        client: A line of somebody who may list alerts and look at entries.
        since: When the attack began, seconds since 1970.
        within_s: How long it is waited for one.
    """
    while True:
        try:
            alerts = client.call("alert.list")["alerts"]
        except InvalidError:
            return Exposure(told={"sentinel": "this keeper has none"})
        found = [
            (at, str(one["signal"]))
            for one in alerts
            if (at := _written(client, int(one["alert"]))) >= since - EVERY_S
        ]
        if found:
            at, signal = min(found)
            return Exposure(
                detect_s=max(0.0, at - since),
                told={"alert": signal, "signals": sorted({name for _, name in found})},
            )
        if time.time() - since >= within_s:
            return Exposure(wrong=(f"no alert within {within_s:g} s",))
        time.sleep(EVERY_S)


def _written(client: KeeperClient, entry: int) -> float:
    """Return when an entry was written, seconds since 1970."""
    return float(client.call("ledger.show", index=entry)["leaf"]["t"]) / 1000


def contained(client: KeeperClient, name: str, line: KeeperClient) -> Exposure:
    """Contain a principal, and return how many seconds later a call of theirs is refused for that reason.

    Args:
        client: A line of whoever contains.
        name: Who is contained.
        line: Their line.
    """
    began = time.monotonic()
    client.call("contain", what="principal", target=name, reason="a drill: an alert about them")
    while time.monotonic() - began < PATIENCE_S:
        try:
            line.call("purpose.list")
        except SafeholdError as error:
            # the sentinel may have suspended them by itself already
            if any(word in (error.rule or "") for word in ("contain", "suspend")):
                return Exposure(contain_s=time.monotonic() - began)
            return Exposure(wrong=(f"refused for another reason: {error.rule or error.code}",))
        with contextlib.suppress(SafeholdError):
            time.sleep(EVERY_S)
    return Exposure(wrong=("whoever was contained goes on asking",))


__all__ = ["contained", "noticed"]
