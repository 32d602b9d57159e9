"""What a monitor keeps: how far it has read, the heads it has accepted, what it found, evidence.

One file is the whole state and is replaced as a whole, so a crash leaves the older state or the
newer one, and a monitor goes on from either. Evidence is written before the state that tells of it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from safehold.canonical import b64, unb64
from safehold.errors import ConflictError, InvalidError, TamperedError
from safehold.ledger.files import place_files, replace_file
from safehold.ledger.tree import Tree
from safehold.locks import hold_file
from safehold_verify.course import Course, Finding

VERSION = "safehold-monitor/1"
MOST_FINDINGS = 1_000  # kept with their words; more are only counted
MOST_EVIDENCE = 1_000  # folders
_STATE = "state.json"


@dataclass(slots=True)
class Mark:
    """A head that was accepted and whose leaves are not all read yet.

    Args:
        size: Leaves it covers.
        earliest: Time of its earliest cosignature, milliseconds; 0 if it has none.
        latest: Time of its latest cosignature; 0 if it has none.
        keys: Verifier keys of the log that have signed it.
    """

    size: int
    earliest: int
    latest: int
    keys: list[str]


@dataclass(slots=True)
class Memory:
    """The state of one monitor.

    Args:
        origin: Name of the log, empty before the first head.
        tree: Right edge of the tree over what has been read.
        head: The newest accepted head with its cosignatures.
        marks: Accepted heads that reach beyond what has been read, oldest first.
        floor: Time of the latest cosignature of the newest head that has been read in full.
        keys: Keys of the log that had signed the first head.
        ahead: Size that somebody else's head had, if it was larger than the log's own.
        course: What the leaves have told so far.
        findings: What is wrong in the leaves.
        more: How many findings were not kept.
        broken: Where the published record contradicts itself or an earlier one.
    """

    origin: str = ""
    tree: Tree = field(default_factory=Tree)
    head: bytes = b""
    marks: list[Mark] = field(default_factory=list)
    floor: int = 0
    keys: list[str] = field(default_factory=list)
    ahead: int = 0
    course: Course = field(default_factory=Course)
    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    broken: list[Finding] = field(default_factory=list)

    def note(self, found: list[Finding]) -> None:
        """Keep findings, up to a number."""
        room = max(MOST_FINDINGS - len(self.findings), 0)
        self.findings += found[:room]
        self.more += len(found[room:])

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "v": VERSION,
            "origin": self.origin,
            "size": self.tree.size,
            "edges": [b64(edge) for edge in self.tree.edges],
            "head": b64(self.head),
            "marks": [[one.size, one.earliest, one.latest, one.keys] for one in self.marks],
            "floor": self.floor,
            "keys": self.keys,
            "ahead": self.ahead,
            "course": self.course.state(),
            "findings": [_listed(one) for one in self.findings],
            "more": self.more,
            "broken": [_listed(one) for one in self.broken],
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any], *, late_ms: int) -> Memory:
        """Read what ``to_json`` returned."""
        return cls(
            origin=tree["origin"],
            tree=Tree(tree["size"], tuple(map(unb64, tree["edges"]))),
            head=unb64(tree["head"]),
            marks=[Mark(*one) for one in tree["marks"]],
            floor=tree["floor"],
            keys=list(tree["keys"]),
            ahead=tree["ahead"],
            course=Course.resume(tree["course"], late_ms=late_ms),
            findings=[Finding(*one) for one in tree["findings"]],
            more=tree["more"],
            broken=[Finding(*one) for one in tree["broken"]],
        )


class MemoryFolder:
    """The directory of one monitor.

    Args:
        root: Made if absent; outside whatever is watched.
        late_ms: How long an intent may go without its result.
    """

    def __init__(self, root: Path, *, late_ms: int) -> None:
        self._root = root
        self._late = late_ms
        for folder in (root, root / "heads", root / "evidence"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep a second monitor out.

        Raises:
            ConflictError: Another process watches with this directory.
            UnavailableError: The file system keeps no locks.
        """
        another = ConflictError(
            "another monitor keeps its state there",
            rule="monitor.alone",
            fix="give each monitor a directory of its own",
        )
        handle = hold_file(self._root / "lock", another)
        try:
            yield
        finally:
            os.close(handle)

    def load(self) -> Memory:
        """Return the state, or a fresh one.

        Raises:
            TamperedError: What lies there is no state of a monitor.
        """
        tree = read_state(self._root)
        if tree is None:
            return Memory(course=Course(late_ms=self._late))
        try:
            return Memory.from_json(tree, late_ms=self._late)
        except (InvalidError, KeyError, TypeError, ValueError) as error:
            raise _damaged() from error

    def save(self, memory: Memory) -> None:
        """Make the state durable."""
        # not canonical: what a log says may hold numbers beyond that profile
        replace_file(self._root / _STATE, orjson.dumps(memory.to_json()))

    def keep_head(self, day: str, note: bytes) -> None:
        """Keep the newest accepted head of a day, for ever."""
        replace_file(self._root / "heads" / day, note)

    def keep_evidence(self, finding: Finding, files: Mapping[str, bytes]) -> None:
        """Keep what contradicts what; the same again is kept once."""
        folder = self._root / "evidence"
        digest = hashlib.sha256()
        for name, data in sorted(files.items()):
            digest.update(b"%s %d\n" % (name.encode(), len(data)))
            digest.update(data)
        lead = f"{finding.rule}-{digest.hexdigest()[:32]}"
        if (folder / lead / "finding.json").exists():
            return
        if sum(1 for _ in folder.iterdir()) > MOST_EVIDENCE:
            return
        scratch = self._root / ".scratch"
        scratch.mkdir(exist_ok=True, mode=0o700)
        said = orjson.dumps(asdict(finding))
        whole = {**files, "finding.json": said}
        place_files(folder, ((f"{lead}/{name}", whole[name]) for name in whole), scratch=scratch)


def read_state(root: Path) -> dict[str, Any] | None:
    """Return the state in a monitor's directory as JSON values, or nothing if there is none.

    Raises:
        TamperedError: What lies there is no state of a monitor.
    """
    try:
        tree = orjson.loads((root / _STATE).read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError as error:
        raise _damaged() from error
    if not isinstance(tree, dict) or tree.get("v") != VERSION:
        raise _damaged()
    return tree


def _damaged() -> TamperedError:
    return TamperedError(
        "the monitor's state is damaged",
        rule="monitor.state",
        fix="move it aside; a fresh state reads the whole log again",
    )


def _listed(finding: Finding) -> list[int | str]:
    return [finding.rule, finding.index, finding.sentence]
