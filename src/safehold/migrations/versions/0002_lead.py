"""Which keeper leads; counts that four bytes of PostgreSQL do not hold."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WIDE = (("object", "size"), ("extent", "first"), ("extent", "last"), ("access_grant", "entry"))


def upgrade() -> None:
    """Make the table of the number that fences off former keepers."""
    op.create_table(
        "lead",
        sa.Column("one", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("one"),
    )
    _change(sa.BigInteger())


def downgrade() -> None:
    """Remove it."""
    _change(sa.Integer())
    op.drop_table("lead")


def _change(to: sa.types.TypeEngine[int]) -> None:
    """Change the width of counts; SQLite's have eight bytes anyway."""
    if op.get_bind().dialect.name == "postgresql":
        for table, column in WIDE:
            op.alter_column(table, column, type_=to, existing_nullable=False)
