"""Where in PostgreSQL a log lies, and how it may be reached: server, schema, lock."""

from __future__ import annotations

import hashlib
from typing import Any

from safehold.db import place


def schema_of(origin: str) -> str:
    """Return the schema that holds a log: ``ledger_`` and half of the origin's SHA-256 in hex."""
    return f"ledger_{hashlib.sha256(origin.encode()).hexdigest()[:32]}"


def lock_of(origin: str) -> int:
    """Return the 64-bit number of the advisory lock of a log."""
    digest = hashlib.sha256(b"sh/ledger-lock/v1\0" + origin.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def check_place(said: dict[str, Any]) -> dict[str, Any]:
    """Return what a ledger URL says with everything that it leaves open; see ``db.place``."""
    return place.check_place(said, name="ledger", rule="ledger.url")
