"""After an erasure no byte that is stored anywhere leads to the person: free pages, logs of writes, memories."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.attack.test_erasure import EVERYBODY, SHE, erase, forms, lived, numbers
from tests.keeper_desk import Bench, found_bench
from tests.ledger_desk import Desk, entry
from tests.postgres import Server
from tests.time_stamps import Authority

from safehold.app.anchors import add_authority, anchor_now
from safehold.app.watch import watch_home


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go meanwhile."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    for name in ("TMPDIR", "SQLITE_TMPDIR"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    made = Authority(tmp_path / "authority")
    yield made
    made.close()


def files(**folders: Path) -> dict[str, bytes]:
    """Return every byte of every file, whatever it is: free pages and write-ahead logs as they lie."""
    return {
        f"{name}/{file.relative_to(folder)}": file.read_bytes()
        for name, folder in folders.items()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def look_on(bench: Bench, authority: Authority) -> None:
    """Let everybody take a turn who keeps something: witness, monitor, a time-stamp authority."""
    bench.desk.ledger.publish()
    assert not watch_home(bench.home, clock=bench.clock).broken
    anchor_now(bench.home, clock=bench.clock)
    assert (bench.home.anchors / "notary").is_dir()
    assert authority.asked


def traces(bench: Bench, device: str, person: str, key: bytes) -> list[bytes]:
    """Return all that could lead to her: names, in every form that a living key gives them, and her keys."""
    tail = device.rpartition("+")[
        2
    ]  # a key may have a sign of it near its end: few letters are anywhere
    names = (SHE, person, device, *([tail] if len(tail) > 12 else []))
    found = [form for one in names for form in forms(bench, one.encode())]
    return list({*found, key, *numbers(bench, key)})


def test_no_file_holds_a_byte_of_who_was_erased(
    tmp_path: Path, scratch: Path, authority: Authority
) -> None:
    bench = found_bench(tmp_path / "bench", people=EVERYBODY).start()
    roots = tmp_path / "roots.pem"
    roots.write_bytes(authority.roots)
    add_authority(bench.home, "notary", url=authority.url, roots=roots)
    device = lived(bench).public.text()
    look_on(bench, authority)
    kept = {"home": bench.home.path, "outside": bench.home.outside, "scratch": scratch}
    person = str(bench.desk.people.find(SHE))
    key = bench.desk.vault.subjects.living()[person]

    before = files(**kept)
    for name in ("home/control.db", "home/control.db-wal", "home/ledger/journal.db"):
        assert name in before
    for folder in ("outside/monitor/", "outside/anchors/notary/", "outside/witness/"):
        assert any(one.startswith(folder) for one in before), folder
    assert any(person.encode() in data for data in before.values()), "she is found while here"

    erase(bench)
    looked = traces(bench, device, person, key)  # with the keys that are left, as a thief has them
    look_on(bench, authority)
    for moment in ("at once", "after a start"):
        for name, data in files(**kept).items():
            assert not [one for one in looked if one in data], (moment, name)
        bench.restart()
    bench.stop()


def test_free_pages_of_the_journal_keep_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever deletes side-cars through the journal leaves no copy of them, whatever the build says."""
    real = sqlite3.connect

    def careless(*arguments: Any, **more: Any) -> sqlite3.Connection:
        base = real(*arguments, **more)
        base.execute("PRAGMA secure_delete=OFF")  # as in a library that was built without it
        return base

    monkeypatch.setattr(sqlite3, "connect", careless)
    desk = Desk(tmp_path)
    with desk.open() as ledger:
        for at in range(8):
            ledger.append([entry(at * 9 + more) for more in range(9)])
        journal = ledger._sequencer._journal  # type: ignore[attr-defined]
        sealed = [journal.sidecar(index) for index in range(72)]
        raw = b"".join(files(ledger=desk.directory).values())
        assert all(one is not None and one in raw for one in sealed)
        journal._write("DELETE FROM sidecar WHERE first < ?", (63,))
    raw = b"".join(files(ledger=desk.directory).values())
    assert [one in raw for one in sealed] == [False] * 63 + [True] * 9


def rows(url: str) -> Iterator[bytes]:
    """Yield every value of every table of every schema of a database, as a dump would show it."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as base:
        tables = base.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname <> 'information_schema'"
        ).fetchall()
        assert len([one for one in tables if str(one[0]).startswith("ledger")]) == 7
        for schema, table in tables:
            for row in base.execute(f'SELECT * FROM "{schema}"."{table}"'.encode()):  # noqa: S608 - names from the catalogue
                for one in row:
                    yield bytes(one) if isinstance(one, bytes | memoryview) else str(one).encode()


def test_no_table_and_no_file_of_postgresql_leads_to_who_was_erased(
    tmp_path: Path, scratch: Path, postgres: Server
) -> None:
    """What it keeps beyond its tables, dead rows and its own log of writes, is searched as it lies on the disk."""
    url = postgres.database("erasures")
    bench = found_bench(tmp_path / "bench", people=EVERYBODY, database=url).start()
    device = lived(bench).public.text()
    bench.desk.ledger.publish()
    person = str(bench.desk.people.find(SHE))
    key = bench.desk.vault.subjects.living()[person]
    assert not (bench.home.ledger / "journal.db").exists()
    erase(bench)
    bench.restart()
    looked = traces(bench, device, person, key)
    found = b"\0".join(rows(url))
    ledger = bench.desk.ledger
    leaves = [ledger.leaf(index) for index in range(ledger.size)]
    assert all(leaf in found for leaf in leaves), "the journal is among what is searched"
    assert not [one for one in looked if one in found]
    stored = files(wal=postgres.data / "pg_wal")
    with postgres.admin("erasures") as base:
        base.execute("CHECKPOINT")
        ((number,),) = base.execute(
            "SELECT oid::text FROM pg_database WHERE datname = current_database()"
        ).fetchall()
    stored |= files(base=postgres.data / "base" / str(number))
    for folder in ("wal/", "base/"):  # a page may end in the midst of one leaf, not of all
        raw = [data for name, data in stored.items() if name.startswith(folder)]
        assert any(leaf in data for leaf in leaves for data in raw), folder
    kept = files(home=bench.home.path, outside=bench.home.outside, scratch=scratch)
    for name, data in {**stored, **kept}.items():
        assert not [one for one in looked if one in data], name
    bench.stop()
