"""What packages declare their tables on."""

import sqlalchemy as sa

metadata = sa.MetaData()

# a count that four bytes may not hold: SQLite's integers have eight anyway, PostgreSQL's only if they are asked to
Wide = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
