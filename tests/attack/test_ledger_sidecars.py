"""Side-cars exchanged in the journal: found without any key, by row and leaf, and at the next use."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledger_story import SIZE, Story, tell_story
from tests.world import World, outside

from safehold.app.verification import verify_home
from safehold.errors import MissingError, SafeholdError, TamperedError
from safehold.ledger import Ledger
from safehold.ledger.sidecars import check_sidecars

ROW = 76  # first leaf of a batch of ten intents, with side-cars of a few lengths
Row = list[bytes]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell_story(tmp_path_factory.mktemp("story"))


@pytest.fixture
def copy(story: Story, tmp_path: Path) -> Path:
    return story.copy(tmp_path / "copy")


def row_of(base: sqlite3.Connection, first: int) -> Row:
    found: Row = []
    [(body,)] = base.execute("SELECT body FROM sidecar WHERE first = ?", (first,)).fetchall()
    while body:
        stop = 4 + int.from_bytes(body[:4], "big")
        found.append(body[4:stop])
        body = body[stop:]
    return found


def pack(row: Row) -> bytes:
    return b"".join(len(one).to_bytes(4, "big") + one for one in row)


def edit(directory: Path, change: Callable[[Row, sqlite3.Connection], Row]) -> None:
    """Change the side-cars of one batch, as somebody with the database can."""
    with closing(sqlite3.connect(directory / "journal.db")) as base:
        row = row_of(base, ROW)
        changed = change(list(row), base)
        assert changed != row
        base.execute("UPDATE sidecar SET body = ? WHERE first = ?", (pack(changed), ROW))
        base.commit()


SWAPS: dict[str, tuple[Callable[[Row, sqlite3.Connection], Row], int]] = {
    "two exchanged": (lambda row, _: [row[0], row[2], row[1], *row[3:]], ROW + 1),
    "one replaced by an older one": (
        lambda row, base: [*row[:4], row_of(base, 1)[4], *row[5:]],
        ROW + 4,
    ),
    "the row of another batch": (lambda _, base: row_of(base, 1), ROW),
    "one dropped": (lambda row, _: [*row[:3], *row[4:]], ROW + 3),
    "one emptied": (lambda row, _: [*row[:3], b"", *row[4:]], ROW + 3),
    "one doubled": (lambda row, _: [*row[:3], *row[2:-1]], ROW + 3),
    "a byte flipped": (lambda row, _: [*row[:9], bytes([row[9][0] ^ 1]) + row[9][1:]], ROW + 9),
}


def test_the_untouched_journal_holds(copy: Path) -> None:
    found = check_sidecars(copy)
    assert (found.present, found.missing) == (SIZE, 0)
    assert {file.name for file in copy.iterdir()} <= {
        "journal.db",
        "journal.lock",
        "checkpoint",
        "tile",
        ".export",
    }, "a reader leaves nothing"


@pytest.mark.parametrize("name", SWAPS)
def test_a_side_car_that_is_not_its_own(story: Story, copy: Path, name: str) -> None:
    change, index = SWAPS[name]
    edit(copy, change)
    with pytest.raises(TamperedError, match=rf"journal.db: the side-car of leaf {index} ") as found:
        check_sidecars(copy)
    assert found.value.rule == "ledger.sidecar"
    with open_blind(story, copy) as ledger:
        with pytest.raises(TamperedError):
            ledger.detail(index)
        if index == ROW + 4:
            with pytest.raises(TamperedError):  # nor is an access taken for logged by it
                ledger.find("1-4")


def open_blind(story: Story, directory: Path) -> Ledger:
    return Ledger.open(
        directory,
        signer=story.desk.signer,
        witnesses=[],
        sidecar=story.desk.sealer,
        clock=story.desk.clock,
    )


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE sidecar SET first = first + 1 WHERE first = 76", "where no batch begins"),
        ("INSERT INTO sidecar VALUES(305, x'00000000')", "where no batch begins"),
        (
            "UPDATE sidecar SET body = CAST(body || x'00000000' AS BLOB) WHERE first = 76",
            "more side-cars",
        ),
        (
            "UPDATE sidecar SET body = CAST(body || x'000000' AS BLOB) WHERE first = 76",
            "break off",
        ),
        ("UPDATE sidecar SET body = 'text' WHERE first = 76", "foreign value"),
        ("UPDATE journal SET body = x'00027b7d' WHERE first = 76", "more side-cars"),
        ("DROP TABLE sidecar", "cannot be read"),
    ],
)
def test_rows_that_fit_no_batch(copy: Path, sql: str, says: str) -> None:
    with closing(sqlite3.connect(copy / "journal.db")) as base:
        base.execute(sql)
        base.commit()
    with pytest.raises(TamperedError, match=says):
        check_sidecars(copy)


def test_a_side_car_that_was_deleted_is_a_loss_and_counted(story: Story, copy: Path) -> None:
    with closing(sqlite3.connect(copy / "journal.db")) as base:
        base.execute("DELETE FROM sidecar WHERE first = ?", (ROW,))
        base.commit()
    assert check_sidecars(copy).missing == 10
    with open_blind(story, copy) as ledger, pytest.raises((MissingError, TamperedError)):
        ledger.detail(ROW + 2)


def test_the_command_finds_it_in_a_home(world: World) -> None:
    with outside(world.path):
        said = verify_home(world.home.path)["sidecars"]
        assert said["present"] > 3
        assert said["missing"] == 0
        world.stop()
        journal = world.home.ledger / "journal.db"
        whole = shutil.copy(journal, world.path / "whole")
        with closing(sqlite3.connect(journal)) as base:
            rows = base.execute("SELECT first, body FROM sidecar ORDER BY first LIMIT 2").fetchall()
            base.execute("UPDATE sidecar SET body = ? WHERE first = ?", (rows[1][1], rows[0][0]))
            base.commit()
        with pytest.raises(SafeholdError) as found:
            verify_home(world.home.path)
        assert found.value.rule == "ledger.sidecar"
        shutil.copy(whole, journal)
        assert verify_home(world.home.path)["verified"]
