"""A journal in PostgreSQL against whoever administers the database: edits, altered tables, old dumps."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
import pytest
from tests.attack import test_ledger_rollback as rollback
from tests.ledger_desk import ORIGIN, Desk, entry
from tests.postgres import Server

import safehold_verify as verifier
from safehold.errors import (
    ConflictError,
    MissingError,
    SafeholdError,
    TamperedError,
    UnavailableError,
)
from safehold.ledger import publisher as publisher_module
from safehold.ledger.store_postgres import PostgresStore
from safehold.ledger.store_postgres_place import schema_of
from safehold.ledger.store_postgres_sql import NAMES

SCHEMA = schema_of(ORIGIN)


def said(query: str) -> bytes:
    """Return a query in which ``@`` stands for the schema of the log."""
    return query.replace("@", SCHEMA).encode()


@pytest.fixture
def bare(postgres: Server, tmp_path: Path) -> Desk:
    return Desk(tmp_path, database=postgres.database())


@pytest.fixture
def desk(bare: Desk) -> Desk:
    """A log of 300 entries, published."""
    with bare.open() as ledger:
        ledger.append([entry(at) for at in range(300)])
    return bare


# The administrator

EDITS = {
    **{name: edit for name, edit in rollback.EDITS.items() if "published head" not in name},
    "the published head": "UPDATE head SET note = overlay(note placing 'x'::bytea from 9)",
    "the published heads": "DELETE FROM head",
    "the vkey": "UPDATE meta SET vkey = 'x'",
    "the name": "DELETE FROM meta",
    "no number": "ALTER TABLE state ALTER size DROP NOT NULL; UPDATE state SET size = NULL",
    "text for bytes": "ALTER TABLE journal ALTER body TYPE text USING encode(body, 'base64')",
    "text for numbers": "ALTER TABLE state ALTER size TYPE text USING size::text",
    "halves for numbers": "ALTER TABLE state ALTER size TYPE numeric USING size + 0.5",
    "bytes for text": "ALTER TABLE meta ALTER origin TYPE bytea USING origin::bytea",
    "all rows": "TRUNCATE journal, sidecar, tile, state, head, idem, meta",
    "a table": "DROP TABLE tile",
    "a column": "ALTER TABLE journal DROP COLUMN count",
    "another table": "CREATE TABLE spare(one int)",
    "a view for a table": "ALTER TABLE tile RENAME TO hidden; CREATE VIEW tile AS TABLE hidden",
    "a table that a crash empties": "ALTER TABLE journal SET UNLOGGED",
}


@pytest.mark.parametrize("name", EDITS)
def test_what_the_administrator_edits_is_found_when_the_ledger_opens(desk: Desk, name: str) -> None:
    for one in EDITS[name].split("; "):
        desk.edit(one)
    with pytest.raises(SafeholdError) as found:
        desk.open()
    assert found.value.code in ("tampered", "invalid")


@pytest.mark.parametrize("edit", ["ALTER TABLE head DROP COLUMN note", "DROP TABLE head CASCADE"])
def test_a_reader_beside_the_keeper_finds_damage_too(desk: Desk, edit: str) -> None:
    assert desk.store.published(ORIGIN, 300) == (desk.directory / "checkpoint").read_bytes()
    assert desk.store.published(ORIGIN, 299) is None
    desk.edit(edit)
    with pytest.raises(TamperedError):
        desk.store.published(ORIGIN, 300)


def test_rows_edited_before_they_are_exported_are_found_by_the_verifier(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "INTERVAL", 3_600)
    with desk.open() as ledger:
        ledger.append([entry(1_000)])
        desk.edit(
            "UPDATE journal SET body = set_byte(body, 19, get_byte(body, 19) # 1) WHERE first = 300"
        )
        ledger.publish()
    with pytest.raises(verifier.VerificationError, match=r"leaf 300|entries/001"):
        verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])
    with pytest.raises(TamperedError):
        desk.open()


def test_a_row_planted_before_the_log_gets_there_stops_it(desk: Desk) -> None:
    rows = {"journal": "300, 1, x'000161'", "sidecar": "300, x'00'"}
    for table, row in rows.items():
        ledger = desk.open()
        desk.edit(f"INSERT INTO {table} VALUES({row})")
        with pytest.raises(TamperedError, match="did not write"):
            ledger.append([entry()])
        with pytest.raises(SafeholdError):
            ledger.check_health()
        ledger.close()
        desk.edit(f"DELETE FROM {table} WHERE first = 300")  # noqa: S608
    with desk.open() as again:
        assert again.size == 300


def test_a_role_that_may_not_read_or_make_tells_nothing_and_is_told_why(
    postgres: Server, desk: Desk
) -> None:
    owner = desk.database or ""
    with postgres.admin() as base:
        base.execute("CREATE ROLE safehold_nobody LOGIN")
    try:
        desk.database = owner.replace("user=postgres", "user=safehold_nobody")
        fresh = PostgresStore(desk.database, directory=desk.directory.with_name("fresh"))
        for wrong in (
            desk.open,
            lambda: desk.store.published(ORIGIN, 300),
            lambda: fresh.create(origin="canary.example/log", vkey="canary", note=b"n"),
        ):
            with pytest.raises(UnavailableError, match="SQLSTATE 42501") as found:
                wrong()
            assert "canary" not in str(found.value.payload())
            assert found.value.__cause__ is None
    finally:
        with postgres.admin() as base:
            base.execute("DROP ROLE safehold_nobody")


def test_no_second_log_in_a_directory_that_has_one(postgres: Server, desk: Desk) -> None:
    desk.database = postgres.database("other")
    with pytest.raises(ConflictError):
        desk.store.create(origin=ORIGIN, vkey="v", note=b"n")


def test_a_changed_side_car_and_a_lost_one(desk: Desk) -> None:
    with desk.open() as ledger:
        desk.edit("UPDATE sidecar SET body = set_byte(body, 29, get_byte(body, 29) # 1)")
        with pytest.raises(TamperedError):
            ledger.detail(0)
        desk.edit("DELETE FROM sidecar")
        with pytest.raises(MissingError):
            ledger.detail(0)


def test_a_slip_of_the_hand_is_stopped_by_the_tables_themselves(
    postgres: Server, desk: Desk
) -> None:
    database = psycopg.conninfo.conninfo_to_dict(desk.database or "")["dbname"]
    refused = [
        "UPDATE @.journal SET body = body",
        "UPDATE @.sidecar SET body = body",
        "UPDATE @.tile SET data = data",
        "UPDATE @.idem SET place = place",
        "UPDATE @.meta SET vkey = vkey",
        *map("DELETE FROM @.{}".format, ("journal", "tile", "idem", "meta", "head", "state")),
        *map("TRUNCATE @.{}".format, NAMES),
        "UPDATE @.state SET size = size - 1",
        "UPDATE @.state SET exported = -1",
        "UPDATE @.state SET time = 0",
    ]
    with postgres.admin(str(database)) as base:
        base.execute(said("INSERT INTO @.idem VALUES('x', 1)"))
        for query in refused:
            with pytest.raises(psycopg.errors.RestrictViolation):
                base.execute(said(query))
        base.execute(said("SET session_replication_role = replica; DELETE FROM @.idem"))
    desk.open().close()


def dump(postgres: Server, desk: Desk, name: str) -> Path:
    path = desk.directory.parent / name
    postgres.program("pg_dump", "-Fc", "-n", SCHEMA, "-f", str(path), desk.database or "")
    shutil.copytree(desk.directory, path.with_name(f"{name}-files"))
    return path


def restore(postgres: Server, desk: Desk, path: Path) -> None:
    with psycopg.connect(desk.database or "", autocommit=True) as base:
        base.execute(said("DROP SCHEMA @ CASCADE"))
    postgres.program("pg_restore", "-d", desk.database or "", str(path))
    shutil.rmtree(desk.directory)
    shutil.copytree(path.with_name(f"{path.name}-files"), desk.directory)


def test_an_older_dump_that_was_restored_is_found_by_the_witness(
    postgres: Server, desk: Desk
) -> None:
    older = dump(postgres, desk, "older")
    with desk.open() as ledger:
        ledger.append([entry(), entry()])
    newest = dump(postgres, desk, "newest")
    restore(postgres, desk, older)
    with pytest.raises(TamperedError, match="knows 302 entries, the journal only 300"):
        desk.open()
    with desk.open(witnesses=[]) as forked:  # without the witness it is a log like any other
        forked.append([entry(), entry(), entry()])
    with pytest.raises(TamperedError, match="another history"):
        desk.open()
    restore(postgres, desk, newest)
    with desk.open() as ledger:
        assert ledger.size == 302


def test_no_such_log_and_a_log_without_its_files(postgres: Server, desk: Desk) -> None:
    full, desk.database = desk.database, postgres.database("other")
    with pytest.raises(MissingError):
        desk.open()
    with pytest.raises(TamperedError):
        desk.store.published(ORIGIN, 300)
    desk.database = full
    desk.directory = desk.directory.with_name("empty")
    with pytest.raises(MissingError):
        desk.open()
    desk.directory.mkdir()
    with pytest.raises(TamperedError, match="checkpoint is missing"):
        desk.open()
