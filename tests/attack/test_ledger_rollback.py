"""Restored backups, forks, edited journals and lost witnesses are found when the ledger opens."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.ledger_desk import Desk, entry

import safehold_verify as verifier
from safehold.errors import SafeholdError, TamperedError, UnavailableError
from safehold.ledger import Ledger, Subject
from safehold.ledger.quorum import Quorum
from safehold.ledger.subjects import epoch_key, gather, item_of


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    with desk.open() as ledger:
        ledger.append([entry(at) for at in range(300)])
    shutil.copytree(desk.directory, tmp_path / "backup")
    return desk


def restore(desk: Desk) -> None:
    shutil.rmtree(desk.directory)
    shutil.copytree(desk.directory.parent / "backup", desk.directory)


def test_a_restored_backup(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry()])
    restore(desk)
    with pytest.raises(TamperedError, match="knows 301 entries, the journal only 300"):
        desk.open()


def test_a_restored_backup_that_grew_again(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry(), entry()])
    restore(desk)
    with Ledger.open(
        desk.directory,
        signer=desk.signer,
        witnesses=[],
        sidecar=desk.sealer,
        clock=desk.clock,
    ) as forked:
        forked.append([entry(), entry(), entry()])
    with pytest.raises(TamperedError, match="another history"):
        desk.open()


def test_a_restore_under_a_running_ledger_stops_releases(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry()])
    restore(desk)
    blind = Ledger.open(
        desk.directory, signer=desk.signer, witnesses=[], sidecar=desk.sealer, clock=desk.clock
    )
    blind._publisher.quorum = Quorum([desk.witness])
    blind._publisher.quorum._seen = {desk.witness.name: 300}
    with pytest.raises(TamperedError):
        blind.check_health()
    blind._publisher._dirty.clear()
    with pytest.raises(TamperedError):
        blind.append([entry(5), entry(6)])
        blind.publish()
    with pytest.raises(TamperedError):
        blind.append([entry(7)])
    blind.close()


def test_a_witness_that_lost_its_memory(desk: Desk) -> None:
    desk.witness._memory("example.com/acme/audit").unlink()
    with pytest.raises(TamperedError, match="forgotten"):
        desk.open()


def test_a_witness_out_of_reach_means_read_only(desk: Desk) -> None:
    away = desk.outside.with_name("away")
    desk.outside.rename(away)
    with desk.open() as ledger:
        assert len(list(ledger.leaves())) == 300
        assert ledger.detail(7)["actor"] == "actor-7"
        with pytest.raises(UnavailableError):
            ledger.append([entry()])
        with pytest.raises(UnavailableError):
            ledger.check_health()
    away.rename(desk.outside)
    with desk.open() as ledger:
        ledger.append([entry()])
        ledger.check_health()


def test_a_witness_that_goes_away_later(desk: Desk) -> None:
    ledger = desk.open()
    away = desk.outside.with_name("away")
    desk.outside.rename(away)
    with pytest.raises(UnavailableError):
        ledger.check_health()
    ledger.append([entry()])
    with pytest.raises(UnavailableError):
        ledger.publish()
    away.rename(desk.outside)
    ledger.publish()
    ledger.check_health()
    ledger.close()
    assert verifier.verify_log(desk.directory, desk.policy, heads=[desk.head]).size == 301


EDITS = {
    "a row lost": "DELETE FROM journal",
    "a row moved": "UPDATE journal SET first = first + 1",
    "a count changed": "UPDATE journal SET count = count + 1",
    "a leaf flipped": "UPDATE journal SET body = zeroblob(2) || substr(body, 3)",
    "a row added": "INSERT INTO journal VALUES(300, 1, x'000161')",
    "a tile changed": "UPDATE tile SET data = zeroblob(8192)",
    "a tile lost": "DELETE FROM tile",
    "the size": "UPDATE state SET size = size - 1",
    "the root": "UPDATE state SET root = zeroblob(32)",
    "the note": "UPDATE state SET note = substr(note, 1, 40)",
    "the time, ahead": "UPDATE state SET time = time + 86400000",
    "the time, back": "UPDATE state SET time = 0",
    "the state": "DELETE FROM state",
    "the published head": "UPDATE head SET note = replace(note, 'audit', 'audix')",
    "the origin": "UPDATE meta SET origin = 'elsewhere'",
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_journal(desk: Desk, name: str) -> None:
    base = sqlite3.connect(desk.directory / "journal.db")
    assert base.execute(EDITS[name]).rowcount > 0
    base.commit()
    base.close()
    with pytest.raises(SafeholdError) as found:
        desk.open()
    assert found.value.code in ("tampered", "invalid")


def test_a_journal_of_noise(desk: Desk) -> None:
    (desk.directory / "journal.db").write_bytes(b"noise" * 5_000)
    with pytest.raises(TamperedError):
        desk.open()


@pytest.mark.parametrize(
    "name", ["checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000"]
)
def test_an_edited_export_is_found_when_the_ledger_opens(desk: Desk, name: str) -> None:
    file = desk.directory / name
    data = file.read_bytes()
    for changed in (bytes([data[0] ^ 1]) + data[1:], data[:-1], None):
        if changed is None:
            file.unlink()
        else:
            file.write_bytes(changed)
        with pytest.raises(SafeholdError) as found:
            desk.open()
        assert found.value.code in ("tampered", "invalid")
    file.write_bytes(data)
    stray = desk.directory / "tile" / "0" / "foreign"
    stray.write_bytes(b"x")
    with pytest.raises(TamperedError, match="foreign"):
        desk.open()
    stray.unlink()
    desk.open().close()


def test_leftovers_of_a_crashed_export_go(desk: Desk) -> None:
    older = desk.directory / "tile/0/001.p/40"
    older.write_bytes((desk.directory / "tile/0/001.p/44").read_bytes()[: 40 * 32])
    (desk.directory / ".export" / "0").write_bytes(b"half")
    desk.open().close()
    assert not older.exists()
    verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])


def test_after_shredding_no_person_can_be_guessed() -> None:
    people = [b"%032d" % number for number in range(500)]
    keys = {person: os.urandom(32) for person in people}
    inside = people[:37]
    made = gather([Subject(key=keys[one]) for one in inside], 0)
    assert len(made.items) == 64  # only the bucket of the count leaks
    assert made.items == tuple(sorted(made.items))
    assert made.find(epoch_key(keys[people[3]], 0)) is not None
    assert made.find(epoch_key(keys[people[40]], 0)) is None
    assert item_of(epoch_key(keys[people[3]], 0), made.nonce, 1) not in made.items
    # The keys are gone; an enumeration of all ids, as key or as anything else, matches nothing.
    for person in people:
        assert item_of(epoch_key(person, 0), made.nonce) not in made.items
    again = gather([Subject(key=keys[one]) for one in inside], 0)
    assert not set(again.items) & set(made.items)
