"""Ed25519 signatures, one domain a use (RFC 8032), and the passkeys of people beside them.

Every signature covers ``domain || 0x00 || message``, so a signature made for one use never counts
for another. ``VerifyKey.verify`` raises or returns nothing; there is no boolean to ignore.

People and seats of the board may speak with a passkey: where one of theirs is read, ``speaking_key`` reads it.
Everything else (devices, holders of grants, agents, workloads, sessions, logs) has an Ed25519 key, which
``VerifyKey.from_text`` reads, and a passkey is refused there: nobody is at a machine to touch one.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, MissingError, TamperedError
from safehold.passkey import ORDER, PREFIX, Passkey

_MARK = "safehold-ed25519-v1 "


def pre_authenticate(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes a DSSE v1 signature covers (secure-systems-lab/dsse, PAE).

    They begin with ``DSSEv1 `` and no domain of ours does, so the two kinds never stand for each
    other.
    """
    kind = payload_type.encode()
    return b" ".join(
        (b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload)
    )


class VerifyKey:
    """The public half of a signing key.

    Args:
        raw: 32 bytes of Ed25519 public key.
    """

    def __init__(self, raw: bytes) -> None:
        if len(raw) != 32:
            raise InvalidError("an Ed25519 public key has 32 bytes", rule="signing.key")
        self.raw = raw
        self._key = Ed25519PublicKey.from_public_bytes(raw)

    @classmethod
    def from_text(cls, text: str) -> VerifyKey:
        """Read a key from base64 text.

        Raises:
            InvalidError: It is none; of a passkey it says so.
        """
        if text.startswith(PREFIX):
            raise InvalidError(
                "a passkey speaks for people and seats of the board, and for nothing else",
                rule="signing.passkey",
                fix="name an Ed25519 key",
            )
        return cls(unb64(text))

    def text(self) -> str:
        """Return the key as base64 text."""
        return b64(self.raw)

    @property
    def key_id(self) -> str:
        """The first 8 bytes of the key's SHA-256, in hex."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    def verify(self, domain: str, message: bytes, signature: bytes) -> None:
        """Check a signature.

        Raises:
            TamperedError: The signature does not hold for this key, domain and message.
        """
        try:
            self._key.verify(signature, domain.encode("ascii") + b"\0" + message)
        except InvalidSignature as error:
            raise TamperedError("a signature does not hold", rule=f"signing.{domain}") from error

    def verify_envelope(self, payload_type: str, payload: bytes, signature: bytes) -> None:
        """Check the signature of a DSSE v1 envelope.

        Raises:
            TamperedError: The signature does not hold for this key, type and payload.
        """
        try:
            self._key.verify(signature, pre_authenticate(payload_type, payload))
        except InvalidSignature as error:
            raise TamperedError(
                "an envelope's signature does not hold", rule="signing.dsse"
            ) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VerifyKey) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash(self.raw)


# what a person or a seat of the board speaks with
SpeakingKey = VerifyKey | Passkey


def speaking_key(text: str) -> SpeakingKey:
    """Read the key of a person or of a seat: a passkey, or base64 of an Ed25519 key.

    Raises:
        InvalidError: It is neither.
    """
    return Passkey.from_text(text) if text.startswith(PREFIX) else VerifyKey.from_text(text)


class SigningKey:
    """A private signing key; its text form exists only in ``write``.

    Args:
        seed: 32 bytes.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 32:
            raise InvalidError("an Ed25519 seed has 32 bytes", rule="signing.key")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = VerifyKey(self._key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new key from operating-system entropy."""
        return cls(os.urandom(32))

    @classmethod
    def read(cls, path: Path) -> SigningKey:
        """Read a key file written by ``write``.

        Raises:
            MissingError: There is no such file.
            InvalidError: The file is no key file.
        """
        try:
            text = path.read_text("ascii")
        except FileNotFoundError as error:
            raise MissingError(
                f"no key file {path.name}",
                rule="signing.key",
                fix="name the file that holds the private key",
            ) from error
        except (UnicodeDecodeError, OSError) as error:
            raise _no_key(path) from error
        if not text.startswith(_MARK):
            raise _no_key(path)
        return cls(unb64(text.removeprefix(_MARK).strip()))

    def write(self, path: Path) -> None:
        """Write the key to a new file that only its owner can read."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(_MARK + b64(self._key.private_bytes_raw()) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def seed(self) -> bytes:
        """Return the 32 secret bytes, to be wrapped and never printed."""
        return self._key.private_bytes_raw()

    def sign(self, domain: str, message: bytes) -> bytes:
        """Return the 64-byte signature of a message under a domain."""
        return self._key.sign(domain.encode("ascii") + b"\0" + message)

    def sign_envelope(self, payload_type: str, payload: bytes) -> bytes:
        """Return the 64-byte signature of a DSSE v1 envelope."""
        return self._key.sign(pre_authenticate(payload_type, payload))

    def __repr__(self) -> str:
        return f"SigningKey({self.public.key_id})"


class PointVerifyKey:
    """The public half of a key on the curve P-256, for formats that know no Ed25519.

    Args:
        pem: The key as PEM (SubjectPublicKeyInfo).
    """

    def __init__(self, pem: bytes) -> None:
        try:
            key = serialization.load_pem_public_key(pem)
        except ValueError as error:
            raise InvalidError("not a public key", rule="signing.key") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise InvalidError("not a key on the curve P-256", rule="signing.key")
        self._key = key
        self.pem = key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def hint(self) -> str:
        """The SHA-256 of the PEM, in hex: by what OpenSSF model signing names a key."""
        return hashlib.sha256(self.pem).hexdigest()

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check an ECDSA signature over SHA-256 (FIPS 186-5), DER.

        Raises:
            TamperedError: It does not hold.
        """
        try:
            self._key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise TamperedError("a signature does not hold", rule="signing.point") from error


class PointKey:
    """A private key on the curve P-256.

    Args:
        seed: 32 secret bytes that it is derived from.
    """

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 32:
            raise InvalidError("a seed has 32 bytes", rule="signing.key")
        # SHA-512 first: a plain remainder would favour some keys by 2^-32, this by 2^-256
        wide = int.from_bytes(hashlib.sha512(b"safehold.point/1\0" + seed).digest(), "big")
        self._key = ec.derive_private_key(wide % (ORDER - 1) + 1, ec.SECP256R1())
        self.public = PointVerifyKey(
            self._key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def sign(self, message: bytes) -> bytes:
        """Return an ECDSA signature over SHA-256, DER."""
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))

    def __repr__(self) -> str:
        return f"PointKey({self.public.hint[:16]})"


def _no_key(path: Path) -> InvalidError:
    return InvalidError(
        "not a key file",
        file=path.name,
        rule="signing.key",
        fix="name the file that holds the private key, not the public one",
    )
