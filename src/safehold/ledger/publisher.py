"""Publishing: the newest head is cosigned by the quorum, kept, and exported as static files.

It happens by itself within a second of an append, and at once when somebody waits for an entry to
be cosigned.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from safehold.errors import InvalidError, SafeholdError, TamperedError, UnavailableError
from safehold.ledger.export import Exporter
from safehold.ledger.note import text_of
from safehold.ledger.quorum import Quorum
from safehold.ledger.sequencer import Sequencer
from safehold.ledger.store import Journal

INTERVAL = 0.5  # seconds from an append to its publication, at most twice this
PAUSE = 0.1  # seconds between two attempts while somebody waits


class Publisher:
    """Publishes the heads of one log.

    Args:
        journal: Where published heads are kept.
        sequencer: Where heads come from.
        exporter: Writes the static files.
        quorum: Who must have cosigned.
        exported: Size of the checkpoint among the static files, -1 if there is none.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        sequencer: Sequencer,
        exporter: Exporter,
        quorum: Quorum,
        exported: int,
    ) -> None:
        self._journal = journal
        self._sequencer = sequencer
        self._exporter = exporter
        self.quorum = quorum
        self._exported = exported
        found = journal.head()
        self._cosigned = found[0] if found and quorum.holds(found[1]) else -1
        self._publishing = threading.Lock()
        self._closed = threading.Event()
        self._dirty = threading.Event()
        self._thread = threading.Thread(target=self._keep_on, name="ledger-publisher", daemon=True)
        self.trouble: SafeholdError | None = None

    @property
    def cosigned(self) -> int:
        """Size of the newest head that the quorum has cosigned, -1 if there is none."""
        return self._cosigned

    def start(self) -> None:
        """Publish by itself from now on."""
        self._thread.start()

    def close(self) -> None:
        """Stop publishing by itself."""
        self._closed.set()
        self._dirty.set()
        self._thread.join()

    def wake(self) -> None:
        """Say that there is something to publish."""
        self._dirty.set()

    def publish(self, *, patience_s: float | None = None, again: bool = False) -> None:
        """Have the newest head cosigned by the quorum, keep it, and export the static files.

        Args:
            patience_s: Seconds to wait for a publication that is under way; without end if absent.
            again: Ask the witnesses even if they have cosigned this head already.

        Raises:
            UnavailableError: The quorum or the disk cannot be reached; nothing was exported.
            TamperedError: A witness has seen another history.
        """
        with self._alone(patience_s):
            try:
                if self._sequencer.stopped is not None:
                    raise self._sequencer.stopped
                self._journal.check()
                self._publish(again=again)
            except TamperedError as error:
                self.trouble = error
                self._sequencer.stop(error)
                raise
            except InvalidError as error:
                self.trouble = TamperedError("a witness answers nonsense", rule="ledger.witness")
                self._sequencer.stop(self.trouble)
                raise self.trouble from error
            except OSError as error:
                self.trouble = UnavailableError("the ledger cannot export", rule="ledger.export")
                raise self.trouble from error
            except SafeholdError as error:
                self.trouble = error
                raise
            self.trouble = None

    def cosign_again(self) -> bytes:
        """Return the newest head under new cosignatures of the quorum, and keep it nowhere.

        The first cosignatures of a head stay what they are: they tell since when an entry is known.

        Raises:
            UnavailableError: The quorum cannot be reached.
            TamperedError: A witness has seen another history.
        """
        with self._alone(None):
            tree, note = self._sequencer.head
            note += self._sequencer.signer.publish_lines(text_of(note))
            try:
                return self.quorum.cosign(self._journal, tree, note)
            except TamperedError as error:
                self.trouble = error
                self._sequencer.stop(error)
                raise

    def await_cosigned(self, index: int, *, timeout_s: float) -> None:
        """Return once a head that the quorum has cosigned covers an entry; publish for it at once.

        Raises:
            UnavailableError: That took longer than the timeout.
            TamperedError: A witness has seen another history.
        """
        end = time.monotonic() + timeout_s
        last: SafeholdError | None = None
        while self._cosigned <= index:
            left = end - time.monotonic()
            if left <= 0:
                why = "" if last is None else f": {last.message}"
                raise UnavailableError(
                    f"entry {index} was not cosigned in time{why}",
                    rule="ledger.strict",
                    fix="start the witnesses that are down; what was asked for was not done",
                    entry=index,
                ) from last
            try:
                self.publish(patience_s=left)
            except UnavailableError as error:
                last = error
                if self._sequencer.stopped is not None:
                    raise
                self._closed.wait(min(PAUSE, max(left, 0)))

    def _publish(self, *, again: bool) -> None:
        tree, note = self._sequencer.head
        if tree.size == self._exported == self._cosigned and not again:
            return
        note += self._sequencer.signer.publish_lines(text_of(note))
        note = self.quorum.cosign(self._journal, tree, note)
        with self._sequencer.committing:
            self._journal.add_head(tree.size, note)
        self._cosigned = tree.size
        self._exporter.export(self._exported, tree=tree, note=note)
        self._exported = tree.size
        with self._sequencer.committing:
            self._journal.set_exported(tree.size)

    @contextmanager
    def _alone(self, patience_s: float | None) -> Iterator[None]:
        if not self._publishing.acquire(timeout=-1 if patience_s is None else max(patience_s, 0)):
            raise UnavailableError("a publication takes long", rule="ledger.publish")
        try:
            yield
        finally:
            self._publishing.release()

    def _keep_on(self) -> None:
        while not self._closed.is_set():
            self._dirty.wait()
            self._dirty.clear()
            if self._closed.wait(INTERVAL) or self._sequencer.stopped is not None:
                continue
            try:
                self.publish()
            except UnavailableError:
                self._dirty.set()  # kept in trouble; try again after the interval
            except SafeholdError:
                return  # kept in trouble and has stopped the sequencer
            except Exception:  # noqa: BLE001 - whatever it is, the log must not go on silently
                self.trouble = UnavailableError("publishing failed", rule="ledger.publish")
                self._sequencer.stop(self.trouble)
                return
