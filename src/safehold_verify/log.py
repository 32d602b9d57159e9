"""Check a whole exported log, offline, so that every byte of every file matters.

What holds when ``verify_log`` returns: the files are exactly those of one signed and cosigned
checkpoint; every entry is in its tree; every head that was held outside lies in its past; leaves
are well formed, in order of time, and every result follows its intent. What it cannot show: that
nothing happened without an entry.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from safehold_verify.errors import VerificationError
from safehold_verify.leaf import RESULTS, Leaf, parse_leaves
from safehold_verify.merkle import HASH, WIDTH, leaf_hashes, root_at, tree_root, tree_rows
from safehold_verify.notes import Checkpoint, Note, open_note, parse_checkpoint
from safehold_verify.policy import Policy, parse_policy

SKEW_MS = 2_000  # how far a leaf's time may lie before an earlier leaf's
PATIENCE = 10.0  # seconds to wait for an export that is under way
LARGEST_BUNDLE = WIDTH * (2 + 65_535)  # bytes

_PRIVATE = ("journal.db", "journal.db-wal", "journal.db-shm", "journal.lock", ".export")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found to hold.

    Args:
        origin: Name of the log.
        size: Number of entries.
        root: Root hash, hex.
        witnesses: Names of those who cosigned the checkpoint, with their times in seconds.
        heads: Sizes of the outside heads that lie in its past.
        kinds: Number of entries of each kind.
        first: Time of the first entry in milliseconds, 0 if there is none.
        last: Time of the last.
        files: Number of files read.
    """

    origin: str
    size: int
    root: str
    witnesses: dict[str, int]
    heads: tuple[int, ...]
    kinds: dict[str, int]
    first: int
    last: int
    files: int

    def payload(self) -> dict[str, object]:
        """Return the report as JSON values."""
        return asdict(self)


def verify_log(
    directory: Path | str, policy: Policy | Path | str, *, heads: Sequence[bytes] = ()
) -> Report:
    """Check a ledger directory against a policy and against heads kept elsewhere.

    Args:
        directory: Holds ``checkpoint`` and ``tile/``; the journal beside them is not read.
        policy: Parsed, or the path of its file. It must come from outside the directory.
        heads: Cosigned checkpoints kept outside; without one a rollback to an older state of
            the whole directory cannot be seen.

    Raises:
        VerificationError: Something does not hold; ``where`` says which file and where in it.
    """
    root = Path(directory)
    if not isinstance(policy, Policy):
        policy = parse_policy(_read(Path(policy), Path(policy).name, limit=1_000_000))
    with _settled(root):
        note = _read(root / "checkpoint", "checkpoint", limit=1_000_000)
        head, signed = _open(note, policy, "checkpoint", whole=True)
        files = _Files(root)
        files.check_names(head.size)
        entries = _entries(files, head.size)
        rows = tree_rows(leaf_hashes(entries))
        _check_tree(files, rows, head)
    for number, outside in enumerate(heads, 1):
        _check_head(outside, policy, rows, head, f"head {number}")
    leaves: list[Leaf] = []
    try:
        parse_leaves(entries, leaves)
    except VerificationError as error:  # those before it have been read
        raise VerificationError(error.message, where=_place(len(leaves), head.size)) from error
    _check_story(leaves, head.size)
    return Report(
        origin=head.origin,
        size=head.size,
        root=head.root.hex(),
        witnesses={one.key.name: one.time for one in signed.signatures if one.time},
        heads=tuple(parse_checkpoint(_text(one)).size for one in heads),
        kinds=dict(sorted(Counter(kind for kind, _, _ in leaves).items())),
        first=leaves[0][1] if leaves else 0,
        last=leaves[-1][1] if leaves else 0,
        files=files.count + 1,
    )


