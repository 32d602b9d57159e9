"""A home that moved is the home that it was: every proof holds, and of two places at most one works."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.cheap_home import cheap_home
from tests.keeper_desk import Bench
from tests.kept import Kept, portrait, same
from tests.key_crashing import OLD, open_bench
from tests.moving import go, moved
from tests.postgres import Server
from tests.seaweed import Weed
from tests.world import copy_home, outside

from safehold.app import keeper
from safehold.app.objects import objects_at
from safehold.app.profile import PARTS, Places
from safehold.app.relocation import go_back, plan, remove_old
from safehold.app.relocation.record import Record
from safehold.app.verification import verify_home
from safehold.errors import (
    ConflictError,
    InvalidError,
    SafeholdError,
    TamperedError,
    UnavailableError,
)
from safehold.settings import Home


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A home with people, blocks, a withdrawal, an ended epoch of the index, and a package that was handed out."""
    with cheap_home(tmp_path_factory.mktemp("made")) as bench:
        bench.take("ana", first=50, name="b")
        bench.call("people.erase", person="cy", evidence="a letter")
        bench.desk.index.close()
        bench.desk.ledger.publish()
        bench.stop()
        yield bench


@pytest.fixture
def path(made: Bench, tmp_path: Path) -> Path:
    return copy_home(made.path, tmp_path)


@pytest.fixture
def server(postgres: Server, weed: Weed) -> Places:
    url = postgres.url(postgres.new_database())
    return Places(control=url, journal=url, objects=weed.url(weed.bucket(), weed.prefix()))


EMBEDDED = Places()


def home_of(path: Path) -> Home:
    with outside(path):
        return Home.open(path / "home")


def lead_number(bench: Bench) -> int:
    with bench.desk.engine.begin() as connection:
        return int(connection.exec_driver_sql("SELECT number FROM lead").scalar_one_or_none() or 0)


def looked_at(path: Path) -> tuple[dict[str, Any], int]:
    bench = open_bench(path, OLD)
    try:
        return portrait(bench), lead_number(bench)
    finally:
        bench.stop()


def test_there_and_back_every_proof_holds(path: Path, server: Places) -> None:
    home = home_of(path)
    bench = open_bench(path, OLD)
    kept = Kept.of(bench, path / "kept")
    before = portrait(bench)
    bench.stop()
    assert before["opened"]
    assert before["objects"]

    done = go(path, server)
    assert (done["from"], done["to"], done["moved"]) == ("embedded", "server", [*PARTS])
    assert done["proof"]["control"]["broken"] == 0
    assert done["proof"]["control"]["blocks"] == len(before["blocks"])
    assert done["proof"]["objects"]["objects"] == len(before["objects"])
    assert done["proof"]["journal"]["leaves"] >= len(before["leaves"])
    assert Places.of(home).profile == "server"
    assert not home.control.exists()
    assert not (home.ledger / "journal.db").exists()
    assert not list(home.objects.iterdir())

    bench = open_bench(path, OLD)
    same(before, portrait(bench))
    later = Kept.of(bench, path / "later")
    there, number = portrait(bench), lead_number(bench)
    bench.stop()
    leaf = orjson.loads(there["leaves"][done["entry"]])
    assert (leaf["k"], leaf["pub"]["profile"]) == ("home", "server")
    kept.check(home, packages=[later.path])
    with outside(path):
        assert verify_home(home.path)["verified"] is True
        remove_old(home)
    assert not home.moved.exists()

    done = go(path, EMBEDDED)
    assert Places.of(home).profile == "embedded"
    again, last = looked_at(path)
    same(there, again)
    assert last > number  # the number of whoever leads went along
    for one in (kept, later):
        one.check(home, packages=[kept.path, later.path][: 2 if one is kept else 0])
    with outside(path):
        assert verify_home(home.path)["verified"] is True
        assert remove_old(home)["removed"]["objects"] == "a bucket"


def test_a_home_that_moved_goes_on(path: Path, server: Places) -> None:
    go(path, server)
    bench = open_bench(path, OLD)
    size = bench.desk.ledger.size
    bench.take("bo", first=900, name="later")  # sequences, objects, keys and leaves go on
    assert bench.desk.ledger.size > size
    bench.call("people.erase", person="ana", evidence="a letter")
    assert bench.blocks().keys() == {"bo"}
    bench.stop()


