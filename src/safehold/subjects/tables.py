"""Tables of the people and their devices; every record is sealed, so who opted in cannot be read here."""

from __future__ import annotations

import sqlalchemy as sa

from safehold.db import metadata

person = sa.Table(
    "person",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),  # opaque, random
    sa.Column("lookup", sa.LargeBinary(32), nullable=False, unique=True),  # keyed hash of the name
    sa.Column("sealed", sa.LargeBinary, nullable=False),  # the standing, AEAD, bound to the id
    sa.Column("version", sa.Integer, nullable=False),
)

device = sa.Table(
    "device",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),  # keyed hash of the device's public key
    sa.Column("sealed", sa.LargeBinary, nullable=False),  # whose it is, AEAD, bound to the id
    sa.Column("version", sa.Integer, nullable=False),
)
