"""For any people: in an index everybody is found with their list or shown to be absent, and nothing else verifies."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from safehold.ledger.index import HIGHEST, LOWEST, IndexTree, start_of
from safehold.ledger.shelf import Row
from safehold.ledger.subjects import epoch_key, label_of, tag_of
from safehold_verify import VerificationError, leaf_hash, verify_inclusion
from safehold_verify.index import index_root, value_of

KEYS = st.lists(st.binary(min_size=32, max_size=32), max_size=40, unique=True)
SEED = st.binary(min_size=32, max_size=32)


def rows(keys: list[bytes], epoch: int) -> list[tuple[bytes, bytes]]:
    return [
        (label_of(own), hashlib.sha256(own).digest())
        for own in (epoch_key(key, epoch) for key in keys)
    ]


@given(keys=KEYS, seed=SEED, epoch=st.integers(0, 2**32))
def test_both_sides_compute_one_root(keys: list[bytes], seed: bytes, epoch: int) -> None:
    listed = rows(keys, epoch)
    tree = IndexTree(listed, seed=seed)
    assert tree.root == index_root(listed[::-1], seed)
    size = len(tree.leaves)
    assert size & (size - 1) == 0
    assert size >= len(keys) + 2
    assert tree.leaves == sorted(tree.leaves)
    assert (tree.leaves[0][0], tree.leaves[-1][0]) == (LOWEST, HIGHEST)


@given(keys=KEYS, others=KEYS, seed=SEED)
def test_everybody_is_included_or_absent(
    keys: list[bytes], others: list[bytes], seed: bytes
) -> None:
    tree = IndexTree(rows(keys, 3), seed=seed)

    def holds(place: int, label: bytes, value: bytes) -> bool:
        try:
            verify_inclusion(
                place, len(tree.leaves), leaf_hash(label + value), tree.path(place), tree.root
            )
        except VerificationError:
            return False
        return True

    for key in {*keys, *others}:
        label = label_of(epoch_key(key, 3))
        at, there = tree.find(label)
        assert there == (key in keys)
        if there:
            value = hashlib.sha256(epoch_key(key, 3)).digest()
            assert holds(at, label, value)
            assert not holds(at, label, bytes(32))
            assert not holds(at ^ 1, label, value)
        else:
            below, above = tree.leaves[at - 1], tree.leaves[at]
            assert below[0] < label < above[0]
            assert holds(at - 1, *below)
            assert holds(at, *above)
            assert not holds(at, label, bytes(32))


@settings(max_examples=50)
@given(
    key=st.binary(min_size=32, max_size=32),
    uses=st.lists(
        st.tuples(st.integers(0, 2**40), st.binary(min_size=32, max_size=32)),
        min_size=1,
        max_size=20,
    ),
)
def test_a_value_is_over_the_whole_list(key: bytes, uses: list[tuple[int, bytes]]) -> None:
    hashed = hashlib.sha256(start_of(key, len(uses)))
    for index, nonce in uses:
        hashed.update(index.to_bytes(8, "big") + tag_of(key, nonce))
    assert hashed.digest() == value_of(key, uses)
    for at in range(len(uses)):
        fewer = uses[:at] + uses[at + 1 :]
        assert value_of(key, fewer) != value_of(key, uses)
    places = sorted({index for index, _ in uses})
    assert Row.of(key, b"v" * 32, places).places(key) == places
