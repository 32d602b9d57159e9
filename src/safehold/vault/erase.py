"""Erasure and expiry: the one way keys end.

Steps, each durable before the next, each repeatable:

1. ``mark``    one transaction: the rows are deleted, and a rotation is noted for each touched
segment
2. ``prepare`` the secret of the next epoch is written
3. ``rewrap``  one transaction a segment: survivors move to a new KEK under the new secret
4. ``destroy`` the old epoch secret is overwritten and removed: from here every older copy is noise
5. ``scrub``   the write-ahead log is folded into the database and cut to nothing
6. ``close``   the note is removed

After a crash anywhere, ``resume`` goes through the steps that are left. It never removes a secret
that is not named as an *old* one by a note, so opening a restored copy of the database destroys
nothing that is alive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from safehold import db
from safehold.errors import TamperedError
from safehold.vault import tables
from safehold.vault.epoch import Epochs
from safehold.vault.keyring import Keyring


@dataclass(frozen=True, slots=True, kw_only=True)
class Shredded:
    """What an erasure or an expiry did.

    Args:
        keys: Wrapped keys deleted.
        segments: Segments whose epoch changed.
        survivors: Keys of others that were wrapped again.
    """

    keys: int
    segments: tuple[str, ...]
    survivors: int


def go_on(_step: str) -> None:
    """Let a step begin; the ordinary watcher of an erasure."""


class Eraser:
    """Deletes keys and ends epochs.

    Args:
        engine: The control database.
        keyring: The keys.
        epochs: The epoch secrets.
        reached: Called with the name of each step before it begins; tests crash there.
    """

    def __init__(
        self,
        *,
        engine: sa.Engine,
        keyring: Keyring,
        epochs: Epochs,
        reached: Callable[[str], None] = go_on,
    ) -> None:
        self._engine = engine
        self._keyring = keyring
        self._epochs = epochs
        self._reached = reached

    def erase(self, which: sa.ColumnElement[bool]) -> Shredded:
        """Delete the rows that match and end the epoch of every segment they lie in."""
        self.resume()
        self._reached("mark")
        with self._engine.begin() as connection:
            touched = connection.execute(
                sa.select(tables.key.c.segment, sa.func.count())
                .where(which)
                .group_by(tables.key.c.segment)
            ).all()
            for segment, count in touched:
                current = connection.execute(
                    sa.select(tables.segment).where(tables.segment.c.segment == segment)
                ).one()
                connection.execute(
                    sa.insert(tables.rotation).values(
                        segment=segment,
                        old_epoch=current.epoch,
                        old_secret=current.secret,
                        new_secret=self._epochs.new_name(),
                        deleted=count,
                    )
                )
            connection.execute(sa.delete(tables.key).where(which))
        return self.resume()

    def resume(self) -> Shredded:
        """Finish what a crash interrupted; nothing if nothing was.

        Raises:
            UnavailableError: Somebody holds the database open, so deleted bytes cannot be
                scrubbed yet.
        """
        with self._engine.begin() as connection:
            notes = connection.execute(
                sa.select(tables.rotation).order_by(tables.rotation.c.segment)
            ).all()
        survivors = 0
        for note in notes:
            self._reached("prepare")
            if self._needs_secret(note.segment, note.new_secret):
                self._epochs.create(note.new_secret)
            self._reached("rewrap")
            with self._engine.begin() as connection:
                survivors += self._keyring.rewrap(
                    connection,
                    note.segment,
                    old=note.old_secret,
                    new=note.new_secret,
                    old_epoch=note.old_epoch,
                )
            self._keyring.forget(note.segment)
        for note in notes:
            self._reached("destroy")
            self._refuse_if_alive(note.old_secret)
            self._epochs.destroy(note.old_secret)
        if notes:
            self._reached("scrub")
            db.truncate_wal(self._engine)
            self._reached("close")
            with self._engine.begin() as connection:
                connection.execute(
                    sa.delete(tables.rotation).where(
                        tables.rotation.c.segment.in_([note.segment for note in notes])
                    )
                )
        return Shredded(
            keys=sum(note.deleted for note in notes),
            segments=tuple(note.segment for note in notes),
            survivors=survivors,
        )

    def _needs_secret(self, segment: str, name: str) -> bool:
        with self._engine.begin() as connection:
            current = connection.execute(
                sa.select(tables.segment.c.secret).where(tables.segment.c.segment == segment)
            ).scalar_one()
        return bool(current != name)

    def _refuse_if_alive(self, name: str) -> None:
        with self._engine.begin() as connection:
            alive = connection.execute(
                sa.select(sa.func.count()).where(tables.segment.c.secret == name)
            ).scalar_one()
        if alive:
            raise TamperedError("a rotation would end a living epoch", rule="vault.rotation")
