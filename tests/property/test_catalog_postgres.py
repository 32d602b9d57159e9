"""The register's properties with the control database in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from tests.property.test_catalog_properties import (  # noqa: F401 - the same suite over the other database
    test_a_chunk_counts_once_and_a_source_whole,
)

from safehold.db import migrate
from safehold.db.place import schema_of
from safehold.db.postgres import make_schema, open_engine

if TYPE_CHECKING:
    from tests.postgres import Server


@pytest.fixture(scope="module")
def engine(postgres: Server) -> Iterator[sa.Engine]:
    url, schema = postgres.url(postgres.new_database()), schema_of("a home")
    make_schema(url, schema=schema)
    made = open_engine(url, schema=schema)
    migrate(made)
    yield made
    made.dispose()
