"""Small records sealed under a key of the root, such as a person's choices in the control database."""

from __future__ import annotations

from typing import Final

from safehold.vault import keys
from safehold.vault.kms.interface import Root

_PURPOSE: Final = "records"


class Records:
    """Seal and open small records; thread-safe.

    Args:
        root: The root key.
        purpose: What the key is derived for.
    """

    __slots__ = ("_key",)

    def __init__(self, root: Root, purpose: str = _PURPOSE) -> None:
        self._key = root.derive(purpose)

    def seal(self, plaintext: bytes, *, aad: bytes) -> bytes:
        """Return the sealed record (AES-256-GCM, fresh nonce), bound to where it belongs."""
        return keys.seal_bytes(self._key, plaintext, aad=aad)

    def open(self, sealed: bytes, *, aad: bytes) -> bytes:
        """Return the record.

        Raises:
            TamperedError: It was changed, or belongs elsewhere.
        """
        return keys.open_bytes(self._key, sealed, aad=aad)

    def __repr__(self) -> str:
        return "Records(hidden)"
