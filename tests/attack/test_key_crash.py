"""A keeper killed at a step of a change of keys leaves a home that opens, with everything in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cheap_home import cheap_home
from tests.crashing import Job, Yard
from tests.keeper_desk import Bench
from tests.key_crashing import NEW, OLD, open_bench
from tests.world import copy_home, outside

from safehold.app.verification import verify_home
from safehold.errors import SignInError

POINTS = {
    # step -> whether the change went through when the keeper is opened again
    "root": {
        "draft": False,
        "note": False,
        "begun": False,
        "change": False,
        "commit": False,
        "turned": False,
        "adopt": True,
        "done": True,
        "destroy": True,
    },
    "segment": {
        "note": False,
        "begun": False,
        "change": False,
        "prepare": True,
        "rewrap": True,
        "destroy": True,
        "scrub": True,
        "close": True,
        "done": True,
    },
    "mint": {"note": False, "begun": False, "change": False, "done": True},
}

# tried by default; the others in the long form
SHORT = {"root": ("begun", "turned", "adopt"), "segment": ("rewrap",), "mint": ("done",)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with cheap_home(tmp_path_factory.mktemp("made")) as bench:
        bench.stop()
        yield bench


@pytest.fixture(scope="module")
def yard() -> Iterator[Yard]:
    found = Yard("tests.key_crashing")
    yield found
    found.close()


def copied(made: Bench, path: Path) -> Path:
    path.mkdir()
    return copy_home(made.path, path)


def reopened(path: Path) -> tuple[Bench, bool]:
    """Open with the old secret or else the new one; return which did."""
    try:
        return open_bench(path, OLD), False
    except SignInError:
        return open_bench(path, NEW), True


def check(path: Path, level: str, *, went: bool | None) -> str:
    """Open what a crash left, and check that it is whole; return how the change ended."""
    bench, new = reopened(path)
    leaves = [
        (index, leaf) for index, leaf in bench.desk.ledger.leaves(0) if leaf["k"] == "key.change"
    ]
    begun = [index for index, leaf in leaves if leaf["pub"]["state"] == "begun"]
    ended = {leaf["ref"]: leaf["pub"]["state"] for _, leaf in leaves if "ref" in leaf}
    assert sorted(ended) == begun, "each that began has ended"
    if went is not None and begun:
        assert list(ended.values()) == ["done" if went else "undone"]
    if level == "root":
        assert new == (ended.get(begun[0]) == "done" if begun else False)
    blocks = list(bench.desk.catalog.blocks(kind="telemetry", streams=("pointer",), after_day=0))
    assert len(blocks) == 3
    assert len(list(bench.desk.vault.read(blocks))) == 3
    assert bench.desk.people.find("ana")
    for name in ("root.next", "root.retired"):
        assert not (path / "home" / name).exists()
    assert not list(bench.home.turns.iterdir()) if bench.home.turns.exists() else True
    order = {"level": level} | (
        {"present": NEW if new else OLD, "new": OLD if new else NEW} if level == "root" else {}
    )
    assert bench.call("key.rotate", **order)["result"]
    assert len(list(bench.desk.vault.read(blocks))) == 3
    bench.stop()
    if went is None:
        with outside(path):
            assert verify_home(path / "home")["size"] > 0
    return next(iter(ended.values()), "never began")


@pytest.mark.parametrize("level", POINTS)
def test_killed_at_each_named_step(made: Bench, yard: Yard, tmp_path: Path, level: str) -> None:
    whole = copied(made, tmp_path / "whole")
    status, acks = yard.run(Job(path=whole, acks=tmp_path / "acks", mode=level))
    assert (status, acks.foreign) == (0, "")
    assert list(dict.fromkeys(acks.steps)) == list(POINTS[level])
    for at, name in enumerate(acks.steps, 1):
        if name not in SHORT[level] or name in acks.steps[: at - 1]:
            continue
        path = copied(made, tmp_path / f"{at}-{name}")
        status, _ = yard.run(Job(path=path, acks=tmp_path / "acks", mode=level, die_at=at))
        assert status == -9, name
        check(path, level, went=POINTS[level][name])
        shutil.rmtree(path)


@pytest.mark.proof
@pytest.mark.parametrize("level", POINTS)
def test_killed_at_every_step_that_a_disk_can_tell(
    made: Bench, yard: Yard, tmp_path: Path, level: str
) -> None:
    whole = copied(made, tmp_path / "whole")
    status, acks = yard.run(Job(path=whole, acks=tmp_path / "acks", mode=f"{level}-every"))
    assert status == 0
    found: list[str] = []
    for at in range(1, len(acks.steps) + 1):
        path = copied(made, tmp_path / f"{at}")
        status, _ = yard.run(
            Job(path=path, acks=tmp_path / "acks", mode=f"{level}-every", die_at=at)
        )
        assert status == -9
        found.append(check(path, level, went=None))
        shutil.rmtree(path)
    assert {"undone", "done"} <= set(found)
    order = ["never began", "undone", "done"]
    ranks = [order.index(one) for one in found]
    assert ranks == sorted(ranks), "what has gone through stays so"
    print(f"{level}: {len(found)} kills, {[found.count(one) for one in order]}")
