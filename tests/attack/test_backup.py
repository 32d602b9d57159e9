"""Backups of a home that works: whole, opened by nothing without its outside, and never an older truth."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest
from tests.keeper_desk import CROWD, copy_bench, found_bench

from safehold.app import backup
from safehold.errors import ConflictError, InvalidError, MissingError, SafeholdError, TamperedError


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
    bench.home.ledger_url_file.write_text("postgresql:///x\n")
    with pytest.raises(InvalidError, match="the journal"):
        backup.create(bench.home, tmp_path / "backups")


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
