"""Erasure and expiry, against every copy that was ever made."""

from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy as sa
from tests.stores import STORES, store_of
from tests.vaults import LABEL, TODAY, make_home, opens, plain, raw_files, rows, wrapped_keys

from safehold import db
from safehold.clock import DAY_US
from safehold.errors import InvalidError, ShreddedError, TamperedError, UnavailableError
from safehold.vault import tables


@pytest.fixture
def home(request, tmp_path):
    return make_home(tmp_path, store=store_of(request, tmp_path / "home/objects"))


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_the_erased_opens_nothing_and_the_others_everything(home):
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    before = home.vault.subjects.key("psn_a"), home.vault.subjects.key("psn_b")
    done = home.vault.shred(person="psn_a")
    assert done.keys == 2  # one stream, one subject key
    assert done.segments == ("@subjects", "de")
    gone, kept = sealed.blocks
    assert not opens(home.vault, gone)
    assert opens(home.vault, kept)
    assert home.vault.subjects.key("psn_b") == before[1]
    assert home.vault.subjects.key("psn_a") != before[0]
    assert home.vault.check(sealed.name, root=sealed.root, size=sealed.size, segment="de") == 2


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_one_lost_key_stops_a_reading_before_the_first_row(home):
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    home.vault.shred(person="psn_b")
    seen = []
    with pytest.raises(ShreddedError):
        seen.extend(home.vault.read(sealed.blocks))
    assert not seen


def test_erased_bytes_are_in_no_file_of_the_database(home):
    home.vault.seal([plain(f"psn_{i}") for i in range(50)], segment="de")
    home.vault.subjects.key("psn_7")
    wrapped = wrapped_keys(home, owner="psn_7") + wrapped_keys(home, owner="psn_8")
    assert len(wrapped) == 3
    assert all(one in raw_files(home) for one in wrapped)
    home.vault.shred(person="psn_7")
    after = raw_files(home)
    # the erased row, and the old wrapping of a survivor too
    assert all(one not in after for one in wrapped)
    assert wrapped_keys(home, owner="psn_8")[0] in after


def test_without_the_scrubbing_the_bytes_would_stay(home, monkeypatch):
    """The trap itself: delete alone leaves the bytes, whatever secure_delete says."""
    home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    db.truncate_wal(home.engine)
    (wrapped,) = wrapped_keys(home, owner="psn_a")
    monkeypatch.setattr(db, "truncate_wal", lambda _engine: None)
    home.vault.shred(person="psn_a")
    assert wrapped in raw_files(home)


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_a_backup_with_the_live_root_opens_nothing_after_an_erasure(home):
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    home.vault.subjects.key("psn_a")
    artifact = home.vault.artifacts.seal("art_1", b"model", label=LABEL, segment="de")
    copy = home.copy_home("backup")
    assert opens(home.open(copy), sealed.blocks[0])  # the copy was good
    home.vault.shred(person="psn_a")
    restored = home.open(copy)
    for block in sealed.blocks:
        with pytest.raises(ShreddedError):
            list(restored.read([block]))
    with pytest.raises(ShreddedError):
        restored.subjects.key("psn_a")
    with pytest.raises(ShreddedError):
        restored.artifacts.read(artifact)
    with pytest.raises(ShreddedError):
        restored.shred(person="psn_b")
    # opening the copy destroyed nothing that is alive
    assert opens(home.open(), sealed.blocks[1])


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_a_backup_opens_nothing_after_an_expiry(home):
    soon = plain("psn_a", label=_expiring(TODAY + 1))
    late = plain("psn_a", label=_expiring(TODAY + 9))
    sealed = home.vault.seal([soon, late], segment="de")
    copy = home.copy_home("backup")
    home.clock.advance(DAY_US)
    done = home.vault.shred(expired_on=TODAY + 1)
    assert done.keys == 1
    home.clock.advance(-DAY_US)  # a clock set back helps nobody
    assert not opens(home.vault, sealed.blocks[0])
    assert opens(home.vault, sealed.blocks[1])
    restored = home.open(copy)
    for block in sealed.blocks:
        assert not opens(restored, block)


def _expiring(day: int):
    from dataclasses import replace

    return replace(LABEL, expires=day)


def test_expired_data_is_refused_even_before_the_sweep(home):
    sealed = home.vault.seal([plain(label=_expiring(TODAY + 1))], segment="de")
    assert opens(home.vault, sealed.blocks[0])
    home.clock.advance(DAY_US)
    with pytest.raises(ShreddedError) as caught:
        list(home.vault.read(sealed.blocks))
    assert caught.value.rule == "vault.expired"
    with pytest.raises(InvalidError):
        home.vault.seal([plain(label=_expiring(TODAY + 1))], segment="de")


