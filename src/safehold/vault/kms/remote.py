"""A root key that the keeper cannot see: it lives in a device or a service, and wraps there.

The root file names the place and holds the derivation secret: 32 random bytes, wrapped there too. Small secrets
go to the place as they are; larger ones are sealed under a fresh key, and that goes there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, TamperedError
from safehold.vault import durable, keys
from safehold.vault.guarded import Guarded, scrub
from safehold.vault.kms.interface import Item, Kek
from safehold.vault.kms.local import DERIVATION, derived
from safehold.vault.kms.sealed import VERSION, read_record

_DIRECT: Final = b"\x01"
_SEALED: Final = b"\x02"
_INNER: Final = b"safehold/root/data/1\0"


class RemoteRoot:
    """A root over a key elsewhere. Thread-safe if the key is.

    Args:
        kek: The key.
        derivation: What the keeper's own keys are derived from; copied.
    """

    __slots__ = ("_derivation", "_kek", "kind")

    def __init__(self, kek: Kek, derivation: bytes) -> None:
        if len(derivation) != keys.KEY_BYTES:
            raise TamperedError("the derivation secret has another length", rule="root.record")
        self._kek = kek
        self._derivation = Guarded(derivation)
        self.kind: Final = kek.kind

    @property
    def kek(self) -> Kek:
        """The key."""
        return self._kek

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """Return ``key`` wrapped in one call; it unwraps only under the same context."""
        return self.wrap_many([Item(key, context)])[0]

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Return what ``wrap`` wrapped, in one call."""
        return self.unwrap_many([Item(wrapped, context)])[0]

    def wrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return each wrapped."""
        direct, bodies = [], []
        for item in items:
            if len(item.data) <= self._kek.most:
                direct.append(item)
                bodies.append(None)
                continue
            fresh = keys.new_key()
            bodies.append(keys.seal_bytes(fresh, item.data, aad=item.context))
            direct.append(Item(fresh, _INNER + item.context))
        wrapped = self._kek.wrap_many(direct)
        return [
            _DIRECT + one if body is None else _SEALED + len(one).to_bytes(2, "big") + one + body
            for one, body in zip(wrapped, bodies, strict=True)
        ]

    def unwrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return what was wrapped."""
        asked, bodies = [], []
        for data, context in items:
            if data[:1] == _DIRECT:
                asked.append(Item(data[1:], context))
                bodies.append(None)
            elif data[:1] == _SEALED:
                end = 3 + int.from_bytes(data[1:3], "big")
                asked.append(Item(data[3:end], _INNER + context))
                bodies.append(data[end:])
            else:
                raise TamperedError("a wrapped key has an unknown form", rule="root.wrapped")
        opened = self._kek.unwrap_many(asked)
        return [
            one if body is None else keys.open_bytes(one, body, aad=item.context)
            for one, body, item in zip(opened, bodies, items, strict=True)
        ]

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for one purpose of the keeper; no call is made."""
        return derived(self._derivation.view(), purpose)

    def derivation(self) -> bytes:
        """Return what ``derive`` derives from; the caller scrubs it."""
        return bytes(self._derivation.view())

    def close(self) -> None:
        """Overwrite the derivation secret and end the session."""
        self._derivation.wipe()
        self._kek.close()

    def __repr__(self) -> str:
        return f"RemoteRoot({self.kind}, hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a root key is never pickled")


def create_remote(path: Path, kek: Kek, *, carried: bytes | None = None) -> RemoteRoot:
    """Write the root file of a key elsewhere, and return the root.

    Args:
        path: The file; it must not exist.
        kek: The key, opened.
        carried: The derivation secret of a root before this one; None makes a new one.

    Raises:
        ConflictError: The file exists.
        UnavailableError: The key does not answer.
    """
    secret = keys.new_key() if carried is None else carried
    root = RemoteRoot(kek, secret)
    record = {
        "v": VERSION,
        "kind": kek.kind,
        "where": dict(kek.where),
        "derivation": b64(root.wrap(secret, context=DERIVATION)),
    }
    if carried is None:
        scrub(secret)
    durable.write_new(path, canonical.encode(record))
    return root


def where_of(path: Path) -> Mapping[str, str] | None:
    """Return where a root file says that its key is, or None if the key is in the file or in shares.

    Raises:
        MissingError: There is no such file.
        TamperedError: It is damaged.
    """
    record = read_record(path)
    if "where" not in record:
        return None
    where = record["where"]
    if not isinstance(where, dict) or not all(isinstance(value, str) for value in where.values()):
        raise TamperedError("the root file is damaged", rule="root.record")
    return where


def open_remote(path: Path, kek: Kek) -> RemoteRoot:
    """Return the root of a file whose key is elsewhere; one call proves that both belong together.

    Raises:
        TamperedError: The file is damaged or another key's.
        UnavailableError: The key does not answer.
        ShreddedError: The key was destroyed.
    """
    record = read_record(path)
    match record:
        case {"kind": kek.kind, "where": dict(where), "derivation": str(text)} if (
            len(record) == 4 and where == dict(kek.where)
        ):
            pass
        case _:
            raise TamperedError("the root file is not of this key", rule="root.record")
    try:
        wrapped = unb64(text)
    except InvalidError as error:
        raise TamperedError("the root file is damaged", rule="root.record") from error
    if wrapped[:1] != _DIRECT:
        raise TamperedError("the root file is damaged", rule="root.record")
    (secret,) = kek.unwrap_many([Item(wrapped[1:], DERIVATION)])
    root = RemoteRoot(kek, secret)
    scrub(secret)
    return root
