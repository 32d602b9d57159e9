"""The root key in the keeper's own memory."""

from __future__ import annotations

from typing import NoReturn

from safehold.errors import InvalidError
from safehold.vault import keys


class LocalRoot:
    """A root key held by this process; the ways to get one are in ``sealed`` and ``shares``.

    Wrapping, derivation and the check value each use a key of their own.

    Args:
        raw: 32 random bytes.
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        if len(raw) != keys.KEY_BYTES:
            raise InvalidError("a root key has 32 bytes", rule="root.key")
        self._raw = raw

    @classmethod
    def generate(cls) -> LocalRoot:
        """Make a root from operating-system entropy."""
        return cls(keys.new_key())

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """Return ``key`` sealed with AES-256-GCM under the root, bound to the context."""
        return keys.seal_bytes(self._use("wrap"), key, aad=context)

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Return what ``wrap`` wrapped.

        Raises:
            TamperedError: Another root, another context, or changed bytes.
        """
        return keys.open_bytes(self._use("wrap"), wrapped, aad=context)

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose of the keeper, always the same ones."""
        if not purpose:
            raise InvalidError("a derived key needs a purpose", rule="root.derive")
        return keys.hkdf(self._use("derive"), salt=b"", info=purpose.encode())

    def check(self) -> bytes:
        """Return 16 bytes that tell one root from another and give nothing away."""
        return self._use("check")[:16]

    def secret(self) -> bytes:
        """Return the 32 bytes, for ``sealed`` and ``shares`` alone; never stored bare."""
        return self._raw

    def _use(self, use: str) -> bytes:
        return keys.hkdf(self._raw, salt=b"safehold/root/1", info=use.encode("ascii"))

    def __repr__(self) -> str:
        return "LocalRoot(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a root key is never pickled")
