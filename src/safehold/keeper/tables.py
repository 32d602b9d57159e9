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
