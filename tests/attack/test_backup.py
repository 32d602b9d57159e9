"""Backups of a home that works: whole, opened by nothing without its outside, and never an older truth."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.keeper_desk import CROWD, Bench, copy_bench, found_bench

from safehold import canonical
from safehold.app import backup
from safehold.app.profile import Places
from safehold.errors import ConflictError, InvalidError, MissingError, SafeholdError, TamperedError
from safehold.settings import Home


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("backup")
        patch.setenv("SAFEHOLD_OUTSIDE", str(folder / "outside"))
        bench = found_bench(folder / "made", people=CROWD).start()
        bench.take(*CROWD)
        bench.stop()
        yield bench


@pytest.fixture
def bench(made, tmp_path, monkeypatch):
    found = copy_bench(made, tmp_path / "copy")
    monkeypatch.setenv("SAFEHOLD_OUTSIDE", str(found.home.outside.parent))
    return found


def test_a_copy_that_nothing_followed_goes_on_where_the_home_was(bench, tmp_path):
    bench.start()
    told = backup.create(bench.home, tmp_path / "backups")
    place = tmp_path / "backups" / told["backup"].rsplit("/", 1)[1]
    size, blocks = bench.call("status")["ledger"]["size"], bench.blocks()
    bench.stop()
    assert backup.verify(place)["files"] == told["files"]
    shutil.rmtree(bench.home.path)
    assert backup.restore(place, bench.home.path)["home"] == bench.home.id
    bench.start()
    assert bench.call("status")["ledger"]["size"] >= size
    assert bench.blocks() == blocks
    bench.stop()


def test_a_keeper_does_not_start_on_a_copy_that_is_older_than_what_its_witness_saw(bench, tmp_path):
    bench.start()
    told = backup.create(bench.home, tmp_path / "backups")
    bench.call("milestones", measure=True)
    bench.stop()
    shutil.rmtree(bench.home.path)
    backup.restore(tmp_path / "backups" / told["backup"].rsplit("/", 1)[1], bench.home.path)
    with pytest.raises(SafeholdError) as caught:
        bench.start()
    assert caught.value.rule == "ledger.rollback"


def test_it_is_one_moment_while_the_home_is_written(bench, tmp_path):
    """Copies that are taken while sources come in each start a keeper that finds nothing wrong but its age."""
    bench.start()
    stop = threading.Event()
    failed: list[Exception] = []

    def write() -> None:
        number = 0
        while not stop.is_set():
            try:
                bench.take("ana", name=f"s{number}", first=10 + 5 * number)
            except Exception as error:
                failed.append(error)
                return
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        places = [backup.create(bench.home, tmp_path / f"b{one}")["backup"] for one in range(4)]
    finally:
        stop.set()
        writer.join(60)
    assert failed == []
    bench.stop()
    for place in places:
        shutil.rmtree(bench.home.path)
        backup.verify(tmp_path / place)
        backup.restore(tmp_path / place, bench.home.path)
        with pytest.raises(SafeholdError) as caught:
            bench.start()
        assert caught.value.rule == "ledger.rollback", (caught.value.rule, str(caught.value))


def test_nothing_from_outside_is_in_it_and_it_opens_nothing_without(bench, tmp_path):
    told = backup.create(bench.home, tmp_path / "backups")
    secrets = {one.read_bytes() for one in bench.home.epochs.rglob("*") if one.is_file()}
    assert secrets
    for file in Path(told["backup"]).rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert not any(secret in data for secret in secrets), file.name
    shutil.rmtree(bench.home.path)
    shutil.move(bench.home.outside, tmp_path / "elsewhere")
    with pytest.raises(TamperedError, match="outside"):
        backup.restore(Path(told["backup"]), bench.home.path)


@pytest.mark.parametrize("change", ["edit", "delete", "add", "manifest", "link", "folder", "pipe"])
def test_a_changed_backup_is_refused(bench, tmp_path, change):
    place = Path(backup.create(bench.home, tmp_path / "backups")["backup"])
    file = place / "charter.json"
    match change:
        case "edit":
            data = bytearray(file.read_bytes())
            data[10] ^= 1
            file.write_bytes(data)
        case "delete":
            file.unlink()
        case "add":
            (place / "more").write_text("x")
        case "manifest":
            record = json.loads((place / "manifest.json").read_text())
            record["files"]["charter.json"][1] = "0" * 64
            (place / "manifest.json").write_text(json.dumps(record))
        case "link":
            data = file.read_bytes()
            (tmp_path / "other").write_bytes(data)
            file.unlink()
            file.symlink_to(tmp_path / "other")
        case "folder":
            (tmp_path / "other").mkdir()
            (tmp_path / "other" / "planted").write_text("x")
            (place / "more").symlink_to(tmp_path / "other")
        case "pipe":
            os.mkfifo(place / "more")
    with pytest.raises(TamperedError):
        backup.restore(place, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_is_no_backup_or_has_no_room_is_said(bench, tmp_path):
    with pytest.raises(MissingError):
        backup.verify(tmp_path)
    place = Path(backup.create(bench.home, tmp_path / "backups")["backup"])
    with pytest.raises(ConflictError):
        backup.restore(place, bench.home.path)


def test_what_is_restored_is_what_was_checked(bench, tmp_path, monkeypatch):
    """Whoever may write to the backup changes it after it was checked and before it is copied."""
    place = Path(backup.create(bench.home, tmp_path / "backups")["backup"])
    copy = shutil.copytree

    def late(*given, **more):
        if Path(given[0]) == place:
            (place / "charter.json").write_text("{}")
        return copy(*given, **more)

    monkeypatch.setattr(shutil, "copytree", late)
    with pytest.raises(TamperedError):
        backup.restore(place, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".new*"))


def test_a_file_named_as_the_manifest_in_a_folder_comes_back(bench, tmp_path):
    """Only the backup's own manifest stays behind."""
    deep = bench.home.path / "documents" / "more" / "manifest.json"
    deep.parent.mkdir(parents=True)
    deep.write_text("x")
    place = Path(backup.create(bench.home, tmp_path / "backups")["backup"])
    shutil.rmtree(bench.home.path)
    backup.restore(place, bench.home.path)
    assert deep.read_text() == "x"
    assert not (bench.home.path / "manifest.json").exists()


