"""Where the private halves of leases lie."""

from __future__ import annotations

from typing import Protocol

from safehold.errors import MissingError


class KeyStore(Protocol):
    """Where the private halves of leases lie, wrapped."""

    def put(self, name: str, secret: bytes) -> None:
        """Keep a secret."""
        ...

    def get(self, name: str) -> bytes:
        """Return a secret; ``MissingError`` when it is gone."""
        ...

    def destroy(self, name: str) -> None:
        """Destroy a secret; nothing happens when it is gone."""
        ...


class MemoryStore:
    """A key store that forgets everything when the process ends."""

    def __init__(self) -> None:
        self._secrets: dict[str, bytes] = {}

    def put(self, name: str, secret: bytes) -> None:
        """Keep a secret."""
        self._secrets[name] = secret

    def get(self, name: str) -> bytes:
        """Return a secret.

        Raises:
            MissingError: It is gone.
        """
        try:
            return self._secrets[name]
        except KeyError as error:
            raise MissingError("the key of this lease is gone", rule="lease.key") from error

    def destroy(self, name: str) -> None:
        """Destroy a secret; nothing happens when it is gone."""
        self._secrets.pop(name, None)
