"""The one place where entries get their numbers.

Callers queue what they want to append and then ask for the lock. Whoever gets it commits everything
that waits, in one transaction with one fsync, and the others find their receipts ready. What is
wrong with one request fails that request alone; what is wrong with the commit fails the whole group
and stops the log.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from safehold import canonical
from safehold.clock import Clock
from safehold.errors import (
    ConflictError,
    InvalidError,
    SafeholdError,
    TamperedError,
    UnavailableError,
)
from safehold.ledger.entry import (
    Draft,
    Opening,
    Receipt,
    Seal,
    SidecarSealer,
    aad_of,
    leaf_tail,
    unseal,
)
from safehold.ledger.kind import KINDS
from safehold.ledger.mark import Mark
from safehold.ledger.note import Checkpoint, LogSigner
from safehold.ledger.store_sqlite import Batch, Journal, State, pack_sidecars
from safehold.ledger.tile import pack_entries
from safehold.ledger.tree import Tree, leaf_hash

MOST_WAITING = 65_536  # entries; beyond it an append is refused instead of queued
LARGEST_GROUP = 8_192  # entries in one commit of several callers


@dataclass(slots=True)
class _Request:
    drafts: Sequence[Draft]
    places: list[tuple[int, bytes]] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    error: Exception | None = None
    done: bool = False


@dataclass(slots=True)
class _Group:
    """What one commit collects."""

    first: int
    leaves: list[bytes] = field(default_factory=list)
    sealed: list[bytes] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    keys: dict[bytes, int] = field(default_factory=dict)
    seals: dict[str, Seal] = field(default_factory=dict)

    def cut(self, count: int) -> None:
        """Forget what a request added before it failed."""
        del self.leaves[count:], self.sealed[count:], self.hashes[count:]
        self.keys = {key: at for key, at in self.keys.items() if at < self.first + count}


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
    ) -> None:
        self._journal = journal
        self._mark = mark
        self._signer = signer
        self._sidecar = sidecar
        self._clock = clock
        self._tree, self._root, self._time, self._note = tree, state.root, state.time, state.note
        self._queue: deque[_Request] = deque()
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

    def stop(self, error: SafeholdError) -> None:
        """Refuse every later append with an error; the first one stays."""
        if self.stopped is None:
            self.stopped = error

    def append(self, drafts: Sequence[Draft]) -> list[Receipt]:
        """Return receipts once the entries are durable.

        Raises:
            UnavailableError: The log is stopped, the queue is full, or the commit failed.
            InvalidError: A reference points to no leaf of a fitting kind.
        """
        request = _Request(drafts)
        with self._door:
            if self._waiting + len(drafts) > MOST_WAITING and self._waiting:
                raise UnavailableError(
                    "the ledger's queue is full", rule="ledger.queue", fix="try again later"
                )
            self._queue.append(request)
            self._waiting += len(drafts)
        while not request.done:
            with self.committing:
                if not request.done:
                    self._commit()
        if request.error is not None:
            raise request.error
        return request.receipts

    def _take(self) -> list[_Request]:
        taken: list[_Request] = []
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
        requests = self._take()
        if self.stopped is not None:
            for request in requests:
                request.error, request.done = self.stopped, True
            return
        try:
            self._time = max(self._time, self._clock.now_us() // 1000)
            group = _Group(self._tree.size)
            for request in requests:
                self._number(request, group)
            if group.leaves:
                self._write(group)
            size = self._tree.size
            for request in requests:
                request.receipts = [
                    Receipt(index=index, leaf_hash=digest, size=size)
                    for index, digest in request.places
                ]
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            if isinstance(error, SafeholdError):
                self.stop(error)
            else:
                self.stop(UnavailableError("the ledger has failed", rule="ledger.commit"))
            for request in requests:
                request.error = request.error or error
        finally:
            for request in requests:
                request.done = True

    def _number(self, request: _Request, group: _Group) -> None:
        """Give every entry of a request its number, or the request its error."""
        before, tail, seals = len(group.leaves), leaf_tail(self._time), group.seals
        try:
            for draft in request.drafts:
                if draft.key and (old := self._earlier(draft, group)) is not None:
                    request.places.append(old)
                    continue
                if draft.ref is not None:
                    self._check_ref(draft, group)
                seal = seals.get(draft.segment) or self._seal(draft.segment, group)
                leaf, sealed = draft.leaf(tail, seal)
                index, digest = group.first + len(group.leaves), leaf_hash(leaf)
                group.leaves.append(leaf)
                group.sealed.append(sealed)
                group.hashes.append(digest)
                if draft.key:
                    group.keys[draft.key] = index
                request.places.append((index, digest))
        except Exception as error:  # noqa: BLE001 - it belongs to this caller alone
            group.cut(before)
            request.error = error
            request.places = []

    def _seal(self, segment: str, group: _Group) -> Seal:
        """Return what seals for a segment in this group; one key is derived for each of them."""
        seal = self._sidecar.batch(segment=segment, month=month_of(self._time))
        group.seals[segment] = seal
        return seal

    def _write(self, group: _Group) -> None:
        tree, tiles = self._tree.extend(b"".join(group.hashes))
        root = tree.root()
        note = self._signer.sign(Checkpoint(self._signer.name, tree.size, root).text())
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
            )
        )
        self._mark.write(tree.size, root)
        self._tree, self._root, self._note = tree, root, note

    def _earlier(self, draft: Draft, group: _Group) -> tuple[int, bytes] | None:
        """Return index and leaf hash that an idempotency key stands for.

        The index in the database is only a hint: a row planted there must not make an access look
        logged, so the sealed side-car has to name the same key.
        """
        index = group.keys.get(draft.key)
        if index is not None:
            at = index - group.first
            leaf, sealed, digest = group.leaves[at], group.sealed[at], group.hashes[at]
        else:
            index = self._journal.find(draft.key)
            if index is None:
                return None
            leaf, found = self._journal.leaf(index), self._journal.sidecar(index)
            sealed, digest = found or b"", leaf_hash(leaf)
        if open_leaf(leaf, sealed, self._sidecar).key != draft.key:
            raise TamperedError("an idempotency key points to another entry", rule="ledger.key")
        if orjson.loads(leaf)["k"] != draft.kind:
            raise ConflictError(
                "an idempotency key was used for another kind of entry", rule="ledger.key"
            )
        return index, digest

    def _check_ref(self, draft: Draft, group: _Group) -> None:
        at = -1 if draft.ref is None else draft.ref
        if not 0 <= at < group.first + len(group.leaves):
            raise InvalidError("a reference to no earlier leaf", rule="ledger.ref", field="ref")
        leaf = group.leaves[at - group.first] if at >= group.first else self._journal.leaf(at)
        if orjson.loads(leaf)["k"] not in KINDS[draft.kind].refers:
            raise InvalidError(
                f"{draft.kind} cannot refer to a leaf of that kind", rule="ledger.ref", field="ref"
            )


def open_leaf(leaf: bytes, sealed: bytes, sidecar: SidecarSealer) -> Opening:
    """Open the side-car of a leaf and check everything that binds the two.

    Raises:
        TamperedError: They do not belong together.
        ShreddedError: The key of the side-car is gone.
    """
    said = orjson.loads(leaf)
    if canonical.b64(hashlib.sha256(sealed).digest()) != said["ct"]:
        raise TamperedError("a side-car is not the one its leaf names", rule="ledger.sidecar")
    plaintext = sidecar.open(
        segment=said["seg"], month=month_of(said["t"]), sealed=sealed, aad=aad_of(leaf)
    )
    return unseal(leaf, plaintext)


def month_of(at_ms: int) -> int:
    """Return the UTC month of a time in milliseconds as ``year * 100 + month``."""
    moment = time.gmtime(at_ms // 1000)
    return moment.tm_year * 100 + moment.tm_mon
