"""Companies whose sandboxes run on two Ray workers, what is made there, and what kills a part of it on the way."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.clusters import Shared, cluster, find
from tests.world import PURPOSE, World, copy_world, outside

from safehold.cluster.farm import Farm
from safehold.vault import SealedBlock

MEMORY = 80 << 20  # bytes of what Ray keeps, of each worker


@contextmanager
def two_workers(path: Path) -> Iterator[Shared]:
    """Yield two workers with little memory."""
    with cluster(path, memory=MEMORY) as made:
        yield made


@contextmanager
def far_away(made: World, workers: Shared, path: Path) -> Iterator[World]:
    """Yield a running copy of a company whose sandboxes run on the workers."""
    with outside(path):
        copy = copy_world(made, path)
        copy.workshop = workers  # type: ignore[assignment]
        try:
            yield copy.start()
        finally:
            copy.stop()


def features_here(made: World, path: Path) -> dict[str, bytes]:
    """Return what features are without Ray, in a copy of a company."""
    with outside(path):
        copy = copy_world(made, path).start()
        try:
            copy.call("feature", purpose=PURPOSE)
            return derived(copy)
        finally:
            copy.stop()


def derived(world: World) -> dict[str, bytes]:
    """Return what was made of each person, by their name outside."""
    held: list[SealedBlock] = list(
        world.desk.catalog.blocks(kind="derived", streams=("feature",), after_day=0)
    )
    found: dict[str, bytes] = {}
    for block, table in world.desk.vault.read(held):
        name = world.desk.people.standing(block.person).external
        assert name not in found, "somebody has features twice"
        rows = table.combine_chunks().to_pylist()
        found[name] = repr(rows).encode()
    return found


def uses(world: World, after: int) -> list[tuple[str, Any]]:
    """Return the intents and results since, in their order."""
    leaves = [leaf for _, leaf in world.desk.ledger.leaves(after)]
    return [
        (leaf["k"], leaf["pub"].get("outcome"))
        for leaf in leaves
        if leaf["k"] in {"access.intent", "access.result"}
    ]


class Axe:
    """Kills something at the moment when the driver has said a certain word for the first time, or the nth."""

    def __init__(self, farm: Farm, word: str, strike: Callable[[], None], *, nth: int = 1) -> None:
        self._hear, self._word, self._strike, self._left = farm.hear, word, strike, nth
        self._lock = threading.Lock()
        self.struck = False

    def __call__(self, header: dict[str, Any], body: bytes) -> None:
        with self._lock:
            self._left -= header.get("say") == self._word
            mine = not self._left and not self.struck
            self.struck = self.struck or mine
        if mine:
            self._strike()
        self._hear(header, body)


def killing(what: str) -> Callable[[], None]:
    """Return what kills every process of a name."""

    def strike() -> None:
        for pid in find(what):
            os.kill(pid, signal.SIGKILL)

    return strike
