"""The key hierarchy: what is derived from what, and how keys are wrapped.

::

    root KEK
     +- segment KEK of an epoch     32 random bytes, wrapped under the root and an epoch secret
         +- key of a row            32 random bytes (person and stream and day of expiry, subject,
         |                          side-car month, artifact, metadata), AES-KW under the segment
         KEK
             +- window key          HKDF(person key, window | hash of the label)
                 +- block key, nonce, commitment    HKDF(window key, block id, header)

A person's key is random, never derived: what is derived from one master cannot be destroyed for one
person. The label (purposes, jurisdiction, expiry, charter) is an input of the window key, so asking
for a block under another label yields another key. Block keys are used once; their nonce is derived
all the same.

Sources: RFC 5869 (HKDF), RFC 3394 (AES key wrap).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from safehold import canonical, ids
from safehold.errors import InvalidError, TamperedError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
SERIES_VERSION: Final = 2  # of the compiled module that this fits to
SERIES_MOST: Final = 1 << 16  # secrets under one derived key; GCM with a counter allows 2^32
_SHA256: Final = hashes.SHA256()
_HASH_BYTES: Final = 32
_SALT_BYTES: Final = 16
_u32 = struct.Struct(">I").pack
_SERIES_ZEROS: Final = bytes(NONCE_BYTES - 4)
_MOST: Final = 255 * _HASH_BYTES  # RFC 5869 section 2.3
_FILL: Final = bytes(32)  # up to the 64 bytes that SHA-256 takes at once
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))  # RFC 2104 section 2
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


def hkdf(key: bytes | memoryview, *, salt: bytes, info: bytes, length: int = KEY_BYTES) -> bytes:
    """Return ``length`` bytes of HKDF-SHA-256 (RFC 5869).

    Args:
        key: Input keying material.
        salt: Salt; empty means a string of zeros, as the RFC says.
        info: What the output is for.
        length: Bytes wanted, 1 to 8160.

    Raises:
        InvalidError: The length is outside the RFC's bounds.
    """
    if not 1 <= length <= _MOST:
        raise InvalidError("HKDF-SHA-256 yields 1 to 8160 bytes", rule="keys.hkdf")
    return HKDF(_SHA256, length, salt or None, info).derive(key)


def hmac_of(key: bytes, data: bytes) -> bytes:
    """Return HMAC-SHA-256 (RFC 2104) under a key of 32 bytes.

    The same as ``hmac.digest`` in half the time: that one looks its algorithm up anew at each call.

    Raises:
        InvalidError: The key has another length.
    """
    if len(key) != _HASH_BYTES:
        raise InvalidError("this HMAC takes keys of 32 bytes", rule="keys.hmac")
    block = key + _FILL
    inner = hashlib.sha256(block.translate(_INNER) + data).digest()
    return hashlib.sha256(block.translate(_OUTER) + inner).digest()


class _Hidden:
    """A thing with key material: neither printed nor pickled."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} holds a key and is never pickled")


class BlockKeys(_Hidden):
    """What seals exactly one block.

    Args:
        key: AES-256 key.
        nonce: 12 bytes.
        commitment: 32 bytes stored beside the block and compared before anything is decrypted,
            because AES-GCM by itself does not commit to a key.
    """

    __slots__ = ("commitment", "key", "nonce")

    def __init__(self, *, key: bytes, nonce: bytes, commitment: bytes) -> None:
        self.key, self.nonce, self.commitment = key, nonce, commitment


def new_key() -> bytes:
    """Return 32 bytes of operating-system entropy."""
    return ids.random_bytes(KEY_BYTES)


@lru_cache(maxsize=4096)  # labels are few and no secret
def label_hash(
    *, purposes: tuple[str, ...], jurisdiction: str, expires: int, charter: bytes
) -> bytes:
    """Return the 32-byte hash that ties a window key to what its data may be used for."""
    return canonical.digest(
        {
            "charter": canonical.b64(charter),
            "expires": expires,
            "jurisdiction": jurisdiction,
            "purposes": list(purposes),
        }
    )


def window_key(person_key: bytes, *, window: int, label: bytes) -> bytes:
    """Return the key of one person, stream, window and label.

    Args:
        person_key: Key of the (person, stream, day of expiry).
        window: UTC day number.
        label: What ``label_hash`` returns.
    """
    return WindowKeys(person_key).of(window, label)


class WindowKeys(_Hidden):
    """The keys of one person's windows; the extract step of HKDF (RFC 5869) is the same for all, and done once.

    Args:
        person_key: Key of the (person, stream, day of expiry).
    """

    __slots__ = ("_prk",)

    def __init__(self, person_key: bytes) -> None:
        self._prk = hmac_of(_FILL, person_key)  # no salt is a salt of zeros

    def of(self, window: int, label: bytes) -> bytes:
        """Return what ``window_key`` returns."""
        info = b"safehold/window/1" + window.to_bytes(8, "big") + label
        return hmac_of(self._prk, info + b"\x01")


