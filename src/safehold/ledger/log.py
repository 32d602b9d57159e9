"""The ledger: append, publish, read, prove.

What this holds: an append that returned survives a power cut and is in every later head; a head
that a witness has cosigned can never be taken back unnoticed, because opening compares the journal
with the witnesses and refuses to go on from an older or another history. What it does not hold: an
entry that nobody appends is not missed; the keeper releases no key without one.

Example:
    >>> ledger = Ledger.open(path, signer=signer, witnesses=[witness], sidecar=sealer, clock=clock)
    >>> [receipt] = ledger.append([Entry(kind="home", actor="a", object="b", detail={})])
    >>> ledger.close()
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from safehold.canonical import b64
from safehold.clock import Clock
from safehold.errors import (
    InvalidError,
    MissingError,
    SafeholdError,
    TamperedError,
    UnavailableError,
)
from safehold.ledger.draft import draft
from safehold.ledger.entry import Entry, Receipt, SidecarSealer
from safehold.ledger.export import Exporter
from safehold.ledger.mark import Mark
from safehold.ledger.note import Checkpoint, LogSigner, VKey, open_note, parse_decimal
from safehold.ledger.proof import prove_consistency, prove_inclusion
from safehold.ledger.replay import compare_head, read_nodes, replay
from safehold.ledger.sequencer import Sequencer, open_leaf
from safehold.ledger.store import LOCK, Journal, Store
from safehold.ledger.store_sqlite import SqliteStore
from safehold.ledger.tree import EMPTY, Tree, leaf_hash
from safehold.ledger.witness import Answer, Witness

INTERVAL = 0.5  # seconds from an append to its publication, at most twice this


class Ledger:
    """One log in one directory, held by one process; made by ``create``, used through ``open``."""

    def __init__(
        self,
        directory: Path,
        *,
        journal: Journal,
        mark: Mark,
        signer: LogSigner,
        witnesses: Sequence[Witness],
        sidecar: SidecarSealer,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._mark = mark
        self._signer = signer
        self._witnesses = tuple(witnesses)
        self._sidecar = sidecar
        self._trouble: SafeholdError | None = None
        state = journal.state()
        tree = replay(journal, state, signer=signer, witnesses=witnesses)
        mark.check(tree.size, read_nodes(journal, tree))
        self._sequencer = Sequencer(
            journal, mark=mark, tree=tree, state=state, signer=signer, sidecar=sidecar, clock=clock
        )
        self._exporter = Exporter(directory, journal)
        self._exported = self._exporter.check(state.exported, tree=tree)
        self._publishing = threading.Lock()
        self._closed = threading.Event()
        self._dirty = threading.Event()
        self._seen = {witness.name: 0 for witness in witnesses}
        try:
            self._compare_witnesses()
            self.publish()
        except UnavailableError as error:
            # A witness that cannot be asked may know better: read, but neither append nor sign.
            self._sequencer.stop(error)
        self._publisher = threading.Thread(target=self._keep_publishing, name="ledger-publisher")
        self._publisher.daemon = True
        self._publisher.start()

    @classmethod
    def create(
        cls, directory: Path, *, origin: str, signer: LogSigner, store: Store | None = None
    ) -> None:
        """Make an empty log.

        Args:
            directory: Where its files lie; made if absent.
            origin: Name of the log, ``<domain>/<tenant>/audit``; the signer has the same name.
            signer: Key of the log.
            store: Where its journal lies; in the directory by default.

        Raises:
            ConflictError: There is a log already.
            InvalidError: The signer has another name.
        """
        if signer.name != origin:
            raise InvalidError("the log key is named like the origin", rule="ledger.origin")
        note = signer.sign(Checkpoint(origin, 0, EMPTY).text())
        place = store or SqliteStore(directory)
        place.create(origin=origin, vkey=signer.vkey.text(), note=note)
        with closing(Mark(directory / LOCK)) as mark:
            mark.write(0, EMPTY)

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        signer: LogSigner,
        witnesses: Sequence[Witness],
        sidecar: SidecarSealer,
        clock: Clock,
        store: Store | None = None,
    ) -> Ledger:
        """Replay the journal, compare it with its head, its files and its witnesses, and publish.

        The journal lies in the directory unless a ``store`` says otherwise. If a witness cannot be
        reached the log opens for reading only.

        Raises:
            MissingError: There is no log.
            ConflictError: Another process holds it.
            TamperedError: Journal, files or witnesses disagree: changed, behind or forked.
            UnavailableError: The disk refuses.
        """
        with ExitStack() as held:
            try:
                journal = (store or SqliteStore(directory)).open(signer.name)
                held.callback(journal.close)
                mark = held.enter_context(closing(Mark(directory / LOCK)))
                ledger = cls(
                    directory,
                    journal=journal,
                    mark=mark,
                    signer=signer,
                    witnesses=witnesses,
                    sidecar=sidecar,
                    clock=clock,
                )
            except InvalidError as error:
                raise TamperedError("a stored head is malformed", rule="ledger.replay") from error
            except OSError as error:
                raise UnavailableError(
                    "the disk refuses to open the ledger",
                    rule="ledger.open",
                    fix="look after the disk, then open the ledger again",
                ) from error
            held.pop_all()  # the ledger holds them from now on
            return ledger

    @property
    def size(self) -> int:
        """Number of durable entries."""
        return self._sequencer.size

    @property
    def vkey(self) -> str:
        """Verifier key of the log, for the policy."""
        return self._signer.vkey.text()

    def append(self, entries: Sequence[Entry]) -> Sequence[Receipt]:
        """Record entries in order, all or none; return when they are durable.

        Thread-safe; callers that come together share one fsync.

        Raises:
            InvalidError: An entry is wrong; nothing of this call was appended.
            ConflictError: An idempotency key stands for something else.
            UnavailableError: The log cannot append.
            TamperedError: The log found out that it has been changed.
        """
        if not entries:
            return ()
        receipts = self._sequencer.append(draft(entries))
        self._dirty.set()
        return receipts

    def publish(self) -> None:
        """Have the newest head cosigned, keep it, and export the static files.

        Raises:
            UnavailableError: A witness or the disk cannot be reached; nothing was exported.
            TamperedError: A witness has seen another history.
        """
        with self._publishing:
            try:
                if self._sequencer.stopped is not None:
                    raise self._sequencer.stopped
                self._journal.check()
                tree, note = self._sequencer.head
                if tree.size == self._exported:
                    return
                note += b"".join(self._cosign(one, tree, note) for one in self._witnesses)
                with self._sequencer.committing:
                    self._journal.add_head(tree.size, note)
                self._exporter.export(self._exported, tree=tree, note=note)
                self._exported = tree.size
                with self._sequencer.committing:
                    self._journal.set_exported(tree.size)
            except TamperedError as error:
                self._trouble = error
                self._sequencer.stop(error)
                raise
            except OSError as error:
                self._trouble = UnavailableError("the ledger cannot export", rule="ledger.export")
                raise self._trouble from error
            except SafeholdError as error:
                self._trouble = error
                raise
            self._trouble = None

    def leaves(
        self, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (index, leaf) for a range of the log."""
        end = self.size if stop is None else min(stop, self.size)
        if start >= end:
            return
        for first, batch in self._journal.batches(start):
            for index, leaf in enumerate(batch, first):
                if index >= end:
                    return
                if index >= start:
                    yield index, orjson.loads(leaf)

    def leaf(self, index: int) -> bytes:
        """Return the stored bytes of one leaf."""
        return self._journal.leaf(index)

    def detail(self, index: int) -> dict[str, Any]:
        """Return what the side-car of an entry says: actor, object, detail.

        Raises:
            ShreddedError: Its key was destroyed.
            TamperedError: It does not say what the leaf commits to.
            MissingError: There is no such entry, or its side-car was deleted.
        """
        leaf = self._journal.leaf(index)
        sealed = self._journal.sidecar(index)
        if sealed is None:
            raise MissingError(f"entry {index} has lost its side-car", rule="ledger.sidecar")
        opening = open_leaf(leaf, sealed, self._sidecar)
        return {"actor": opening.actor, "object": opening.object, "detail": opening.detail}

    def find(self, key: str) -> Receipt | None:
        """Return the receipt of the entry with an idempotency key, if there is one."""
        digest = sha256(key.encode()).digest()
        index = self._journal.find(digest)
        if index is None:
            return None
        leaf = self._journal.leaf(index)
        sealed = self._journal.sidecar(index) or b""
        if open_leaf(leaf, sealed, self._sidecar).key != digest:
            raise TamperedError("an idempotency key points to another entry", rule="ledger.key")
        return Receipt(index=index, leaf_hash=leaf_hash(leaf), size=self.size)

    def head(self) -> bytes:
        """Return the newest published checkpoint with its cosignatures.

        Raises:
            UnavailableError: None was published yet.
        """
        found = self._journal.head()
        if found is None:
            raise UnavailableError("no head was published yet", rule="ledger.head")
        return found[1]

    def prove(self, index: int) -> str:
        """Return a tlog-proof that an entry is in the newest published head.

        Raises:
            MissingError: The entry is not in a published head yet.
        """
        note = self.head()
        head = Checkpoint.parse(note[: note.rfind(b"\n\n") + 1])
        if not 0 <= index < head.size:
            raise MissingError(f"entry {index} is not published yet", rule="ledger.prove")
        path = prove_inclusion(read_nodes(self._journal, self._sequencer.head[0]), index, head.size)
        lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *map(b64, path), "", ""]
        return "\n".join(lines) + note.decode()

    def check_health(self) -> None:
        """Let a release go on only if the log can append and no witness knows better.

        Raises:
            UnavailableError: It cannot append or publish, or a witness cannot be asked.
            TamperedError: It is behind a witness, or was found changed.
        """
        if self._closed.is_set():
            raise UnavailableError("the ledger is closed", rule="ledger.closed")
        for error in (self._sequencer.stopped, self._trouble):
            if error is not None:
                raise error
        self._journal.check()
        self._compare_witnesses()

    def close(self) -> None:
        """Publish what is left and let go of the directory."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._dirty.set()
        self._publisher.join()
        try:
            if self._sequencer.stopped is None:
                self.publish()
        finally:
            self._sequencer.stop(UnavailableError("the ledger is closed", rule="ledger.closed"))
            with self._sequencer.committing:
                self._mark.close()
                self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _compare_witnesses(self) -> None:
        notes = [(one.name, one.head(self._signer.name)) for one in self._witnesses]
        tree = self._sequencer.head[0]  # after the witnesses: it may grow, and they with it
        for name, note in notes:
            if note is not None:
                text, _ = open_note(note, [self._signer.vkey])
                self._seen[name] = compare_head(self._journal, tree, text, who=f"witness {name}")

    def _cosign(self, witness: Witness, tree: Tree, note: bytes) -> bytes:
        """Return a witness's cosignature lines over the head of a tree."""
        node = read_nodes(self._journal, tree)
        answer = Answer(409, b"")
        for _ in range(2):
            old = self._seen[witness.name]
            try:
                answer = witness.add_checkpoint(old, prove_consistency(node, old, tree.size), note)
            except OSError as error:
                raise UnavailableError(
                    f"witness {witness.name} cannot be reached", rule="ledger.witness"
                ) from error
            if answer.status != 409:
                break
            self._seen[witness.name] = self._known(answer, witness, tree)
        if answer.status != 200:
            raise TamperedError(
                f"witness {witness.name} refuses our head (status {answer.status})",
                rule="ledger.fork",
            )
        self._seen[witness.name] = tree.size
        open_note(note + answer.body, [VKey.parse(witness.vkey)])
        return answer.body

    def _known(self, answer: Answer, witness: Witness, tree: Tree) -> int:
        known = parse_decimal(answer.body.decode().removesuffix("\n"))
        if known > tree.size:
            raise TamperedError(
                f"witness {witness.name} knows {known} entries, the journal only {tree.size}",
                rule="ledger.rollback",
            )
        return known

    def _keep_publishing(self) -> None:
        while not self._closed.is_set():
            self._dirty.wait()
            self._dirty.clear()
            if self._closed.wait(INTERVAL) or self._sequencer.stopped is not None:
                continue
            try:
                self.publish()
            except UnavailableError:
                self._dirty.set()  # kept in _trouble; try again after the interval
            except SafeholdError:
                return  # kept in _trouble and has stopped the sequencer
            except Exception:  # noqa: BLE001 - whatever it is, the log must not go on silently
                self._trouble = UnavailableError("publishing failed", rule="ledger.publish")
                self._sequencer.stop(self._trouble)
                return