def test_the_old_place_is_refused_whichever_way_it_is_named(path: Path, server: Places) -> None:
    home = home_of(path)
    go(path, server)
    named = {file: file.read_text() for file in (home.control_url_file, home.ledger_url_file)}
    for file in named:
        file.unlink()
    with pytest.raises(TamperedError) as refused:
        open_bench(path, OLD)
    assert refused.value.rule == "migrate.moved"
    assert not home.control.exists()  # and nothing was made in its place
    # somebody puts the old files back as well: the witness has seen what came after
    for name, to in (("control.db", home.control), ("journal.db", home.ledger / "journal.db")):
        shutil.copy(home.moved / name, to)
    with pytest.raises(TamperedError) as refused:
        open_bench(path, OLD)
    assert refused.value.rule in {"ledger.rollback", "ledger.lost"}
    for name, to in (("control.db", home.control), ("journal.db", home.ledger / "journal.db")):
        to.unlink()
        del name
    for file, text in named.items():
        file.write_text(text)
    with outside(path):
        remove_old(home)
    go(path, EMBEDDED)
    for file, text in named.items():
        file.write_text(text)
    with pytest.raises(TamperedError) as refused:
        open_bench(path, OLD)
    assert refused.value.rule == "migrate.moved"


def test_nothing_moves_beside_a_keeper(path: Path, server: Places) -> None:
    bench = open_bench(path, OLD)
    with pytest.raises(ConflictError) as refused:
        go(path, server)
    assert refused.value.rule == "ledger.lock"
    bench.stop()
    assert not home_of(path).moving_file.exists()


@pytest.mark.parametrize("far", ["begun", "switched"])
def test_a_keeper_that_starts_while_a_home_moves_works_on_neither_place(
    path: Path, server: Places, monkeypatch: pytest.MonkeyPatch, far: str
) -> None:
    """It has opened the old control database, and would open the journal wherever that lies by then."""
    home = home_of(path)
    equip, used = keeper.equip_desk, []

    def late(*words: Any, **more: Any) -> Any:
        monkeypatch.setattr(keeper, "equip_desk", equip)
        if far == "begun":  # and killed
            Record.begin(home, server)
        else:
            with pytest.raises(UnavailableError) as refused:
                go(path, server)
            used.append(refused.value.rule)
        return equip(*words, **more)

    monkeypatch.setattr(keeper, "equip_desk", late)
    with pytest.raises(SafeholdError) as refused:
        open_bench(path, OLD)
    if far == "begun":
        assert refused.value.rule == "migrate.unfinished"
    else:
        assert used == ["migrate.used"]
    go(path, server)  # what was begun can be finished: it let go of everything
    bench = open_bench(path, OLD)
    assert bench.blocks().keys() == {"ana", "bo"}
    bench.stop()


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("control.db", "before"),
        ("control.db", "meanwhile"),
        ("control.db-wal", "before"),
        ("ledger/journal.db", "before"),
    ],
)
def test_what_lies_where_a_home_comes_back_to_is_not_taken_for_it(
    path: Path, server: Places, name: str, when: str
) -> None:
    """A backup that somebody put back there would be opened in the place of the copy that was proved."""
    home = home_of(path)
    kept = (home.path / "control.db").read_bytes()
    go(path, server)
    with outside(path):
        remove_old(home)
    stray = home.path / name

    def put(step: str) -> None:
        if step == "proved":
            stray.write_bytes(kept)

    if when == "before":
        stray.write_bytes(kept)
    with pytest.raises(ConflictError) as refused:
        go(path, EMBEDDED, reached=put if when == "meanwhile" else lambda _step: None)
    assert refused.value.rule == "migrate.stray"
    if when == "before":
        assert not home.moving_file.exists()
    stray.unlink()
    go(path, EMBEDDED)
    bench = open_bench(path, OLD)
    assert bench.blocks().keys() == {"ana", "bo"}
    bench.stop()


def test_a_copy_that_differs_is_not_switched_to(
    path: Path, server: Places, postgres: Server
) -> None:
    home = home_of(path)
    name = server.control.split("/")[3].split("?")[0]  # type: ignore[union-attr]

    def spoil(step: str) -> None:
        if step == "control":
            with postgres.admin(name) as base:
                (schema,) = base.execute(
                    "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'control%%'"
                ).fetchone()
                base.execute(f"SET search_path = {schema}".encode())
                base.execute(b"UPDATE block SET rows = rows + 1")

    with pytest.raises(TamperedError) as refused:
        go(path, server, reached=spoil)
    assert refused.value.rule == "migrate.rows"
    with pytest.raises(SafeholdError) as held:
        open_bench(path, OLD)
    assert held.value.rule == "migrate.unfinished"
    with outside(path):
        assert go_back(home)["not_removed"] == {}
    _, number = looked_at(path)  # it works as before
    assert number >= 0
    assert plan_of(path, server)["under_way"] is None  # and nothing is left at the new place
    go(path, server)


def test_an_object_that_differs_or_is_too_many_is_found(
    path: Path, server: Places, weed: Weed
) -> None:
    home = home_of(path)

    def swap(step: str) -> None:
        if step == "objects":
            store = objects_at(home, server.objects)
            name = next(store.names())
            store.delete(name)
            store.put(name, b"x" * 100)

    with pytest.raises(TamperedError) as refused:
        go(path, server, reached=swap)
    assert refused.value.rule == "migrate.object"
    with pytest.raises(TamperedError):  # and the same call does not pass over it
        go(path, server)
    with outside(path):
        go_back(home)
    go(path, server)


