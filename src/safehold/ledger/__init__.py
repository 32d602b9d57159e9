"""The record nobody can rewrite.

A transparency log (C2SP tlog-tiles) of everything that is done with telemetry, written before it is
done. ``Ledger`` appends, publishes and proves; ``Witness`` remembers outside the home what was
published; ``safehold_verify`` checks it all offline, without this package.
"""

from safehold.ledger.entry import Entry, Receipt, SidecarSealer
from safehold.ledger.kind import KINDS
from safehold.ledger.log import Ledger
from safehold.ledger.panel import Panel
from safehold.ledger.policy import policy_text
from safehold.ledger.quorum import Timekeepers
from safehold.ledger.signer import LogSigner
from safehold.ledger.store import Store
from safehold.ledger.subjects import Subject
from safehold.ledger.witness import Answer, Witness

__all__ = [
    "KINDS",
    "Answer",
    "Entry",
    "Ledger",
    "LogSigner",
    "Panel",
    "Receipt",
    "SidecarSealer",
    "Store",
    "Subject",
    "Timekeepers",
    "Witness",
    "policy_text",
]
