"""Reading the leaves of a published log, so that nothing is taken that its head does not cover.

A head continues an earlier one by a proof over the published hashes; leaves are hashed as they are
read, and their tree is the head's or the beginning of it. Whatever does not fit is a
``BrokenError`` with the files that show it, and it says who contradicts whom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from safehold.errors import InvalidError, TamperedError
from safehold.ledger.note import Checkpoint, split_note
from safehold.ledger.proof import prove_consistency, root_at, verify_consistency
from safehold.ledger.published import Published, published_nodes, read_row
from safehold.ledger.tile import tile_path, unpack_entries
from safehold.ledger.tree import HASH, HEIGHT, WIDTH, Tile, Tree, leaf_hash
from safehold_verify.course import Finding

_UNBACKED = Finding("monitor.tile", -1, "the published hashes are not those of the head")


class BrokenError(Exception):
    """The published record does not hold.

    Args:
        finding: What is wrong.
        evidence: The bytes that show it, by a word for what they are.
    """

    def __init__(self, finding: Finding, **evidence: bytes) -> None:
        super().__init__(finding.sentence)
        self.finding = finding
        self.evidence = evidence


def check_continues(log: Published, known: bytes, shown: bytes) -> None:
    """Pass if a head continues an earlier one, both of them verified notes.

    Raises:
        BrokenError: It does not, or the published hashes do not show it.
        MissingError: A hash that would show it is not there.
    """
    old, head = _checkpoint(known), _checkpoint(shown)
    if old.size == head.size:
        if old.root != head.root:
            finding = Finding("monitor.fork", old.size, "two histories of one size")
            raise BrokenError(finding, known=known, shown=shown)
        return
    if old.size == 0 or _leads(log, old.size, old.root, head):
        return
    finding = _UNBACKED
    try:
        if root_at(published_nodes(log, head.size), head.size) == head.root:
            words = "the leaves before it are others than were shown before"
            finding = Finding("monitor.fork", old.size, words)
    except (TamperedError, InvalidError):
        pass
    raise BrokenError(finding, known=known, shown=shown)


def read_entries(log: Published, first: int, stop: int, note: bytes) -> list[bytes]:
    """Return the leaves of a range, unverified.

    Raises:
        BrokenError: A bundle is not made of leaves, or has another number of them.
        MissingError: One is not there.
    """
    size = _checkpoint(note).size
    found: list[bytes] = []
    for number in range(first // WIDTH, -(-stop // WIDTH)):
        start = number * WIDTH
        data = read_row(log, ("entries", number), size)
        try:
            entries = list(unpack_entries(data))
        except TamperedError:
            entries = []
        if len(entries) not in (min(size - start, WIDTH), WIDTH):
            words = f"{tile_path('entries', number)} does not hold its leaves"
            raise BrokenError(Finding("monitor.bundle", start, words), shown=note, bundle=data)
        found += entries[max(first - start, 0) : stop - start]
    return found


def grow(
    log: Published, tree: Tree, entries: Sequence[bytes], note: bytes
) -> tuple[Tree, list[Tile]]:
    """Return the tree with more leaves and the tiles that became full, if a head covers them.

    Raises:
        BrokenError: A leaf is not the one of the head's tree; says which.
    """
    head = _checkpoint(note)
    hashes = b"".join(map(leaf_hash, entries))
    grown, tiles = tree.extend(hashes)
    root = grown.root()
    if grown.size == head.size:
        holds = root == head.root
    else:
        holds = _leads(log, grown.size, root, head)
    if not holds:
        raise _swapped(log, tree.size, hashes, note)
    return grown, tiles


def differing_tiles(
    log: Published, tree: Tree, full: Sequence[Tile], note: bytes
) -> Iterator[BrokenError]:
    """Yield each published tile that is not what the leaves make; whoever wants a proof needs it.

    Args:
        log: Where it is published.
        tree: The tree up to where leaves were read.
        full: Tiles that became full on the way.
        note: The head; if the tree reaches it, its partial tiles are looked at as well.
    """
    size, right = _checkpoint(note).size, list(full)
    if tree.size == size:
        right += [
            (level, size >> (HEIGHT * (level + 1)), edge)
            for level, edge in enumerate(tree.edges)
            if edge
        ]
    for level, number, data in right:
        tile = read_row(log, (level, number), size)
        if tile[: len(data)] != data or len(tile) not in (len(data), WIDTH * HASH):
            words = f"{tile_path(level, number)} is not what the leaves make"
            yield BrokenError(Finding("monitor.tile", -1, words), shown=note, tile=tile)


def _leads(log: Published, size: int, root: bytes, head: Checkpoint) -> bool:
    """Tell whether the published hashes prove that a tree is the beginning of a head's."""
    try:
        proof = prove_consistency(published_nodes(log, head.size), size, head.size)
        verify_consistency(size, head.size, proof=proof, old_root=root, root=head.root)
    except (TamperedError, InvalidError):
        return False
    return True


def _swapped(log: Published, first: int, hashes: bytes, note: bytes) -> BrokenError:
    """Return which leaf is not the one that the published hashes name."""
    size, stop = _checkpoint(note).size, first + len(hashes) // HASH
    for number in range(first // WIDTH, -(-stop // WIDTH)):
        tile = read_row(log, (0, number), size)
        for at in range(max(first, number * WIDTH), min(stop, (number + 1) * WIDTH)):
            place, mine = (at - number * WIDTH) * HASH, (at - first) * HASH
            if tile[place : place + HASH] != hashes[mine : mine + HASH]:
                bundle = read_row(log, ("entries", number), size)
                finding = Finding("monitor.bundle", at, "not the leaf that the tree holds")
                return BrokenError(finding, shown=note, bundle=bundle, tile=tile)
    return BrokenError(_UNBACKED, shown=note)


def _checkpoint(note: bytes) -> Checkpoint:
    return Checkpoint.parse(split_note(note)[0])
