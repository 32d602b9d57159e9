"""Refusals of envelopes that came in batches: counted, and told in few leaves."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from safehold.clock import SECOND_US
from safehold.errors import (
    SafeholdError,
)
from safehold.keeper.caller import caller

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

TOLD_US: Final = 10 * SECOND_US  # between two leaves


class Refusals:
    """What was refused and is not told yet.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._told_us = -TOLD_US
        self._untold: dict[str, int] = {}

    def tell(self, refused: Sequence[SafeholdError]) -> None:
        """Say in the ledger how many envelopes were refused by which rules; at most one leaf in a while."""
        desk = self._desk
        now = desk.now_us()
        with self._lock:
            for error in refused:
                rule = error.rule or error.code
                self._untold[rule] = self._untold.get(rule, 0) + 1
            if not self._untold or 0 <= now - self._told_us < TOLD_US:
                return
            many, self._untold, self._told_us = self._untold, {}, now
        detail = {
            "rule": max(many, key=many.__getitem__),
            "count": sum(many.values()),
            "rules": many,
        }
        desk.note_refusal(caller().id, "lease.hand-in", detail)
