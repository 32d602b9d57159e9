"""The vault: rows go in sealed, come out checked, and end with their keys.

The vault decides nothing. Consent, purpose, grant and budget are the keeper's; the vault makes sure
that what was sealed for one person, stream, window and label opens for exactly that, and for
nothing once the key is destroyed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from threading import RLock
from typing import Final

import pyarrow as pa
import sqlalchemy as sa

from safehold.clock import DAY_US, Clock, day_of
from safehold.db import metadata
from safehold.errors import ConflictError, InvalidError, ShreddedError, UnavailableError
from safehold.vault import container, objects, tables
from safehold.vault.artifacts import Artifacts
from safehold.vault.container import Place
from safehold.vault.epoch import Epochs
from safehold.vault.erase import Eraser, Shredded, go_on
from safehold.vault.keyring import (
    ARTIFACT,
    INDEX_SEGMENT,
    PERSON,
    SIDECAR,
    SUBJECT,
    Keyring,
    check_segment,
)
from safehold.vault.kms.current import CurrentRoot
from safehold.vault.kms.interface import Root
from safehold.vault.label import PlainBlock, SealedBlock, SealedObject
from safehold.vault.lookup import METADATA_KEY, Lookup, names_of_keys, window_keys_of
from safehold.vault.objects import Objects
from safehold.vault.reader import Reader
from safehold.vault.renew import note_renewal
from safehold.vault.reroot import reroot
from safehold.vault.secret import Secrets
from safehold.vault.sidecar import Sidecar
from safehold.vault.subjects import Subjects

_LOG = logging.getLogger(__name__)


class Vault:
    """Sealed blocks, their keys, and the end of both. Thread-safe.

    Use ``Vault.open``.
    """

    def __init__(
        self,
        *,
        engine: sa.Engine,
        root: Root,
        epochs: Epochs,
        objects: Objects,
        clock: Clock,
        reached: Callable[[str], None],
    ) -> None:
        self._engine = engine
        # one that is current already stays the caller's: opened again, it is what it has become
        self._root = root = root if isinstance(root, CurrentRoot) else CurrentRoot(root)
        self._secrets = Secrets(engine=engine, root=root)
        self._objects = objects
        self._clock = clock
        self._keyring = Keyring(root=root, epochs=epochs, clock=clock)
        self._eraser = Eraser(engine=engine, keyring=self._keyring, epochs=epochs, reached=reached)
        self._erasing = RLock()
        self._lookup = Lookup(engine=engine, keyring=self._keyring)
        self._reader = Reader(lookup=self._lookup, objects=objects, clock=clock)
        self.sidecar: Final = Sidecar(self._lookup.one)
        self.artifacts: Final = Artifacts(
            engine=engine, keyring=self._keyring, lookup=self._lookup, objects=objects, clock=clock
        )
        self.subjects: Final = Subjects(engine=engine, keyring=self._keyring, lookup=self._lookup)

    @classmethod
    def open(
        cls,
        *,
        engine: sa.Engine,
        root: Root,
        epochs: Path,
        objects: Objects,
        clock: Clock,
        reached: Callable[[str], None] = go_on,
    ) -> Vault:
        """Open the vault of a home; an erasure that a crash interrupted is finished first.

        Args:
            engine: The control database.
            root: The root key; a ``CurrentRoot`` follows its changes.
            epochs: Folder of epoch secrets, outside the home.
            objects: Where sealed objects rest.
            clock: Time.
            reached: Told each step of an erasure; tests crash there.

        Raises:
            TamperedError: The root key is not this vault's.
            ShreddedError: The database is a copy from before an erasure that was under way.
        """
        metadata.create_all(engine, tables=list(tables.TABLES), checkfirst=True)
        vault = cls(
            engine=engine,
            root=root,
            epochs=Epochs(epochs),
            objects=objects,
            clock=clock,
            reached=reached,
        )
        vault._secrets.check_root()
        with vault._erasing:
            vault._eraser.resume()
        return vault

    def seal(
        self,
        blocks: Sequence[PlainBlock],
        *,
        segment: str,
        generation: int = 1,
        rewriting: bool = False,
    ) -> SealedObject:
        """Seal blocks into one new object; it is durable when this returns.

        Missing keys are made in a transaction of their own before anything is sealed, so a crash
        leaves at most an unused key or an object no catalogue knows.

        Args:
            blocks: What to seal, in order.
            segment: Segment whose keys are used.
            generation: Which rewriting of the data this is, from 1.
            rewriting: The rows were sealed before, so their keys are there; none is made.

        Raises:
            ShreddedError: The key of rows that were sealed before was destroyed.
            InvalidError: No blocks, too much data, or a label whose time is over.
            ConflictError: The key of a person was destroyed while their rows were being sealed.
        """
        check_segment(segment)
        if segment.startswith("@") or not 1 <= generation < 2**31:
            raise InvalidError("not a segment or generation for data", rule="vault.segment")
        today = day_of(self._clock.now_us())
        if any(block.label.expires <= today for block in blocks):
            raise InvalidError(
                "a label's time is over", rule="vault.expired", fix="do not keep what has expired"
            )
        names = names_of_keys(blocks)
        wanted = {*names, METADATA_KEY}
        held = (self._lookup.find if rewriting else self._lookup.make)(segment, wanted)
        if not wanted <= held.keys():
            raise ShreddedError(
                "the key of rows that are rewritten was destroyed", rule="vault.key"
            )
        place = Place(name=objects.new_name(), segment=segment, generation=generation)
        data, sealed = container.seal_object(
            place,
            blocks,
            metadata_key=held[METADATA_KEY],
            window_keys=window_keys_of(held, names, blocks),
        )
        self._objects.put(place.name, data)
        if self._lookup.find(segment, set(names)) != {name: held[name] for name in names}:
            self._objects.delete(place.name)
            raise ConflictError(
                "a person's key was destroyed while their rows were being sealed",
                rule="vault.key",
                fix="leave out who was erased and seal again",
            )
        return sealed

    def read(
        self, blocks: Sequence[SealedBlock], *, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[SealedBlock, pa.Table]]:
        """Return the rows of sealed blocks, object by object, after every check.

        All keys are looked up before the first block is opened: one that is gone stops the whole
        reading.

        Args:
            blocks: What to read, as the catalogue holds it; the digest in it is the proof of
                freshness.
            columns: Columns wanted; None means all.

        Raises:
            ShreddedError: A key was destroyed, its epoch has ended, or the label's time is over.
            TamperedError: Anything is not what was sealed or not what the record says.
            MissingError: An object is gone.
            InvalidError: A record carries no digest.
        """
        return self._reader.read(blocks, columns=columns)

    def read_batches(
        self, blocks: Sequence[SealedBlock], *, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[SealedBlock, pa.RecordBatch]]:
        """Return what ``read`` returns, the rows of each block as one batch; raises as it does.

        For who writes them out or joins them: of small blocks a batch costs a third of a table.
        """
        return self._reader.read_batches(blocks, columns=columns)

    def check(self, name: str, *, root: bytes, size: int, segment: str) -> int:
        """Check a whole object against root and size held outside; no person's key is used.

        Returns:
            The number of its blocks.

        Raises:
            TamperedError: Truncated, changed, or another object or generation than expected.
            MissingError: It is gone.
            ShreddedError: The segment's epoch has ended.
        """
        return self._reader.check(name, root=root, size=size, segment=segment)

    def shred(
        self,
        *,
        person: str | None = None,
        expired_on: int | None = None,
        artifact: str | None = None,
        sidecar_before: int | None = None,
        handles_before: int = 0,
    ) -> Shredded:
        """Destroy keys for good: in the database, in its copies and in every backup.

        When this returns the rows are gone, each touched segment is in a new epoch, the secret of
        the old one is destroyed and the write-ahead log is empty. After a crash ``Vault.open``
        finishes the work.

        Args:
            person: Every key of this person, the subject key with them.
            expired_on: Every key of data and artifacts whose label expires on this UTC day or
                earlier.
            artifact: The key of this artifact.
            sidecar_before: Every side-car key of months before this one.
            handles_before: With a person: also what hides, in side-cars of the ledger's epochs
                before this one, which entries were about the same people.

        Raises:
            InvalidError: Not exactly one of the four was given.
            UnavailableError: Keys are destroyed, but deleted bytes are not scrubbed from the
                file yet.
        """
        column = tables.key.c
        which: list[sa.ColumnElement[bool]] = []
        if person is not None:
            which.append(
                sa.or_(
                    sa.and_(column.kind.in_((PERSON, SUBJECT)), column.owner == person),
                    sa.and_(column.segment == INDEX_SEGMENT, column.period < handles_before),
                )
            )
        if expired_on is not None:
            which.append(sa.and_(column.kind.in_((PERSON, ARTIFACT)), column.period <= expired_on))
        if artifact is not None:
            which.append(sa.and_(column.kind == ARTIFACT, column.owner == artifact))
        if sidecar_before is not None:
            which.append(
                sa.and_(
                    column.kind == SIDECAR,
                    column.segment != INDEX_SEGMENT,
                    column.period < sidecar_before,
                )
            )
        if len(which) != 1:
            raise InvalidError("name exactly one thing to shred", rule="vault.shred")
        with self._erasing:
            try:
                return self._eraser.erase(which[0])
            finally:
                self._keyring.forget()
                self.sidecar.forget()

    def owners(self) -> set[str]:
        """Return the ids of everybody who has a key of data."""
        column = tables.key.c
        query = sa.select(column.owner).where(column.kind == PERSON).distinct()
        with self._engine.begin() as connection:
            return set(connection.execute(query).scalars())

    def due(self, day: int) -> int:
        """Return how many keys of data and artifacts end on a UTC day or before it."""
        column = tables.key.c
        with self._engine.begin() as connection:
            count: int = connection.execute(
                sa.select(sa.func.count()).where(
                    column.kind.in_((PERSON, ARTIFACT)), column.period <= day
                )
            ).scalar_one()
        return count

    def remove(self, objects: Iterable[str]) -> int:
        """Remove sealed objects that no catalogue names any more.

        A store that does not answer stops nothing: keys end the data, and what is left goes with a
        later sweep.

        Returns:
            How many are left.
        """
        waiting = sorted(objects)
        for done, name in enumerate(waiting):
            try:
                self._objects.delete(name)
            except UnavailableError as error:
                _LOG.warning("objects are removed later: %s", error.rule)
                return len(waiting) - done
        return 0

    def sweep(self, known: Callable[[], Collection[str]], *, alone: bool) -> int:
        """Remove every object that is not among the known ones, as a crash leaves it.

        Args:
            known: Returns the names that count, asked after the store was listed.
            alone: Nothing is being sealed meanwhile; otherwise only what is a day old counts as left over,
                as it always does where other keepers may seal.

        Returns:
            How many were removed.

        Raises:
            UnavailableError: The store does not answer.
        """
        grace = self._objects.grace_us if alone else DAY_US
        before = self._clock.now_us() - grace if grace else None
        found = list(self._objects.names(before_us=before))
        names = known()
        strangers = [name for name in found if name not in names]
        return len(strangers) - self.remove(strangers)

    def renew(self, segment: str | None = None) -> Shredded:
        """Give a segment, or every one, another KEK in a new epoch; every key of its rows is wrapped again.

        Reads go on meanwhile. A crash anywhere is finished as one of an erasure is. Afterwards no older copy of
        the database opens.

        Raises:
            MissingError: There is no such segment.
        """
        with self._erasing:
            self._eraser.resume()
            note_renewal(self._engine, segment)
            return self._eraser.resume()

    def reroot(self, new: Root, *, reached: Callable[[str], None] = go_on) -> int:
        """Wrap everything that the root wraps under another root, which is the root from then on.

        Raises:
            ConflictError: Another such change is under way.
            UnavailableError: One of the roots does not answer; nothing was changed.
        """
        with self._erasing:
            return reroot(self._engine, self._root, new, reached=reached)

    @property
    def root(self) -> Root:
        """The root that wraps now."""
        return self._root.now

    def forget_old(self) -> None:
        """Drop segment KEKs whose time is over from memory."""
        self._keyring.forget_old()

    def close(self) -> None:
        """Drop every key from memory and end the root's session; nothing opens afterwards."""
        self._keyring.forget()
        self.sidecar.forget()
        self._root.close()

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose of the keeper, derived from the root, always the same."""
        return self._root.derive(purpose)

    def seal_secret(self, name: str, data: bytes) -> None:
        """Keep a small secret, sealed under the root; one of the same name is replaced."""
        self._secrets.seal(name, data)

    def open_secret(self, name: str) -> bytes:
        """Return a small secret.

        Raises:
            MissingError: There is none of this name.
            TamperedError: It was changed or moved.
        """
        return self._secrets.open(name)

    def __repr__(self) -> str:
        return "Vault(hidden)"
