"""Watches who reads: events of the ledger go in, alerts come out; it never sees what was typed."""

from __future__ import annotations

from safehold.sentinel.alert import Alert
from safehold.sentinel.event import Event

__all__ = ["Alert", "Event"]
