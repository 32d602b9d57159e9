"""Inclusion and consistency proofs (RFC 6962 section 2.1, RFC 9162 section 2.1.3 and 2.1.4).

Building reads complete nodes only; checking is here for consistency alone, which the witness needs.
The offline verifier has its own, separate code for both.
"""

from __future__ import annotations

from collections.abc import Sequence

from safehold.errors import InvalidError, TamperedError
from safehold.ledger.tree import EMPTY, HASH, Node, node_hash


def root_at(node: Node, size: int) -> bytes:
    """Return the root that the tree had when it held ``size`` leaves."""
    return _span(node, 0, size) if size else EMPTY


def prove_inclusion(node: Node, index: int, size: int) -> list[bytes]:
    """Return the audit path of a leaf, from its sibling to a child of the root.

    Raises:
        InvalidError: There is no such leaf in a tree of that size.
    """
    if not 0 <= index < size:
        raise InvalidError("no such leaf in a tree of that size", rule="ledger.proof")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_span(node, middle, high))
            high = middle
        else:
            path.append(_span(node, low, middle))
            low = middle
    return path[::-1]


def prove_consistency(node: Node, old: int, size: int) -> list[bytes]:
    """Return the proof that the first ``old`` leaves of a tree are an earlier tree.

    From an empty tree, and from a tree to itself, the proof is empty.

    Raises:
        InvalidError: ``old`` is larger than ``size``.
    """
    if not 0 <= old <= size:
        raise InvalidError("the older tree is the larger one", rule="ledger.proof")
    if old in (0, size):
        return []
    proof: list[bytes] = []
    low, high, known = 0, size, True
    while high != old:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(_span(node, middle, high))
            high = middle
        else:
            proof.append(_span(node, low, middle))
            low, known = middle, False
    if not known:
        proof.append(_span(node, low, high))
    return proof[::-1]


def verify_consistency(
    old: int, size: int, *, proof: Sequence[bytes], old_root: bytes, root: bytes
) -> None:
    """Check that one tree is the beginning of another (RFC 9162 section 2.1.4.2).

    Raises:
        TamperedError: It is not, or the proof is not well formed; size 0 proves nothing.
    """
    broken = TamperedError("a consistency proof does not hold", rule="ledger.proof.consistency")
    if any(len(one) != HASH for one in (old_root, root, *proof)) or not 0 < old <= size:
        raise broken
    if old == size:
        if proof or old_root != root:
            raise broken
        return
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not proof:
        raise broken
    left, right = old - 1, size - 1
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
    if right != 0 or first != old_root or second != root:
        raise broken


def _split(count: int) -> int:
    """Return the largest power of two below a count."""
    return 1 << (count - 1).bit_length() - 1


def _span(node: Node, low: int, high: int) -> bytes:
    count = high - low
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return node(level, low >> level)
    middle = low + _split(count)
    return node_hash(_span(node, low, middle), _span(node, middle, high))
