"""Hashes and proofs of a log's tree (RFC 6962 section 2.1, RFC 9162 section 2.1.3 and 2.1.4).

Every hash is checked to be 32 bytes before anything else: without that an empty leaf with an empty
root passes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache

from safehold_verify.errors import VerificationError

HASH = 32
WIDTH = 256  # hashes in a tile
EMPTY = hashlib.sha256(b"").digest()

_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of an entry."""
    return _sha256(b"\0" + data).digest()


def leaf_hashes(entries: Iterable[bytes]) -> bytes:
    """Return the hashes of entries, joined; each stands behind the zero byte of a leaf's hash."""
    return b"".join([_sha256(data).digest() for data in entries])


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees."""
    return _sha256(b"\1" + left + right).digest()


def next_row(row: bytes) -> bytes:
    """Return the parents of a row of hashes; an odd last one is left out."""
    count = len(row) // (2 * HASH)
    if count > WIDTH:
        step = 2 * WIDTH * HASH
        return b"".join([next_row(row[at : at + step]) for at in range(0, len(row), step)])
    pairs = _cutter(count).unpack_from(row)
    return b"".join([_sha256(b"\1" + pair).digest() for pair in pairs])


@lru_cache(WIDTH + 1)
def _cutter(count: int) -> struct.Struct:
    return struct.Struct(f"{2 * HASH}s" * count)


def tree_rows(leaves: bytes) -> list[bytes]:
    """Return the hashes of all complete subtrees, level by level, those of a level joined.

    Args:
        leaves: Leaf hashes, joined.
    """
    rows = []
    while leaves:
        rows.append(leaves)
        leaves = next_row(leaves)
    return rows


def tile_roots(tiles: Iterable[bytes]) -> bytes:
    """Return the roots over full tiles, joined: those of several cost less than each alone.

    Args:
        tiles: 256 leaf hashes each.
    """
    row = b"".join(tiles)
    for _ in range(WIDTH.bit_length() - 1):
        row = next_row(row)
    return row


def root_at(rows: Sequence[bytes], size: int, *, tail: bytes = b"") -> bytes:
    """Return the root that a tree had when it held so many leaves (RFC 6962 section 2.1).

    Args:
        rows: All its rows now, from ``tree_rows``; the lowest may be that of whole tiles.
        size: Hashes of the lowest row then, at most those of now.
        tail: Root over what came after them, none if empty.
    """
    carry = tail
    for level in range(size.bit_length()):
        if size >> level & 1:  # the last complete subtree of this level stands alone
            stop = (size >> level) * HASH
            last = rows[level][stop - HASH : stop]
            carry = node_hash(last, carry) if carry else last
    return carry or EMPTY


def tree_root(leaves: bytes) -> bytes:
    """Return the root over leaf hashes, given joined; the empty tree included."""
    return root_at(tree_rows(leaves), len(leaves) // HASH)


def verify_inclusion(
    index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf is at an index of a tree (RFC 9162 section 2.1.3.2).

    Args:
        index: Number of the leaf, from 0.
        size: Leaves in the tree.
        leaf_hash: Hash of the leaf, 32 bytes; the function of that name makes it.
        proof: Hashes from the leaf's sibling to a child of the root.
        root: Root hash, 32 bytes.

    Raises:
        VerificationError: It is not, or the proof is malformed.
    """
    _check_form((leaf_hash, root, *proof), index, size)
    broken = VerificationError("the inclusion proof does not hold", where=f"leaf {index}")
    if not 0 <= index < size:
        raise broken
    at, last, seen = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            raise broken
        if at & 1 or at == last:
            seen = node_hash(sibling, seen)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            seen = node_hash(seen, sibling)
        at, last = at >> 1, last >> 1
    if last != 0 or seen != root:
        raise broken


def verify_consistency(
    size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes
) -> None:
    """Check that a tree is the beginning of a larger one (RFC 9162 section 2.1.4.2).

    Args:
        size1: Leaves of the smaller tree; 0 proves nothing and is refused.
        size2: Leaves of the larger tree.
        proof: Consistency proof.
        root1: Root of the smaller tree.
        root2: Root of the larger tree.

    Raises:
        VerificationError: It is not, or the proof is malformed.
    """
    _check_form((root1, root2, *proof), size1, size2)
    broken = VerificationError("the consistency proof does not hold", where=f"{size1}..{size2}")
    if not 0 < size1 <= size2:
        raise broken
    if size1 == size2:
        if proof or root1 != root2:
            raise broken
        return
    if not proof:
        raise broken
    path = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)
    left, right = size1 - 1, size2 - 1
    while left & 1:
        left, right = left >> 1, right >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if right == 0:
            raise broken
        if left & 1 or left == right:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while left and not left & 1:
                left, right = left >> 1, right >> 1
        else:
            second = node_hash(second, sibling)
        left, right = left >> 1, right >> 1
    if right != 0 or first != root1 or second != root2:
        raise broken


def _check_form(hashes: Sequence[bytes], *numbers: int) -> None:
    """Let only hashes of 32 bytes and numbers below 2^63 through, before anything is computed."""
    if any(type(one) is not bytes or len(one) != HASH for one in hashes):
        raise VerificationError("a hash has 32 bytes", where="proof")
    if any(type(one) is not int or not 0 <= one < 2**63 for one in numbers):
        raise VerificationError("not a size or an index", where="proof")
