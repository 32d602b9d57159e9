"""Check a whole exported log, offline, so that every byte of every file matters.

What holds when ``verify_log`` returns: the files are exactly those of one signed and cosigned
checkpoint; every entry is in its tree; every head that was held outside lies in its past; leaves
are well formed, in order of time, and every result follows its intent. What it cannot show: that
nothing happened without an entry.

Bundles are read one after the other; a few wait until their leaves and tiles are looked at together.
What is kept of each is its tile's root and one byte a leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safehold_verify.errors import VerificationError
from safehold_verify.files import (
    LARGEST_TEXT,
    Files,
    cut_bundle,
    parts,
    path_of,
    place_of,
    read_file,
    settled,
)
from safehold_verify.head import open_head
from safehold_verify.leaf import MARK
from safehold_verify.merkle import (
    HASH,
    WIDTH,
    leaf_hashes,
    root_at,
    tile_roots,
    tree_root,
    tree_rows,
)
from safehold_verify.notes import Checkpoint
from safehold_verify.policy import Policy, load_policy
from safehold_verify.story import Story

AT_ONCE = 8  # tiles whose roots are computed together


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found to hold.

    Args:
        origin: Name of the log.
        size: Number of entries.
        root: Root hash, hex.
        logs: Trusted log keys that signed the checkpoint, each as name and id.
        witnesses: Names of those who cosigned the checkpoint, with their times in seconds.
        heads: Sizes of the outside heads that lie in its past.
        foreign: True if the entries are not Safehold's and nobody looked at what they say.
        kinds: Number of entries of each kind; empty for a foreign log, as are the times.
        first: Time of the first entry in milliseconds, 0 if there is none.
        last: Time of the last.
        files: Number of files read.
        others: Number of other files in a foreign log's directory, not read.
        unknown: Signature lines of a foreign log's checkpoint that no key of the policy covers.
        extensions: Extension lines of a foreign log's checkpoint.
    """

    origin: str
    size: int
    root: str
    logs: tuple[str, ...]
    witnesses: dict[str, int]
    heads: tuple[int, ...]
    foreign: bool
    kinds: dict[str, int]
    first: int
    last: int
    files: int
    others: int
    unknown: int
    extensions: int

    def payload(self) -> dict[str, object]:
        """Return the report as JSON values."""
        return asdict(self)


def verify_log(
    directory: Path | str,
    policy: Policy | Path | str,
    *,
    heads: Sequence[bytes] = (),
    foreign: bool = False,
) -> Report:
    """Check a ledger directory against a policy and against heads kept elsewhere.

    Args:
        directory: Holds ``checkpoint`` and ``tile/``; the journal beside them is not read.
        policy: Parsed, or the path of its file. It must come from outside the directory.
        heads: Cosigned checkpoints kept outside; without one a rollback to an older state of
            the whole directory cannot be seen.
        foreign: The log is not Safehold's: check heads, tiles and tree, but not what entries say,
            and let other files lie beside them. A log of Safehold leaves is refused then.

    Raises:
        VerificationError: Something does not hold; ``where`` says which file and where in it.
    """
    root, trusted = Path(directory), load_policy(policy)
    with settled(root):
        note = read_file(root / "checkpoint", "checkpoint", limit=LARGEST_TEXT)
        head, signed = open_head(note, trusted, "checkpoint", whole=not foreign)
        if not foreign and (signed.unknown or head.extensions):
            raise VerificationError(
                "it holds a line that no key of the policy covers", where="checkpoint"
            )
        files = Files(root)
        others = files.check_names(head.size, others=foreign)
        files.hold_edge(head.size)
    kept = [open_head(one, trusted, f"head {at}")[0] for at, one in enumerate(heads, 1)]
    tree, story = _Tree(head, kept), Story(head.size)
    broken = _read(files, tree, None if foreign else story)
    tree.check(files)
    for at, one in enumerate(kept, 1):
        tree.check_head(one, f"head {at}")
    if broken is not None:
        raise broken
    return Report(
        origin=head.origin,
        size=head.size,
        root=head.root.hex(),
        logs=signed.logs,
        witnesses=signed.witnesses,
        heads=tuple(one.size for one in kept),
        foreign=foreign,
        kinds=dict(sorted(story.kinds.items())),
        first=story.first,
        last=story.last,
        files=files.count + 1,
        others=others,
        unknown=signed.unknown,
        extensions=signed.extensions,
    )


def _read(files: Files, tree: _Tree, story: Story | None) -> VerificationError | None:
    """Read every bundle into the tree and the story; return what is wrong with a leaf, if any.

    That is said only when the leaves are known to be those of the log.
    """
    broken: VerificationError | None = None
    for number, width in parts(tree.head.size):
        data = files.read("entries", number, width)
        entries, rows = cut_bundle(data, width, path_of("entries", number, width))
        tree.add(number, width, leaf_hashes(entries), files.read("0", number, width))
        if broken is not None:
            continue
        try:
            if story is None:
                _check_foreign(entries, number, tree.head.size)
            else:
                story.take(entries, rows)
        except VerificationError as error:
            broken = error
    tree.close()
    if broken is None and story is not None:
        try:
            story.close()
        except VerificationError as error:
            broken = error
    return broken


