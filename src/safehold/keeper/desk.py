"""What the keeper works with: one object that its verbs share."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import sqlalchemy as sa

from safehold.catalog import Catalog, Lineage
from safehold.clock import Clock, day_of
from safehold.errors import UnavailableError
from safehold.keeper.ports import Gatekeeper, Notary, Workshop
from safehold.keeper.trust import Trust
from safehold.ledger import Entry, Ledger, Receipt, Subject
from safehold.settings import Home
from safehold.subjects import People
from safehold.vault import Vault


@dataclass(slots=True, kw_only=True)
class Desk:
    """Everything a verb needs.

    Args:
        home: The home this keeper serves.
        clock: Time.
        vault: Keys and sealed blocks.
        ledger: The record; every use is in it before it happens.
        catalog: Which blocks exist.
        lineage: What was made from what.
        people: Who is enrolled and what they chose.
        trust: Charter in force, board, stop.
        workshop: Starts sandboxes.
        gatekeeper: Opens a gate that judges what leaves them.
        notary: Signs what artifacts were made from.
        engine: The control database.
    """

    home: Home
    clock: Clock
    vault: Vault
    ledger: Ledger
    catalog: Catalog
    lineage: Lineage
    people: People
    trust: Trust
    workshop: Workshop
    gatekeeper: Gatekeeper
    notary: Notary
    engine: sa.Engine
    lock: threading.RLock = field(default_factory=threading.RLock)

    def now_us(self) -> int:
        """Return the present moment in microseconds."""
        return self.clock.now_us()

    def today(self) -> int:
        """Return the UTC day number."""
        return day_of(self.clock.now_us())

    def log(self, *entries: Entry) -> list[Receipt]:
        """Append to the ledger; returns only when durable.

        Raises:
            UnavailableError: The ledger cannot take it, so nothing may happen.
        """
        try:
            return self.ledger.append(entries)
        except OSError as error:
            raise UnavailableError(
                "the ledger cannot be written", rule="ledger.append", fix="safehold doctor"
            ) from error

    def subjects(self, people: list[str]) -> list[Subject]:
        """Return the ledger's view of a set of people."""
        return [Subject(key=key) for key in self.vault.subject_keys(people)]


def segment_name(jurisdiction: str, stream: str) -> str:
    """Return the segment of a jurisdiction and a stream, such as ``us-ca.key``."""
    return f"{jurisdiction.lower()}.{stream}"
