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

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Self

from safehold.clock import Clock
from safehold.errors import (
    ConflictError,
    InvalidError,
    SafeholdError,
    TamperedError,
    UnavailableError,
)
from safehold.ledger.checkpoint import Checkpoint
from safehold.ledger.draft import draft
from safehold.ledger.entry import Entry, Receipt, SidecarSealer
from safehold.ledger.epoch import Epochs
from safehold.ledger.export import Exporter
from safehold.ledger.mark import Mark
from safehold.ledger.publisher import Publisher
from safehold.ledger.quorum import Quorum, Timekeepers
from safehold.ledger.reader import Reader
from safehold.ledger.replay import read_nodes, replay
from safehold.ledger.rotation import rotation
from safehold.ledger.sequencer import Sequencer
from safehold.ledger.signer import LogSigner
from safehold.ledger.store import LOCK, Journal, Store
from safehold.ledger.store_sqlite import SqliteStore
from safehold.ledger.tree import EMPTY, Tree
from safehold.ledger.witness import AnyWitness


class Ledger(Reader):
    """One log in one directory, held by one process; made by ``create``, used through ``open``."""

    def __init__(
        self,
        directory: Path,
        *,
        journal: Journal,
        mark: Mark,
        signer: LogSigner,
        quorum: Quorum,
        sidecar: SidecarSealer,
        clock: Clock,
    ) -> None:
        super().__init__(journal, sidecar)
        self._mark = mark
        self._closed = False
        state = journal.state()
        self.epochs = Epochs()
        tree = replay(journal, state, signer=signer, see=self.epochs.see)
        mark.check(tree.size, read_nodes(journal, tree))
        try:
            memories, missed = quorum.memories(signer.name), None
        except UnavailableError as error:
            memories, missed = [], error
        quorum.check_published(journal, tree, log=signer.vkeys, notes=memories)
        self._sequencer = Sequencer(
            journal,
            mark=mark,
            tree=tree,
            state=state,
            signer=signer,
            sidecar=sidecar,
            clock=clock,
            epochs=self.epochs,
        )
        exporter = Exporter(directory, journal)
        self._publisher = Publisher(
            journal=journal,
            sequencer=self._sequencer,
            exporter=exporter,
            quorum=quorum,
            exported=exporter.check(state.exported, tree=tree),
        )
        try:
            if missed is not None:
                raise missed
            quorum.compare_notes(journal, tree, memories)
            self.publish()
        except UnavailableError as error:
            # Witnesses that cannot be asked may know better: read, but neither append nor sign.
            self._sequencer.stop(error)
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
        signer: LogSigner | Sequence[LogSigner],
        witnesses: Sequence[AnyWitness],
        sidecar: SidecarSealer,
        clock: Clock,
        quorum: int | None = None,
        store: Store | None = None,
    ) -> Ledger:
        """Replay the journal, compare it with its head, its files and its witnesses, and publish.

        If fewer witnesses than the quorum can be reached, the log opens for reading only.

        Args:
            directory: Where the static files lie, and the journal unless ``store`` says otherwise.
            signer: Its keys, or several that may be its keys: the journal names those in use.
            witnesses: Who remembers its heads.
            sidecar: Seals what is personal.
            clock: Time of the leaves.
            quorum: How many witnesses must have cosigned a head for it to count; all if absent.
            store: Where the journal lies.

        Raises:
            MissingError: There is no log.
            ConflictError: Another process holds it.
            TamperedError: Journal, files or witnesses disagree: changed, behind or forked.
            UnavailableError: The disk refuses.
            InvalidError: There is no such quorum of these witnesses.
        """
        panel = Quorum(witnesses, need=quorum)
        signers = [signer] if isinstance(signer, LogSigner) else signer
        with ExitStack() as held:
            try:
                journal = (store or SqliteStore(directory)).open(signers[0].name)
                held.callback(journal.close)
                mark = held.enter_context(closing(Mark(directory / LOCK)))
                ledger = cls(
                    directory,
                    journal=journal,
                    mark=mark,
                    signer=LogSigner.choose(signers, journal.identity()[1]),
                    quorum=panel,
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
    def tree(self) -> Tree:
        """The tree over them."""
        return self._sequencer.head[0]

    @property
    def origin(self) -> str:
        """Name of the log."""
        return self._sequencer.signer.name

    @property
    def vkey(self) -> str:
        """Verifier key of the log, for the policy."""
        return self._sequencer.signer.vkey.text()

    @property
    def vkeys(self) -> tuple[str, ...]:
        """Verifier keys that sign its heads now, newest first: two while a key is being changed."""
        return tuple(key.text() for key in self._sequencer.signer.vkeys)

    @property
    def policy_keys(self) -> tuple[str, ...]:
        """All verifier keys whose lines stand in a published head, for the policy."""
        return self._sequencer.signer.policy_keys

    @property
    def cosigned(self) -> int:
        """Size of the newest head that the quorum of witnesses has cosigned, -1 if none."""
        return self._publisher.cosigned

    @property
    def unreachable(self) -> dict[str, str]:
        """The witnesses that could not be reached lately, and why."""
        return dict(self._publisher.quorum.unreachable)

    def append(self, entries: Sequence[Entry]) -> Sequence[Receipt]:
        """Record entries in order, all or none; return when they are durable.

        Thread-safe; callers that come together share one fsync.

        Raises:
            InvalidError: An entry is wrong; nothing of this call was appended.
            ConflictError: An idempotency key stands for something else.
            UnavailableError: The log cannot append.
            TamperedError: The log found out that it has been changed.
        """
        return self._append(entries)

    def _append(
        self, entries: Sequence[Entry], *, signer: LogSigner | None = None
    ) -> Sequence[Receipt]:
        if not entries:
            return ()
        receipts = self._sequencer.append(draft(entries, self.epochs.current), signer=signer)
        self._publisher.wake()
        return receipts

    def publish(self) -> None:
        """Have the newest head cosigned by the quorum, keep it, and export the static files.

        Raises:
            UnavailableError: The quorum or the disk cannot be reached; nothing was exported.
            TamperedError: A witness has seen another history.
        """
        self._publisher.publish()

    def await_cosigned(self, index: int, *, timeout_s: float) -> None:
        """Return once a head that the quorum of witnesses has cosigned covers an entry.

        Strict mode asks for this before a key is released: what one witness outside has
        cosigned can no longer be cut off. It publishes at once instead of waiting for the next
        time.

        Raises:
            UnavailableError: That took longer than the timeout; names the entry.
            TamperedError: A witness has seen another history.
        """
        self._publisher.await_cosigned(index, timeout_s=timeout_s)

    def witnessed(self, index: int, by: Timekeepers | None = None) -> int | None:
        """Return by when the quorum of witnesses knew an entry, by their own clocks; nothing if it does not.

        Seconds since 1970-01-01 UTC. A head that was kept away makes it later, never earlier.

        Args:
            index: The entry.
            by: Whose clocks count; those of the quorum of this ledger if absent.
        """
        size = index + 1
        while (found := self._journal.head_from(size)) is not None:
            times = self._publisher.quorum.times(found[1], by)
            if times is not None:
                return times[1]
            size = found[0] + 1
        return None

    def witnessed_now(self, by: Timekeepers | None = None) -> int:
        """Return the time by the clocks of the quorum of witnesses, which are asked now.

        Seconds since 1970-01-01 UTC.

        Args:
            by: Whose clocks count; those of the quorum of this ledger if absent.

        Raises:
            UnavailableError: The quorum cannot be reached, or there is none.
            TamperedError: A witness has seen another history.
        """
        self.publish()  # a head of its own for every entry so far, which keeps its first times
        times = self._publisher.quorum.times(self._publisher.cosign_again(), by)
        if times is None:
            raise UnavailableError("no witness tells the time", rule="ledger.witnessed")
        return times[0]

    def introduce_key(self, new: LogSigner) -> Receipt:
        """Begin to change the log's key: from this entry on both keys sign every head.

        The entry is signed by the old key as well, and the journal names both keys in the same
        transaction.

        Raises:
            ConflictError: A change is under way.
            InvalidError: It is another log's key, or the present one.
        """
        old = self._sequencer.signer
        if old.leaving is not None:
            raise ConflictError(
                "the log's key is being changed already",
                rule="ledger.rotate",
                fix="retire the old key first",
            )
        if new.name != old.name or new.vkey == old.vkey:
            raise InvalidError("not a new key of this log", rule="ledger.rotate")
        [receipt] = self._append([rotation(new, "begin")], signer=new.alone().beside(old))
        return receipt

    def retire_key(self) -> Receipt:
        """End the change of the log's key: from this entry on only the new one signs.

        Raises:
            ConflictError: No change is under way, or a quorum of the witnesses does not know the
                new key yet.
            UnavailableError: The quorum cannot be reached.
        """
        signer = self._sequencer.signer
        if signer.leaving is None:
            raise ConflictError("no key of the log is leaving", rule="ledger.rotate")
        # a witness may have learned of the key since the last head
        self._publisher.publish(again=True)
        quorum = self._publisher.quorum
        knowing = quorum.knowing(signer.name, signer.vkey)
        if knowing < quorum.need:
            raise ConflictError(
                f"only {knowing} of the {quorum.need} witnesses of the quorum know the new key",
                rule="ledger.rotate.witnesses",
                fix="have each witness trust it: safehold ledger witness trust",
            )
        [receipt] = self._append([rotation(signer.leaving, "retired")], signer=signer.alone())
        return receipt

    def cut(self) -> None:
        """Let nobody wait any longer for a store that has fallen silent; the log stops."""
        self._journal.cut()

    @property
    def failed(self) -> SafeholdError | None:
        """Why nothing can be appended, if nothing can; opening the ledger again may help."""
        return self._sequencer.stopped

    def check_health(self) -> None:
        """Let a release go on only if the log can append and no witness knows better.

        Raises:
            UnavailableError: It cannot append or publish, or too few witnesses can be asked.
            TamperedError: It is behind a witness, or was found changed.
        """
        if self._closed:
            raise UnavailableError("the ledger is closed", rule="ledger.closed")
        for error in (self._sequencer.stopped, self._publisher.trouble):
            if error is not None:
                raise error
        self._journal.check()
        quorum = self._publisher.quorum
        notes = quorum.memories(self._sequencer.signer.name)
        tree = self._sequencer.head[0]  # after the witnesses: it may grow, and they with it
        quorum.compare_notes(self._journal, tree, notes)

    def close(self) -> None:
        """Publish what is left and let go of the directory."""
        if self._closed:
            return
        self._closed = True
        self._publisher.close()
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
