"""Storage that loses what it had confirmed: the log does not open as if that had never been.

The long form is in tests/proof/test_ledger_points.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import ledger_points as points
from tests.crashing import Acks, Yard
from tests.ledger_desk import Desk

from safehold.errors import MissingError, TamperedError


@pytest.fixture(scope="module")
def yard() -> Iterator[Yard]:
    yard = Yard()
    yield yard
    yard.close()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("storage") / "base"
    points.found_desk(path)
    return path


@pytest.fixture(scope="module")
def crashed(yard: Yard, base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Acks]:
    """A log that was killed with everything since its start in the write-ahead log."""
    return points.crashed_desk(yard, base, tmp_path_factory.mktemp("crashed"))


def test_a_write_ahead_log_cut_or_changed(crashed: tuple[Path, Acks], tmp_path: Path) -> None:
    path, acks = crashed
    wal = (path / "ledger" / "journal.db-wal").read_bytes()
    page = points.page_size(path / "ledger" / "journal.db")
    for damages in (points.cuts(wal, page, every=13), points.flips(wal, page, every=23)):
        tally = points.damage_wal(path, acks, tmp_path, damages)
        assert tally.opened == 0  # the last frame carries the last commit
        assert sum(tally.named.values()) == tally.points > 10


def test_a_write_ahead_log_removed_or_an_older_database(
    base: Path, crashed: tuple[Path, Acks], tmp_path: Path
) -> None:
    path, acks = crashed

    def older(wal: Path) -> None:
        wal.unlink()
        shutil.copy(base / "ledger" / "journal.db", wal.with_name("journal.db"))

    ways = {"removed": Path.unlink, "emptied": lambda wal: wal.write_bytes(b""), "older": older}
    tally = points.damage_wal(path, acks, tmp_path, iter(ways.items()))
    assert tally.named == {"ledger.lost": 3}


def test_the_whole_write_ahead_log_holds_everything(
    crashed: tuple[Path, Acks], tmp_path: Path
) -> None:
    path, acks = crashed
    tally = points.damage_wal(path, acks, tmp_path, iter([("nothing", lambda _: None)]))
    assert (tally.opened, tally.entries) == (1, len(acks.entries))


def test_without_the_mark_the_witness_and_the_receipts_tell(
    crashed: tuple[Path, Acks], tmp_path: Path
) -> None:
    """What is missed if somebody removes the mark too: at most what no witness had cosigned yet."""
    source, acks = crashed
    wal = (source / "ledger" / "journal.db-wal").read_bytes()
    page = points.page_size(source / "ledger" / "journal.db")
    witnessed = Desk.reopen(source).head.split(b"\n")[1]
    short = 0
    for _, damage in points.cuts(wal, page, every=15):
        path = points.copy_desk(source, tmp_path / "trial")
        damage(path / "ledger" / "journal.db-wal")
        (path / "ledger" / "journal.db-shm").unlink()
        (path / "ledger" / "journal.lock").unlink()
        try:
            ledger = Desk.reopen(path).open()
        except TamperedError as error:
            assert error.rule in ("ledger.rollback", "ledger.export")
            continue
        with ledger:
            assert ledger.size >= int(witnessed)
            short += 1
            for index, _, key in acks.entries:  # whoever holds a receipt can still tell
                if index >= ledger.size:
                    assert ledger.find(key) is None
                    with pytest.raises(MissingError):
                        ledger.leaf(index)
    assert short  # the limit is real: docs/reference/ledger.md states it


def test_a_mark_of_another_history(crashed: tuple[Path, Acks], tmp_path: Path) -> None:
    """A journal of the same length that is not the acknowledged one."""
    path = points.copy_desk(crashed[0], tmp_path / "one")
    lock = path / "ledger" / "journal.lock"
    data = lock.read_bytes()
    desk = Desk.reopen(path)
    desk.open().close()
    from safehold.ledger.mark import Mark

    mark = Mark(lock)
    mark.write(3, b"r" * 32)
    mark.close()
    with pytest.raises(TamperedError, match="not what was acknowledged"):
        desk.open()
    for torn in (b"", data[:-1], bytes(len(data)), b"x" + data[1:]):
        lock.write_bytes(torn)  # a power cut may leave that: it accuses nobody
        desk.open().close()


def test_a_damaged_database_page(yard: Yard, base: Path, tmp_path: Path) -> None:
    path, acks = points.finished_desk(yard, base, tmp_path)
    size = (path / "ledger" / "journal.db").stat().st_size
    tally = points.damage_pages(path, acks, tmp_path, iter(range(5, size, 9_001)))
    assert tally.points > 20
    assert tally.named


def test_a_torn_export(yard: Yard, base: Path, tmp_path: Path) -> None:
    path, _ = points.finished_desk(yard, base, tmp_path)
    tally = points.tear_files(path, tmp_path, every=37)
    assert sum(tally.named.values()) == tally.points > 10
