"""The control database: one set of tables, durable commits, in SQLite or in PostgreSQL.

Packages declare their tables on ``metadata``; ``migrate`` brings a database to the newest version. A transaction
that may write has the whole database to itself from its beginning, in both: what it read cannot change before it
commits, and nothing is ever tried again behind the caller's back.
"""

from safehold.db.lead import FileLead, Lead, advance, fence
from safehold.db.migration import NEWEST, migrate, revision
from safehold.db.schema import Wide, metadata
from safehold.db.scrub import truncate_wal
from safehold.db.sqlite import open_engine

__all__ = [
    "NEWEST",
    "FileLead",
    "Lead",
    "Wide",
    "advance",
    "fence",
    "metadata",
    "migrate",
    "open_engine",
    "revision",
    "truncate_wal",
]