def test_a_backup_inside_the_home_is_refused(bench):
    with pytest.raises(InvalidError) as caught:
        backup.create(bench.home, bench.home.path / "documents" / "backups")
    assert caught.value.rule == "backup.inside"


def test_while_a_keeper_works_nothing_is_put_back(bench, tmp_path, postgres):
    """The outside would name other places under a keeper that writes to the old ones."""
    bench.start()
    place = Path(backup.create(bench.home, tmp_path / "backups")["backup"])
    for places in (None, Places(control=postgres.url(postgres.new_database()))):
        with pytest.raises(ConflictError) as caught:
            backup.restore(place, tmp_path / "second", places)
        assert caught.value.rule == "keeper.one"
    assert not (tmp_path / "second").exists()
    assert Places.of(bench.home) == Places()
    bench.stop()
    backup.restore(place, tmp_path / "second")


def test_what_comes_back_is_its_owners_alone_and_can_be_written(bench, tmp_path):
    """From a place where everybody reads and nobody writes, such as a disc."""
    place = Path(backup.create(bench.home, tmp_path / "backups")["backup"])
    for one in (*place.rglob("*"), place):
        one.chmod(0o555 if one.is_dir() else 0o4444)
    shutil.rmtree(bench.home.path)
    backup.restore(place, bench.home.path)
    for one in (bench.home.path, *bench.home.path.rglob("*")):
        assert one.stat().st_mode & 0o7777 == (0o700 if one.is_dir() else 0o600), one.name


@pytest.mark.parametrize("what", ["objects", "file"])
def test_a_home_with_a_link_is_not_copied(bench, tmp_path, what):
    """Left out, its objects would be missing in a backup that says that it is whole."""
    home = bench.home
    if what == "objects":
        shutil.move(home.objects, tmp_path / "volume")
        home.objects.symlink_to(tmp_path / "volume")
    else:
        (tmp_path / "secret").write_text("x")
        home.documents.mkdir(exist_ok=True)
        (home.documents / "more").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidError) as caught:
        backup.create(home, tmp_path / "backups")
    assert caught.value.rule == "backup.link"
    assert not list((tmp_path / "backups").iterdir())


