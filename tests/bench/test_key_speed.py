"""What keys cost: one opening of a segment's key by each backend of the root, and every rotation at 10,000 people.

Times are those of one run on one machine: compare the rows with one another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.key_services import Transit, find_softhsm, start_aws
from tests.roots import Amazon, Backend, Sealed, Shared, Token, Vaulted
from tests.vaults import make_home

from safehold.vault.keyring import PERSON, KeyName
from safehold.vault.kms import Item

pytestmark = pytest.mark.bench
PEOPLE, SEGMENTS = 10_000, 8


def middle(act: Callable[[], object], rounds: int) -> float:
    """Return the median time of a number of rounds, in milliseconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return sorted(times)[rounds // 2] * 1e3


def test_opening_a_segment_key_and_rotating(tmp_path: Path) -> None:
    aws, transit, softhsm = start_aws(), Transit(), find_softhsm()
    backends: list[Backend] = [
        Sealed(tmp_path),
        Shared(tmp_path),
        Token(tmp_path, softhsm),
        Amazon(tmp_path, aws),
        Vaulted(tmp_path, transit),
    ]
    print("\nbackend      unlock ms   unwrap ms   100 at once ms   to this root, 10,000 people, ms")
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
        print(f"{backend.kind:<12} {unlock:9.1f} {opened:11.3f} {batch:16.1f} {moved:12.1f}")
        if backend.kind == "passphrase":
            start = time.perf_counter()
            done = home.vault.renew()
            renewed = (time.perf_counter() - start) * 1e3
            assert done.survivors == PEOPLE
        home.engine.dispose()
    print(
        f"every segment's key, {PEOPLE:,} keys of people wrapped anew in {SEGMENTS} segments: {renewed:.0f} ms"
    )
    transit.close()
    aws.server.stop()
    assert renewed < 60_000
