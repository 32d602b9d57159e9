"""Finding out at start-up whether the journal is still what was signed and witnessed.

Everything is computed again from the entries: tiles, root, signed head, time. Then the newest published
head must lie in the past of that tree, and so must what every witness remembers (``quorum``). A
restored backup is smaller than a witness knows; a rewritten journal has another root.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import orjson

from safehold.errors import TamperedError
from safehold.ledger.checkpoint import Checkpoint
from safehold.ledger.note import open_note
from safehold.ledger.proof import root_at
from safehold.ledger.signer import LogSigner
from safehold.ledger.store import Journal, State
from safehold.ledger.tree import HEIGHT, Node, Tree, leaf_hashes, node_reader

_AT_ONCE = 4096  # leaves hashed before the tree grows


def replay(
    journal: Journal,
    state: State,
    *,
    signer: LogSigner,
    see: Callable[[int, Sequence[bytes]], None] = lambda _first, _leaves: None,
) -> Tree:
    """Return the tree of a journal whose tiles and head hold.

    Args:
        journal: The journal.
        state: What it last agreed on.
        signer: Key of the log.
        see: Told all leaves, in order.

    Raises:
        TamperedError: Something differs.
    """
    origin, identity = journal.identity()
    if (origin, identity) != (signer.name, signer.identity):
        raise TamperedError("this log was made with another key", rule="ledger.identity")
    tree = Tree()
    waiting: list[bytes] = []
    newest = b""
    for first, leaves in journal.batches():
        if first != tree.size + len(waiting):
            raise TamperedError("the journal does not begin at leaf 0", rule="ledger.journal")
        waiting += leaf_hashes(leaves)
        see(first, leaves)
        newest = leaves[-1]
        if len(waiting) >= _AT_ONCE:
            tree, waiting = _grow(journal, tree, waiting), []
    tree = _grow(journal, tree, waiting)
    if tree.size != state.size or tree.root() != state.root:
        raise TamperedError("the journal is not what its head says", rule="ledger.replay")
    text, held = open_note(state.note, signer.vkeys)
    if text != Checkpoint(origin, state.size, state.root).text() or len(held) < len(signer.vkeys):
        raise TamperedError("the signed head is another one", rule="ledger.replay")
    if state.time != (orjson.loads(newest)["t"] if newest else 0):
        # the next entry would carry it, and nothing takes a leaf back that is dated years ahead
        raise TamperedError("the journal's time is not that of its last entry", rule="ledger.time")
    return tree


def compare_head(journal: Journal, tree: Tree, text: bytes, *, who: str) -> int:
    """Return the size of a head that lies in the past of a tree.

    Raises:
        TamperedError: It is larger, or its root is not the one the tree had at that size.
    """
    head = Checkpoint.parse(text)
    if head.size > tree.size:
        raise TamperedError(
            f"{who} knows {head.size} entries, the journal only {tree.size}",
            rule="ledger.rollback",
            fix="an older copy was restored; find the newer one",
        )
    if head.root != root_at(read_nodes(journal, tree), head.size):
        raise TamperedError(f"{who} knows another history", rule="ledger.fork")
    return head.size


def read_nodes(journal: Journal, tree: Tree, *, keep: bool = False) -> Node:
    """Return a reader of the complete nodes of a tree whose full tiles lie in the journal.

    Args:
        journal: The journal.
        tree: The tree.
        keep: Read no tile twice, and hash over none twice; for many paths at once.
    """

    def tile(level: int, number: int) -> bytes:
        if number == tree.size >> (HEIGHT * (level + 1)):
            return tree.edges[level] if level < len(tree.edges) else b""
        return journal.tile(level, number) or b""

    return node_reader(cache(tile) if keep else tile, keep=keep)


def _grow(journal: Journal, tree: Tree, hashes: list[bytes]) -> Tree:
    grown, tiles = tree.extend(b"".join(hashes))
    for level, number, data in tiles:
        if journal.tile(level, number) != data:
            raise TamperedError(
                f"tile {level}/{number} is not what the journal says", rule="ledger.replay"
            )
    return grown
