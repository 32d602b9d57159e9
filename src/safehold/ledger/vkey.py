"""Verifier keys and what each type of them signs (C2SP signed-note, tlog-cosignature).

The id of every key is computed again when it is read. Ed25519 keys of low order or in a second
spelling are refused, because OpenSSL verifies leniently there. A type 0x06 signature covers name,
time, origin, size and root and no extension line of a checkpoint, so nothing is ever decided by
one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, TamperedError
from safehold.ledger.checkpoint import Checkpoint

ED25519 = 0x01
COSIGNATURE = 0x04
LATTICE = 0x06  # ML-DSA-44, FIPS 204
TIMED = (COSIGNATURE, LATTICE)  # their signatures begin with eight bytes of time
SIZES = {ED25519: 32, COSIGNATURE: 32, LATTICE: 1312}  # bytes of public key

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_LOW_ORDER = {
    0,
    1,
    _P - 1,
    int.from_bytes(
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
    ),
    int.from_bytes(
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"
    ),
}


@dataclass(frozen=True, slots=True)
class VKey:
    """A verifier key: ``<name>+<id in hex>+<base64 of type and key>``.

    Args:
        name: Name of the signer; a log's name is its origin.
        algorithm: 0x01 signs notes, 0x04 cosigns them with a time, 0x06 signs or cosigns
            checkpoints with ML-DSA-44.
        key: The public key: 32 bytes of Ed25519, or 1,312 of ML-DSA-44.
    """

    name: str
    algorithm: int
    key: bytes

    @classmethod
    def parse(cls, text: str) -> VKey:
        """Read a verifier key.

        Raises:
            InvalidError: Wrong syntax, wrong id, an unknown type, or a weak key.
        """
        name, plus, rest = text.partition("+")
        mark, second, data = rest.partition("+")
        if not plus or not second:
            raise InvalidError("a verifier key has three parts", rule="ledger.vkey")
        raw = unb64(data)
        if not raw or len(raw) - 1 != SIZES.get(raw[0]):
            raise InvalidError("a verifier key of an unknown type", rule="ledger.vkey.type")
        check = check_lattice if raw[0] == LATTICE else check_key
        key = cls(check_name(name), raw[0], check(raw[1:]))
        if key.key_id.hex() != mark:
            raise InvalidError("a verifier key with a wrong id", rule="ledger.vkey.id")
        return key

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name, newline, type, key)."""
        stem = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.key
        return hashlib.sha256(stem).digest()[:4]

    def text(self) -> str:
        """Return the key as it is written in a policy."""
        return f"{self.name}+{self.key_id.hex()}+{b64(bytes([self.algorithm]) + self.key)}"

    def verify(self, text: bytes, signature: bytes) -> int:
        """Check a signature over a note's text; return its time in seconds, 0 if it has none.

        Raises:
            TamperedError: The signature does not hold.
        """
        at = 0
        if self.algorithm in TIMED:
            at, signature = int.from_bytes(signature[:8], "big"), signature[8:]
        try:
            if self.algorithm == LATTICE:
                message = lattice_message(self.name, at, text)
                MLDSA44PublicKey.from_public_bytes(self.key).verify(signature, message)
            else:
                message = cosigned(text, at) if self.algorithm == COSIGNATURE else text
                Ed25519PublicKey.from_public_bytes(self.key).verify(signature, message)
        except (InvalidSignature, InvalidError) as error:
            raise TamperedError(
                f"a signature of {self.name} does not hold", rule="ledger.note.signature"
            ) from error
        return at


def cosigned(text: bytes, at: int) -> bytes:
    """Return what a type 0x04 cosignature at a time (seconds) signs."""
    return f"cosignature/v1\ntime {at}\n".encode() + text


def lattice_message(name: str, at: int, text: bytes) -> bytes:
    """Return what a type 0x06 signature at a time (seconds) signs (tlog-cosignature).

    Raises:
        InvalidError: The text is no checkpoint, or a name is longer than 255 bytes.
    """
    head = Checkpoint.parse(text)
    signer, origin = name.encode(), head.origin.encode()
    if not 0 < len(signer) < 256 or not 0 < len(origin) < 256 or not 0 <= at < 2**63:
        raise InvalidError("a name or a time is out of range", rule="ledger.note.name")
    return b"".join(
        (
            b"subtree/v1\n\0",
            bytes([len(signer)]),
            signer,
            at.to_bytes(8, "big"),
            bytes([len(origin)]),
            origin,
            bytes(8),  # a checkpoint is the subtree that begins at leaf 0
            head.size.to_bytes(8, "big"),
            head.root,
        )
    )


def check_name(name: str) -> str:
    """Return a signer's name if it is one.

    Raises:
        InvalidError: It is empty, or holds a space, a plus sign or a control character.
    """
    if not name or "+" in name or not name.isprintable() or any(map(str.isspace, name)):
        raise InvalidError("not a signer's name", rule="ledger.note.name")
    return name


def check_key(key: bytes) -> bytes:
    """Return an Ed25519 public key if it is a canonical point of large order (RFC 8032 5.1.3).

    Raises:
        InvalidError: It is not on the curve, of low order, or not the one spelling of its point.
    """
    y = int.from_bytes(key, "little") & ((1 << 255) - 1)
    above, below = (y * y - 1) % _P, (_D * y * y + 1) % _P
    square = above * pow(below, -1, _P) % _P
    if len(key) != 32 or y >= _P or y in _LOW_ORDER or pow(square, (_P - 1) // 2, _P) != 1:
        raise InvalidError("a weak or malformed Ed25519 key", rule="ledger.vkey.key")
    return key


def check_lattice(key: bytes) -> bytes:
    """Return an ML-DSA-44 public key if it can be one.

    Raises:
        InvalidError: It cannot.
    """
    try:
        MLDSA44PublicKey.from_public_bytes(key)
    except ValueError as error:
        raise InvalidError("a malformed ML-DSA-44 key", rule="ledger.vkey.key") from error
    return key
