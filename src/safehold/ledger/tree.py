"""The Merkle tree of a log (RFC 6962 section 2.1, SHA-256), grown in tiles of 256 hashes.

A ``Tree`` is a value: what it holds is the size and the partial tile at the right edge of every
tile level. ``extend`` returns a new tree and the tiles that became full, so that a failed commit
leaves nothing to undo.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from safehold.errors import InvalidError
from safehold.ledger import press
from safehold.ledger.held import Held

HEIGHT = 8  # tlog-tiles fixes the height of a tile
WIDTH = 1 << HEIGHT
HASH = 32  # bytes
EMPTY = hashlib.sha256(b"").digest()

# of entries, the RFC 6962 hash of each
leaf_hashes = press.leaf_hashes
# of a run of hashes, the next level, joined; an odd last one is left out
fold = press.fold
_sha256 = hashlib.sha256
_ROWS: Held[bytes, list[bytes]] = Held(64 << 20)  # of the newest million entries

Tile = tuple[int, int, bytes]  # level, number, 8,192 bytes
Node = Callable[
    [int, int], bytes
]  # (level, index) -> hash of a complete subtree of 2**level leaves


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of one entry (RFC 6962 section 2.1)."""
    return _sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees (RFC 6962 section 2.1)."""
    return _sha256(b"\1" + left + right).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes (RFC 6962 section 2.1), the empty tree included."""
    return Tree().extend(b"".join(leaves))[0].root()


@dataclass(frozen=True, slots=True)
class Tree:
    """The right edge of a tree: enough to grow it and to know its root.

    Args:
        size: Number of leaves.
        edges: For every tile level the hashes of its partial tile, joined; 0 to 8,160 bytes each.
    """

    size: int = 0
    edges: tuple[bytes, ...] = ()

    def extend(self, leaf_hashes: bytes) -> tuple[Tree, list[Tile]]:
        """Return the tree with more leaves, and every tile that became full on the way.

        Args:
            leaf_hashes: 32 bytes a leaf, joined in order.
        """
        edges, tiles = list(self.edges), []
        new, level, number = leaf_hashes, 0, self.size >> HEIGHT
        while new:
            if level == len(edges):
                edges.append(b"")
            row, ups = edges[level] + new, []
            full = len(row) // (WIDTH * HASH)
            for at in range(full):
                tile = row[at * WIDTH * HASH : (at + 1) * WIDTH * HASH]
                tiles.append((level, number + at, tile))
                while len(tile) > HASH:
                    tile = fold(tile)
                ups.append(tile)
            edges[level] = row[full * WIDTH * HASH :]
            new, level, number = b"".join(ups), level + 1, number >> HEIGHT
        return Tree(self.size + len(leaf_hashes) // HASH, tuple(edges)), tiles

    def root(self) -> bytes:
        """Return the root hash, 32 bytes."""
        carry: bytes | None = None
        for edge in self.edges:
            row = edge
            for _ in range(HEIGHT):
                if len(row) // HASH & 1:
                    last = row[-HASH:]
                    carry = last if carry is None else node_hash(last, carry)
                row = fold(row)
        return EMPTY if carry is None else carry


def tile_rows(data: bytes) -> list[bytes]:
    """Return the hashes over a full tile, row by row, from its own to the one above it; held for whoever asks again."""
    name = _sha256(data).digest()
    rows = _ROWS.get(name)
    if rows is None:
        rows = [data]
        while len(rows[-1]) > HASH:
            rows.append(fold(rows[-1]))
        _ROWS.put(name, rows, 2 * len(data))
    return rows


def node_reader(tile: Callable[[int, int], bytes], *, keep: bool = False) -> Node:
    """Return a reader of complete nodes over a reader of tiles.

    Args:
        tile: (tile level, number) -> hashes of that tile, full or partial.
        keep: Hash over no full tile twice; for many paths at once.
    """
    full: dict[tuple[int, int], list[bytes]] = {}

    def node(level: int, index: int) -> bytes:
        tile_level, above = divmod(level, HEIGHT)
        first = index << above
        place = tile_level, first >> HEIGHT
        at = (first & (WIDTH - 1)) * HASH
        if (rows := full.get(place)) is not None:
            return rows[above][at >> above : (at >> above) + HASH]
        data = tile(*place)
        if keep and len(data) == WIDTH * HASH:
            full[place] = tile_rows(data)
            return node(level, index)
        row = data[at : at + (HASH << above)]
        if len(row) != HASH << above:
            raise InvalidError("that node is not complete yet", rule="ledger.tree")
        for _ in range(above):
            row = fold(row)
        return row

    return node
