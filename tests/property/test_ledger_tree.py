"""Tiles, frontier and the recursive definition are one tree; proofs between them always hold."""

from __future__ import annotations

import hashlib

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger_desk import entry

import safehold_verify as verifier
from safehold.canonical import encode
from safehold.errors import InvalidError, TamperedError
from safehold.ledger.draft import draft
from safehold.ledger.kind import KINDS
from safehold.ledger.proof import prove_consistency, prove_inclusion, root_at
from safehold.ledger.tile import pack_entries, partial_paths, paths, unpack_entries
from safehold.ledger.tree import EMPTY, Tree, leaf_hash, node_hash, node_reader
from safehold_verify.merkle import tree_root

LEAVES = [leaf_hash(b"%d" % at) for at in range(70_000)]


def recursive(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(recursive(leaves[:split]), recursive(leaves[split:]))


def grow(sizes: list[int]) -> tuple[Tree, dict[tuple[int, int], bytes]]:
    tree, tiles, at = Tree(), {}, 0
    for size in sizes:
        tree, full = tree.extend(b"".join(LEAVES[at : at + size]))
        at += size
        tiles |= {(level, number): data for level, number, data in full}
    for level, edge in enumerate(tree.edges):
        tiles[level, tree.size >> (8 * level + 8)] = edge
    return tree, tiles


@given(st.lists(st.integers(1, 700), max_size=6))
def test_tiles_equal_frontier_equal_recursion(sizes: list[int]) -> None:
    tree, tiles = grow(sizes)
    leaves = LEAVES[: sum(sizes)]
    node = node_reader(lambda level, number: tiles[level, number])
    wanted = recursive(leaves)
    assert tree.root() == wanted
    assert root_at(node, len(leaves)) == wanted
    assert tree_root(b"".join(leaves)) == wanted


@given(st.integers(1, 3_000), st.booleans(), st.data())
def test_proofs_hold_and_only_there(size: int, keep: bool, data: st.DataObject) -> None:
    _, tiles = grow([size])
    node = node_reader(lambda level, number: tiles[level, number], keep=keep)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    root = root_at(node, size)
    path = prove_inclusion(node, index, size)
    verifier.verify_inclusion(index, size, LEAVES[index], path, root)
    proof = prove_consistency(node, old, size)
    verifier.verify_consistency(old, size, proof, root_at(node, old), root)
    with pytest.raises(verifier.VerificationError):
        verifier.verify_inclusion(index, size, LEAVES[index + 1], path, root)
    with pytest.raises(verifier.VerificationError):
        verifier.verify_consistency(old, size, [*proof, EMPTY], root_at(node, old), root)


def test_three_levels_of_tiles() -> None:
    tree, tiles = grow([69_999, 1])
    assert tree.root() == recursive(LEAVES)
    assert (1, 0) in tiles
    assert len(tiles[2, 0]) == 32


@given(st.integers(0, 200_000))
def test_file_names_of_a_size(size: int) -> None:
    names = paths(size)
    assert len(set(names)) == len(names)
    assert set(partial_paths(size)) == {name for name in names if ".p/" in name}
    assert sum("entries" in name for name in names) == -(-size // 256)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    assert list(unpack_entries(pack_entries(entries))) == entries


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.data())
def test_a_cut_bundle_is_not_read(entries: list[bytes], data: st.DataObject) -> None:
    whole = pack_entries(entries)
    ends = {len(pack_entries(entries[:count])) for count in range(len(entries) + 1)}
    cut = data.draw(st.integers(0, len(whole) - 1))
    if cut in ends:
        assert list(unpack_entries(whole[:cut])) == entries[: sorted(ends).index(cut)]
    else:
        with pytest.raises(TamperedError):
            list(unpack_entries(whole[:cut]))


def test_an_entry_that_no_bundle_can_hold_is_not_packed() -> None:
    assert list(unpack_entries(pack_entries([b"x" * 65_535]))) == [b"x" * 65_535]
    with pytest.raises(InvalidError):
        pack_entries([b"x" * 65_536])


WORDS = st.text(st.characters(codec="utf-8"), max_size=40)


@given(
    st.sampled_from(sorted(kind for kind in KINDS if not KINDS[kind].needs_ref)),
    WORDS,
    st.dictionaries(st.text(st.characters(codec="ascii"), max_size=8), WORDS | st.integers(0, 9)),
)
def test_a_leaf_is_canonical_json_and_holds_no_value(
    kind: str, word: str, detail: dict[str, object]
) -> None:
    actor = "canary-7f3a-" + word
    made = draft([entry(kind=kind, public={}, actor=actor, detail=detail)], 0)
    (leaf,) = made.write(
        1_790_000_000_000,
        lambda _segment: lambda plain, _aads: plain,
        lambda _epoch: lambda plain, _aads: plain,
    ).leaves
    value = orjson.loads(leaf)
    assert encode(value) == leaf == rfc8785.dumps(value)
    assert b"canary-7f3a-" not in leaf  # "-" occurs in no base64


@given(st.sampled_from([1.5, 2**53, -(2**53), "\ud800"]))
def test_detail_outside_the_profile_is_refused(value: object) -> None:
    with pytest.raises(InvalidError):
        draft([entry(detail={"x": value})], 0)