def test_an_attacker_who_kept_the_old_segment_key_gets_no_new_row(home):
    """After the change of epoch the old KEK unwraps no row of the live database."""
    from safehold.vault import keys
    from safehold.vault.keyring import KeyName

    home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    old = bytes(home.vault._keyring._keks["de"][1].view())
    home.vault.shred(person="psn_a")
    (wrapped,) = wrapped_keys(home, owner="psn_b")
    context = KeyName("person", "psn_b", "key", LABEL.expires).context("de")
    with pytest.raises(TamperedError):
        keys.unwrap_row(old, wrapped, context=context)


def test_a_reader_that_holds_the_database_open_is_reported_not_ignored(home, monkeypatch):
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    reader = sqlite3.connect(home.home / "control.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM vault_key").fetchone()

    from sqlalchemy import event

    @event.listens_for(home.engine, "checkout")
    def _impatient(connection, *_):
        connection.execute("PRAGMA busy_timeout=50")

    with pytest.raises(UnavailableError):
        home.vault.shred(person="psn_a")
    # the keys are destroyed all the same, and the scrubbing is made good later
    assert not opens(home.vault, sealed.blocks[0])
    reader.close()
    again = home.open()
    assert opens(again, sealed.blocks[1])
    with home.engine.begin() as connection:
        assert connection.execute(sa.select(tables.rotation)).all() == []


def test_the_epoch_secret_is_overwritten_before_it_is_removed(home, monkeypatch):
    from pathlib import Path

    home.vault.seal([plain()], segment="de")
    (file,) = home.epochs.iterdir()
    secret = file.read_bytes()
    seen = []
    real = Path.unlink

    def unlink(self, *given, **named):
        if self == file:
            seen.append(self.read_bytes())
        return real(self, *given, **named)

    monkeypatch.setattr(Path, "unlink", unlink)
    home.vault.shred(person="psn_a")
    assert len(seen) == 1
    assert len(seen[0]) == len(secret)
    assert seen[0] != secret
    assert not file.exists()


def test_a_damaged_epoch_secret_is_told_from_an_ended_one(home):
    sealed = home.vault.seal([plain()], segment="de")
    (file,) = home.epochs.iterdir()
    file.write_bytes(bytes(44))
    with pytest.raises(TamperedError):
        list(home.open().read(sealed.blocks))
    file.unlink()
    with pytest.raises(ShreddedError):
        list(home.open().read(sealed.blocks))


def test_exactly_one_thing_is_shredded_at_a_time(home):
    with pytest.raises(InvalidError):
        home.vault.shred()
    with pytest.raises(InvalidError):
        home.vault.shred(person="psn_a", expired_on=TODAY)


def test_shredding_nobody_changes_no_epoch(home):
    home.vault.seal([plain()], segment="de")
    before = {file.name for file in home.epochs.iterdir()}
    assert home.vault.shred(person="psn_nobody").keys == 0
    assert {file.name for file in home.epochs.iterdir()} == before


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_an_artifact_ends_by_name_and_by_day(home):
    one = home.vault.artifacts.seal("art_1", b"one" * 999, label=LABEL, segment="de")
    two = home.vault.artifacts.seal("art_2", b"two", label=LABEL, segment="de")
    assert home.vault.artifacts.read(one) == b"one" * 999
    home.vault.shred(artifact="art_1")
    with pytest.raises(ShreddedError):
        home.vault.artifacts.read(one)
    assert home.vault.artifacts.read(two) == b"two"
    home.vault.shred(expired_on=LABEL.expires)
    with pytest.raises(ShreddedError):
        home.vault.artifacts.read(two)


def test_a_side_car_month_ends_with_its_key(home):
    sealer = home.vault.sidecar
    (old,) = sealer.batch(segment="de", month=600)([b"who and why"], [b"leaf 1"])
    (new,) = sealer.batch(segment="de", month=601)([b"who and why"], [b"leaf 2"])
    copy = home.copy_home("backup")
    home.vault.shred(sidecar_before=601)
    with pytest.raises(ShreddedError):
        sealer.open(segment="de", month=600, sealed=old, aad=b"leaf 1")
    assert sealer.open(segment="de", month=601, sealed=new, aad=b"leaf 2") == b"who and why"
    with pytest.raises(ShreddedError):
        home.open(copy).sidecar.open(segment="de", month=600, sealed=old, aad=b"leaf 1")


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_a_person_erased_while_their_rows_are_sealed_leaves_no_object(home, monkeypatch):
    real = home.vault._objects.put

    def put(name, data):
        real(name, data)
        home.vault.shred(person="psn_a")

    home.vault.seal([plain("psn_a")], segment="de")
    kept = set(home.vault._objects.names())
    monkeypatch.setattr(home.vault._objects, "put", put)
    with pytest.raises(Exception) as caught:
        home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    assert caught.value.code == "conflict"
    assert set(home.vault._objects.names()) == kept


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_rows_survive_many_epochs(home):
    sealed = home.vault.seal([plain("psn_z", table=rows(5))], segment="de")
    for number in range(5):
        home.vault.seal([plain(f"psn_{number}")], segment="de")
        home.vault.shred(person=f"psn_{number}")
    ((_, table),) = home.open().read(sealed.blocks)
    assert table.equals(rows(5))
