"""The migrations make exactly the tables that the packages declare, and take them away again."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import safehold.catalog.tables
import safehold.keeper.tables
import safehold.subjects.tables
import safehold.vault.tables  # noqa: F401 - declares its tables
from safehold import db
from safehold.db.place import schema_of


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path):
    """An empty control database of either kind."""
    if request.param == "sqlite":
        engine = db.open_engine(tmp_path / "control.db")
    else:
        from safehold.db.postgres import make_schema, open_engine

        server, schema = request.getfixturevalue("postgres"), schema_of("a home")
        url = server.url(server.new_database())
        make_schema(url, schema=schema)
        make_schema(url, schema=schema)  # nothing left to do is no error
        engine = open_engine(url, schema=schema)
    yield engine
    engine.dispose()


def test_migrations_and_declarations_agree(engine):
    db.migrate(engine)
    db.migrate(engine)  # nothing left to do is no error
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), db.metadata) == []


def test_the_way_back_leaves_nothing(engine):
    db.migrate(engine)
    db.migrate(engine, "0001")
    assert "lead" not in sa.inspect(engine).get_table_names()
    db.migrate(engine)
    db.migrate(engine, "base")
    assert sa.inspect(engine).get_table_names() == ["alembic_version"]


def test_the_database_is_durable_and_overwrites_what_it_deletes(tmp_path):
    engine = db.open_engine(tmp_path / "control.db")
    with engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1}
