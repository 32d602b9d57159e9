"""The ledger of a whole home: whatever is changed, taken away or put back is found, and where is said."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.world import PURPOSE, World, outside, raised, spec_at

from safehold.app.keeper import compose
from safehold.app.verification import verify_home
from safehold.errors import SafeholdError, TamperedError
from safehold.settings import Home

SAMPLES = 8  # bytes of each file that are flipped; the proof flips all


@pytest.fixture
def written(world: World) -> World:
    """A stopped company whose ledger has more than one version of everything."""
    world.call("feature", purpose=PURPOSE)
    for person in world.participants()[:3]:
        world.choose(person, "pause")
    world.call("ledger.publish")
    world.stop()
    return world


def _exported(world: World) -> list[Path]:
    ledger = world.home.ledger
    files = [ledger / "checkpoint", *sorted((ledger / "tile").rglob("*"))]
    found = [file for file in files if file.is_file()]
    assert len(found) >= 3
    return found


def _verify(world: World) -> None:
    with outside(world.path):
        assert verify_home(world.home.path)["verified"]


def _broken(world: World) -> SafeholdError:
    with outside(world.path):
        error = raised(lambda: verify_home(world.home.path))
    assert isinstance(error, TamperedError), repr(error)
    assert error.exit_code == 5
    return error


def _command(world: World) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "safehold", "ledger", "verify", "--home", str(world.home.path)],
        env={**os.environ, "SAFEHOLD_OUTSIDE": str(world.path / "outside")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _flip_all(world: World, step: Callable[[int], int]) -> int:
    flips = 0
    for file in _exported(world):
        whole = file.read_bytes()
        for at in range(0, len(whole), step(len(whole))):
            spoiled = bytearray(whole)
            spoiled[at] ^= 1 << at % 8
            file.write_bytes(spoiled)
            assert len(_broken(world).message) > 10
            flips += 1
        file.write_bytes(whole)
    _verify(world)
    return flips


def test_any_flipped_byte_is_found(written: World) -> None:
    _verify(written)
    assert _flip_all(written, lambda size: max(size // SAMPLES, 1)) >= 3 * SAMPLES


@pytest.mark.proof
def test_every_flipped_byte_is_found(written: World) -> None:
    flips = _flip_all(written, lambda _size: 1)
    print(f"{flips} flips")


def test_the_command_exits_5_and_says_where(written: World) -> None:
    assert _command(written).returncode == 0
    for file, word in (
        ("checkpoint", "checkpoint"),
        ("tile/entries", "entries"),
        ("tile/0", "tile"),
    ):
        place = written.home.ledger / file
        target = place if place.is_file() else next(p for p in place.rglob("*") if p.is_file())
        whole = target.read_bytes()
        target.write_bytes(whole[:9] + bytes([whole[9] ^ 4]) + whole[10:])
        done = _command(written)
        assert done.returncode == 5, done.stderr
        assert word in done.stderr
        target.write_bytes(whole)


def test_truncated_emptied_and_missing_files_are_found(written: World) -> None:
    for file in _exported(written):
        whole = file.read_bytes()
        for left in (whole[:-1], whole[: len(whole) // 2], b"", whole + b"\0"):
            file.write_bytes(left)
            _broken(written)
        file.unlink()
        _broken(written)
        file.write_bytes(whole)
    _verify(written)
    shutil.rmtree(written.home.ledger / "tile")
    _broken(written)
    shutil.rmtree(written.home.ledger)
    _broken(written)


def test_a_journal_that_is_gone_or_older_than_the_files_is_found(
    world: World, tmp_path: Path
) -> None:
    """The files alone still hold, but the details of every entry lie in the journal."""
    world.stop()
    journal = world.home.ledger / "journal.db"
    older = journal.read_bytes()
    world.start()
    world.choose(world.participants()[0], "pause")
    world.call("ledger.publish")
    with outside(world.path):
        assert verify_home(world.home.path)["verified"], "beside a keeper that has it open"
    world.stop()
    newest = journal.read_bytes()
    for left in (older, b"", newest[: len(newest) // 2], newest[:100], b"x" * 8192):
        journal.write_bytes(left)
        assert "journal" in _broken(world).message
        assert not list(world.home.ledger.glob("journal.db-*")), "nothing is left beside it"
    journal.unlink()
    assert "journal" in _broken(world).message
    (tmp_path / "journal.db").write_bytes(newest)
    journal.symlink_to(tmp_path / "journal.db")
    assert "journal" in _broken(world).message
    journal.unlink()
    journal.write_bytes(newest)
    _verify(world)


def test_an_older_control_database_beside_a_newer_ledger_is_refused(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows nothing of the newer objects: started on it, a keeper would sweep them away."""
    world.stop()
    shutil.copy(world.home.control, tmp_path / "older.db")
    world.start()
    spec = replace(spec_at(world.clock.now_us()), seed=77, people=3)
    with world.desk.engine.begin() as connection:  # other days of known people are another source
        connection.exec_driver_sql("DELETE FROM extent")
    world.call("ingest", source={"kind": "synthetic", "spec": spec.to_spec()})
    objects = {file.name for file in world.home.objects.rglob("*.shb")}
    world.stop()
    newest = tmp_path / "newest.db"
    shutil.copy(world.home.control, newest)
    shutil.copy(tmp_path / "older.db", world.home.control)
    error = raised(world.start)
    assert isinstance(error, TamperedError)
    assert error.rule == "catalog.rollback"
    assert {file.name for file in world.home.objects.rglob("*.shb")} == objects
    shutil.copy(newest, world.home.control)
    world.start()
    # the same for what was built from them
    world.stop()
    shutil.copy(world.home.control, tmp_path / "older.db")
    world.start()
    world.call("feature", purpose=PURPOSE)
    world.stop()
    shutil.copy(tmp_path / "older.db", world.home.control)
    assert raised(world.start).rule == "catalog.rollback"


