"""The blast radius against what really happened: random histories, written down apart from the ledger.

What was opened is taken from the vault itself: every block that it opened, under whatever the test was doing then.
What could have been opened is taken from what the test has put in and taken away.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from biscuit_auth import UnverifiedBiscuit
from tests import model_desk
from tests.access_desk import Asked, Office, scripted
from tests.keeper_desk import DAY_US, PURPOSE, Bench, copy_bench, found_bench

from safehold.access import Holder, Human, PeopleFilter
from safehold.errors import SafeholdError
from safehold.incident.blast import Part
from safehold.incident.target import Target

PEOPLE = tuple(f"w{number:02}" for number in range(72))
FEATURES, POINTER, KEY = "us-ca.feature", "us-ca.pointer", "us-ca.key"
MINUTE_US = 60_000_000


@dataclass
class Build:
    name: str
    people: set[str]
    days: set[int]
    at_us: int
    gone: set[str] = field(default_factory=set)  # whoever withdraws takes their features along


@dataclass
class Permit:
    """A grant as the test knows it."""

    asked: Asked
    people: set[str] | None
    first: int
    last: int
    who: str
    begun_us: int
    ends_us: int
    holders: list[Holder] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.asked.grant.id


@dataclass
class Run:
    what: str
    permit: str
    who: str
    token: str
    at_us: int
    builds: tuple[str, ...] = ()
    read: set[tuple[str, str, str, int]] = field(
        default_factory=set
    )  # person, segment, stream, day
    model: str = ""


class World:
    """A home in which things happen at random, and a record of them."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.chance = random.Random(seed)
        self.bench = scripted(bench.start())
        self.bench.desk.gatekeeper = model_desk.Keepers()
        model_desk.train_as(self.bench, model_desk.weights())
        self.office = Office(self.bench)
        self.ids = {
            one.external: str(person) for person, one in self.bench.desk.people.everybody().items()
        }
        self.telemetry: set[tuple[str, str, int, int]] = set()  # person, stream, day, since when
        self.builds: list[Build] = []
        self.permits: list[Permit] = []
        self.runs: list[Run] = []
        self.pulls: list[tuple[str, str, int]] = []  # model, grant, entry
        self.erased: set[str] = set()
        self.withdrawn: set[str] = set()
        self._files = 0
        self._now: Run | None = None
        self._watch()

    def _watch(self) -> None:
        vault, read = self.bench.desk.vault, self.bench.desk.vault.read_batches

        def spy(blocks: Any, **more: Any):
            for block, table in read(blocks, **more):
                if self._now is not None:
                    self._now.read.add((block.person, block.segment, block.stream, block.window))
                yield block, table

        vault.read_batches = spy  # type: ignore[method-assign]

    @property
    def here(self) -> list[str]:
        return [one for one in PEOPLE if one not in self.erased]

    def step(self) -> None:
        acts = [
            (self.take, 3), (self.build, 2), (self.grant, 3), (self.use, 8), (self.revoke, 1), (self.narrow, 1),
            (self.mint, 1), (self.erase, 1), (self.withdraw, 1), (self.pull, 2), (self.wait, 2), (self.restart, 1),
        ]  # fmt: skip
        act = self.chance.choices([one for one, _ in acts], [weight for _, weight in acts])[0]
        self._now = None
        act()
        self._now = None
        self.bench.clock.advance(self.chance.randrange(1_000, MINUTE_US))

    def take(self) -> None:
        self._files += 1
        people = self.chance.sample(
            self.here, self.chance.randrange(len(self.here) * 9 // 10, len(self.here))
        )
        people = [one for one in people if one not in self.withdrawn]
        ago = self.chance.randrange(1, 6)
        self.bench.take(*people, days_ago=ago, name=f"f{self._files}", first=100 * self._files)
        day, now = self.bench.today - ago, self.bench.clock.now_us()
        self.telemetry |= {(one, "pointer", day, now) for one in people}

    def build(self) -> None:
        run = self._now = Run("feature", "", "engineer", "", self.bench.clock.now_us())
        try:
            self.bench.call("feature", purpose=PURPOSE)
        except SafeholdError:
            return
        self.runs.append(run)
        entry = max(
            index for index, leaf in self.bench.desk.ledger.leaves() if leaf["k"] == "access.intent"
        )
        names = {name: one for one, name in self.ids.items()}
        self.builds.append(
            Build(
                f"{PURPOSE}:{entry}",
                {names[one] for one, *_ in run.read},
                {day for *_, day in run.read},
                run.at_us,
            )
        )

    def grant(self, recipe: str = "") -> None:
        listed = None
        if self.chance.random() < 0.4 and len(self.here) > 62:
            listed = set(self.chance.sample(self.here, 62))
        people = (
            None
            if listed is None
            else PeopleFilter(people=tuple(sorted(self.ids[one] for one in listed)))
        )
        today = self.bench.today
        first = today - self.chance.choice((40, 40, 3))
        who = f"ana-{len(self.permits)}"
        minutes = self.chance.choice((20, 60, 200))
        recipe = recipe or self.chance.choice(("train", "reidentify", "reidentify", "pull"))
        many = {"max_runs": 4, "max_per_hour": 4, "max_rows": 1 << 20, "max_bytes": 1 << 30}
        asked = self.office.ask(
            people=people,
            recipe=recipe,
            **({} if recipe == "train" else many),
            first_day=first,
            requester=Human(id=who, role="data_scientist"),
            minutes=minutes,
            expires_us=self.bench.clock.now_us() + DAY_US + minutes * MINUTE_US,
        )
        self.office.vote(asked, "privacy")
        self.office.vote(asked, "security")
        begun = self.bench.clock.now_us()
        holder = self.office.enact(asked)
        ends = min(asked.grant.expires_us, begun // 1000 * 1000 + asked.grant.minutes * MINUTE_US)
        self.permits.append(
            Permit(asked, listed, first, asked.grant.last_day, who, begun, ends, [holder])
        )

    def mint(self) -> None:
        if self.permits:
            self._renew(self.chance.choice(self.permits))

    def _renew(self, permit: Permit) -> None:
        try:
            permit.holders.append(self.office.enact(permit.asked))
        except SafeholdError:  # it has ended
            return

    def use(self) -> None:
        able = [one for one in self.permits if one.asked.grant.recipes[0] != "pull"]
        if not able:
            return
        permit = self.chance.choice(able[-4:])
        self._renew(permit)
        holder = self.chance.choice(permit.holders[-2:])
        recipe = permit.asked.grant.recipes[0]
        run = self._now = Run(
            recipe, permit.id, permit.who, token_of(holder), self.bench.clock.now_us(),
            (self.builds[-1].name,) if self.builds else (),
        )  # fmt: skip
        try:
            if recipe == "train":
                run.model = self.office.train(holder)["artifact"]
            else:
                self.office.attack(holder)
        except SafeholdError:
            if not run.read:  # refused before anything was opened
                return
        self.runs.append(run)
        self._count(permit)

    def _count(self, permit: Permit) -> None:
        """End a grant whose runs are used up."""
        done = [one for one in self.runs if one.permit == permit.id]
        done += [one for one in self.pulls if one[1] == permit.id]
        if len(done) == permit.asked.grant.max_runs:
            permit.ends_us = min(permit.ends_us, self.bench.clock.now_us() // 1000 * 1000)

    def pull(self) -> None:
        able = [one for one in self.permits if one.asked.grant.recipes[0] == "pull"]
        models = [one.model for one in self.runs if one.model]
        if not able or not models:
            return
        permit, model = self.chance.choice(able), self.chance.choice(models)
        holder = self.chance.choice(permit.holders)
        try:
            _, answer = model_desk.pull(self.bench, model, holder)
        except SafeholdError:
            return
        self.pulls.append((model, permit.id, answer["entry"]))
        self._count(permit)

    def revoke(self) -> None:
        alive = [one for one in self.permits if one.ends_us > self.bench.clock.now_us()]
        if len(alive) > 1:
            permit = self.chance.choice(alive)
            self.bench.call("grant.revoke", grant=permit.id)
            permit.ends_us = min(permit.ends_us, self.bench.clock.now_us() // 1000 * 1000)

    def narrow(self) -> None:
        if self.permits:
            permit = self.chance.choice(self.permits)
            token = token_of(self.chance.choice(permit.holders))
            self.bench.call("grant.revoke", grant=permit.id, block=token)

    def erase(self) -> None:
        if len(self.erased) < 3:
            gone = self.chance.choice(self.here)
            self.bench.call("people.erase", person=gone, evidence="a letter")
            self.erased.add(gone)
            self.telemetry = {one for one in self.telemetry if one[0] != gone}

    def withdraw(self) -> None:
        if len(self.withdrawn) < 2:
            gone = self.chance.choice(self.here)
            self.bench.call("people.choose", person=gone, choice="withdraw")
            self.withdrawn.add(gone)
            for one in self.builds:
                one.gone.add(gone)

    def wait(self) -> None:
        self.bench.clock.advance(self.chance.randrange(1, 25) * MINUTE_US)

    def restart(self) -> None:
        scripts = self.bench.workshop.scripts
        self.bench.restart()
        self.bench.workshop.scripts = scripts
        self.bench.desk.gatekeeper = model_desk.Keepers()
        self._watch()

    # what must come out

    def read(self, runs: Iterable[Run]) -> tuple[set[str], set[str]]:
        """Return the ids of the living people whose blocks were opened, and the names of those who are erased."""
        names = {number: name for name, number in self.ids.items()}
        found = {names[one] for run in runs for one, *_ in run.read}
        return {self.ids[one] for one in found - self.erased}, found & self.erased

    def days(self, runs: Iterable[Run]) -> set[int]:
        """Return the days behind runs: of telemetry, or of the builds that were opened."""
        days: set[int] = set()
        for run in runs:
            builds = [one for one in self.builds if one.name in run.builds]
            told = {day for _, _, stream, day in run.read if stream != "feature"}
            if any(stream == "feature" for _, _, stream, _ in run.read):
                told |= {day for one in builds for day in one.days}
            if told and run.read:
                days |= set(range(min(told), max(told) + 1))
        return days

    def reach(self, permits: Iterable[Permit], *, until: int | None = None) -> set[str]:
        """Return whose data that is still there some grants could have opened."""
        found: set[str] = set()
        for one in permits:
            ends = one.ends_us if until is None else min(one.ends_us, until)
            streams, inside = one.asked.grant.streams, set()
            build = self.builds[-1] if self.builds else None
            if (
                "feature" in streams
                and build is not None
                and one.first <= min(build.days)
                and max(build.days) <= one.last
                and build.at_us <= ends
            ):
                inside |= build.people - build.gone
            inside |= {
                person
                for person, stream, day, since in self.telemetry
                if stream in streams and one.first <= day <= one.last and since <= ends
            }
            found |= inside if one.people is None else inside & one.people
        return {self.ids[one] for one in found - self.erased}

    def of(self, **target: Any) -> tuple[Part, Part]:
        return self.bench.service.responder.measure(Target(**target))


def token_of(holder: Holder) -> str:
    return str(UnverifiedBiscuit.from_base64(holder.token).revocation_ids[-1])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(
        tmp_path_factory.mktemp("blast"),
        people=PEOPLE,
        charter=model_desk.gated(),
        streams=("pointer", "key"),
    )


def _check_was(world: World, was: Part, runs: list[Run], pulls: list[tuple[str, str, int]]) -> None:
    living, gone = world.read(runs)
    assert was.people == living
    assert was.erased[0] <= len(gone) <= was.erased[1]
    if len([run for run in runs if run.read]) == 1:
        assert was.erased == (len(gone), len(gone))
    assert set(was.days) == world.days(runs)
    assert set(was.models) >= {run.model for run in runs if run.model}
    left = {one["entry"] for one in was.releases if one["kind"] == "pull"}
    assert left == {entry for _, _, entry in pulls}


def _check(world: World) -> int:
    """Compare every kind of target; return how many comparisons were not about nothing."""
    told = 0
    for permit in world.permits:
        runs = [one for one in world.runs if one.permit == permit.id]
        models = {run.model for run in runs if run.model}
        pulls = [one for one in world.pulls if one[1] == permit.id or one[0] in models]
        was, could = world.of(grant=permit.id)
        _check_was(world, was, runs, pulls)
        assert could.people == world.reach([permit])
        assert set(was.models) == models
        told += bool(runs)
        by_who, _ = world.of(principal=permit.who)
        assert by_who.people == was.people
        for holder in permit.holders:
            token = token_of(holder)
            mine = [one for one in runs if one.token == token]
            if mine:
                used = {one.model for one in mine if one.model}
                stolen, reach = world.of(capability=token)
                _check_was(world, stolen, mine, [one for one in world.pulls if one[0] in used])
                assert reach.people <= world.reach([permit], until=mine[0].at_us + 60 * MINUTE_US)
                told += 1
    for run in world.runs:
        if run.model:
            pulls = [one for one in world.pulls if one[0] == run.model]
            was, could = world.of(artifact=run.model)
            _check_was(world, was, [run], pulls)
            assert was.models == (run.model,)
            assert could.people == was.people
            told += 1
    for build in world.builds:
        models = {run.model for run in world.runs if run.model and build.name in run.builds}
        was, _ = world.of(artifact=build.name)
        assert set(was.models) == models
        assert was.people == {world.ids[one] for one in build.people - world.erased}
    for segment in (POINTER, KEY):
        stream = segment.rpartition(".")[2]
        held = {(one, day) for one, what, day, _ in world.telemetry if what == stream}
        was, could = world.of(key=segment)
        assert could.people == {world.ids[one] for one, _ in held}
        assert could.blocks >= len(held)
        assert set(could.days) == {day for _, day in held}
        runs = [one for one in world.runs if any(read[1] == segment for read in one.read)]
        assert was.people == world.read(runs)[0]
        told += bool(held)
    middle = world.runs[len(world.runs) // 2].at_us if world.runs else 0
    was, _ = world.of(since_us=middle, until_us=world.bench.clock.now_us())
    assert (
        was.people
        == world.read(one for one in world.runs if one.at_us // 1000 >= middle // 1000)[0]
    )
    for permit in world.permits[:3]:
        runs = [
            one
            for one in world.runs
            if one.permit == permit.id and one.at_us // 1000 >= middle // 1000
        ]
        both, _ = world.of(grant=permit.id, since_us=middle)
        assert both.people == world.read(runs)[0]
    return told


def _live(home: Bench, path: Path, seed: int, steps: int) -> int:
    world = World(copy_bench(home, path), seed)
    try:
        world.take()
        world.build()
        for recipe, act in (("train", world.use), ("pull", world.pull), ("reidentify", world.use)):
            world.grant(recipe)
            act()
            world._now = None
        for _ in range(steps):
            world.step()
        told = _check(world)
        world.restart()
        assert _check(world) == told
        return told
    finally:
        world.bench.stop()


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_exact(home: Bench, tmp_path: Path, seed: int) -> None:
    assert _live(home, tmp_path, seed, steps=24) >= 2


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(100, 140))
def test_exact_in_many_histories(home: Bench, tmp_path: Path, seed: int) -> None:
    assert _live(home, tmp_path, seed, steps=60) >= 2
