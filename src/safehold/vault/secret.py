"""Small secrets of the keeper, sealed under the root: a signing seed, a lease key."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from safehold import canonical
from safehold.errors import InvalidError, MissingError, ShreddedError, TamperedError
from safehold.vault import tables
from safehold.vault.kms.interface import Root
from safehold.vault.label import check_name

MARKER: Final = "@vault"  # tells which root a database belongs to


class Secrets:
    """Seals and opens small secrets by name.

    Args:
        engine: The control database.
        root: The root key.
    """

    def __init__(self, *, engine: sa.Engine, root: Root) -> None:
        self._engine = engine
        self._root = root

    def seal(self, name: str, data: bytes) -> None:
        """Keep a secret; one of the same name is replaced."""
        check_name(name, "vault.secret")
        if name == MARKER:
            raise InvalidError("this name is the vault's own", rule="vault.secret")
        with self._engine.begin() as connection:
            # in the transaction: another root may have come before it, but none comes meanwhile
            sealed = self._root.wrap(data, context=secret_context(name))
            connection.execute(sa.delete(tables.secret).where(tables.secret.c.name == name))
            connection.execute(sa.insert(tables.secret).values(name=name, sealed=sealed))

    def open(self, name: str) -> bytes:
        """Return a secret.

        Raises:
            MissingError: There is none of this name.
            TamperedError: It was changed or moved.
        """
        try:
            return self._root.unwrap(self._sealed(name), context=secret_context(name))
        except (TamperedError, ShreddedError):  # another root may have come between the two steps
            return self._root.unwrap(self._sealed(name), context=secret_context(name))

    def _sealed(self, name: str) -> bytes:
        with self._engine.begin() as connection:
            sealed: bytes | None = connection.execute(
                sa.select(tables.secret.c.sealed).where(tables.secret.c.name == name)
            ).scalar_one_or_none()
        if sealed is None:
            raise MissingError("no secret of this name", rule="vault.secret")
        return sealed

    def check_root(self) -> None:
        """Check, or on first use note, that root and database belong together.

        Raises:
            TamperedError: The root key is another vault's.
        """
        with self._engine.begin() as connection:
            sealed = connection.execute(
                sa.select(tables.secret.c.sealed).where(tables.secret.c.name == MARKER)
            ).scalar_one_or_none()
            if sealed is None:
                mark = self._root.wrap(b"safehold vault", context=secret_context(MARKER))
                connection.execute(sa.insert(tables.secret).values(name=MARKER, sealed=mark))
                return
        try:
            self._root.unwrap(sealed, context=secret_context(MARKER))
        except TamperedError:
            raise TamperedError(
                "the root key is not the one of this vault",
                rule="vault.root",
                fix="open the root file that lies beside this control database",
            ) from None


def secret_context(name: str) -> bytes:
    """Return what a small secret is bound to."""
    return canonical.encode(["safehold/secret/1", name])
