"""Tables of the keeper itself."""

from __future__ import annotations

import sqlalchemy as sa

from safehold.db import Wide, metadata

grant = sa.Table(
    "access_grant",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column(
        "record", sa.LargeBinary, nullable=False
    ),  # digest of the grant; it and its approvals are a sealed secret
    sa.Column("entry", Wide, nullable=False),  # index of its leaf
    sa.Column("revoked", sa.Boolean, nullable=False, default=False),
)

# when recording of a person (or, for a stop, of everybody) ended, and the ledger's head at that moment; who, why and
# when are sealed, since whoever reads a stolen copy must not learn who paused or left
silence = sa.Table(
    "silence",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column(
        "person", sa.String(40), nullable=False, index=True
    ),  # keyed hash, found nowhere else
    sa.Column("record", sa.LargeBinary, nullable=False),
)

# how far a device had counted when it said so, signed by the device, sealed
mark = sa.Table(
    "device_mark",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("person", sa.String(40), nullable=False, index=True),  # keyed hash
    sa.Column("record", sa.LargeBinary, nullable=False),
)

# what a portal carries out under a key that a program chose, and how it was answered; names and owners are keyed hashes
# of the portals, answers are sealed by them, and a day later the row is gone
answer = sa.Table(
    "portal_answer",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(64), nullable=False),
    sa.Column("asked", sa.String(64), nullable=False),  # digest of the request
    sa.Column("at_us", Wide, nullable=False, index=True),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.Index("portal_answer_of", "owner", "at_us"),
)
