"""What Ray costs: a sandbox on a worker against one here, two workers against one, ciphertext through its store.

Two cores are shared with everything else, so processor time is what is asserted; wall time is printed. Who took it is
told apart by process: the keeper (this one), Ray with its driver, the opener with its sandboxes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import world
from tests.attack.test_ray_shards import COUNT, talk
from tests.bench.board import Board, sized
from tests.bench.spending import Meter, Spent, spending
from tests.clusters import Shared, cluster
from tests.ingest_job import NOW_US, job
from tests.unit.test_enclave_train import parts
from tests.world import PURPOSE, World, copy_world, found_world, outside

from safehold.app.workshop import SandboxWorkshop
from safehold.cluster.letter import keys_of
from safehold.cluster.seal import IN, PIECE, fresh_secret
from safehold.enclave.model import Shape
from safehold.enclave.vocabulary import WORKFORCE
from safehold.errors import SafeholdError
from safehold.sandbox.launch import Launcher
from safehold.sandbox.parts import pack_parts, seal_bytes
from safehold.workforce import Spec

DAY = NOW_US // 86_400_000_000 - 1
JOBS, PEOPLE, PACE = 6, 8, 20_000
CROWD, TURNS = sized(700, 100), sized(2, 1)
ROUNDS = 3
MANY = 64 << 20


def spec(people: int, pace: int) -> Callable[[int], dict[str, Any]]:
    company = Spec(people=people * JOBS, days=1, start_day=DAY, seed=5, pace=pace).to_spec()

    def one(number: int) -> dict[str, Any]:
        return job(
            {"kind": "synthetic", "spec": company, "first": number * people, "count": people}
        )

    return one


@pytest.fixture(scope="module")
def meter() -> Iterator[Meter]:
    one = Meter()
    one.start()
    yield one
    one.end()


def run(workshop: SandboxWorkshop, made: dict[str, Any]) -> int:
    with workshop.start("ingest", made, [], least="E0") as one:
        return sum(1 for _ in one.frames())


def together(
    workshop: SandboxWorkshop, make: Callable[[int], dict[str, Any]], width: int, jobs: int = JOBS
) -> None:
    """Run several jobs, so many of them at once."""
    with ThreadPoolExecutor(width) as pool:
        list(pool.map(lambda number: run(workshop, make(number)), range(jobs)))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with cluster(tmp_path_factory.mktemp("two"), width=2, memory=300 << 20) as made:
        together(made, spec(1, 200), 2, jobs=2)  # so that both of its carriers are there
        yield made


@pytest.mark.bench
def test_a_task_against_a_local_sandbox(board: Board, two: Shared, meter: Meter) -> None:
    local, made = SandboxWorkshop(Launcher()), spec(1, 200)(0)
    run(local, made)
    run(two, made)
    wall: dict[str, list[float]] = {"here": [], "there": []}
    cpu: dict[str, list[float]] = {"here": [], "there": []}
    for _ in range(ROUNDS):
        for name, workshop in (("here", local), ("there", two)):
            before, begun = meter.taken(), time.perf_counter()
            run(workshop, made)
            wall[name].append(time.perf_counter() - begun)
            cpu[name].append(sum(meter.since(before).values()))
    here, there = min(cpu["here"]), min(cpu["there"])
    board.add(
        "a small job in a sandbox on a Ray worker",
        ours=f"{there * 1000:.0f} ms of CPU, {min(wall['there']) * 1000:.0f} ms",
        peer=f"the same sandbox here: {here * 1000:.0f} ms of CPU, {min(wall['here']) * 1000:.0f} ms",
        ratio=there / here,
        goal="<= 1.5 x",
        met=there / here <= 1.5,
        most=3.0,
    )


@pytest.mark.bench
def test_two_workers_against_one(
    board: Board, two: Shared, meter: Meter, tmp_path_factory: pytest.TempPathFactory
) -> None:
    make, local = spec(PEOPLE, PACE), SandboxWorkshop(Launcher())

    def measure(workshop: SandboxWorkshop, width: int) -> Spent:
        run(workshop, spec(1, 200)(0))
        with spending(meter) as found:
            together(workshop, make, width)
        return found[0]

    by2 = measure(two, JOBS)
    with cluster(tmp_path_factory.mktemp("one"), width=1, memory=300 << 20) as one:
        by1 = measure(one, JOBS)
    here2, here1 = measure(local, 2).wall, measure(local, 1).wall
    board.add(
        f"{JOBS} sources on two Ray workers: all processor time",
        ours=f"{by2.all:.1f} CPU-s, {by2.wall:.1f} s",
        peer=f"on one worker: {by1.all:.1f} CPU-s, {by1.wall:.1f} s",
        ratio=by2.all / by1.all,
        goal="<= 1.15 x",
        met=by2.all / by1.all <= 1.15,
        most=1.6,
    )
    board.add(
        f"{JOBS} sources on two Ray workers: wall",
        ours=f"{by2.wall:.1f} s",
        peer=f"on one worker: {by1.wall:.1f} s",
        ratio=by1.wall / by2.wall,
        goal=">= 1.6 x, on two free cores",
        met=by1.wall / by2.wall >= 1.6,
        floor=0.5,
    )
    board.note(
        f"the same sources in sandboxes of this machine, two at once: {here2:.1f} s, one after the other {here1:.1f} s:"
        f" {here1 / here2:.2f} x is what two workers could gain here without Ray"
    )
    for width, spent in ((1, by1), (2, by2)):
        board.note(f"{width} worker(s), {spent.told()}")
    ours = by2.cpu["ray"] / by2.all
    board.add(
        "what Ray itself takes of that",
        ours=f"{by2.cpu['ray']:.2f} CPU-s",
        peer=f"all of it: {by2.all:.1f} CPU-s",
        ratio=ours,
        goal="<= 0.2",
        met=ours <= 0.2,
        most=0.5,
    )


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A company with features to train on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "PEOPLE", CROWD)
        path = tmp_path_factory.mktemp("crowd")
        made = found_world(path)
        with outside(path):
            made.start().call("feature", purpose=PURPOSE)
            made.stop()
    return made


@pytest.mark.bench
def test_one_training_over_two_workers_against_one(
    board: Board,
    two: Shared,
    crowd: World,
    meter: Meter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the call until its answer, as ``enclave train`` asks: decided, opened, trained, judged, kept and written down.

    Exact figures about made-up people are left out: only one sandbox could have them.
    """
    start = two.start

    def fair(recipe: str, told: Mapping[str, Any], inputs: Sequence[int], *, least: str) -> Any:
        plain = {"synthetic": False} if recipe == "train" else {}
        return start(recipe, {**told, **plain}, inputs, least=least)

    monkeypatch.setattr(two, "start", fair)

    def measure(workers: int, turn: int) -> tuple[Spent, dict[str, Any]]:
        path = tmp_path / f"{turn}-{workers}"
        path.mkdir()
        with outside(path):
            copy = copy_world(crowd, path)
            copy.workshop = two  # type: ignore[assignment]
            _, holder = copy.start().pass_()
            asked = copy.use(holder, workers=workers)
            with spending(meter) as found:
                answer = copy.call("train", **asked)
            copy.stop()
        return found[0], answer["metrics"]

    turns = [[measure(workers, turn) for workers in (1, 2)] for turn in range(TURNS)]
    found = {
        width: min((one[width - 1] for one in turns), key=lambda one: one[0].wall)
        for width in (1, 2)
    }
    (by1, one), (by2, both) = found[1], found[2]
    drawn = {"top1", "macro_f1", "macro_over", "top1_error"}  # by the noise
    kept = [
        {name: value for name, value in figures.items() if name not in drawn}
        for figures in (one, both)
    ]
    assert kept[0] == kept[1]
    people = one["trained"]
    board.add(
        f"a training on {people} people over two Ray workers: all processor time",
        ours=f"{by2.all:.1f} CPU-s, {by2.wall:.1f} s",
        peer=f"on one worker: {by1.all:.1f} CPU-s, {by1.wall:.1f} s",
        ratio=by2.all / by1.all,
        goal="<= 1.5 x",
        met=by2.all / by1.all <= 1.5,
        most=3.5,
    )
    board.add(
        f"a training on {people} people over two Ray workers: wall",
        ours=f"{by2.wall:.1f} s",
        peer=f"on one worker: {by1.wall:.1f} s",
        ratio=by1.wall / by2.wall,
        goal=">= 1 x",
        met=by1.wall / by2.wall >= 1,
        floor=0.15,
    )
    for width, (spent, figures) in found.items():
        board.note(
            f"a training on {width} worker(s), {spent.told()}; right guesses {figures['top1']}"
        )