def test_a_home_is_not_made_around_its_outside(tmp_path, monkeypatch):
    monkeypatch.setenv("SAFEHOLD_OUTSIDE", str(tmp_path / "home" / "state"))
    with pytest.raises(InvalidError) as caught:
        Home.create(tmp_path / "home")
    assert caught.value.rule == "home.outside"
    assert not list((tmp_path / "home").iterdir())


def test_a_home_that_holds_its_outside_is_not_copied(bench, tmp_path, monkeypatch):
    inside = bench.home.path / "state"
    shutil.move(bench.home.outside.parent, inside)
    monkeypatch.setenv("SAFEHOLD_OUTSIDE", str(inside))
    with pytest.raises(InvalidError) as caught:
        backup.create(Home.open(bench.home.path), tmp_path / "backups")
    assert caught.value.rule == "backup.outside"


def test_names_of_folders_may_hold_what_means_something_in_a_uri(bench, tmp_path, monkeypatch):
    odd = tmp_path / "50%25 #1?mode=rw"
    shutil.move(bench.home.path, odd / "home")
    home = Home.open(odd / "home")
    place = Path(backup.create(home, odd / "backups")["backup"])
    assert backup.verify(place)["home"] == home.id
    shutil.rmtree(home.path)
    backup.restore(place, home.path)
    restored = Bench(odd, home, bench.root, bench.clock, bench.seats)
    monkeypatch.setattr("tests.keeper_desk.outside", nullcontext)
    assert restored.start().blocks() == dict.fromkeys(CROWD, 1)
    restored.stop()


def test_a_home_that_lost_a_database_is_told_so(bench, tmp_path):
    bench.home.control.unlink()
    with pytest.raises(MissingError) as caught:
        backup.create(bench.home, tmp_path / "backups")
    assert caught.value.rule == "backup.missing"
    assert not list((tmp_path / "backups").iterdir())


@pytest.mark.parametrize("said", [5, [], [1], ["1", "x"], [-1, "x"], [1, "x", 2], None, {}])
def test_a_manifest_that_says_nonsense_of_a_file_is_damaged(bench, tmp_path, said):
    place = Path(backup.create(bench.home, tmp_path / "backups")["backup"])
    rewrite(place, {"charter.json": said})
    with pytest.raises(TamperedError) as caught:
        backup.restore(place, tmp_path / "new")
    assert caught.value.rule == "backup.manifest"


def rewrite(place: Path, changes: dict[str, object]) -> None:
    """Let the manifest say something else of files."""
    record = json.loads((place / "manifest.json").read_text())
    record["files"].update(changes)
    (place / "manifest.json").write_bytes(canonical.encode(record))


@pytest.mark.parametrize(
    ("name", "data", "rule"),
    [
        ("control.db", b"no database" * 100, "backup.database"),
        (
            "home.json",
            b'{"id":"home_other","synthetic":true,"v":"safehold-home/1"}',
            "backup.home",
        ),
    ],
)
def test_parts_that_are_something_else_are_refused_though_the_manifest_fits(
    bench, tmp_path, name, data, rule
):
    place = Path(backup.create(bench.home, tmp_path / "backups")["backup"])
    (place / name).write_bytes(data)
    rewrite(place, {name: [len(data), hashlib.sha256(data).hexdigest()]})
    (bench.home.outside.parent / "home_other").mkdir()
    with pytest.raises(TamperedError) as caught:
        backup.restore(place, tmp_path / "new")
    assert caught.value.rule == rule
    assert not (tmp_path / "new").exists()


def test_a_place_that_is_a_link_or_lies_in_the_backup_or_in_no_folder(bench, tmp_path):
    place = Path(backup.create(bench.home, tmp_path / "backups")["backup"])
    with pytest.raises(InvalidError) as caught:
        backup.restore(place, place / "home")
    assert caught.value.rule == "backup.inside"
    (tmp_path / "volume").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "volume")
    backup.restore(place, tmp_path / "link")
    assert Home.open(tmp_path / "volume").id == bench.home.id
    backup.restore(place, tmp_path / "no" / "folder" / "home")
