"""A move that is killed at a step leaves one home: the old one, or one that the same call makes whole. Never two."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cheap_home import cheap_home
from tests.crashing import Job, Yard
from tests.keeper_desk import Bench
from tests.key_crashing import OLD, open_bench
from tests.moving import go, note_places
from tests.postgres import Server
from tests.seaweed import Weed
from tests.world import copy_home, outside

from safehold.app.profile import Places
from safehold.app.relocation import go_back, remove_old
from safehold.app.relocation.record import COPYING, SWITCHING, Record
from safehold.app.verification import verify_home
from safehold.errors import ConflictError, SafeholdError
from safehold.settings import Home

STEPS = (
    *("begun", "journal", "control", "objects", "proved", "switched"),
    *("aside journal", "placed journal", "aside control", "placed control"),
    *("aside objects", "placed objects"),
    *("named control", "named journal", "named objects", "opened", "noted", "left"),
)
SHORT = ("begun", "control", "aside control", "noted")
EMBEDDED = Places()


@dataclass
class Yards:
    """Homes as they were made, in files and on servers, and where to crash copies of them."""

    made: Bench
    yard: Yard
    postgres: Server
    weed: Weed

    def server(self) -> Places:
        url = self.postgres.url(self.postgres.new_database())
        return Places(
            control=url, journal=url, objects=self.weed.url(self.weed.bucket(), self.weed.prefix())
        )

    def copy(self, path: Path) -> Path:
        return copy_home(self.made.path, path)

    def crash(self, path: Path, to: Places, at: int, mode: str = "steps") -> bool:
        """Move and die at a step; return whether it came that far."""
        note_places(path, to)
        job = Job(path=path, acks=path / "acks", mode=mode, die_at=at)
        return self.yard.kills(job)


@pytest.fixture(scope="module")
def yards(
    tmp_path_factory: pytest.TempPathFactory, postgres: Server, weed_server: Weed
) -> Iterator[Yards]:
    with cheap_home(tmp_path_factory.mktemp("made"), weed_server) as bench:
        bench.stop()
        yard = Yard("tests.moving")
        yield Yards(bench, yard, postgres, weed_server)
        yard.close()


def home_of(path: Path) -> Home:
    with outside(path):
        return Home.open(path / "home")


def works(path: Path) -> tuple[str, dict[str, int], int]:
    """Open the home, see what is in it, and go on."""
    bench = open_bench(path, OLD)
    try:
        found = bench.blocks()
        size = bench.desk.ledger.size
        bench.desk.ledger.publish()
    finally:
        bench.stop()
    with outside(path):
        verify_home(path / "home")
    return Places.of(bench.home).profile, found, size


def judge(path: Path, to: Places, blocks: dict[str, int], size: int, *, back: bool) -> None:
    """See that a home that some move left is whole, or is made whole; and that at no time two places work."""
    home = home_of(path)
    record = Record.find(home)
    if record is None:  # it had not begun, or was over
        profile, found, now = works(path)
        assert found == blocks
        assert now >= size
        if profile == to.profile:
            refuses_old(path, home)
        return
    with pytest.raises(SafeholdError) as refused:
        open_bench(path, OLD)
    assert refused.value.rule == "migrate.unfinished"
    if record.step == SWITCHING:
        with outside(path), pytest.raises(ConflictError) as switched:
            go_back(home)
        assert switched.value.rule == "migrate.switched"
    elif back:
        with outside(path):
            assert go_back(home)["not_removed"] == {}
        profile, found, now = works(path)
        assert (profile, found) == (record.old.profile, blocks)
        assert now >= size
    assert record.step in {COPYING, SWITCHING}
    go(path, to if back else None)
    profile, found, now = works(path)
    assert (profile, found) == (to.profile, blocks)
    assert now > size
    assert notes_of(path, size) == 1, "the move is noted once, however often it was begun"
    refuses_old(path, home)
    with outside(path):
        remove_old(home)
    assert works(path)[:2] == (to.profile, blocks)


def notes_of(path: Path, since: int) -> int:
    """Count the moves noted since the ledger had a size: a home that comes back has moved before."""
    bench = open_bench(path, OLD)
    found = sum(
        1
        for _, leaf in bench.desk.ledger.leaves(since)
        if leaf["k"] == "home" and leaf.get("pub", {}).get("profile")
    )
    bench.stop()
    return found


def refuses_old(path: Path, home: Home) -> None:
    """Let the outside name the old place again: no keeper opens it."""
    record = Record.left_by(home)
    assert record is not None
    files = {
        "control": home.control_url_file,
        "journal": home.ledger_url_file,
        "objects": home.objects_url_file,
    }
    kept = {file: file.read_bytes() if file.exists() else None for file in files.values()}
    for part, url in record.old.to_json().items():
        files[part].unlink(missing_ok=True)
        if url is not None:
            files[part].write_text(url + "\n")
    with pytest.raises(SafeholdError) as refused:
        open_bench(path, OLD)
    assert refused.value.rule == "migrate.moved"
    for file, data in kept.items():
        file.unlink(missing_ok=True)
        if data is not None:
            file.write_bytes(data)


@pytest.mark.parametrize("step", SHORT)
def test_killed_on_the_way_to_servers(yards: Yards, tmp_path: Path, step: str) -> None:
    path = yards.copy(tmp_path)
    size = works(path)[2]
    to = yards.server()
    assert yards.crash(path, to, STEPS.index(step) + 1)
    judge(path, to, {"ana": 1, "bo": 1, "cy": 1}, size, back=step in {"begun", "control"})


def each(tmp_path: Path, run: Callable[[Path, int], bool]) -> int:
    """Crash at the first step, the second and so on, each in a folder of its own; return how many there are."""
    at = 1
    while True:
        path = tmp_path / str(at)
        path.mkdir()
        if not run(path, at):
            return at - 1
        shutil.rmtree(path)
        at += 1


@pytest.mark.proof
def test_killed_at_every_step_there_and_back(yards: Yards, tmp_path: Path) -> None:
    """Every step of the move both ways and from one server to another, once taken back where that is possible, and once gone on with."""
    blocks = {"ana": 1, "bo": 1, "cy": 1}

    def there(path: Path, at: int) -> bool:
        yards.copy(path)
        size = works(path)[2]
        to = yards.server()
        if not yards.crash(path, to, at):
            return False
        judge(path, to, blocks, size, back=bool(at % 2))
        return True

    def back(path: Path, at: int) -> bool:
        yards.copy(path)
        go(path, yards.server())
        with outside(path):
            remove_old(home_of(path))
        size = works(path)[2]
        if not yards.crash(path, EMBEDDED, at):
            return False
        judge(path, EMBEDDED, blocks, size, back=bool(at % 2))
        return True

    def between(path: Path, at: int) -> bool:
        yards.copy(path)
        go(path, yards.server())
        with outside(path):
            remove_old(home_of(path))
        size = works(path)[2]
        to = yards.server()
        if not yards.crash(path, to, at):
            return False
        judge(path, to, blocks, size, back=bool(at % 2))
        return True

    for name, run in (("there", there), ("back", back), ("between servers", between)):
        folder = tmp_path / name
        folder.mkdir()
        found = each(folder, run)
        print(f"{name}: killed at {found} steps")
        assert found >= len(STEPS) - 2


@pytest.mark.proof
@pytest.mark.parametrize("way", ["there", "back"])
def test_killed_at_every_call_that_a_disk_can_tell_apart(
    yards: Yards, tmp_path: Path, way: str
) -> None:
    """Every fsync, rename, link and removal of the process that moves; every third is taken back, if it can be."""
    blocks = {"ana": 1, "bo": 1, "cy": 1}

    def there(path: Path, at: int) -> bool:
        yards.copy(path)
        size = works(path)[2]
        to = yards.server()
        if not yards.crash(path, to, at, mode="every"):
            return False
        judge(path, to, blocks, size, back=at % 3 == 0)
        return True

    def back(path: Path, at: int) -> bool:
        yards.copy(path)
        go(path, yards.server())
        with outside(path):
            remove_old(home_of(path))
        size = works(path)[2]
        if not yards.crash(path, EMBEDDED, at, mode="every"):
            return False
        judge(path, EMBEDDED, blocks, size, back=at % 3 == 0)
        return True

    found = each(tmp_path, {"there": there, "back": back}[way])
    print(f"{way}: killed at {found} calls")
    assert found > len(STEPS)