class _Files:
    """The files below ``tile``, read by label, number and width."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.count = 0
        self._there: set[str] = set()
        self._gather(root, "")

    def _gather(self, folder: Path, lead: str) -> None:
        try:
            with os.scandir(folder) as found:
                for one in found:
                    name = lead + one.name
                    if not lead and one.name in _PRIVATE:
                        continue
                    if one.is_dir(follow_symlinks=False):
                        self._gather(Path(one.path), name + "/")
                    elif one.is_symlink():
                        raise VerificationError("a link does not belong here", where=name)
                    elif not one.is_file(follow_symlinks=False):
                        raise VerificationError("not a regular file", where=name)
                    else:
                        self._there.add(name)
        except OSError as error:
            raise VerificationError("cannot be read", where=lead or "log directory") from error

    def check_names(self, size: int) -> None:
        """Compare the names that are there with the names a log of a size has."""
        named = {"checkpoint"}
        for label, count in _labels(size):
            named |= {_path(label, number, width) for number, width in _parts(count)}
        for name in sorted(named - self._there):
            raise VerificationError("the file is missing", where=name)
        for name in sorted(self._there - named):
            raise VerificationError("the file does not belong to this checkpoint", where=name)

    def read(self, label: str, number: int, width: int) -> bytes:
        """Return the bytes of a file, at most what it may have."""
        self.count += 1
        name = _path(label, number, width)
        limit = LARGEST_BUNDLE if label == "entries" else width * HASH
        return _read(self._root / name, name, limit=limit)


def _entries(files: _Files, size: int) -> list[bytes]:
    """Return every entry of the bundles, which must hold nothing else."""
    entries: list[bytes] = []
    length = struct.Struct(">H").unpack_from
    for number, width in _parts(size):
        data, name = files.read("entries", number, width), _path("entries", number, width)
        at, end = 0, len(data)
        for count in range(width):
            start = at + 2
            if start > end or (at := start + length(data, at)[0]) > end:
                raise VerificationError("the bundle breaks off", where=f"{name}, entry {count}")
            entries.append(data[start:at])
        if at != end:
            raise VerificationError("bytes after the last entry", where=f"{name}, byte {at}")
    return entries


def _check_tree(files: _Files, rows: Sequence[bytes], head: Checkpoint) -> None:
    """Compare entries, tiles and root, and say which of them is wrong."""
    hashes = rows[0] if rows else b""
    stored = b"".join(files.read("0", number, width) for number, width in _parts(head.size))
    if root_at(rows, head.size) != head.root:
        if tree_root(stored) == head.root:
            at = _differs(hashes, stored) // HASH
            raise VerificationError("not the entry of the tree", where=_place(at, head.size))
        raise VerificationError(
            "the entries are not those of the checkpoint",
            where=_place(_differs(hashes, stored) // HASH, head.size)
            if hashes != stored
            else "checkpoint and tile/",
        )
    for level, row in enumerate(rows[::8]):
        for number, width in _parts(len(row) // HASH):
            at = number * WIDTH * HASH
            right = row[at : at + width * HASH]
            found = (
                stored[at : at + width * HASH]
                if level == 0
                else files.read(str(level), number, width)
            )
            if found != right:
                name = _path(str(level), number, width)
                raise VerificationError(
                    "not the hashes of the entries", where=f"{name}, byte {_differs(found, right)}"
                )


def _check_head(
    note: bytes, policy: Policy, rows: Sequence[bytes], head: Checkpoint, where: str
) -> None:
    outside, _ = _open(note, policy, where, whole=False)
    if outside.origin != head.origin:
        raise VerificationError("the head of another log", where=where)
    if outside.size > head.size:
        raise VerificationError(
            f"the log has {head.size} entries, this head {outside.size}: it was cut or rolled back",
            where=f"checkpoint against {where}",
        )
    if root_at(rows, outside.size) != outside.root:
        raise VerificationError(
            "the log has another history than this head", where=f"checkpoint against {where}"
        )


def _check_story(leaves: Sequence[Leaf], size: int) -> None:
    latest = 0
    for at, (kind, moment, ref) in enumerate(leaves):
        if moment > latest:
            latest = moment
        elif moment < latest - SKEW_MS:
            raise VerificationError("earlier than the leaf before it", where=_place(at, size))
        if ref >= at:
            raise VerificationError("a reference to no earlier leaf", where=_place(at, size))
        if kind in RESULTS and (ref < 0 or leaves[ref][0] != RESULTS[kind]):
            raise VerificationError("a result without its intent", where=_place(at, size))


def _open(note: bytes, policy: Policy, where: str, *, whole: bool) -> tuple[Checkpoint, Note]:
    """Verify a head: a trusted log's signature and the quorum; the log's own file holds no more."""
    try:
        signed = open_note(note, policy.keys())
        head = parse_checkpoint(signed.text)
    except VerificationError as error:
        raise VerificationError(error.message, where=f"{where} ({error.where})") from error
    signers = {one.key for one in signed.signatures}
    if not any(key in signers and key.name == head.origin for key in policy.logs):
        raise VerificationError("no trusted log has signed it", where=where)
    policy.check_quorum(signers, where=where)
    if whole and (signed.unknown or head.extensions):
        raise VerificationError("it holds a line that no key of the policy covers", where=where)
    return head, signed


def _text(note: bytes) -> bytes:
    return note[: note.rfind(b"\n\n") + 1]


def _labels(size: int) -> Iterator[tuple[str, int]]:
    level = 0
    while size >> (8 * level):
        yield str(level), size >> (8 * level)
        level += 1
    if size:
        yield "entries", size


def _parts(count: int) -> Iterator[tuple[int, int]]:
    """Yield (number, width) of the tiles that hold a number of hashes."""
    full, rest = divmod(count, WIDTH)
    for number in range(full):
        yield number, WIDTH
    if rest:
        yield full, rest


def _path(label: str, number: int, width: int) -> str:
    text = str(number)
    text = text.zfill(-(-len(text) // 3) * 3)
    groups = [text[at : at + 3] for at in range(0, len(text), 3)]
    name = "/".join([*("x" + group for group in groups[:-1]), groups[-1]])
    return f"tile/{label}/{name}" + ("" if width == WIDTH else f".p/{width}")


def _place(index: int, size: int) -> str:
    number = index // WIDTH
    return f"{_path('entries', number, min(WIDTH, size - number * WIDTH))}, leaf {index}"


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


def _read(path: Path, name: str, *, limit: int) -> bytes:
    try:
        # a pipe put in the place of a file must not make an audit wait for ever
        with open(path, "rb", opener=_open_at_once) as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise VerificationError("not a regular file", where=name)
            # room for the limit costs more than the rest
            data = file.read(min(state.st_size, limit) + 1)
            if state.st_size < len(data) <= limit:  # it has grown
                data += file.read(limit + 1 - len(data))
    except OSError as error:
        raise VerificationError("the file is missing or cannot be read", where=name) from error
    if len(data) > limit:
        raise VerificationError("the file is too long", where=f"{name}, byte {limit}")
    return data


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


@contextmanager
def _settled(root: Path) -> Iterator[None]:
    """Keep an export of a living log out while its files are read."""
    try:
        fd = _open_at_once(str(root / ".export" / "lock"), os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise VerificationError("an export does not end", where=".export") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(fd)
