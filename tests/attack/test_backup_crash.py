"""A restore that is killed at a step leaves no home, or the one that the same call makes whole. Never two."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cheap_home import cheap_home
from tests.crashing import Job, Yard
from tests.key_crashing import OLD, open_bench
from tests.postgres import Server
from tests.restoring import Company, note_restore
from tests.seaweed import Weed
from tests.world import outside

from safehold.app import backup
from safehold.app.profile import Places
from safehold.app.verification import verify_home
from safehold.errors import MissingError, UnavailableError
from safehold.settings import Home

STEPS = (
    *("begun", "carried control", "compared control", "carried journal", "compared journal"),
    *("carried objects", "named control", "named journal", "named objects", "placed"),
)
BLOCKS = {"ana": 1, "bo": 1, "cy": 1}
FILES = Places()


@dataclass
class Lost:
    """A home on servers, and a backup of it."""

    company: Company
    yard: Yard
    size: int

    def copy(self, path: Path) -> tuple[Company, Path]:
        """Copy the company, back it up, and lose it; a copy of the home's files stays elsewhere."""
        made = self.company.copy(path)
        place = made.save()
        shutil.copytree(made.home.path, path / "old" / "home")
        made.lose()
        return made, place

    def crash(self, path: Path, at: int, mode: str = "steps") -> bool:
        """Put it back and die at a step; return whether it came that far."""
        job = Job(path=path, acks=path / "acks", mode=mode, die_at=at)
        return self.yard.kills(job)


@pytest.fixture(scope="module")
def lost(
    tmp_path_factory: pytest.TempPathFactory, postgres: Server, weed_server: Weed
) -> Iterator[Lost]:
    with cheap_home(tmp_path_factory.mktemp("made"), weed_server) as bench:
        size = bench.desk.ledger.size
        bench.stop()
        yard = Yard("tests.restoring")
        yield Lost(Company.move(bench.path, postgres, weed_server), yard, size)
        yard.close()


def judge(made: Company, place: Path, places: Places, size: int, *, back: bool) -> None:
    """See that whatever a killed restore left is nothing or whole, and that the same call makes it whole."""
    home = made.path / "home"
    with outside(made.path):
        restoring = Home.open(place).restoring_file.exists()
    if restoring:
        shutil.copytree(made.path / "outside", made.path / "old" / "outside", dirs_exist_ok=True)
        with pytest.raises(UnavailableError) as refused:  # on no copy of the home
            open_bench(made.path / "old", OLD)
        assert refused.value.rule == "backup.unfinished"
        shutil.rmtree(made.path / "old" / "outside")
        if back and not home.exists():
            with outside(made.path):
                assert backup.take_back(place)["not_removed"] == []
                with pytest.raises(MissingError):
                    backup.take_back(place)
                assert Places.of(Home.open(place)) == made.places
    if restoring or not home.exists():
        made.put_back(place, places)
    assert Places.of(made.home) == places
    assert not made.home.restoring_file.exists()
    assert not list(made.path.glob(".*.new"))
    bench = made.open()
    assert bench.blocks() == BLOCKS
    assert bench.desk.ledger.size >= size
    bench.desk.ledger.publish()
    bench.stop()
    with outside(made.path):
        assert verify_home(home)["verified"] is True


def targets(made: Company) -> dict[str, Places]:
    """Return where a backup may go: other servers, the same ones, or files."""
    return {"other servers": made.new_places(), "the same": made.places, "files": FILES}


@pytest.mark.parametrize("step", ["compared control", "named control"])
def test_killed_on_the_way_to_other_servers(lost: Lost, tmp_path: Path, step: str) -> None:
    made, place = lost.copy(tmp_path)
    places = made.new_places()
    note_restore(tmp_path, place, places)
    assert lost.crash(tmp_path, STEPS.index(step) + 1)
    judge(made, place, places, lost.size, back=step == "named control")


def each(tmp_path: Path, run: Callable[[Path, int], bool]) -> int:
    """Crash at the first step, the second and so on, each in a folder of its own; return how many there are."""
    at = 1
    while True:
        path = tmp_path / str(at)
        path.mkdir(parents=True)
        if not run(path, at):
            return at - 1
        shutil.rmtree(path)
        at += 1


@pytest.mark.proof
@pytest.mark.parametrize("to", ["other servers", "the same", "files"])
def test_killed_at_every_step(lost: Lost, tmp_path: Path, to: str) -> None:
    def run(path: Path, at: int) -> bool:
        made, place = lost.copy(path)
        places = targets(made)[to]
        note_restore(path, place, places)
        if not lost.crash(path, at):
            return False
        judge(made, place, places, lost.size, back=bool(at % 2))
        return True

    found = each(tmp_path, run)
    print(f"{to}: killed at {found} steps")
    assert found == (5 if to == "files" else len(STEPS))


@pytest.mark.proof
@pytest.mark.parametrize("to", ["other servers", "files"])
def test_killed_at_every_call_that_a_disk_can_tell_apart(
    lost: Lost, tmp_path: Path, to: str
) -> None:
    def run(path: Path, at: int) -> bool:
        made, place = lost.copy(path)
        places = targets(made)[to]
        note_restore(path, place, places)
        if not lost.crash(path, at, mode="every"):
            return False
        judge(made, place, places, lost.size, back=at % 3 == 0)
        return True

    found = each(tmp_path, run)
    print(f"{to}: killed at {found} calls")
    assert found > len(STEPS)
