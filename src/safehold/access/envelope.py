"""Envelopes: a batch that a device seals to the key of its lease.

HPKE base mode (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM. The header
is the ``info`` of the encryption, so another header does not open it; the device signs the whole,
so that only the device named by the lease can have made it.

Layout: ``SHE1`` | u32 length | header, canonical JSON | u32 length | HPKE ciphertext | 64 bytes of
Ed25519 signature. Lengths are big-endian.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from safehold.canonical import decode, encode
from safehold.errors import InvalidError, TamperedError
from safehold.signing import SigningKey, VerifyKey

DOMAIN: Final = "safehold.envelope.v1"
_MAGIC: Final = b"SHE1"
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_LARGEST_HEADER: Final = 4096
_LARGEST_BODY: Final = 64 << 20
_SIGNATURE: Final = 64
_FIELDS: Final = {
    "v": int, "lease": str, "device": str, "number": int, "stream": str, "rows": int,
    "sealed_us": int,
}  # fmt: skip

# how an envelope stands with the keeper: for good, except for the last, which may be tried again
STORED, ALREADY, REFUSED, LATER = "stored", "already", "refused", "later"


def name_of(envelope: bytes) -> str:
    """Return the name of an envelope: its hash, by which it is known again; 64 hexadecimal digits."""
    return hashlib.sha256(b"safehold.envelope\0" + envelope).hexdigest()


class LeaseKey:
    """The private half of a lease's sealing key; whoever holds it can open the lease's envelopes.

    Args:
        raw: 32 bytes of X25519 private key.
    """

    def __init__(self, raw: bytes) -> None:
        if len(raw) != 32:
            raise InvalidError("an X25519 key has 32 bytes", rule="envelope.key")
        self._key = X25519PrivateKey.from_private_bytes(raw)
        self.public: bytes = self._key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> LeaseKey:
        """Make a new key from operating-system entropy."""
        return cls(X25519PrivateKey.generate().private_bytes_raw())

    def raw(self) -> bytes:
        """Return the 32 secret bytes, to be wrapped and never printed."""
        return self._key.private_bytes_raw()

    def open(self, ciphertext: bytes, info: bytes) -> bytes:
        """Return what was sealed to the public half.

        Raises:
            TamperedError: It was sealed to another key, or changed.
        """
        try:
            return bytes(_SUITE.decrypt(ciphertext, self._key, info))
        except (InvalidTag, ValueError) as error:
            raise TamperedError("an envelope does not open", rule="envelope.seal") from error

    def __repr__(self) -> str:
        return "LeaseKey(...)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A sealed batch as it travels.

    Args:
        lease: The lease it was made under.
        device: The device's verify key, base64.
        number: Counts up under one lease, so that a copy is noticed.
        stream: The stream.
        rows: How many events it holds.
        sealed_us: When the device sealed it, microseconds.
        ciphertext: HPKE encapsulation and ciphertext.
    """

    lease: str
    device: str
    number: int
    stream: str
    rows: int
    sealed_us: int
    ciphertext: bytes

    def header(self) -> bytes:
        """Return the canonical bytes of everything but the ciphertext."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in _FIELDS if name != "v"}
        return encode({"v": 1, **fields})


def seal_envelope(
    header: Mapping[str, Any], body: bytes, *, to: bytes, device: SigningKey
) -> bytes:
    """Seal a batch to a lease.

    Args:
        header: ``lease``, ``number``, ``stream``, ``rows`` and ``sealed_us``.
        body: The batch.
        to: Public sealing key of the lease, 32 bytes.
        device: Key of the device that signs.

    Returns:
        The envelope's bytes.
    """
    draft = Envelope(**header, device=device.public.text(), ciphertext=b"")
    head = draft.header()
    ciphertext = _SUITE.encrypt(body, X25519PublicKey.from_public_bytes(to), _info(head))
    data = b"".join(
        (_MAGIC, struct.pack(">I", len(head)), head, struct.pack(">I", len(ciphertext)), ciphertext)
    )
    return data + device.sign(DOMAIN, data)


def signer_of(data: bytes) -> VerifyKey:
    """Return the device that an envelope says it is of; nothing is checked but its shape.

    Raises:
        InvalidError: It is no envelope.
    """
    head, _ = _split(data)
    return VerifyKey.from_text(_fields(head)["device"])


def read_envelope(data: bytes, *, device: VerifyKey) -> Envelope:
    """Check an envelope's shape and signature and return it unopened.

    Args:
        data: The envelope's bytes.
        device: Key of the device that the lease was given to.

    Raises:
        InvalidError: It is no envelope.
        TamperedError: The device did not make it, or it was changed.
    """
    head, ciphertext = _split(data)
    device.verify(DOMAIN, data[:-_SIGNATURE], data[-_SIGNATURE:])
    envelope = Envelope(**_fields(head), ciphertext=ciphertext)
    if envelope.device != device.text():
        raise TamperedError("an envelope names another device", rule="envelope.device")
    return envelope


def open_envelope(envelope: Envelope, key: LeaseKey) -> bytes:
    """Return the batch in an envelope that ``read_envelope`` has checked.

    Raises:
        TamperedError: It was sealed to another lease.
    """
    return key.open(envelope.ciphertext, _info(envelope.header()))


def _fields(head: bytes) -> dict[str, Any]:
    value = decode(head)
    if (
        not isinstance(value, dict)
        or {name: type(item) for name, item in value.items()} != _FIELDS
        or value.pop("v") != 1
        or min(value["number"], value["rows"], value["sealed_us"]) < 0
    ):
        raise InvalidError("an envelope's header does not fit", rule="envelope.header")
    return value


def _info(header: bytes) -> bytes:
    return DOMAIN.encode() + b"\0" + header


def _split(data: bytes) -> tuple[bytes, bytes]:
    wrong = InvalidError("not an envelope", rule="envelope.shape")
    if len(data) < 12 + _SIGNATURE or data[:4] != _MAGIC:
        raise wrong
    (length,) = struct.unpack_from(">I", data, 4)
    if length > _LARGEST_HEADER or 12 + length + _SIGNATURE > len(data):
        raise wrong
    (size,) = struct.unpack_from(">I", data, 8 + length)
    if size > _LARGEST_BODY or 12 + length + size + _SIGNATURE != len(data):
        raise wrong
    return data[8 : 8 + length], data[12 + length : 12 + length + size]
