"""Epoch secrets: one small file for each segment and epoch, outside home and backups.

A segment KEK opens only with the root *and* the secret of its epoch. Destroying the file ends the
epoch for every copy of the control database that was ever made.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

from safehold import ids
from safehold.errors import ConflictError, InvalidError, ShreddedError, TamperedError
from safehold.vault import durable, keys

_MARK: Final = b"SHE1"
_NAME: Final = re.compile(r"[0-9a-f]{32}")
_SIZE: Final = len(_MARK) + keys.KEY_BYTES + 8


class Epochs:
    """The folder of epoch secrets.

    Args:
        path: An existing folder outside the home.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise InvalidError("the folder of epoch secrets does not exist", rule="vault.epochs")
        self._path = path

    @staticmethod
    def new_name() -> str:
        """Return an opaque name for a secret to come."""
        return ids.random_bytes(16).hex()

    def create(self, name: str) -> None:
        """Make a secret durable under a name; nothing if it exists already."""
        body = _MARK + keys.new_key()
        try:
            durable.write_new(self._file(name), body + hashlib.sha256(body).digest()[:8])
        except ConflictError:
            self.read(name)  # a former attempt made it; it must be whole

    def read(self, name: str) -> bytes:
        """Return a secret.

        Raises:
            ShreddedError: The epoch has ended.
            TamperedError: The file is damaged.
        """
        try:
            with self._file(name).open("rb") as file:
                data = file.read(_SIZE + 1)
        except FileNotFoundError:
            raise ShreddedError(
                "the epoch of these keys has ended",
                rule="vault.epoch",
                fix="a copy from before an erasure or expiry opens nothing; use the live database",
            ) from None
        body, mark = data[:-8], data[-8:]
        if (
            len(data) != _SIZE
            or not body.startswith(_MARK)
            or hashlib.sha256(body).digest()[:8] != mark
        ):
            raise TamperedError("an epoch secret is damaged", rule="vault.epoch")
        return body[len(_MARK) :]

    def destroy(self, name: str) -> None:
        """Overwrite and remove a secret; nothing if it is gone."""
        durable.destroy(self._file(name))

    def _file(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise TamperedError("an epoch secret has a foreign name", rule="vault.epoch")
        return self._path / name
