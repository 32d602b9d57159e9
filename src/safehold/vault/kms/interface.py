"""What the vault asks of a root key, and what a root asks of a key that it cannot see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Item(NamedTuple):
    """Bytes to wrap or unwrap, and what they are bound to."""

    data: bytes
    context: bytes


class Root(Protocol):
    """Wrap and unwrap segment keys; the root key itself never comes out."""

    @property
    def kind(self) -> str:
        """Where the key lives: ``passphrase``, ``shares``, ``pkcs11``, ``aws-kms`` or ``hcvault``."""
        ...

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """Return ``key`` wrapped; it unwraps only under the same context.

        Raises:
            UnavailableError: The key lives elsewhere and does not answer.
        """
        ...

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Return what ``wrap`` wrapped.

        Raises:
            TamperedError: Another root, another context, or changed bytes.
            UnavailableError: The key lives elsewhere and does not answer.
            ShreddedError: The key was destroyed.
        """
        ...

    def wrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return each wrapped, in order; as few calls as the backend can do with."""
        ...

    def unwrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return what was wrapped, in order; raises as ``unwrap`` does, for the first that fails."""
        ...

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose of the keeper, always the same ones, whatever the root is."""
        ...

    def derivation(self) -> bytes:
        """Return what ``derive`` derives from, to be carried under another root; the caller scrubs it."""
        ...

    def close(self) -> None:
        """Overwrite what is held in memory and end sessions; nothing can be asked of it afterwards."""
        ...


class Kek(Protocol):
    """A key-encryption key inside a device or a service."""

    @property
    def kind(self) -> str:
        """``pkcs11``, ``aws-kms`` or ``hcvault``."""
        ...

    @property
    def most(self) -> int:
        """Bytes that one call takes."""
        ...

    @property
    def where(self) -> Mapping[str, str]:
        """Where the key is, without any secret."""
        ...

    def wrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return each wrapped under the key, bound to its context."""
        ...

    def unwrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return what was wrapped.

        Raises:
            TamperedError: Another key, another context, or changed bytes.
            UnavailableError: It does not answer, or refuses the keeper.
            ShreddedError: There is no such key any more.
        """
        ...

    def admit(self, secret: str) -> None:
        """Pass if this is the PIN, token or credentials that it was reached with.

        Raises:
            SignInError: It is not.
        """
        ...

    def destroy(self) -> str:
        """Destroy the key if that is the keeper's to do, and say what was done or is left to do."""
        ...

    def close(self) -> None:
        """End sessions and overwrite tokens."""
        ...
