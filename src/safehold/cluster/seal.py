"""Parcels: a stream of bytes, sealed in pieces, for one attempt and one direction.

One secret of 32 random bytes belongs to one attempt. Four keys come from it (HKDF-SHA256, RFC 5869): for what goes
in, for what comes back, for what is asked on the way, and for the short words by which keeper and opener hold on to
each other. A piece is sealed with AES-256-GCM; its nonce is its number and whether it is the last one (the STREAM
construction of Hoang, Reyhanitabar, Rogaway and Vizár 2015), so pieces can be neither swapped, repeated nor cut off.
Questions have no last piece: that one is cut off leaves a question without an answer, and nothing else.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from safehold import ids
from safehold.errors import InvalidError, TamperedError

PIECE: Final = 4 << 20  # bytes of plaintext in one piece
SECRET: Final = 32
TAG: Final = 16
IN: Final = b"in"
BACK: Final = b"back"
ASKED: Final = b"asked"
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_LABEL: Final = b"safehold.cluster.v1\0"


class Keys:
    """The keys of one attempt.

    Args:
        secret: 32 random bytes, used for no other attempt.
        place: Names the attempt; keys of one place open nothing of another.
    """

    def __init__(self, secret: bytes, place: bytes) -> None:
        if len(secret) != SECRET:
            raise InvalidError("the secret of an attempt has 32 bytes", rule="cluster.secret")
        self._place = place
        self._pieces = {way: AESGCM(self._derive(secret, way)) for way in (IN, BACK, ASKED)}
        self._word = self._derive(secret, b"word")

    def seal(self, way: bytes, number: int, data: bytes | memoryview, *, last: bool) -> bytes:
        """Return one piece, sealed; a number is used once in each direction."""
        return self._pieces[way].encrypt(_nonce(number, last=last), data, self._place)

    def open(self, way: bytes, number: int, data: bytes, *, last: bool) -> bytes:
        """Return what is in a piece.

        Raises:
            TamperedError: It was changed, or is another piece than the one that is due.
        """
        try:
            return self._pieces[way].decrypt(_nonce(number, last=last), data, self._place)
        except InvalidTag as error:
            raise TamperedError(
                "a piece of a parcel does not open", rule="cluster.piece"
            ) from error

    def word(self, what: str, number: int = 0) -> bytes:
        """Return a short word that only the two ends of an attempt can say, 32 bytes."""
        return hmac.digest(self._word, f"{what}/{number}".encode(), "sha256")

    def require_word(self, said: bytes, what: str, number: int = 0) -> None:
        """Pass if somebody said such a word.

        Raises:
            TamperedError: They did not.
        """
        if not hmac.compare_digest(said, self.word(what, number)):
            raise TamperedError("a word of an attempt does not hold", rule="cluster.word")

    def _derive(self, secret: bytes, what: bytes) -> bytes:
        return HKDF(
            algorithm=hashes.SHA256(), length=32, salt=self._place, info=_LABEL + what
        ).derive(secret)

    def __repr__(self) -> str:
        return "Keys(...)"


class TaskKey:
    """A key that an opener makes for one attempt and forgets with it."""

    def __init__(self) -> None:
        self._key = X25519PrivateKey.generate()
        self.public: bytes = self._key.public_key().public_bytes_raw()

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """Return what was sealed to this key alone.

        Raises:
            TamperedError: It was sealed to another key, or for something else.
        """
        try:
            return bytes(_SUITE.decrypt(sealed, self._key, info))
        except (InvalidTag, ValueError) as error:
            raise TamperedError("a warrant does not open", rule="cluster.warrant") from error


def fresh_secret() -> bytes:
    """Return the secret of one attempt, from operating-system entropy."""
    return ids.random_bytes(SECRET)


def seal_to(public: bytes, data: bytes, info: bytes) -> bytes:
    """Seal a few bytes to a key that somebody made for this (HPKE base mode, RFC 9180)."""
    try:
        key = X25519PublicKey.from_public_bytes(public)
    except ValueError as error:
        raise TamperedError("not a key", rule="cluster.claim") from error
    return bytes(_SUITE.encrypt(data, key, info))


def cut(chunks: Iterable[bytes | memoryview], size: int = PIECE) -> Iterator[bytes]:
    """Yield the same bytes in pieces of one size; the last one may be shorter, and is empty only if all is."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) > size:  # a full one waits: it may be the last
            yield bytes(held[:size])
            del held[:size]
    yield bytes(held)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\1" if last else b"\0")
