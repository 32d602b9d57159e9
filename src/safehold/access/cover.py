"""The cover of an envelope on its way through a queue: whoever runs the queue sees neither device nor stream nor size.

HPKE base mode, as of envelopes (``access.envelope``), to a key of whoever takes from the queue. What is covered is
padded to a multiple of 4 KiB. The seal inside is what protects; the cover keeps its header from those who carry it.

Layout: ``SHC1`` | HPKE ciphertext of (u32 length | envelope | zeros).
"""

from __future__ import annotations

import struct
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from safehold.access.envelope import LeaseKey
from safehold.errors import InvalidError, TamperedError

DOMAIN: Final = b"safehold.cover.v1"
BUCKET: Final = 4096
_MAGIC: Final = b"SHC1"
_LENGTH: Final = struct.Struct(">I")
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def cover(envelope: bytes, to: bytes) -> bytes:
    """Return an envelope under a cover.

    Args:
        envelope: Its bytes.
        to: Public key of whoever takes from the queue, 32 bytes.

    Raises:
        InvalidError: It is no such key.
    """
    plain = _LENGTH.pack(len(envelope)) + envelope
    plain += bytes(-len(plain) % BUCKET)
    try:
        sealed = _SUITE.encrypt(plain, X25519PublicKey.from_public_bytes(to), DOMAIN)
    except ValueError as error:
        raise InvalidError("not the key of a queue", rule="cover.key") from error
    return _MAGIC + sealed


def uncover(data: bytes, key: LeaseKey) -> bytes:
    """Return the envelope under a cover.

    Raises:
        TamperedError: It was covered for somebody else, or changed.
    """
    wrong = TamperedError("a cover does not open", rule="cover.seal")
    if data[:4] != _MAGIC:
        raise wrong
    try:
        plain = key.open(data[4:], DOMAIN)
    except TamperedError as error:
        raise wrong from error
    if len(plain) < _LENGTH.size:
        raise wrong
    (length,) = _LENGTH.unpack_from(plain)
    rest = plain[_LENGTH.size + length :]
    if (
        length > len(plain) - _LENGTH.size
        or len(plain) % BUCKET
        or len(rest) >= BUCKET
        or any(rest)
    ):
        raise wrong
    return plain[_LENGTH.size : _LENGTH.size + length]
