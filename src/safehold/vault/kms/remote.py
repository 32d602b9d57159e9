"""A root key that the keeper cannot see: it lives in a device or a service, and wraps there.

The root file names the place and holds the derivation secret: 32 random bytes, wrapped there too. Small secrets
go to the place as they are; larger ones are sealed under a fresh key, and that goes there. What comes back carries
a tag of ours over place, context and bytes: what was changed, moved, or belongs to another root is found before
anybody is asked, and whatever a service answers to it.
"""

from __future__ import annotations

import hmac
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
_TAG: Final = 16  # bytes


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
            if 1 <= len(item.data) <= self._kek.most:  # some take no empty text
                direct.append(item)
                bodies.append(b"")
                continue
            fresh = keys.new_key()
            bodies.append(keys.seal_bytes(fresh, item.data, aad=item.context))
            direct.append(Item(fresh, _INNER + item.context))
            # ``fresh`` goes out of use here, but it lies in a list until the call is over
        wrapped = self._kek.wrap_many(direct)
        return [
            self._tagged(
                _SEALED + len(one).to_bytes(2, "big") + one + body if body else _DIRECT + one,
                item.context,
            )
            for one, body, item in zip(wrapped, bodies, items, strict=True)
        ]

    def unwrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return what was wrapped."""
        asked, bodies = [], []
        for tagged, context in items:
            data = self._untagged(tagged, context)
            if data[:1] == _DIRECT:
                asked.append(Item(data[1:], context))
                bodies.append(b"")
            else:
                end = 3 + int.from_bytes(data[1:3], "big")
                asked.append(Item(data[3:end], _INNER + context))
                bodies.append(data[end:])
        opened = self._kek.unwrap_many(asked) if asked else []
        return [
            keys.open_bytes(one, body, aad=item.context) if body else one
            for one, body, item in zip(opened, bodies, items, strict=True)
        ]

    def _tagged(self, data: bytes, context: bytes) -> bytes:
        return self._tag(data, context) + data

    def _untagged(self, tagged: bytes, context: bytes) -> bytes:
        tag, data = tagged[:_TAG], tagged[_TAG:]
        if not hmac.compare_digest(tag, self._tag(data, context)):
            raise TamperedError("a wrapped key does not open", rule="root.wrapped")
        return data

    def _tag(self, data: bytes, context: bytes) -> bytes:
        key = derived(self._derivation.view(), "root/wrapped")
        place = canonical.encode([self._kek.kind, dict(self._kek.where), b64(context)])
        tag = hmac.digest(key, len(place).to_bytes(4, "big") + place + data, "sha256")[:_TAG]
        scrub(key)
        return tag

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
        "derivation": b64(kek.wrap_many([Item(secret, DERIVATION)])[0]),
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
        case {"kind": kek.kind, "where": dict(where), "derivation": str(text)} if len(
            record
        ) == 4 and where == dict(kek.where):
            pass
        case _:
            raise TamperedError("the root file is not of this key", rule="root.record")
    try:
        wrapped = unb64(text)
    except InvalidError as error:
        raise TamperedError("the root file is damaged", rule="root.record") from error
    (secret,) = kek.unwrap_many([Item(wrapped, DERIVATION)])
    root = RemoteRoot(kek, secret)
    scrub(secret)
    return root
