"""Whatever comes in, is joined, erased, paused or ends, in whatever order: readers get the same rows in the same order.

A model beside the keeper knows what each person, stream and day must hold; after every step both are compared.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.compaction_desk import Rows, Trickle, held, on_disk
from tests.keeper_desk import PEOPLE, Bench, copy_bench, found_bench

from safehold.clock import DAY_US
from safehold.keeper.packing import GRACE_US
from safehold.telemetry.stream import STREAMS

STEPS = 22
TAKE, COMPACT, CHOOSE, WAIT, RESTART, ERASE = (
    "take",
    "compact",
    "choose",
    "wait",
    "restart",
    "erase",
)
WEIGHTS = {TAKE: 12, COMPACT: 5, CHOOSE: 2, WAIT: 2, RESTART: 1, ERASE: 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("made"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


class Play:
    """One random story of a home."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench, self.draw = bench, random.Random(seed)
        self.trickle = Trickle(bench)
        self.model: Rows = {}
        self.here, self.paused = set(PEOPLE), set[str]()
        self.joined = 0

    def step(self) -> str:
        """Take one step, and compare."""
        what = self.draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        getattr(self, what)()
        found = held(self.bench)
        if what == TAKE:
            self._extend(found)
        assert found == self.model, what
        return what

    def _extend(self, found: Rows) -> None:
        """Let what came be the end of what was there; nothing in front of it may have moved."""
        for place, rows in found.items():
            was = self.model.get(place, [])
            assert rows[: len(was)] == was
            self.model[place] = rows
        assert found.keys() == self.model.keys()

    def take(self) -> None:
        able = sorted(self.here - self.paused)
        if able:
            people = self.draw.sample(able, self.draw.randint(1, len(able)))
            streams = self.draw.choice([("pointer",), ("key",), ("pointer", "key")])
            for _ in range(self.draw.randint(1, 4)):
                self.trickle.take(
                    *people,
                    streams=streams,
                    days_ago=self.draw.randint(0, 2),
                    rows=self.draw.choice([1, 3, 40]),
                )

    def compact(self) -> None:
        before = {
            (place, source) for place, several in self._sources().items() for source in several
        }
        self.joined += self.bench.call("dataset.compact")["blocks"]
        after = {
            (place, source) for place, several in self._sources().items() for source in several
        }
        assert after == before

    def _sources(self) -> dict[tuple[str, str, int], list[str]]:
        catalog = self.bench.desk.catalog
        found: dict[tuple[str, str, int], list[str]] = {}
        for one in catalog.blocks(kind="telemetry", streams=STREAMS, after_day=0):
            place = (one.person, one.stream, one.window)
            found[place] = found.get(place, []) + catalog.sources_of([one.block_id])
        return found

    def choose(self) -> None:
        if self.here:
            one = self.draw.choice(sorted(self.here))
            choice = "resume" if one in self.paused else "pause"
            self.paused ^= {one}
            self.bench.call("people.choose", person=one, choice=choice)
            self.bench.clock.advance(1)

    def wait(self) -> None:
        """Let time pass: an hour, a day, or until what is there ends."""
        keep = self.bench.charter().retention("pointer")
        self.bench.clock.advance(self.draw.choice([GRACE_US + 1, DAY_US, DAY_US, keep * DAY_US]))
        self.bench.call("dataset.sweep")
        today = self.bench.today
        self.model = {
            place: rows
            for place, rows in self.model.items()
            if place[2] + 1 + self.bench.charter().retention(place[1]) > today
        }

    def restart(self) -> None:
        self.bench.restart()
        assert on_disk(self.bench) == self.bench.desk.catalog.objects()

    def erase(self) -> None:
        if len(self.here) > 1:
            one = self.draw.choice(sorted(self.here))
            person = self.bench.desk.people.find(one)
            self.bench.call("people.erase", person=one, evidence="a letter")
            self.here -= {one}
            self.paused -= {one}
            self.model = {place: rows for place, rows in self.model.items() if place[0] != person}


def play(bench: Bench, seed: int, steps: int) -> int:
    story = Play(bench, seed)
    for _ in range(steps):
        story.step()
    story.compact()
    story.restart()
    assert held(bench) == story.model
    return story.joined


@pytest.mark.parametrize("seed", [1, 2])
def test_a_random_story_reads_the_same(bench: Bench, seed: int) -> None:
    assert play(bench, seed, STEPS) > 0


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(10, 30))
def test_many_random_stories_read_the_same(bench: Bench, seed: int) -> None:
    play(bench, seed, 60)