def person_tag(window: bytes, person: str) -> bytes:
    """Return 16 bytes that name a person to holders of the window key and to nobody else.

    Once the key is destroyed the tag is noise; tags of one person's windows cannot be linked.
    """
    return hmac_of(window, b"safehold/tag/1" + person.encode())[:16]


def block_keys(window: bytes, *, block_id: bytes, header: bytes) -> BlockKeys:
    """Return key, nonce and commitment of one block.

    Args:
        window: The window key.
        block_id: 16 random bytes.
        header: The block's header in the clear, exactly as it is sealed.
    """
    info = b"safehold/block/1" + hashlib.sha256(header).digest()
    out = hkdf(window, salt=block_id, info=info, length=KEY_BYTES + NONCE_BYTES + 32)
    return BlockKeys(key=out[:32], nonce=out[32:44], commitment=out[44:])


def cipher(key: bytes) -> AESGCM:
    """Return AES-256-GCM under a key, for a key that is used more than once."""
    return AESGCM(key)


def encrypt(key: bytes, nonce: bytes, data: bytes | bytearray | memoryview, aad: bytes) -> bytes:
    """Return AES-256-GCM ciphertext and 16-byte tag; a (key, nonce) pair is used once."""
    return AESGCM(key).encrypt(nonce, data, aad)


def encrypt_into(key: bytes, nonce: bytes, data: memoryview, aad: bytes, into: memoryview) -> None:
    """Write what ``encrypt`` returns into a buffer of exactly that size."""
    AESGCM(key).encrypt_into(nonce, data, aad, into)


def decrypt(
    key: bytes | AESGCM, nonce: bytes, data: bytes | memoryview, aad: bytes, *, what: str, rule: str
) -> bytes:
    """Return the plaintext of ``encrypt``.

    Args:
        key: AES-256 key, or its cipher.
        nonce: 12 bytes.
        data: Ciphertext and tag.
        aad: Additional data.
        what: What the data is, for the message.
        rule: The rule a failure is told by.

    Raises:
        TamperedError: Key, nonce, ciphertext, tag or additional data are not those of the sealing.
    """
    try:
        held = key if isinstance(key, AESGCM) else AESGCM(key)
        return held.decrypt(nonce, data, aad)
    except InvalidTag:
        raise TamperedError(f"the seal of {what} does not hold", rule=rule) from None


def seal_bytes(key: bytes, data: bytes, *, aad: bytes) -> bytes:
    """Seal a small secret: 16 random bytes, then AES-256-GCM under a key derived with them.

    The derived key and nonce are used once, so that no count of messages has to be kept.
    """
    salt = ids.random_bytes(16)
    out = hkdf(key, salt=salt, info=b"safehold/small/1", length=KEY_BYTES + NONCE_BYTES)
    return salt + encrypt(out[:32], out[32:], data, aad)


def open_bytes(key: bytes, sealed: bytes, *, aad: bytes) -> bytes:
    """Open what ``seal_bytes`` sealed.

    Raises:
        TamperedError: The bytes, the key or the context are not those of the sealing.
    """
    if len(sealed) < 16 + TAG_BYTES:
        raise TamperedError("a sealed secret is cut short", rule="keys.sealed")
    out = hkdf(key, salt=sealed[:16], info=b"safehold/small/1", length=KEY_BYTES + NONCE_BYTES)
    return decrypt(out[:32], out[32:], sealed[16:], aad, what="a sealed secret", rule="keys.sealed")