def _check_foreign(entries: Sequence[bytes], number: int, size: int) -> None:
    for at, data in enumerate(entries):
        if data.endswith(MARK):
            raise VerificationError(
                "a leaf of Safehold: check this log as one of Safehold",
                where=place_of(number * WIDTH + at, size),
            )


@dataclass(slots=True)
class _Tree:
    """The tree of the entries, and beside it the one that the stored tiles say."""

    head: Checkpoint
    heads: Iterable[Checkpoint]
    tops: list[bytes] = field(default_factory=list)  # roots of full tiles, from the entries
    stored_tops: list[bytes] = field(default_factory=list)  # the same, from the stored tiles
    tail: bytes = b""
    stored_tail: bytes = b""
    waiting: list[tuple[bytes, bytes]] = field(default_factory=list)  # full tiles, without a root
    differs: tuple[int, int, int] | None = None  # number, width, byte of the first difference
    edges: dict[int, bytes] = field(default_factory=dict)  # tiles in which an outside head ends
    rows: list[bytes] = field(default_factory=list)

    def add(self, number: int, width: int, hashes: bytes, stored: bytes) -> None:
        """Add the leaf hashes of the next bundle, and those its tile holds."""
        if hashes != stored and self.differs is None:
            self.differs = (number, width, _differs(stored, hashes))
        if any(one.size // WIDTH == number for one in self.heads):
            self.edges[number] = hashes
        if width < WIDTH:
            self.tail, self.stored_tail = hashes, stored
            return
        self.waiting.append((hashes, stored))
        if len(self.waiting) == AT_ONCE:
            self.close()

    def close(self) -> None:
        """Compute the roots of the full tiles added so far."""
        tops = tile_roots([hashes for hashes, _ in self.waiting])
        for at, (hashes, stored) in enumerate(self.waiting):
            top = tops[at * HASH : (at + 1) * HASH]
            self.tops.append(top)
            self.stored_tops.append(top if hashes == stored else tree_root(stored))
        self.waiting.clear()

    def check(self, files: Files) -> None:
        """Compare entries, tiles and root, and say which of them is wrong."""
        size = self.head.size
        self.rows = tree_rows(b"".join(self.tops))
        if self._root(self.rows, size, self.tail) != self.head.root:
            stored = tree_rows(b"".join(self.stored_tops))
            where = "checkpoint and tile/"
            if self.differs is not None:
                where = place_of(self.differs[0] * WIDTH + self.differs[2] // HASH, size)
            if self._root(stored, size, self.stored_tail) == self.head.root:
                raise VerificationError("not the entry of the tree", where=where)
            raise VerificationError("the entries are not those of the checkpoint", where=where)
        if self.differs is not None:
            raise _wrong_tile("0", *self.differs)
        for level, row in enumerate(self.rows[::8], 1):
            for number, width in parts(len(row) // HASH):
                right = row[number * WIDTH * HASH :][: width * HASH]
                found = files.read(str(level), number, width)
                if found != right:
                    raise _wrong_tile(str(level), number, width, _differs(found, right))

    def check_head(self, outside: Checkpoint, where: str) -> None:
        """Let a head through that lies in the past of this tree."""
        if outside.origin != self.head.origin:
            raise VerificationError("the head of another log", where=where)
        if outside.size > self.head.size:
            raise VerificationError(
                f"the log has {self.head.size} entries, this head {outside.size}: it was cut or"
                " rolled back",
                where=f"checkpoint against {where}",
            )
        edge = self.edges.get(outside.size // WIDTH, b"")[: outside.size % WIDTH * HASH]
        if self._root(self.rows, outside.size, edge) != outside.root:
            raise VerificationError(
                "the log has another history than this head", where=f"checkpoint against {where}"
            )

    @staticmethod
    def _root(rows: Sequence[bytes], size: int, tail: bytes) -> bytes:
        return root_at(rows, size // WIDTH, tail=tree_root(tail) if tail else b"")


def _wrong_tile(level: str, number: int, width: int, at: int) -> VerificationError:
    return VerificationError(
        "not the hashes of the entries", where=f"{path_of(level, number, width)}, byte {at}"
    )


def _differs(one: bytes, two: bytes) -> int:
    """Return the first byte at which two byte strings differ."""
    for at in range(0, max(len(one), len(two)), HASH):
        left, right = one[at : at + HASH], two[at : at + HASH]
        if left != right:
            return at + next(
                (k for k, (a, b) in enumerate(zip(left, right, strict=False)) if a != b),
                min(len(left), len(right)),
            )
    return len(one)
