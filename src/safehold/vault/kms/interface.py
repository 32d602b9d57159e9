"""What the vault asks of a root key, wherever that key lives."""

from __future__ import annotations

from typing import Protocol


class Root(Protocol):
    """Wrap and unwrap segment keys; the root key itself never comes out."""

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """Return ``key`` wrapped; it unwraps only under the same context."""
        ...

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Return what ``wrap`` wrapped.

        Raises:
            TamperedError: Another root, another context, or changed bytes.
        """
        ...

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose of the keeper, always the same ones."""
        ...
