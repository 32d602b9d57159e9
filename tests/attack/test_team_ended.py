"""A training in several sandboxes is ended as one: whatever ends it ends all of them, and nothing comes out."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.containing import contain
from tests.keeper_desk import (
    CROWD,
    PURPOSE,
    Bench,
    ScriptedJob,
    ScriptedWorkshop,
    copy_bench,
    found_bench,
)
from tests.world import raised

from safehold.errors import SafeholdError, UnavailableError
from safehold.keeper.ports import Frame
from safehold.keeper.team import LEAD, SHARD

SOON = 20.0


class Member(ScriptedJob):
    """One sandbox of a team: it waits until it is told something, asked something or killed."""

    def __init__(
        self, recipe: str, spec: Mapping[str, Any], holds: int, begun: threading.Semaphore
    ) -> None:
        super().__init__(iter(()))
        self.recipe, self.begun = recipe, begun
        self.shards = len(spec.get("shards", ()))
        self.over = threading.Event()
        self.gone = False
        os.fstat(holds)  # its rows are there

    def frames(self) -> Iterator[Frame]:
        for shard in range(self.shards):
            yield Frame(
                {"type": "ask", "shard": shard, "number": 0, "do": "sum"}, memoryview(b"model")
            )
        assert self.over.wait(SOON)
        yield from super().frames()

    def ask(self, header: Mapping[str, Any], body: bytes, *, remember: bool) -> Frame:
        del header, body, remember
        self.begun.release()
        assert self.over.wait(SOON)
        raise UnavailableError("the job was stopped", rule="sandbox.stopped")

    def kill(self) -> None:
        super().kill()
        self.over.set()


class TeamWorkshop(ScriptedWorkshop):
    """Its teams wait until they are ended."""

    def __init__(self) -> None:
        super().__init__()
        self.members: list[Member] = []
        self.begun = threading.Semaphore(0)
        self.inputs: list[int] = []

    def most_together(self) -> int:
        return 64

    @contextmanager
    def talk(
        self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str
    ) -> Iterator[Member]:
        self.specs.append((recipe, dict(spec)))
        self.inputs += inputs
        one = Member(recipe, spec, inputs[0], self.begun)
        self.members.append(one)
        try:
            yield one
        finally:
            one.gone = True


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = found_bench(tmp_path_factory.mktemp("team"), people=CROWD).start()
    bench.take(*CROWD)
    bench.call("feature", purpose=PURPOSE)
    bench.stop()
    return bench


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path)
    copy.workshop = TeamWorkshop()
    yield copy.start()
    copy.stop()


def erase(bench: Bench) -> None:
    bench.call("people.erase", person=CROWD[0], evidence="a letter")


def enclose(bench: Bench) -> None:
    contain(bench, "purpose", PURPOSE)


def stop(bench: Bench) -> None:
    bench.call("stop", **bench.order("stop", "hr"))


ENDS: dict[str, Callable[[Bench], None]] = {
    "subjects.erased": erase,
    "containment.purpose": enclose,
    "oversight.stop": stop,
}


def results(bench: Bench, since: int) -> list[str]:
    leaves = [leaf for _, leaf in bench.desk.ledger.leaves(since)]
    return [leaf["pub"]["outcome"] for leaf in leaves if leaf["k"] == "access.result"]


@pytest.mark.parametrize("rule", ENDS)
def test_whatever_ends_a_team_ends_every_sandbox_of_it_and_nothing_comes_out(
    bench: Bench, rule: str
) -> None:
    workshop, since = bench.workshop, bench.desk.ledger.size
    assert isinstance(workshop, TeamWorkshop)
    asked = bench.use(bench.pass_()) | {"workers": 2}
    failed: list[SafeholdError] = []

    def ask() -> None:
        failed.append(raised(lambda: bench.call("train", **asked)))

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(2):  # both shards are asked
        assert workshop.begun.acquire(timeout=SOON)
    ENDS[rule](bench)
    thread.join(SOON)
    assert not thread.is_alive()
    assert [one.recipe for one in workshop.members] == [LEAD, SHARD, SHARD]
    assert all(one.killed and one.gone for one in workshop.members)
    assert not bench.desk.runs
    assert not bench.desk.jobs
    assert [one.rule for one in failed] == [rule]
    assert "ok" not in results(bench, since)


def test_each_shard_holds_the_rows_of_its_own_people_and_of_nobody_elses(bench: Bench) -> None:
    workshop = bench.workshop
    assert isinstance(workshop, TeamWorkshop)
    workshop.packed.clear()

    def lost() -> None:
        for _ in range(3):
            assert workshop.begun.acquire(timeout=SOON)
        for one in workshop.members:
            one.kill()

    thread = threading.Thread(target=lost)
    thread.start()
    raised(lambda: bench.call("train", **(bench.use(bench.pass_()) | {"workers": 3})))
    thread.join(SOON)
    held = [{header["person"] for header in part} for part in workshop.packed]
    assert len(held) == 4
    assert sum(map(len, held)) == len(set.union(*held)) == len(CROWD)
    (told,) = (told for recipe, told in workshop.specs if recipe == LEAD)
    assert told["shards"] == [len(part) for part in held[1:]], "the lead is first"
    assert all(not _open(one) for one in workshop.inputs)


def test_a_stop_ends_shards_that_wait_for_the_rest_of_their_team_to_be_opened(
    bench: Bench,
) -> None:
    """Packing the rows of many takes long; until all are there the first shards hold theirs."""
    workshop = bench.workshop
    assert isinstance(workshop, TeamWorkshop)
    seen: list[bool] = []
    packs = iter(range(9))

    def second() -> None:
        if next(packs) == 1:
            stop(bench)
            seen.extend(one.killed for one in workshop.members)

    asked = bench.use(bench.pass_()) | {"workers": 3}
    workshop.during_pack = second
    assert raised(lambda: bench.call("train", **asked)).rule == "oversight.stop"
    assert seen == [True]
    assert len(workshop.members) <= 2, "and no more of them are opened"
    assert all(one.gone for one in workshop.members)


@pytest.mark.parametrize("workers", [1, 3])
def test_after_a_stop_no_more_rows_are_opened(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    read, opened = bench.desk.vault.read_batches, []

    def stopping(*given: Any, **more: Any) -> Iterator[Any]:
        for one in read(*given, **more):
            opened.append(one)
            if len(opened) == 2:
                stop(bench)
            yield one

    asked = bench.use(bench.pass_()) | {"workers": workers}
    monkeypatch.setattr(bench.desk.vault, "read_batches", stopping)
    assert raised(lambda: bench.call("train", **asked)).rule == "oversight.stop"
    assert len(opened) == 2


def test_more_shards_than_people_may_be_few_are_refused_before_anything_is_charged(
    bench: Bench,
) -> None:
    """How many people there are tells nothing here: only the charter's own bound does."""
    since = bench.desk.ledger.size
    asked = bench.use(bench.pass_()) | {"workers": 51}
    assert raised(lambda: bench.call("train", **asked)).rule == "train.workers"
    assert not results(bench, since)
    assert not [one for one in bench.desk.trust.spent() if one.get("epsilon_micro")]


def _open(descriptor: int) -> bool:
    try:
        return "memfd:" in os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return False
