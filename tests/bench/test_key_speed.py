"""What keys cost: one opening of a segment's key by each backend of the root, and every rotation at 10,000 people.

Times are those of one run on one machine: compare the rows with one another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.bench.board import Board, sized
from tests.key_services import Transit, find_softhsm, start_aws
from tests.roots import Amazon, Backend, Sealed, Shared, Token, Vaulted
from tests.vaults import make_home

from safehold.vault.keyring import PERSON, KeyName
from safehold.vault.kms import Item

pytestmark = pytest.mark.bench
PEOPLE, SEGMENTS = sized(10_000, 80), 8


def middle(act: Callable[[], object], rounds: int) -> float:
    """Return the median time of a number of rounds, in milliseconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return sorted(times)[rounds // 2] * 1e3


def test_opening_a_segment_key_and_rotating(board: Board, tmp_path: Path) -> None:
    aws, transit, softhsm = start_aws(), Transit(), find_softhsm()
    backends: list[Backend] = [
        Sealed(tmp_path),
        Shared(tmp_path),
        Token(tmp_path, softhsm),
        Amazon(tmp_path, aws),
        Vaulted(tmp_path, transit),
    ]
    first = 0.0
    for backend in backends:
        root = backend.make()
        wrapped = root.wrap(b"k" * 40, context=b"segment")
        many = [
            Item(one, b"segment") for one in root.wrap_many([Item(b"k" * 40, b"segment")] * 100)
        ]
        opened = middle(
            lambda root=root, wrapped=wrapped: root.unwrap(wrapped, context=b"segment"), 31
        )
        batch = middle(lambda root=root, many=many: root.unwrap_many(many), 5)
        unlock = middle(lambda backend=backend: backend.open(), 3)
        home = make_home(tmp_path / backend.kind)
        names = [KeyName(PERSON, f"psn_{at}", "key", 20_100) for at in range(PEOPLE // SEGMENTS)]
        for segment in range(SEGMENTS):
            with home.engine.begin() as connection:
                home.vault._keyring.make(connection, f"s{segment}", names)
        backend.file = tmp_path / f"{backend.kind}-next"
        if hasattr(backend, "where") and backend.kind != "aws-kms":
            backend.where["object" if backend.kind == "pkcs11" else "key"] += "-next"
        following = backend.make(home.root.derivation())
        start = time.perf_counter()
        count = home.vault.reroot(following)
        moved = (time.perf_counter() - start) * 1e3
        assert count == SEGMENTS + 1  # and the marker
        first = first or opened
        board.add(
            f"a segment's key opened, root in {backend.kind}",
            ours=f"{opened:.3f} ms, {batch:.1f} for 100",
            peer=f"root in a sealed file: {first:.3f} ms",
            ratio=opened / first,
            goal="(none)",
            met=True,
            most=1e5,
        )
        board.note(
            f"{backend.kind}: unlocked in {unlock:.1f} ms; {PEOPLE:,} people moved to it in {moved:.1f} ms"
        )
        if backend.kind == "passphrase":
            start = time.perf_counter()
            done = home.vault.renew()
            renewed = (time.perf_counter() - start) * 1e3
            assert done.survivors == PEOPLE
        home.engine.dispose()
    board.add(
        f"every segment's key renewed, {PEOPLE:,} keys of people in {SEGMENTS} segments",
        ours=f"{renewed:.0f} ms",
        peer="limit 60 s",
        ratio=renewed / 60_000,
        goal="<= 1 s",
        met=renewed <= 1_000,
        most=1.0,
    )
    transit.close()
    aws.server.stop()