class Series(_Hidden):
    """Seals many small secrets under one fresh key that is derived for them and then forgotten.

    The key comes from 16 random bytes and each nonce from a counter, so no pair of the two repeats.
    Use one for one commit and drop it: a salt that outlived a snapshot of the machine would not be
    fresh any more.

    Args:
        key: What the fresh key is derived from; destroying it destroys what was sealed.
        front: Stands before every sealed secret, such as the version of what they are.
        most: Secrets sealed before another fresh key is derived.
    """

    __slots__ = ("_front", "_key", "_lock", "_most", "_next", "_now")

    def __init__(self, key: bytes, *, front: bytes = b"", most: int = SERIES_MOST) -> None:
        self._key = key
        self._front = front
        self._most = most
        self._lock = Lock()
        self._next = most  # so that the first secret gets the first fresh key
        self._now = b"", b""

    def _take(self, count: int) -> tuple[bytes, bytes, range]:
        """Return a salt, its key, and at most so many numbers that nobody else gets."""
        with self._lock:
            if self._next == self._most:
                salt = ids.random_bytes(_SALT_BYTES)
                self._now, self._next = (salt, _series_key(self._key, salt)), 0
            numbers = range(self._next, min(self._next + count, self._most))
            self._next = numbers.stop
            return *self._now, numbers

    def seal(
        self, secrets: Sequence[bytes], aads: Sequence[bytes], *, place: bytes = b"", pad: int = 1
    ) -> list[bytes]:
        """Return of each secret: front, salt, number in four bytes, ciphertext and tag.

        What is encrypted is the secret behind its length in four bytes, and zeros.

        Args:
            secrets: What to hide.
            aads: Additional data of each.
            place: Stands before the additional data of all.
            pad: Zeros are added up to a multiple of this many bytes.
        """
        # nobody else's: from a list that shrank meanwhile, numbers would be taken backwards
        secrets, aads = list(secrets), list(aads)
        found: list[bytes] = []
        while left := len(secrets) - len(found):
            salt, key, numbers = self._take(left)
            some = slice(len(found), len(found) + len(numbers))
            found += seal_all(
                key, self._front + salt, numbers.start, place, pad, secrets[some], aads[some]
            )
        return found


def seal_plainly(  # noqa: PLR0917 - that of series.c
    key: bytes,
    front: bytes,
    first: int,
    place: bytes,
    pad: int,
    secrets: Sequence[bytes],
    aads: Sequence[bytes],
    /,
) -> list[bytes]:
    """Return secrets sealed under one key and the numbers from ``first`` on."""
    encrypt, found = AESGCM(key).encrypt, []
    for number, (secret, aad) in enumerate(zip(secrets, aads, strict=True), first):
        count, size = _u32(number), len(secret)
        plain = _u32(size) + secret + bytes(-(size + 4) % pad)
        found.append(front + count + encrypt(_SERIES_ZEROS + count, plain, place + aad))
    return found


seal_all = seal_plainly
try:
    from safehold.vault import _series
except ImportError:
    pass
else:
    # another one was left by an older checkout, or is not ours
    if getattr(_series, "VERSION", None) == SERIES_VERSION:
        seal_all = _series.seal


def open_series(key: bytes, sealed: bytes, *, aad: bytes) -> bytes:
    """Open what a ``Series`` sealed.

    Raises:
        TamperedError: The bytes, the key or the context are not those of the sealing.
    """
    if len(sealed) < _SALT_BYTES + 4 + TAG_BYTES:
        raise TamperedError("a sealed secret is cut short", rule="keys.sealed")
    salt, count = sealed[:_SALT_BYTES], sealed[_SALT_BYTES : _SALT_BYTES + 4]
    plain = decrypt(
        _series_key(key, salt),
        _SERIES_ZEROS + count,
        sealed[_SALT_BYTES + 4 :],
        aad,
        what="a sealed secret",
        rule="keys.sealed",
    )
    return plain[4 : 4 + int.from_bytes(plain[:4], "big")]


def _series_key(key: bytes, salt: bytes) -> bytes:
    return hkdf(key, salt=salt, info=b"safehold/series/1")


class RowKeys(_Hidden):
    """Wraps the keys of many rows under one segment KEK: 40 bytes of AES-KW (RFC 3394) each.

    AES-KW takes no context, so the wrapping key is derived from the row's: a wrapped key copied
    into another row does not open there, and nobody can park a key under another name before its
    erasure. The extract step of HKDF (RFC 5869) is the same for all rows, and done once.

    Args:
        kek: The segment KEK.
    """

    __slots__ = ("_prk",)

    def __init__(self, kek: bytes | memoryview) -> None:
        self._prk = hmac.digest(b"safehold/row/1", kek, "sha256")

    def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """Wrap a row's key."""
        return aes_key_wrap(hmac.digest(self._prk, context + b"\x01", "sha256"), key)

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Unwrap what ``wrap`` wrapped.

        Raises:
            TamperedError: The row was changed, moved, or belongs to another epoch.
        """
        try:
            return aes_key_unwrap(hmac.digest(self._prk, context + b"\x01", "sha256"), wrapped)
        except (InvalidUnwrap, ValueError):
            raise TamperedError("a wrapped key does not open", rule="keys.wrapped") from None


def wrap_row(kek: bytes | memoryview, key: bytes, *, context: bytes) -> bytes:
    """Wrap one row's key under the segment KEK, as ``RowKeys`` does."""
    return RowKeys(kek).wrap(key, context=context)


def unwrap_row(kek: bytes | memoryview, wrapped: bytes, *, context: bytes) -> bytes:
    """Unwrap what ``wrap_row`` wrapped; raises as ``RowKeys.unwrap`` does."""
    return RowKeys(kek).unwrap(wrapped, context=context)
