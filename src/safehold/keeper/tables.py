"""Tables of the keeper itself."""

from __future__ import annotations

import sqlalchemy as sa

from safehold.db import metadata

grant = sa.Table(
    "access_grant",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column(
        "record", sa.LargeBinary, nullable=False
    ),  # digest of the grant; it and its approvals are a sealed secret
    sa.Column("entry", sa.Integer, nullable=False),  # index of its leaf
    sa.Column("revoked", sa.Boolean, nullable=False, default=False),
)

# when recording of a person (or, for a stop, of everybody) ended, and the ledger's head at that moment
silence = sa.Table(
    "silence",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("person", sa.String(40), nullable=False, index=True),  # empty: everybody
    sa.Column("reason", sa.String(16), nullable=False),
    sa.Column("from_us", sa.BigInteger, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("root", sa.String(64), nullable=False),
)

# how far a device had counted when it said so, signed by the device
mark = sa.Table(
    "device_mark",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("person", sa.String(40), nullable=False, index=True),
    sa.Column("device", sa.String(64), nullable=False),  # public key, base64
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),
)
