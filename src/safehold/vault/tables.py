"""Tables of the vault in the control database."""

from __future__ import annotations

import sqlalchemy as sa

from safehold.db import metadata

segment = sa.Table(
    "vault_segment",
    metadata,
    sa.Column("segment", sa.String, primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    # opaque name of the epoch secret, a file outside the home
    sa.Column("secret", sa.String, nullable=False),
    # segment KEK, wrapped under the epoch secret, then under the root
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
)

key = sa.Table(
    "vault_key",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("segment", sa.String, sa.ForeignKey("vault_segment.segment"), nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("stream", sa.String, nullable=False),
    # day of expiry of a person's or an artifact's key; month of a side-car key; 0 otherwise
    sa.Column("period", sa.Integer, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("segment", "kind", "owner", "stream", "period"),
    sa.Index("vault_key_owner", "kind", "owner"),
    sa.Index("vault_key_period", "kind", "period"),
)

# one row for each segment whose epoch is being changed; empty except during an erasure
rotation = sa.Table(
    "vault_rotation",
    metadata,
    sa.Column("segment", sa.String, primary_key=True),
    sa.Column("old_epoch", sa.Integer, nullable=False),
    sa.Column("old_secret", sa.String, nullable=False),
    sa.Column("new_secret", sa.String, nullable=False),
    # rows whose deletion made this rotation necessary
    sa.Column("deleted", sa.Integer, nullable=False),
)

secret = sa.Table(
    "vault_secret",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

TABLES = (segment, key, rotation, secret)
