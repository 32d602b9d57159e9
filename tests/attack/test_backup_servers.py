"""Backups of a home on servers: one moment of both databases, back to files or to servers, and never two homes."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.cheap_home import cheap_home
from tests.kept import Kept, portrait, same
from tests.key_crashing import OLD, open_bench
from tests.moving import go
from tests.postgres import Server
from tests.restoring import Company, fresh_bucket, raise_at
from tests.seaweed import Weed
from tests.world import outside

from safehold import canonical
from safehold.app import backup
from safehold.app.backup import making, manifest, moment
from safehold.app.control import open_control
from safehold.app.objects import objects_at
from safehold.app.profile import Places
from safehold.app.relocation.record import Record as Move
from safehold.app.verification import verify_home
from safehold.errors import (
    ConflictError,
    MissingError,
    SafeholdError,
    TamperedError,
    UnavailableError,
)
from safehold.settings import Home
from safehold.vault import Bucket

FILES = Places()


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, postgres: Server, weed_server: Weed
) -> Iterator[Company]:
    """A home on servers with people, blocks and somebody who was erased."""
    with cheap_home(tmp_path_factory.mktemp("made"), weed_server) as bench:
        bench.call("people.erase", person="cy", evidence="a letter")
        bench.desk.ledger.publish()
        bench.stop()
        yield Company.move(bench.path, postgres, weed_server)


@pytest.fixture
def company(made: Company, tmp_path: Path) -> Company:
    return made.copy(tmp_path)


@pytest.mark.parametrize("to", ["where it was", "other servers", "files"])
def test_what_comes_back_is_the_home_and_every_proof_holds(company: Company, to: str) -> None:
    """The copy is taken while a keeper works; then everything is lost but the bucket and the outside."""
    bench = company.open()
    kept = Kept.of(bench, company.path / "kept")
    place = company.save()
    before = portrait(bench)
    bench.stop()
    assert before["opened"]
    assert not list(place.rglob("*-wal"))
    assert backup.verify(place)["profile"] == "server"
    company.lose()
    places = {"where it was": None, "other servers": company.new_places(), "files": FILES}[to]
    told = company.put_back(place, places)
    assert told["profile"] == ("embedded" if to == "files" else "server")
    assert told["not_seen"] == []
    assert Places.of(company.home) == (company.places if places is None else places)
    assert company.home.control.exists() == (to == "files")
    assert not company.home.restoring_file.exists()
    bench = company.open()
    same(before, portrait(bench))
    assert bench.desk.ledger.size >= kept.counted
    bench.take("ana", first=900, name="later")  # sequences, objects, keys and leaves go on
    bench.desk.ledger.publish()
    bench.stop()
    kept.check(company.home)
    with outside(company.path):
        assert verify_home(company.home.path)["verified"] is True
    if to != "files":
        assert not list(company.home.objects.iterdir())
        assert not list(company.home.path.rglob("*.db"))


def test_nothing_from_outside_is_in_it_and_nothing_is_changed(company: Company) -> None:
    home = company.home
    before = digests(company)
    place = company.save()
    assert digests(company) == before
    secrets = {one.read_bytes() for one in home.epochs.rglob("*") if one.is_file()}
    assert secrets
    secrets |= {url.encode() for url in company.places.to_json().values() if url is not None}
    for file in place.rglob("*"):
        if file.is_file():
            assert file.stat().st_mode & 0o077 == 0, file.name
            assert not any(secret in file.read_bytes() for secret in secrets), file.name


def digests(company: Company) -> list[Any]:
    """Return a digest of every table of both databases."""
    names = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname ~ '^(control|ledger)_' ORDER BY 1, 2"
    rows = "SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {}.{} t"
    with company.postgres.admin(company.database) as base:
        return [
            base.execute(rows.format(*one).encode()).fetchone()
            for one in base.execute(names).fetchall()
        ]


def test_nobody_changes_the_control_database_between_its_moment_and_that_of_the_journal(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote, begin = threading.Event(), moment._ServerJournal.begin
    engine = open_control(company.home)

    def write() -> None:
        with engine.begin():
            wrote.set()

    writer = threading.Thread(target=write)

    def late(journal: Any) -> None:
        writer.start()
        assert not wrote.wait(0.5)  # whoever would write waits
        begin(journal)
        assert not wrote.is_set()

    monkeypatch.setattr(moment._ServerJournal, "begin", late)
    try:
        with moment.hold_moment(company.home, company.places):
            assert wrote.wait(30)  # and goes on while the rows are copied
    finally:
        writer.join(30)
        engine.dispose()


def test_it_is_one_moment_while_the_home_is_written(company: Company) -> None:
    """What was copied meanwhile is whole, and its keeper finds nothing wrong but its age."""
    bench = company.open()
    stop, failed, times = threading.Event(), [], []

    def write() -> None:
        while not stop.is_set():
            try:
                bench.take("ana", name=f"s{len(times)}", first=10 + 5 * len(times))
            except Exception as error:
                failed.append(error)
                return
            times.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        place = company.save()
    finally:
        stop.set()
        writer.join(60)
    bench.stop()
    assert failed == []
    assert times
    backup.verify(place)
    company.lose()
    company.put_back(place, FILES)
    with pytest.raises(SafeholdError) as refused:
        company.open()
    assert refused.value.rule == "ledger.rollback", str(refused.value)


def test_where_the_home_still_lies_none_comes_beside_it(company: Company) -> None:
    place = company.save()
    shutil.move(company.home.path, company.path / "broken")
    for places in (FILES, company.new_places()):
        with pytest.raises(ConflictError) as refused:
            company.put_back(place, places)
        assert refused.value.rule == "backup.there"
    with pytest.raises(ConflictError) as refused:
        company.put_back(place)
    assert refused.value.rule == "profile.there"
    assert not (company.path / "home").exists()
    assert not list(company.path.glob(".*.new"))
    shutil.move(company.path / "broken", company.path / "home")
    bench = company.open()  # and the home was not touched
    assert bench.blocks().keys() == {"ana", "bo"}
    bench.stop()


def test_a_server_that_is_gone_keeps_no_home_from_coming_back(company: Company) -> None:
    place = company.save()
    home = company.home
    shutil.rmtree(home.path)
    gone = "postgresql:///nowhere?host=/nonexistent&user=x"
    for file in (home.control_url_file, home.ledger_url_file):
        file.write_text(gone + "\n")
    assert company.put_back(place, FILES)["not_seen"] == ["control", "journal"]
    bench = company.open()
    assert bench.blocks().keys() == {"ana", "bo"}
    bench.stop()


def test_an_older_copy_starts_no_keeper(company: Company) -> None:
    place = company.save()
    bench = company.open()
    bench.take("bo", first=500, name="later")
    bench.stop()
    company.lose()
    company.put_back(place)
    with pytest.raises(SafeholdError) as refused:
        company.open()
    assert refused.value.rule == "ledger.rollback"


def spoil_object(company: Company, place: Path, patch: pytest.MonkeyPatch) -> None:
    """Whoever may write to the backup changes an object after it was checked."""
    copy, victim = shutil.copytree, next((place / "objects").rglob("*.shb"))

    def late(*given: Any, **more: Any) -> Any:
        victim.write_bytes(b"x")
        return copy(*given, **more)

    patch.setattr(shutil, "copytree", late)


def spoil_manifest(company: Company, place: Path, patch: pytest.MonkeyPatch) -> None:
    """Object and manifest are changed together, after the copy of the manifest was checked."""
    check = manifest.verify

    def late(at: Path, **more: Any) -> Any:
        told = check(at, **more)
        if at != place:
            victim = next((place / "objects").rglob("*.shb"))
            victim.write_bytes(b"x")
            record = manifest.read(place)
            name = str(victim.relative_to(place))
            record["files"][name] = [1, manifest.sha256(victim)]
            (place / manifest.MANIFEST).write_bytes(canonical.encode(record))
        return told

    patch.setattr(manifest, "verify", late)


def spoil_store(company: Company, place: Path, patch: pytest.MonkeyPatch) -> None:
    """Something else lies in the bucket under the name of an object."""
    store = objects_at(company.home, company.objects)
    name = next(store.names())
    store.delete(name)
    store.put(name, b"x" * 100)


def spoil_answer(company: Company, place: Path, patch: pytest.MonkeyPatch) -> None:
    """The store acknowledges an object and gives back another."""
    get = Bucket.get
    patch.setattr(Bucket, "get", lambda store, name: get(store, name)[::-1])


SPOILT = {
    "the backup": (spoil_object, "backup.file"),
    "the manifest": (spoil_manifest, "backup.file"),
    "the store": (spoil_store, "backup.carried"),
    "an answer": (spoil_answer, "backup.carried"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_objects_that_were_changed_are_not_put_back(
    company: Company, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    place = company.save()
    spoil, rule = SPOILT[what]
    # where an object lies already the bucket itself compares; what it stores anew is read again
    places = company.new_places() if what in ("an answer", "the manifest") else None
    with monkeypatch.context() as patch:
        spoil(company, place, patch)
        company.lose()
        with pytest.raises(TamperedError) as refused:
            company.put_back(place, places)
    assert refused.value.rule == rule
    assert not (company.path / "home").exists()


@pytest.mark.parametrize("part", ["control", "journal"])
def test_a_database_that_differs_is_not_put_in_force_and_the_restore_can_be_taken_back(
    company: Company, part: str
) -> None:
    place = company.save()
    company.lose()
    edit = {
        "control": "UPDATE control.block SET rows = rows + 1",
        "journal": "ALTER TABLE ledger.journal DISABLE TRIGGER refuse; UPDATE ledger.journal SET count = count + 1",
    }[part]

    def spoil(step: str) -> None:
        if step == f"carried {part}":
            with company.postgres.admin(company.database) as base:
                for (schema,) in base.execute(
                    "SELECT nspname::text FROM pg_namespace WHERE nspname ~ '^(control|ledger)_'"
                ).fetchall():
                    mine = str(schema).split("_", 1)[0]
                    if mine in edit:
                        base.execute(edit.replace(f"{mine}.", f"{schema}.").encode())

    with pytest.raises(TamperedError) as refused:
        company.put_back(place, reached=spoil)
    assert refused.value.rule == "backup.carried"
    assert not (company.path / "home").exists()
    with outside(company.path):
        assert backup.take_back(place)["not_removed"] == []
        with pytest.raises(MissingError):
            backup.take_back(place)
    company.put_back(place)
    bench = company.open()
    assert bench.blocks().keys() == {"ana", "bo"}
    bench.stop()


@pytest.mark.parametrize("step", ["carried journal", "named control", "placed"])
def test_one_that_broke_off_lets_no_keeper_start_and_the_same_call_goes_on(
    company: Company, step: str
) -> None:
    """Broken off by an error; that a killed one goes on as well is in ``test_backup_crash``."""
    place, old = company.save(), company.path / "old"
    shutil.copytree(company.home.path, old / "home")
    company.lose()
    places = company.new_places()
    with pytest.raises(KeyboardInterrupt):
        company.put_back(place, places, reached=raise_at(step, KeyboardInterrupt()))
    shutil.copytree(company.path / "outside", old / "outside")
    with pytest.raises(UnavailableError) as refused:  # on no copy of the home
        open_bench(old, OLD)
    assert refused.value.rule == "backup.unfinished"
    with pytest.raises(UnavailableError) as refused:
        go(old, FILES)
    assert refused.value.rule == "backup.unfinished"
    if step == "placed":
        with outside(company.path), pytest.raises(ConflictError) as there:
            backup.take_back(place)
        assert there.value.rule == "backup.placed"
    # without words it goes where it was going
    assert company.put_back(place, None)["profile"] == "server"
    assert Places.of(company.home) == places
    bench = company.open()
    assert bench.blocks().keys() == {"ana", "bo"}
    bench.stop()


def test_one_that_broke_off_can_go_elsewhere(company: Company) -> None:
    place = company.save()
    company.lose()
    places = company.new_places()
    with pytest.raises(KeyboardInterrupt):
        company.put_back(place, places, reached=raise_at("named journal", KeyboardInterrupt()))
    company.put_back(place, FILES)
    assert Places.of(company.home) == FILES
    bench = company.open()
    assert bench.blocks().keys() == {"ana", "bo"}
    bench.stop()
    # nothing of it was left there but objects
    go(company.path, replace(places, objects=fresh_bucket(company.weed)))
    bench = company.open()
    bench.stop()


def test_two_do_not_put_back_at_once(company: Company) -> None:
    place = company.save()
    company.lose()

    def again(step: str) -> None:
        if step == "begun":
            with pytest.raises(ConflictError) as refused:
                company.put_back(place)
            assert refused.value.rule == "keeper.lead"

    company.put_back(place, reached=again)


def test_what_moves_is_not_copied(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        copy = moment._ServerJournal.copy

        def late(journal: Any, to: Path) -> None:
            copy(journal, to)
            Move.begin(company.home, FILES)

        patch.setattr(moment._ServerJournal, "copy", late)
        with pytest.raises(UnavailableError) as refused:  # it began meanwhile
            company.save()
        assert refused.value.rule == "migrate.unfinished"
    monkeypatch.setattr(making, "_copy_all", None)  # and of one that is under way nothing is read
    with pytest.raises(UnavailableError) as refused:
        company.save()
    assert refused.value.rule == "migrate.unfinished"
    assert not list((company.path / "backups").iterdir())


@pytest.mark.parametrize(
    ("edit", "rule"),
    [
        ("UPDATE alembic_version SET version_num = '0001'", "backup.version"),
        ("CREATE TABLE more(x int)", "backup.tables"),
        ("DROP TABLE alembic_version", "backup.missing"),
    ],
)
def test_tables_of_another_version_are_neither_copied_nor_changed(
    company: Company, edit: str, rule: str
) -> None:
    company.edit(edit)
    before = digests(company)
    with pytest.raises(SafeholdError) as refused:
        company.save()
    assert refused.value.rule == rule
    assert digests(company) == before
    assert not list((company.path / "backups").iterdir())


def test_an_object_that_went_away_meanwhile_is_counted(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, get = company.home, Bucket.get
    with closing(objects_at(home, company.objects).names()) as names:
        victim = next(names)

    def away(store: Bucket, name: str) -> bytes:
        if name == victim:
            store.delete(name)
        return get(store, name)

    monkeypatch.setattr(Bucket, "get", away)
    with outside(company.path):
        told = backup.create(Home.open(home.path), company.path / "backups")
    assert told["gone"] == 1
    assert backup.verify(Path(told["backup"]))["files"] == told["files"]
