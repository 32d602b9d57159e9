"""What packages declare their tables on."""

import sqlalchemy as sa

metadata = sa.MetaData()