@pytest.mark.bench
def test_a_step_of_a_shard_against_an_errand_for_it(
    board: Board, two: Shared, meter: Meter
) -> None:
    """What one round of a training over several workers costs beside the sums themselves."""
    words, many = WORKFORCE, 100
    shape = Shape(tokens=len(words.tokens), apps=len(words.apps))
    memory, spec_ = pack_parts(parts(COUNT)), dict(words.to_spec())
    weights = np.zeros(shape.parameters)

    def go(rounds: int) -> tuple[float, float]:
        before, begun = meter.taken(), time.perf_counter()
        with two.talk("train.shard", spec_, [memory], least="E0") as shard:
            talk(shard, weights, rounds=rounds)
        return sum(meter.since(before).values()), time.perf_counter() - begun

    go(1)
    once = min(go(1) for _ in range(ROUNDS))
    often = min(go(1 + many) for _ in range(ROUNDS))
    os.close(memory)
    step, wall = ((often[at] - once[at]) / many for at in (0, 1))
    board.add(
        f"a step of one shard of a training, {shape.parameters:,} numbers there and back",
        ours=f"{step * 1000:.1f} ms of CPU, {wall * 1000:.1f} ms",
        peer=f"an errand of its own for it: {once[0] * 1000:.0f} ms of CPU, {once[1] * 1000:.0f} ms",
        ratio=step / once[0],
        goal="<= 0.1",
        met=step / once[0] <= 0.1,
        most=0.3,
    )


