"""The vault with its keys in PostgreSQL: the same tests as over SQLite, and what only a server leaves behind."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa
from tests.attack.test_vault_erase import (  # noqa: F401 - the same suite over the other database
    test_an_artifact_ends_by_name_and_by_day,
    test_an_attacker_who_kept_the_old_segment_key_gets_no_new_row,
    test_exactly_one_thing_is_shredded_at_a_time,
    test_one_lost_key_stops_a_reading_before_the_first_row,
    test_rows_survive_many_epochs,
    test_shredding_nobody_changes_no_epoch,
    test_the_erased_opens_nothing_and_the_others_everything,
)
from tests.unit.test_vault_keys import (  # noqa: F401 - likewise
    test_an_artifact_is_bound_to_its_record,
    test_another_root_is_refused_at_the_door,
    test_blocks_of_many_objects_and_segments_are_read_in_one_go,
    test_rows_come_back_after_reopening,
    test_sealing_and_reading_go_on_while_others_are_erased,
    test_subject_keys_are_lasting_and_of_one_person,
    test_there_is_a_key_for_each_person_stream_and_expiry,
    test_threads_that_seal_the_same_new_person_agree_on_one_key,
)
from tests.vaults import VaultHome, make_home, opens, plain, wrapped_keys

from safehold.db import advance, fence, migrate
from safehold.db.place import schema_of
from safehold.db.postgres import make_schema, open_engine
from safehold.errors import UnavailableError

if TYPE_CHECKING:
    from tests.postgres import Server

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCHEMA = schema_of("a home of the tests")


@pytest.fixture(scope="module")
def url(postgres: Server) -> str:
    return postgres.url(postgres.new_database())


@pytest.fixture
def home(postgres: Server, url: str, tmp_path: Path) -> Iterator[VaultHome]:
    """A vault whose keys lie in an empty schema."""
    opened: list[sa.Engine] = []

    def connect(_home: Path) -> sa.Engine:
        opened.append(open_engine(url, schema=SCHEMA))
        migrate(opened[-1])
        return opened[-1]

    make_schema(url, schema=SCHEMA)
    try:
        yield make_home(tmp_path, connect=connect)
    finally:
        for engine in opened:
            engine.dispose()
        with psycopg.connect(url, autocommit=True) as base:
            base.execute(f"DROP SCHEMA {SCHEMA} CASCADE".encode())


def test_a_base_backup_beside_the_live_root_opens_nothing_after_an_erasure(
    postgres: Server, home: VaultHome
) -> None:
    """Dead rows, the log and the backup keep the old wrapped key; the epoch it is wrapped under has ended."""
    from tests.postgres import Server

    gone, kept = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de").blocks
    (wrapped,) = wrapped_keys(home, owner="psn_a", kind="person")
    old = Server(postgres.programs, backup_of=postgres)
    try:
        home.vault.shred(person="psn_a")
        assert wrapped not in wrapped_keys(home)
        old.start()
        engine = open_engine(old.url(_name(home)), schema=SCHEMA)
        with engine.begin() as connection:
            query = "SELECT wrapped FROM vault_key WHERE owner = 'psn_a' AND kind = 'person'"
            assert connection.exec_driver_sql(query).scalar_one() == wrapped, "the backup has it"
        restored = home.open(engine=engine)
        assert not opens(restored, gone)
        assert not opens(restored, kept), "nor anybody else's: the whole epoch has ended"
        engine.dispose()
    finally:
        old.remove()
    assert opens(home.vault, kept)
    assert not opens(home.vault, gone)


def test_after_an_erasure_the_tables_hold_no_dead_row_of_it(home: VaultHome) -> None:
    home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    (wrapped,) = wrapped_keys(home, owner="psn_a", kind="person")
    assert wrapped in pages(home)
    home.vault.shred(person="psn_a")
    assert wrapped not in pages(home)


def test_the_keeper_needs_no_more_than_the_guide_grants(home: VaultHome, url: str) -> None:
    page = (DOCS / "reference" / "control-database.md").read_text("utf-8")
    [block] = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    less = url.replace("user=postgres", "user=safehold_control")
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(block.replace("control_...", SCHEMA).encode())
        engine = open_engine(less, schema=SCHEMA)
        try:
            make_schema(less, schema=SCHEMA)
            migrate(engine)
            fence(engine, advance(engine))
            vault = home.open(engine=engine)
            gone, kept = vault.seal([plain("psn_a"), plain("psn_b")], segment="de").blocks
            vault.shred(person="psn_a")  # it may not vacuum, and goes on
            assert (opens(vault, gone), opens(vault, kept)) == (False, True)
            for query in ("DROP TABLE vault_key", "TRUNCATE person", "CREATE TABLE spare(one int)"):
                with pytest.raises(UnavailableError) as caught, engine.begin() as connection:
                    connection.exec_driver_sql(query)
                assert "42501" in caught.value.message
        finally:
            engine.dispose()
            owner.execute(b"DROP OWNED BY safehold_control; DROP ROLE safehold_control")


@pytest.mark.parametrize(
    ("setting", "value"), [("synchronous_commit", "off"), ("full_page_writes", "off")]
)
def test_a_server_that_would_forget_is_refused(
    postgres: Server, home: VaultHome, setting: str, value: str
) -> None:
    home.engine.dispose()
    with (
        postgres.setting(setting, value),
        pytest.raises(UnavailableError) as caught,
        home.engine.begin(),
    ):
        pass
    assert (caught.value.rule, bool(caught.value.fix)) == ("db.durable", True)
    with home.engine.begin():
        pass


def test_who_writes_has_the_database_and_who_reads_sees_one_state(home: VaultHome) -> None:
    """Two that would each see the other's absence follow each other instead: nothing is decided on what has changed."""
    count = sa.text("SELECT count(*) FROM lead")
    entered, ends = threading.Event(), []

    def second() -> None:
        entered.set()
        with home.engine.begin() as connection:
            ends.append(connection.execute(count).scalar_one())

    thread = threading.Thread(target=second)
    with home.engine.execution_options(reading=True).begin() as reader:
        assert reader.execute(count).scalar_one() == 0
        with home.engine.begin() as connection:
            thread.start()
            assert entered.wait(60)
            assert connection.execute(count).scalar_one() == 0
            connection.exec_driver_sql("INSERT INTO lead(one, number) VALUES (1, 1)")
            assert ends == []
        thread.join(60)
        assert ends == [1]
        assert reader.execute(count).scalar_one() == 0
        with pytest.raises(UnavailableError, match="25006"):
            reader.exec_driver_sql("DELETE FROM lead")


def pages(home: VaultHome) -> bytes:
    """Return the pages of the table of keys as they lie in the server's files, dead rows included."""
    with home.engine.begin() as connection:
        file, folder = connection.exec_driver_sql(
            "SELECT pg_relation_filepath('vault_key'), current_setting('data_directory')"
        ).one()
    raw = home.engine.raw_connection()
    raw.driver_connection.autocommit = True
    raw.driver_connection.execute("CHECKPOINT")
    raw.driver_connection.autocommit = False
    raw.close()
    return (Path(folder) / file).read_bytes()


def _name(home: VaultHome) -> str:
    with home.engine.begin() as connection:
        return str(connection.exec_driver_sql("SELECT current_database()").scalar_one())