def test_a_control_database_of_another_month_is_refused(world: World, tmp_path: Path) -> None:
    """It lacks the key to what the ledger says of the months after it, and must not be believed for that."""
    world.stop()
    shutil.copy(world.home.control, tmp_path / "older.db")
    world.later(days=40)
    world.start()
    with world.desk.engine.begin() as connection:  # other days of known people are another source
        connection.exec_driver_sql("DELETE FROM extent")
    spec = replace(spec_at(world.clock.now_us()), seed=77, people=3)
    world.call("ingest", source={"kind": "synthetic", "spec": spec.to_spec()})
    objects = {file.name for file in world.home.objects.rglob("*.shb")}
    world.stop()
    for file in world.home.path.glob("control.db*"):
        file.unlink()
    shutil.copy(tmp_path / "older.db", world.home.control)
    error = raised(world.start)
    assert isinstance(error, TamperedError)
    assert error.rule == "catalog.rollback"
    assert {file.name for file in world.home.objects.rglob("*.shb")} == objects


def test_an_older_home_is_found(world: World, tmp_path: Path) -> None:
    world.call("feature", purpose=PURPOSE)
    world.stop()
    shutil.copytree(world.home.path, tmp_path / "older")
    world.start()
    world.choose(world.participants()[0], "withdraw")
    world.stop()
    _verify(world)
    shutil.rmtree(world.home.path)
    shutil.copytree(tmp_path / "older", world.home.path)
    done = _command(world)
    assert done.returncode == 5, done.stderr
    assert isinstance(raised(world.start), TamperedError)


def test_another_home_in_its_place_is_found(written: World, made_world: World) -> None:
    from tests.world import found_world

    other = found_world(written.path / "elsewhere")
    path = written.home.path
    shutil.rmtree(path)
    shutil.copytree(other.home.path, path)
    # even if the other home's outside lies beside ours
    shutil.copytree(other.home.outside, written.path / "outside" / other.home.id)
    pins = written.path / "outside" / "pins"
    assert pins.is_dir()
    from safehold.settings import _pin

    with outside(written.path):
        _pin(path).write_text(written.home.id, "ascii")  # the copy of a company has none of its own
        error = raised(lambda: Home.open(path))
    assert error.rule == "home.pinned"
    assert _command(written).returncode == 5


def test_a_swapped_home_record_is_found(written: World) -> None:
    record = written.home.path / "home.json"
    whole = record.read_bytes()
    for left in (b"", b"{}", whole.replace(b"home_", b"hame_"), whole[:-1], None):
        if left is None:
            record.unlink()
            from safehold.settings import _pin

            with outside(written.path):
                _pin(written.home.path).write_text(written.home.id, "ascii")
        else:
            record.write_bytes(left)
        done = _command(written)
        assert done.returncode == 5, (left, done.stderr)
    record.write_bytes(whole)
    assert _command(written).returncode == 0


def test_a_forgetful_witness_is_found(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.home.witness, tmp_path / "witness")
    world.choose(world.participants()[0], "pause")
    world.call("ledger.publish")
    world.stop()
    shutil.rmtree(world.home.witness)
    shutil.copytree(tmp_path / "witness", world.home.witness)
    assert isinstance(raised(world.start), TamperedError)
    shutil.rmtree(world.home.witness)
    world.home.witness.mkdir()
    assert isinstance(raised(world.start), SafeholdError)
    _broken(world)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET body = zeroblob(length(body)) WHERE first = 0",
        "UPDATE journal SET count = count + 1 WHERE first = 0",
        "DELETE FROM journal WHERE first = (SELECT max(first) FROM journal)",
        "DELETE FROM journal WHERE first = 0",
        "UPDATE state SET size = size - 1",
        "UPDATE state SET root = zeroblob(32)",
        "UPDATE state SET note = zeroblob(length(note))",
        "UPDATE head SET note = zeroblob(length(note))",
        "UPDATE meta SET vkey = origin",
        "UPDATE sidecar SET body = zeroblob(length(body))",
        "DELETE FROM idem",
    ],
)
def test_an_edited_journal_is_refused_or_changes_nothing(written: World, statement: str) -> None:
    with sqlite3.connect(written.home.ledger / "journal.db") as base:
        assert base.execute(statement).rowcount
    base.close()
    if statement.startswith("DELETE FROM idem"):
        # keys only save work: what they protect is checked against the leaves themselves
        written.start()
        name, holder = written.pass_(max_runs=1)
        assert written.train(holder).rule == "test.train"
        assert written.train(holder).rule == "grant.runs"
        return
    error = raised(lambda: compose(written.home, written.root, clock=written.clock))
    assert isinstance(error, TamperedError), repr(error)
