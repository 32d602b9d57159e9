"""The root key in the keeper's own memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

from safehold.errors import InvalidError
from safehold.vault import keys
from safehold.vault.guarded import Guarded, scrub
from safehold.vault.kms.interface import Item

DERIVATION: Final = b"safehold/root/derivation/1"  # context under which it is wrapped


class LocalRoot:
    """A root key held by this process; the ways to get one are in ``sealed`` and ``shares``.

    Wrapping, derivation and the check value each use a key of their own.

    Args:
        raw: 32 random bytes; copied.
        carried: What was derived from under the root before this one; None derives from this one.
        kind: How the root is kept at rest.
    """

    __slots__ = ("_carried", "_raw", "kind")

    def __init__(self, raw: bytes, *, carried: bytes | None = None, kind: str = "memory") -> None:
        if len(raw) != keys.KEY_BYTES:
            raise InvalidError("a root key has 32 bytes", rule="root.key")
        self._raw = Guarded(raw)
        self._carried = None if carried is None else Guarded(carried)
        self.kind: Final = kind

    @classmethod
    def generate(cls, *, carried: bytes | None = None, kind: str = "memory") -> LocalRoot:
        """Make a root from operating-system entropy."""
        raw = keys.new_key()
        root = cls(raw, carried=carried, kind=kind)
        scrub(raw)
        return root

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """Return ``key`` sealed with AES-256-GCM under the root, bound to the context."""
        use = self._use("wrap")
        try:
            return keys.seal_bytes(use, key, aad=context)
        finally:
            scrub(use)

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Return what ``wrap`` wrapped.

        Raises:
            TamperedError: Another root, another context, or changed bytes.
        """
        use = self._use("wrap")
        try:
            return keys.open_bytes(use, wrapped, aad=context)
        finally:
            scrub(use)

    def wrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return each wrapped."""
        return [self.wrap(item.data, context=item.context) for item in items]

    def unwrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return what was wrapped."""
        return [self.unwrap(item.data, context=item.context) for item in items]

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose of the keeper, always the same ones."""
        secret = self.derivation()
        try:
            return derived(secret, purpose)
        finally:
            scrub(secret)

    def derivation(self) -> bytes:
        """Return what ``derive`` derives from; the caller scrubs it."""
        return self._use("derive") if self._carried is None else bytes(self._carried.view())

    @property
    def carried(self) -> bool:
        """Whether the derivation secret is older than this root."""
        return self._carried is not None

    def check(self) -> bytes:
        """Return 16 bytes that tell one root from another and give nothing away."""
        return self._use("check")[:16]

    def secret(self) -> bytes:
        """Return a copy of the 32 bytes, for ``sealed`` and ``shares`` alone; never stored bare."""
        return bytes(self._raw.view())

    def close(self) -> None:
        """Overwrite the key."""
        self._raw.wipe()
        if self._carried is not None:
            self._carried.wipe()

    def _use(self, use: str) -> bytes:
        return keys.hkdf(self._raw.view(), salt=b"safehold/root/1", info=use.encode("ascii"))

    def __repr__(self) -> str:
        return "LocalRoot(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a root key is never pickled")


def derived(secret: bytes | memoryview, purpose: str) -> bytes:
    """Return 32 bytes for one purpose.

    Raises:
        InvalidError: No purpose.
    """
    if not purpose:
        raise InvalidError("a derived key needs a purpose", rule="root.derive")
    return keys.hkdf(secret, salt=b"", info=purpose.encode())
