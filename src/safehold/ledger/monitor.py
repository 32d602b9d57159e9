"""A monitor: it follows a log from outside, with nothing but the policy, and remembers.

What holds after a turn: the newest head has the policy's quorum and continues every head this
monitor ever accepted; every leaf it covers was read, is what the tree says, and was told in order
(``safehold_verify.course``); its time lies between the cosignatures around it. Whatever does not
hold is a finding, and what contradicts the log itself is kept as evidence. What a monitor cannot
show: a use without a leaf, or a log that shows it an old head and nothing newer.

It needs no key and no keeper. It reads with the offline verifier's eyes; only the right edge of the
tree is the ledger's own, so that a turn costs as much as there are new leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from safehold.canonical import b64
from safehold.clock import SECOND_US, Clock, SystemClock
from safehold.errors import InvalidError, MissingError, TamperedError
from safehold.ledger.monitor_memory import Mark, Memory, MemoryFolder
from safehold.ledger.monitor_read import (
    BrokenError,
    check_continues,
    differing_tiles,
    grow,
    read_entries,
)
from safehold.ledger.proof import root_at
from safehold.ledger.published import Published, published_nodes, read_checkpoint
from safehold_verify.council import BOARD
from safehold_verify.course import LATEST_RESULT_MS, TOLD, Finding
from safehold_verify.errors import VerificationError
from safehold_verify.leaf import parse_leaf
from safehold_verify.notes import ED25519, Checkpoint, VKey, open_note, parse_checkpoint
from safehold_verify.policy import Policy

SKEW_MS = 60_000  # how far a leaf's time may lie outside the cosignatures around it
AT_ONCE = 16_384  # leaves that are read between two savings of the state
TRIES = 5  # turns of a log that replaces its files while they are read


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is let pass.

    Args:
        skew_ms: How far a leaf's time may lie outside the cosignatures around it: clocks that
            differ, and the time from a commit to its cosignature.
        late_ms: How long an intent may go without its result.
    """

    skew_ms: int = SKEW_MS
    late_ms: int = LATEST_RESULT_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a monitor says after a turn.

    Args:
        origin: Name of the log, empty if none was accepted yet.
        size: Size of the newest accepted head.
        root: Its root, hex.
        read: Leaves checked, since the beginning.
        new: Leaves checked in this turn.
        head_ms: Time of the latest cosignature of the newest head that was read in full, 0 if none.
        broken: Where the published record contradicts itself, the policy or an earlier head.
        findings: What is wrong in the leaves, oldest first.
        more: Findings beyond those that are kept.
        ahead: Size of a head that somebody else kept, if it is larger than the log's own; 0 if none.
    """

    origin: str
    size: int
    root: str
    read: int
    new: int
    head_ms: int
    broken: tuple[Finding, ...]
    findings: tuple[Finding, ...]
    more: int
    ahead: int

    @property
    def exit_code(self) -> int:
        """0 if all is well, 1 with findings, 5 if the published record does not hold."""
        if self.broken:
            return TamperedError.exit_code
        return 1 if self.findings or self.more else 0

    def payload(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {"ok": self.exit_code == 0, **asdict(self)}

    def words(self) -> list[str]:
        """Return it as lines for people."""
        lines = [f"{self.origin or 'the log'}: {self.read:,} leaves read, {self.new:,} of them new"]
        lines += [f"does not hold: {one.rule}: {one.sentence}" for one in self.broken]
        lines += [f"leaf {one.index}: {one.rule}: {one.sentence}" for one in self.findings]
        if self.more:
            lines.append(f"and {self.more:,} more findings")
        return lines if len(lines) > 1 else [*lines, "all is well"]


class Monitor:
    """Follows one log; a turn reads what is new.

    Args:
        log: Where it is published.
        policy: Whose signatures count. It must not come from where the log comes from.
        directory: Where the monitor keeps its state; nobody else writes there.
        limits: How much is let pass.
        clock: The monitor's own time, for what is overdue.
    """

    def __init__(
        self,
        log: Published,
        *,
        policy: Policy,
        directory: Path,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._log = log
        self._policy = policy
        self._limits = limits or Limits()
        self._clock = clock or SystemClock()
        self._folder = MemoryFolder(directory, late_ms=self._limits.late_ms)
        self._memory = Memory()

    def turn(self, *, others: Sequence[tuple[str, bytes]] = ()) -> Verdict:
        """Read what is new and return what holds.

        Args:
            others: Heads of this log that somebody else kept, each with a word for who. The log
                must be as large and agree; one that is larger counts from the next turn on, since a
                witness knows a head a moment before it is published.

        Raises:
            UnavailableError: The log cannot be reached; what was read before is kept.
            ConflictError: Another monitor uses the directory.
            TamperedError: The monitor's own state is damaged.
        """
        with self._folder.held():
            memory = self._memory = self._folder.load()
            before = memory.tree.size
            passing: list[Finding] = []
            try:
                passing += self._advance(others)
            except BrokenError as error:
                self._keep(error)
            except MissingError as error:
                passing.append(Finding("monitor.missing", -1, error.message))
            except (TamperedError, InvalidError, VerificationError) as error:
                passing.append(Finding("monitor.head", -1, error.message))
            self._folder.save(memory)
            return self._verdict(before, passing)

    def _verdict(self, before: int, passing: Sequence[Finding]) -> Verdict:
        memory = self._memory
        head = parse_checkpoint(_text(memory.head)) if memory.head else None
        waiting = memory.course.overdue(self._clock.now_us() // 1000)
        return Verdict(
            origin=memory.origin,
            size=0 if head is None else head.size,
            root="" if head is None else head.root.hex(),
            read=memory.tree.size,
            new=memory.tree.size - before,
            head_ms=memory.floor,
            broken=(*memory.broken, *passing),
            findings=(*memory.findings, *waiting),
            more=memory.more,
            ahead=memory.ahead,
        )

    def _keep(self, error: BrokenError) -> None:
        self._folder.keep_evidence(error.finding, error.evidence)
        if error.finding not in self._memory.broken:
            self._memory.broken.append(error.finding)

    def _advance(self, others: Sequence[tuple[str, bytes]]) -> list[Finding]:
        """Accept the newest head and read up to it, again if the log moves on meanwhile."""
        left = TRIES
        while True:
            note, left = read_checkpoint(self._log), left - 1
            try:
                head = self._accept(note)
                self._read(head, note)
                return self._compare(others, head, note)
            except MissingError:
                if not left or read_checkpoint(self._log) == note:
                    raise

    def _open(self, note: bytes) -> tuple[Checkpoint, Mark]:
        """Return a head that the policy trusts."""
        signed = open_note(note, self._policy.keys())
        head = parse_checkpoint(signed.text)
        signers = {one.key for one in signed.signatures}
        keys = [one for one in self._policy.logs if one in signers and one.name == head.origin]
        if not keys:
            raise TamperedError(
                "no trusted key of the log has signed the head", rule="monitor.head"
            )
        self._policy.check_quorum(signers, where="checkpoint")
        witnesses = set(self._policy.witnesses.values())
        times = [one.time for one in signed.signatures if one.key in witnesses and one.time]
        mark = Mark(
            head.size,
            min(times) * 1000 + 999 if times else 0,
            max(times) * 1000 if times else 0,
            [_vkey_text(key) for key in keys if key.algorithm == ED25519],  # rotation names these
        )
        return head, mark

    def _accept(self, note: bytes) -> Checkpoint:
        """Take a head into the memory, if it continues the newest one there."""
        memory = self._memory
        head, mark = self._open(note)
        if memory.head:
            if head.origin != memory.origin:
                raise TamperedError("the head of another log", rule="monitor.head")
            known = parse_checkpoint(_text(memory.head))
            if head.size < known.size:
                finding = Finding(
                    "monitor.truncated",
                    head.size,
                    f"the log shows {head.size} leaves and has shown {known.size} before",
                )
                raise BrokenError(finding, known=memory.head, shown=note)
            check_continues(self._log, memory.head, note)
            if head.size == known.size:
                return head
        memory.origin = head.origin
        memory.keys = memory.keys or mark.keys
        memory.head = note
        memory.marks.append(mark)
        moment = datetime.fromtimestamp(self._clock.now_us() / SECOND_US, UTC)
        self._folder.keep_head(f"{moment:%Y-%m-%d}", note)
        self._folder.save(memory)
        return head

    def _read(self, head: Checkpoint, note: bytes) -> None:
        """Read every leaf up to a head and check it; save on the way."""
        memory = self._memory
        while memory.tree.size < head.size:
            first = memory.tree.size
            stop = min(head.size, (first // AT_ONCE + 1) * AT_ONCE)
            entries = read_entries(self._log, first, stop, note)
            grown, tiles = grow(self._log, memory.tree, entries, note)
            for broken in differing_tiles(self._log, grown, tiles, note):
                self._keep(broken)
            self._tell(first, entries)
            memory.tree = grown
            self._folder.save(memory)
        self._pass_marks()

    def _tell(self, first: int, entries: Sequence[bytes]) -> None:
        """Read leaves in order, and note what is wrong with them."""
        course = self._memory.course
        found: list[Finding] = []
        for index, data in enumerate(entries, first):
            try:
                kind, moment, ref = parse_leaf(data)
            except VerificationError as error:
                found.append(Finding("story.leaf", index, error.message))
                continue
            facts = {}
            if kind in TOLD:  # in canonical form, so JSON has one reading
                leaf = orjson.loads(data)
                facts = leaf.get("pub", {})
                if kind in BOARD:
                    facts["chr"] = leaf.get("chr", "")
            found += course.read(index, kind, moment, ref, facts)
            found += self._bounds(index, moment)
        self._memory.note(found)

    def _bounds(self, index: int, moment: int) -> list[Finding]:
        """Hold a leaf's time against the cosignatures of the heads around it."""
        memory, skew = self._memory, self._limits.skew_ms
        floor = memory.floor
        for mark in memory.marks:
            if index < mark.size:
                break
            floor = mark.latest or floor
        else:
            return []
        if mark.earliest and moment > mark.earliest + skew:
            return [Finding("story.ahead", index, "its time lies after the head that covers it")]
        if floor and moment < floor - skew:
            return [Finding("story.backdated", index, "its time lies before an earlier head")]
        return []

    def _pass_marks(self) -> None:
        """Leave behind the heads that were read in full, and ask whether their keys counted."""
        memory = self._memory
        while memory.marks and memory.marks[0].size <= memory.tree.size:
            mark = memory.marks.pop(0)
            memory.floor = mark.latest or memory.floor
            memory.note(
                [
                    Finding(
                        "story.key",
                        mark.size - 1,
                        f"a head of {mark.size} leaves is signed by a key of the log that does not"
                        " count there",
                    )
                    for key in mark.keys
                    if not memory.course.counts(key, mark.size, first=key in memory.keys)
                ]
            )
        if memory.tree.size:
            self._folder.save(memory)

    def _compare(
        self, others: Sequence[tuple[str, bytes]], head: Checkpoint, note: bytes
    ) -> list[Finding]:
        """Hold the log against heads that somebody else kept; return where it lags behind."""
        node = published_nodes(self._log, head.size)
        lagging, before, self._memory.ahead = [], self._memory.ahead, 0
        for who, other in others:
            theirs = parse_checkpoint(open_note(other, self._policy.keys()).text)
            if theirs.origin != head.origin:
                continue
            if theirs.size > head.size:
                self._memory.ahead = max(self._memory.ahead, theirs.size)
                if before > head.size:
                    words = f"{who} knows {theirs.size} leaves, the log shows {head.size}"
                    lagging.append(Finding("monitor.behind", head.size, words))
            elif root_at(node, theirs.size) != theirs.root:
                finding = Finding("monitor.fork", theirs.size, f"{who} knows another history")
                raise BrokenError(finding, known=other, shown=note)
        return lagging


def _vkey_text(key: VKey) -> str:
    return f"{key.name}+{key.key_id.hex()}+{b64(bytes([key.algorithm]) + key.key)}"


def _text(note: bytes) -> bytes:
    return note[: note.rfind(b"\n\n") + 1]
