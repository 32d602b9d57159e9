"""Tables of the catalogue."""

from __future__ import annotations

import sqlalchemy as sa

from safehold.db import Wide, metadata

source = sa.Table(
    "source",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),  # keyed hash over content and mapping
    sa.Column("state", sa.String(12), nullable=False),  # staging, live, refused
    sa.Column("begun_us", sa.BigInteger, nullable=False),
    sa.Column("tally", sa.LargeBinary, nullable=False),  # counters, sealed
    sa.Column("noted", sa.Boolean, nullable=False, default=False),  # its closing leaf is written
)

chunk = sa.Table(
    "chunk",
    metadata,
    sa.Column("source", sa.ForeignKey("source.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("tally", sa.LargeBinary, nullable=False),  # sealed
)

object_ = sa.Table(
    "object",
    metadata,
    sa.Column("name", sa.String(96), primary_key=True),
    sa.Column("root", sa.LargeBinary(32), nullable=False),
    sa.Column("size", Wide, nullable=False),
    sa.Column("source", sa.String(64), nullable=False, index=True),
)

block = sa.Table(
    "block",
    metadata,
    sa.Column("id", sa.LargeBinary(16), primary_key=True),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("kind", sa.String(12), nullable=False),  # telemetry, derived
    sa.Column("source", sa.String(64), nullable=False, index=True),
    sa.Column("person", sa.String(40), nullable=False, index=True),
    sa.Column("stream", sa.String(24), nullable=False),
    sa.Column("segment", sa.String(64), nullable=False),
    sa.Column("window", sa.Integer, nullable=False),
    sa.Column("expires", sa.Integer, nullable=False, index=True),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),  # canonical JSON of the whole sealed block
    sa.Column(
        "mac", sa.LargeBinary(32), nullable=False
    ),  # over state-free fields, keyed by the keeper
    # in which order blocks came; rows are read in it, and one that several were joined to has that of the first
    sa.Column("place", sa.BigInteger, index=True),
    sa.Index("ix_block_group", "segment", "stream", "window", "person"),
)

# which sources lie in a block that several were joined to: an index, the truth is in the block's record
origin = sa.Table(
    "origin",
    metadata,
    sa.Column("block", sa.LargeBinary(16), primary_key=True),
    sa.Column("source", sa.String(64), primary_key=True, index=True),
)

# objects whose blocks lie elsewhere now; whoever chose them before may still read them for a while
retired = sa.Table(
    "retired",
    metadata,
    sa.Column("name", sa.String(96), primary_key=True),
    sa.Column("since_us", sa.BigInteger, nullable=False),
)

# how many compactions there were: the ledger says so too, and an older copy of this database says less
compaction = sa.Table(
    "compaction",
    metadata,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
)

extent = sa.Table(
    "extent",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("source", sa.String(64), nullable=False, index=True),
    sa.Column("origin", sa.LargeBinary(16), nullable=False, index=True),  # device || session
    sa.Column("stream", sa.String(24), nullable=False),
    sa.Column("first", Wide, nullable=False),
    sa.Column("last", Wide, nullable=False),
)

dataset = sa.Table(
    "dataset",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),  # source, feature, embedding, model
    sa.Column("label", sa.LargeBinary, nullable=False),  # canonical JSON
    sa.Column("created_us", sa.BigInteger, nullable=False),
)

edge = sa.Table(
    "edge",
    metadata,
    sa.Column("parent", sa.String(64), primary_key=True),
    sa.Column("child", sa.String(64), primary_key=True),
)

artifact = sa.Table(
    "artifact",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("purpose", sa.String(64), nullable=False),
    sa.Column("record", sa.LargeBinary, nullable=False),  # where it is sealed, metrics, provenance
    sa.Column("created_us", sa.BigInteger, nullable=False),
)
