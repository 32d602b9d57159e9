"""The control database: migrations run once, and not at all when there is nothing to do."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

import safehold
from safehold import db
from safehold.db import postgres


def newest_on_disk() -> str | None:
    config = Config()
    config.set_main_option(
        "script_location", str(Path(safehold.__file__).resolve().parent / "migrations")
    )
    return ScriptDirectory.from_config(config).get_current_head()


def test_the_newest_revision_is_the_one_on_disk():
    assert newest_on_disk() == db.NEWEST


def test_an_empty_database_gets_every_table_and_a_second_time_changes_nothing(tmp_path):
    engine = db.open_engine(tmp_path / "control.db")
    db.migrate(engine)
    names = set(sa.inspect(engine).get_table_names())
    assert {"person", "block", "alembic_version"} <= names
    db.migrate(engine)
    assert set(sa.inspect(engine).get_table_names()) == names


def test_a_database_without_a_version_is_brought_to_the_newest(tmp_path):
    engine = db.open_engine(tmp_path / "control.db")
    db.migrate(engine)
    db.migrate(engine, "base")
    assert "person" not in sa.inspect(engine).get_table_names()
    db.migrate(engine)
    assert "person" in sa.inspect(engine).get_table_names()


def test_starting_a_keeper_does_not_load_the_migration_tool():
    code = "import sys, safehold.app.keeper; sys.exit('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
    assert done.returncode == 0


def test_sessions_are_renewed_and_what_the_driver_kept_for_them_goes():
    engine = postgres.open_engine("postgresql://safehold@localhost/safehold", schema="s")
    assert 0 < engine.pool._recycle <= 3600  # seconds; asked whenever a session is taken


@pytest.mark.parametrize("reading", [True, False])
def test_an_error_between_two_rows_holds_nothing_open(tmp_path: Path, reading: bool) -> None:
    table = sa.Table("held_open", sa.MetaData(), sa.Column("number", sa.Integer))
    engine = db.open_engine(tmp_path / "control.sqlite")
    table.create(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), [{"number": number} for number in range(-10, 300)])
    query = sa.select(table.c.number).execution_options(yield_per=4)
    with (
        pytest.raises(ZeroDivisionError) as kept,  # and with it its frames
        engine.execution_options(reading=reading).begin() as connection,
    ):
        [1 / row.number for row in connection.execute(query)]
    with closing(sqlite3.connect(tmp_path / "control.sqlite")) as other:
        other.execute("DELETE FROM held_open WHERE number > 200")
        other.commit()
    db.truncate_wal(engine)
    with engine.begin() as connection:
        connection.execute(table.delete())
    assert kept.value.__traceback__
    engine.dispose()
