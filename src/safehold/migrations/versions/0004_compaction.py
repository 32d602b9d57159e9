"""In which order blocks came; what joining them needs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

GROUP = ("segment", "stream", "window", "person")


def upgrade() -> None:
    """Give every block a place, by its id as it was read until now, and make the tables."""
    op.add_column("block", sa.Column("place", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE block SET place = numbered.place FROM"
        " (SELECT id, row_number() OVER (ORDER BY id) AS place FROM block) AS numbered"
        " WHERE numbered.id = block.id"
    )
    op.create_index(op.f("ix_block_place"), "block", ["place"])
    op.create_index("ix_block_group", "block", list(GROUP))
    op.create_table(
        "origin",
        sa.Column("block", sa.LargeBinary(length=16), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("block", "source"),
    )
    op.create_index(op.f("ix_origin_source"), "origin", ["source"])
    op.create_table(
        "retired",
        sa.Column("name", sa.String(length=96), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "compaction",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("one"),
    )


def downgrade() -> None:
    """Remove them; joined blocks stay, and an older version reads their rows as those of one source."""
    for table in ("compaction", "retired", "origin"):
        op.drop_table(table)
    op.drop_index("ix_block_group", table_name="block")
    op.drop_index(op.f("ix_block_place"), table_name="block")
    op.drop_column("block", "place")