EDITS = {
    "a leaf": "UPDATE journal SET body = CAST(substr(body, 1, 40) || 'x' || substr(body, 42) AS BLOB)",
    "a head": "UPDATE head SET note = CAST('x' AS BLOB)",
    "the state": "UPDATE state SET time = time + 1",
    "a text": "UPDATE journal SET body = 'x'",
    "the end": "DELETE FROM journal WHERE first = (SELECT max(first) FROM journal)",
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_journal_that_was_edited_is_not_moved(path: Path, server: Places, edit: str) -> None:
    """Whatever would keep the ledger from opening there is found while the old place still counts."""
    home = home_of(path)
    with closing(sqlite3.connect(home.ledger / "journal.db")) as base, base:
        assert base.execute(EDITS[edit]).rowcount
    with pytest.raises((TamperedError, InvalidError)):
        go(path, server)
    assert Places.of(home).profile == "embedded"
    with outside(path):
        assert go_back(home)["profile"] == "embedded"


def plan_of(path: Path, places: Places) -> dict[str, Any]:
    with outside(path):
        return plan(Home.open(path / "home"), places)


def test_the_plan_changes_nothing_and_says_what_is_copied(path: Path, server: Places) -> None:
    said = plan_of(path, server)
    assert said["from"] == "embedded"
    assert said["copied"]["journal"]["rows"]["journal"] > 0
    assert said["copied"]["objects"]["objects"] > 0
    assert said["bytes"] > 0
    assert said["found"]["objects"] == {"conditional": True, "versioned": False}
    assert said["found"]["control"]["durable"] is True
    assert "postgresql" not in repr(said["copied"]).lower().replace("'postgresql'", "")
    assert not home_of(path).moving_file.exists()
    with pytest.raises(InvalidError) as refused:
        plan_of(path, EMBEDDED)
    assert refused.value.rule == "migrate.there"


def test_from_one_server_to_another_and_the_old_one_is_refused(
    path: Path, server: Places, postgres: Server, weed: Weed
) -> None:
    """Straight, without the home in between; every proof holds and nothing works at the old place."""
    home = home_of(path)
    go(path, server)
    with outside(path):
        remove_old(home)
    bench = open_bench(path, OLD)
    kept = Kept.of(bench, path / "kept")
    before = portrait(bench)
    bench.stop()
    url = postgres.url(postgres.new_database())
    other = Places(control=url, journal=url, objects=weed.url(weed.bucket(), weed.prefix()))
    assert plan_of(path, other)["copied"]["journal"]["from"] == "PostgreSQL"
    done = go(path, other)
    assert (done["from"], done["to"], done["moved"]) == ("server", "server", [*PARTS])
    assert Places.of(home) == other
    bench = open_bench(path, OLD)
    same(before, portrait(bench))
    bench.stop()
    kept.check(home)
    assert server.control is not None
    home.control_url_file.write_text(server.control + "\n")
    with pytest.raises(TamperedError) as refused:
        open_bench(path, OLD)
    assert refused.value.rule == "migrate.moved"
    home.control_url_file.write_text(url + "\n")
    with outside(path):
        assert remove_old(home)["removed"]["objects"] == "a bucket"
        assert verify_home(home.path)["verified"] is True
    assert not list(objects_at(home, server.objects).names())
    bench = open_bench(path, OLD)
    assert {*portrait(bench)["objects"]} == {*before["objects"]}
    bench.stop()


@pytest.mark.parametrize(
    ("part", "rule"),
    [("control", "keeper.lead"), ("journal", "ledger.lock"), ("objects", "migrate.same")],
)
def test_two_names_of_one_server_are_no_move(
    path: Path, server: Places, weed: Weed, part: str, rule: str
) -> None:
    """The copy is begun by removing what is left of an earlier one: that must never be what is to be copied."""
    home = home_of(path)
    if part == "objects":  # a full bucket is refused for being full
        with outside(path):
            for name in list(objects_at(home, None).names()):
                objects_at(home, None).delete(name)
    go(path, server)
    with outside(path):
        remove_old(home)
    url = server.to_json()[part]
    assert url is not None
    alias = (
        url.replace("127.0.0.1", "localhost") if part == "objects" else f"{url}&connect_timeout=9"
    )
    assert alias != url
    other = moved(server, **{part: alias})
    with pytest.raises(ConflictError) as refused:
        go(path, other)
    assert refused.value.rule == rule
    assert not home.moving_file.exists()
    if part != "objects":
        Record.begin(home, other)  # nor where a move has begun
        with pytest.raises(ConflictError) as refused:
            go(path, other)
        assert refused.value.rule == rule
        with outside(path):
            Record.forget(home.moving_file)
    bench = open_bench(path, OLD)
    bench.stop()
