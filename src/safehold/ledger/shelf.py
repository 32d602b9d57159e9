"""Where the trees of closed epochs rest: one sealed file an epoch, each of which may be deleted.

A row holds label and value, which are noise to whoever lacks the person's key, and the person's
list of entries sealed under that key. So once the key is destroyed a row says nothing but that
somebody was there.

File: month of its key in four bytes, then sealed: rows of ``label || value || u32 length || list``.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from safehold import ids
from safehold.errors import TamperedError
from safehold.ledger.entry import SidecarSealer
from safehold.ledger.files import replace_file
from safehold.ledger.opening import month_of
from safehold.ledger.subjects import label_of
from safehold.ledger.tree import HASH

_LIST = b"sh/index/list/v1"
_FILE = b"sh/index/file/v1"
_NONCE = 12  # bytes


@dataclass(frozen=True, slots=True)
class Row:
    """One person in an index: label, value, and their list under their own key."""

    label: bytes
    value: bytes
    sealed: bytes

    @classmethod
    def of(cls, key: bytes, value: bytes, places: Sequence[int]) -> Row:
        """Make the row of a person.

        Args:
            key: Their key of the epoch.
            value: What the tree holds.
            places: Indices of the entries about them, ascending.
        """
        size = 1 << max(len(places) - 1, 0).bit_length()  # so that lengths tell little
        plain = len(places).to_bytes(4, "big")
        plain += b"".join(one.to_bytes(8, "big") for one in places).ljust(size * 8, b"\0")
        nonce = ids.random_bytes(_NONCE)
        return cls(label_of(key), value, nonce + _cipher(key).encrypt(nonce, plain, value))

    def places(self, key: bytes) -> list[int]:
        """Return the indices of the entries about a person.

        Raises:
            TamperedError: It is another person's row, or was changed.
        """
        try:
            plain = _cipher(key).decrypt(self.sealed[:_NONCE], self.sealed[_NONCE:], self.value)
        except InvalidTag as error:
            raise TamperedError("a row of an index does not open", rule="index.row") from error
        count = int.from_bytes(plain[:4], "big")
        return list(struct.unpack(f">{count}Q", plain[4 : 4 + count * 8]))


class Shelf:
    """The files.

    Args:
        directory: Where; made when first needed.
        sidecar: Seals them under the key of a month.
    """

    def __init__(self, directory: Path, sidecar: SidecarSealer) -> None:
        self._directory = directory
        self._sidecar = sidecar

    def put(self, epoch: int, rows: Sequence[Row], *, month: int) -> None:
        """Keep the rows of an epoch, durably."""
        plain = b"".join(
            part
            for row in rows
            for part in (row.label, row.value, len(row.sealed).to_bytes(4, "big"), row.sealed)
        )
        self._directory.mkdir(exist_ok=True, mode=0o700)
        seal = self._sidecar.batch(segment="", month=month)
        (sealed,) = seal([plain], [_aad(epoch)])
        replace_file(self._path(epoch), month.to_bytes(4, "big") + sealed)

    def get(self, epoch: int) -> list[Row] | None:
        """Return the rows of an epoch, or nothing if they were deleted.

        Raises:
            TamperedError: The file was changed.
            ShreddedError: The key of its month was destroyed.
        """
        try:
            data = self._path(epoch).read_bytes()
        except FileNotFoundError:
            return None
        month = int.from_bytes(data[:4], "big")
        plain = self._sidecar.open(segment="", month=month, sealed=data[4:], aad=_aad(epoch))
        rows, at = [], 0
        while at < len(plain):
            stop = at + 2 * HASH + 4
            end = stop + int.from_bytes(plain[stop - 4 : stop], "big")
            rows.append(Row(plain[at : at + HASH], plain[at + HASH : stop - 4], plain[stop:end]))
            at = end
        return rows

    def state(self, epoch: int) -> tuple[int, ...] | None:
        """Return what tells a file from the one that takes its place, or nothing if it was deleted."""
        try:
            found = self._path(epoch).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    @staticmethod
    def month_of(leaf: bytes) -> int:
        """Return the month whose key seals what belongs to a leaf."""
        return month_of(orjson.loads(leaf)["t"])

    def _path(self, epoch: int) -> Path:
        return self._directory / f"{epoch:08}.idx"


def _cipher(key: bytes) -> AESGCM:
    return AESGCM(hmac.digest(key, _LIST, "sha256"))


def _aad(epoch: int) -> bytes:
    return _FILE + epoch.to_bytes(8, "big")