@pytest.mark.bench
def test_ciphertext_through_the_store(
    board: Board, two: Shared, meter: Meter, tmp_path: Path
) -> None:
    """An input that no reader understands: it goes the whole way, and the sandbox ends at once."""
    data = os.urandom(PIECE) * (MANY // PIECE)
    memory = seal_bytes(data)
    made = job({"kind": "file", "name": "a"})
    local = SandboxWorkshop(Launcher())

    def through(workshop: SandboxWorkshop) -> float:
        before = meter.taken()
        with (
            pytest.raises(SafeholdError),
            workshop.start("ingest", made, [memory], least="E0") as one,
        ):
            list(one.frames())
        return sum(meter.since(before).values())

    def alone() -> float:
        keys, begun = keys_of(fresh_secret(), home="h", run="r", attempt=1), time.process_time()
        for number in range(MANY // PIECE):
            piece = data[number * PIECE : (number + 1) * PIECE]
            keys.open(IN, number, keys.seal(IN, number, piece, last=False), last=False)
        return time.process_time() - begun

    begun = time.perf_counter()
    whole = min(through(two) for _ in range(2))
    wall = (time.perf_counter() - begun) / 2
    here = min(through(local) for _ in range(2))
    bare = min(alone() for _ in range(2))
    os.close(memory)
    way = max(whole - here, 0.001)
    mebi = MANY >> 20
    board.add(
        "ciphertext to a worker, sealed, carried, opened",
        ours=f"{mebi / way:,.0f} MiB a CPU-s ({mebi / wall:,.0f} MiB/s wall)",
        peer=f"sealing and opening alone: {mebi / bare:,.0f} MiB a CPU-s",
        ratio=bare / way,
        goal=">= 0.1",
        met=bare / way >= 0.1,
        floor=0.01,
    )
