"""The one place where entries get their numbers.

Callers queue what they want to append. The first of them leads: it commits everything that waits, in
one transaction with one fsync, wakes those whose receipts are ready, and lets the next one lead.
Nobody else is woken, and while a group is on its way to the disk the callers of the next one draft
their entries. What is wrong with one request fails that request alone; what is wrong with the
commit fails the whole group and stops the log.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import orjson

from safehold.clock import Clock
from safehold.errors import (
    ConflictError,
    InvalidError,
    SafeholdError,
    TamperedError,
    UnavailableError,
    WentAwayError,
)
from safehold.ledger.draft import Drafts, Written
from safehold.ledger.entry import (
    INDEX_SEGMENT,
    Receipts,
    Seal,
    SidecarSealer,
)
from safehold.ledger.epoch import Epochs
from safehold.ledger.kind import KINDS
from safehold.ledger.mark import Mark
from safehold.ledger.note import Checkpoint, LogSigner
from safehold.ledger.opening import month_of, open_leaf
from safehold.ledger.store import Batch, Journal, State, pack_sidecars
from safehold.ledger.tile import pack_entries
from safehold.ledger.tree import Tree, leaf_hash

MOST_WAITING = 65_536  # entries; beyond it an append is refused instead of queued
LARGEST_GROUP = 8_192  # entries in one commit of several callers


@dataclass(slots=True, eq=False)
class Request:
    """What one call asks for, and what becomes of it."""

    drafts: Drafts
    signer: LogSigner | None = None  # signs from this commit on
    turn: threading.Event = field(default_factory=threading.Event)
    indexes: Sequence[int] = ()
    hashes: Sequence[bytes] = ()
    size: int = 0
    error: Exception | None = None
    done: bool = False


@dataclass(slots=True)
class _Group:
    """What one commit collects."""

    first: int
    epochs: Epochs  # with what the group adds
    kinds: list[str] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    sealed: list[bytes] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    keys: dict[bytes, int] = field(default_factory=dict)
    seals: dict[str, Seal] = field(default_factory=dict)
    hides: dict[int, Seal] = field(default_factory=dict)

    @property
    def next(self) -> int:
        """Index of the next leaf."""
        return self.first + len(self.leaves)

    def add(self, plan: _Plan, written: Written) -> None:
        """Take in a request as a whole."""
        self.kinds += plan.drafts.kinds
        self.leaves += written.leaves
        self.sealed += written.sealed
        self.hashes += written.hashes
        self.keys |= plan.keys
        self.epochs = plan.epochs


@dataclass(slots=True)
class _Plan:
    """Which entries of a request are new, and where each of them stands."""

    drafts: Drafts
    indexes: Sequence[int]
    epochs: Epochs  # with what the request adds
    keys: dict[bytes, int] = field(default_factory=dict)
    earlier: dict[int, bytes] = field(default_factory=dict)  # index -> hash, of committed leaves


class Sequencer:
    """Numbers, seals, hashes, signs and commits.

    Args:
        journal: Where batches become durable.
        mark: Notes how far that went.
        tree: The tree so far.
        state: The state so far.
        signer: Signs the head of every commit.
        sidecar: Seals what is personal.
        clock: Time of the leaves; a clock that goes back does not take the leaves with it.
        epochs: What the leaves so far say about epochs; kept up to date here.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        mark: Mark,
        tree: Tree,
        state: State,
        signer: LogSigner,
        sidecar: SidecarSealer,
        clock: Clock,
        epochs: Epochs,
    ) -> None:
        self.epochs = epochs
        self._journal = journal
        self._mark = mark
        self._signer = signer
        self._sidecar = sidecar
        self._clock = clock
        self._tree, self._root, self._time, self._note = tree, state.root, state.time, state.note
        self._queue: deque[Request] = deque()
        self._leader: Request | None = None
        self._waiting = 0
        self._door = threading.Lock()
        self.committing = threading.Lock()
        self.stopped: SafeholdError | None = None

    @property
    def head(self) -> tuple[Tree, bytes]:
        """The committed tree and its signed note."""
        with self.committing:
            return self._tree, self._note

    @property
    def size(self) -> int:
        """Number of committed leaves."""
        return self._tree.size

    @property
    def signer(self) -> LogSigner:
        """The keys that sign heads now."""
        return self._signer

    def stop(self, error: SafeholdError) -> None:
        """Refuse every later append with an error; the first one stays."""
        if self.stopped is None:
            self.stopped = error

    def append(self, drafts: Drafts, *, signer: LogSigner | None = None) -> Receipts:
        """Return receipts once the entries are durable.

        Args:
            drafts: The entries.
            signer: Keys that sign from the head of this commit on; the journal names them in the
                same transaction.

        Raises:
            UnavailableError: The log is stopped, the queue is full, or the commit failed.
            InvalidError: A reference points to no leaf of a fitting kind.
        """
        request = Request(drafts, signer)
        with self._door:
            if self._waiting + len(drafts) > MOST_WAITING and self._waiting:
                raise UnavailableError(
                    "the ledger's queue is full", rule="ledger.queue", fix="try again later"
                )
            self._queue.append(request)
            self._waiting += len(drafts)
            if leads := self._leader is None:
                self._leader = request
        try:
            if not leads:
                request.turn.wait()  # for its receipts, or to lead
            if not request.done:
                with self.committing:
                    self._commit()
        finally:
            self._leave(request)
        if request.error is not None:
            raise request.error
        return Receipts(request.indexes, request.hashes, request.size)

    def _leave(self, request: Request) -> None:
        """Let the caller of a request go; if it led, the one that has waited longest leads now."""
        with self._door:
            if not request.done and request in self._queue:  # interrupted before its commit
                self._queue.remove(request)
                self._waiting -= len(request.drafts)
            if self._leader is request:
                self._leader = self._queue[0] if self._queue else None
                if self._leader is not None:
                    self._leader.turn.set()

    def _take(self) -> list[Request]:
        taken: list[Request] = []
        count = 0
        with self._door:
            while self._queue and (
                not taken or count + len(self._queue[0].drafts) <= LARGEST_GROUP
            ):
                taken.append(self._queue.popleft())
                count += len(taken[-1].drafts)
            self._waiting -= count
        return taken

    def _commit(self) -> None:
        """Commit what waits, in one group; every request of it gets its receipts or its error."""
        requests = self._take()
        try:
            self._commit_group(requests)
        except BaseException as error:
            failure = error if isinstance(error, SafeholdError) else _failed(error)
            self.stop(failure)
            for request in requests:
                request.error = request.error or failure
            if not isinstance(error, Exception):
                raise  # somebody ends this process; nobody may believe that he was heard
        finally:
            for request in requests:
                request.done = True
                request.turn.set()

    def _commit_group(self, requests: list[Request]) -> None:
        if self.stopped is not None:
            raise self.stopped
        self._time = max(self._time, self._clock.now_us() // 1000)
        group = _Group(self._tree.size, self.epochs)
        signer: LogSigner | None = None
        for request in requests:
            self._number(request, group)
            if request.signer is not None and request.error is None:
                signer = request.signer
        if group.leaves:
            self._write(group, signer)
        for request in requests:
            request.size = self._tree.size

    def _number(self, request: Request, group: _Group) -> None:
        """Write the leaves of a request into the group, or give the request its error."""
        try:
            plan = self._plan(request.drafts, group)
            self._place(plan, group)
            written = plan.drafts.write(
                self._time, partial(self._seal, group), partial(self._hide, group)
            )
        except Exception as error:  # noqa: BLE001 - it belongs to this caller alone
            request.error = error
            return
        group.add(plan, written)
        request.indexes, request.hashes = plan.indexes, written.hashes
        if len(plan.indexes) != len(written.hashes):
            request.hashes = [
                plan.earlier.get(at) or group.hashes[at - group.first] for at in plan.indexes
            ]

    def _seal(self, group: _Group, segment: str) -> Seal:
        """Return what seals for a segment in this group; one key is derived for each of them."""
        if segment not in group.seals:
            group.seals[segment] = self._sidecar.batch(segment=segment, month=month_of(self._time))
        return group.seals[segment]

    def _hide(self, group: _Group, epoch: int) -> Seal:
        """Return what hides the handles of an epoch in this group."""
        if epoch not in group.hides:
            group.hides[epoch] = self._sidecar.batch(segment=INDEX_SEGMENT, month=epoch)
        return group.hides[epoch]

    @staticmethod
    def _place(plan: _Plan, group: _Group) -> None:
        """Check what a request says about epochs, and let its people be those of the right ones."""
        drafts = plan.drafts
        if drafts.facts:
            plan.epochs = group.epochs.copy()
            for number, (said, ref) in sorted(drafts.facts.items()):
                plan.epochs.note(group.next + number, said, ref)
        if drafts.subjects and drafts.epoch != group.epochs.current:
            drafts.gather(group.epochs.current)  # it ended between drafting and now

    def _plan(self, drafts: Drafts, group: _Group) -> _Plan:
        """Find out which entries are new, and check what they refer to."""
        if not drafts.keys and not drafts.refs:
            return _Plan(drafts, range(group.next, group.next + len(drafts)), group.epochs)
        kinds: list[str] = []  # of the leaves of this request
        new: list[int] = []
        plan = _Plan(drafts, indexes := [], group.epochs)
        for number, kind in enumerate(drafts.kinds):
            key = drafts.keys.get(number)
            if key is not None and (at := self._earlier(key, kind, plan, group, kinds)) is not None:
                indexes.append(at)
                continue
            if number in drafts.refs:
                self._check_ref(kind, drafts.refs[number], group, kinds)
            if key is not None:
                plan.keys[key] = group.next + len(kinds)
            indexes.append(group.next + len(kinds))
            new.append(number)
            kinds.append(kind)
        if len(new) < len(drafts):
            plan.drafts = drafts.pick(new)
        return plan

    def _write(self, group: _Group, changed: LogSigner | None) -> None:
        tree, tiles = self._tree.extend(b"".join(group.hashes))
        root = tree.root()
        signer = changed or self._signer
        note = signer.sign(Checkpoint(signer.name, tree.size, root).text())
        self._journal.commit(
            Batch(
                before=self._tree,
                before_root=self._root,
                after=tree,
                root=root,
                time=self._time,
                note=note,
                body=pack_entries(group.leaves),
                sidecars=pack_sidecars(group.sealed),
                tiles=tiles,
                keys=list(group.keys.items()),
                vkeys=None if changed is None else changed.identity,
            )
        )
        self._mark.write(tree.size, root)
        if group.epochs is not self.epochs:
            self.epochs.become(group.epochs)
        self._tree, self._root, self._note, self._signer = tree, root, note, signer

    def _earlier(
        self, key: bytes, kind: str, plan: _Plan, group: _Group, kinds: list[str]
    ) -> int | None:
        """Return the index that an idempotency key stands for, if it was used before.

        The index in the database is only a hint: a row planted there must not make an access look
        logged, so the sealed side-car has to name the same key.
        """
        index = plan.keys.get(key, group.keys.get(key))
        if index is None:
            index = self._journal.find(key)
            if index is None:
                return None
            leaf, sealed = self._journal.leaf(index), self._journal.sidecar(index) or b""
            if open_leaf(leaf, sealed, self._sidecar).key != key:
                raise TamperedError("an idempotency key points to another entry", rule="ledger.key")
            plan.earlier[index] = leaf_hash(leaf)
        if self._kind(index, group, kinds) != kind:
            raise ConflictError(
                "an idempotency key was used for another kind of entry", rule="ledger.key"
            )
        return index

    def _check_ref(self, kind: str, ref: int, group: _Group, kinds: list[str]) -> None:
        if not 0 <= ref < group.next + len(kinds):
            raise InvalidError("a reference to no earlier leaf", rule="ledger.ref", field="ref")
        if self._kind(ref, group, kinds) not in KINDS[kind].refers:
            raise InvalidError(
                f"{kind} cannot refer to a leaf of that kind", rule="ledger.ref", field="ref"
            )

    def _kind(self, index: int, group: _Group, kinds: list[str]) -> str:
        """Return the kind of a leaf: of this request, of the group, or of the journal."""
        if index >= group.next:
            return kinds[index - group.next]
        if index >= group.first:
            return group.kinds[index - group.first]
        return str(orjson.loads(self._journal.leaf(index))["k"])


def _failed(error: BaseException) -> WentAwayError:
    # it may have failed behind the commit, as at the mark: what was asked for may be there
    failure = WentAwayError("the ledger has failed", rule="ledger.commit")
    failure.__cause__ = error
    return failure
