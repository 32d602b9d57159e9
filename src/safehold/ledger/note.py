"""Signed notes, verifier keys, checkpoints (C2SP signed-note, tlog-checkpoint, tlog-cosignature).

Rules: a note splits at its last blank line. A signature of a known key that fails rejects the whole
note; a signature of an unknown key is ignored. The id of every verifier key is computed again when
it is read, and Ed25519 keys of low order or in a second spelling are refused, because OpenSSL
verifies leniently there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, TamperedError

ED25519 = 0x01
COSIGNATURE = 0x04
LARGEST_NOTE = 1_000_000  # bytes, as in golang.org/x/mod/sumdb/note
MOST_SIGNATURES = 100

_DASH = "\N{EM DASH} "
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
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
        algorithm: 0x01 signs notes, 0x04 cosigns them with a time.
        key: 32 bytes of Ed25519 public key.
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
        if len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE):
            raise InvalidError("a verifier key of an unknown type", rule="ledger.vkey.type")
        key = cls(check_name(name), raw[0], check_key(raw[1:]))
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
        at, message = 0, text
        if self.algorithm == COSIGNATURE:
            at, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            message = cosigned(text, at)
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, message)
        except InvalidSignature as error:
            raise TamperedError(
                f"a signature of {self.name} does not hold", rule="ledger.note.signature"
            ) from error
        return at


class LogSigner:
    """The Ed25519 key of a log; its name is the log's origin.

    Args:
        seed: 32 secret bytes.
        name: The origin, for example ``example.com/tenant/audit``.
    """

    algorithm = ED25519

    def __init__(self, seed: bytes, *, name: str) -> None:
        if len(seed) != 32:
            raise InvalidError("an Ed25519 seed has 32 bytes", rule="ledger.signer")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.vkey = VKey(
            check_name(name), self.algorithm, self._key.public_key().public_bytes_raw()
        )
        self._lead = f"{_DASH}{name} "

    @property
    def name(self) -> str:
        """The name under which it signs."""
        return self.vkey.name

    def line(self, text: bytes) -> bytes:
        """Return the signature line over the text of a note."""
        return self._line(self._key.sign(text))

    def sign(self, text: bytes) -> bytes:
        """Return the note: text, blank line, signature line."""
        return text + b"\n" + self.line(text)

    def _line(self, blob: bytes) -> bytes:
        return (self._lead + b64(self.vkey.key_id + blob) + "\n").encode()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.vkey.text()})"


class Cosigner(LogSigner):
    """The Ed25519 key of a witness (tlog-cosignature, type 0x04)."""

    algorithm = COSIGNATURE

    def cosign(self, text: bytes, *, at: int) -> bytes:
        """Return the cosignature line over a checkpoint body, at a time in seconds."""
        return self._line(at.to_bytes(8, "big") + self._key.sign(cosigned(text, at)))


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who says so, and the bytes."""

    name: str
    key_id: bytes
    blob: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: origin, number of leaves, root hash."""

    origin: str
    size: int
    root: bytes

    def text(self) -> bytes:
        """Return the body that is signed."""
        return f"{self.origin}\n{self.size}\n{b64(self.root)}\n".encode()

    @classmethod
    def parse(cls, text: bytes) -> Checkpoint:
        """Read a checkpoint body; extension lines are allowed and never decide anything.

        Raises:
            InvalidError: The syntax is wrong or the root is not 32 bytes.
        """
        try:
            lines = text.decode().split("\n")
        except UnicodeDecodeError as error:
            raise InvalidError("a checkpoint is not text", rule="ledger.checkpoint") from error
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise InvalidError("a checkpoint has three lines", rule="ledger.checkpoint")
        root = unb64(lines[2])
        if len(root) != 32:
            raise InvalidError("a root hash has 32 bytes", rule="ledger.checkpoint.root")
        return cls(lines[0], parse_decimal(lines[1]), root)


def cosigned(text: bytes, at: int) -> bytes:
    """Return what a type 0x04 cosignature at a time (seconds) signs."""
    return f"cosignature/v1\ntime {at}\n".encode() + text


def split_note(note: bytes) -> tuple[bytes, list[Signature]]:
    """Return the text of a note and its signature lines, unverified.

    Raises:
        InvalidError: The bytes are no signed note.
    """
    wrong = InvalidError("not a signed note", rule="ledger.note.syntax")
    cut = note.rfind(b"\n\n")
    if len(note) > LARGEST_NOTE or cut < 0 or not note.endswith(b"\n"):
        raise wrong
    try:
        whole = note.decode()
    except UnicodeDecodeError as error:
        raise wrong from error
    if any(ord(character) < 0x20 and character != "\n" for character in whole):
        raise wrong
    lines = note[cut + 2 : -1].decode().split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise wrong
    signatures = []
    for line in lines:
        name, space, data = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not space:
            raise wrong
        raw = unb64(data)
        if len(raw) < 5:
            raise wrong
        signatures.append(Signature(check_name(name), raw[:4], raw[4:]))
    return note[: cut + 1], signatures


def open_note(note: bytes, vkeys: Sequence[VKey]) -> tuple[bytes, dict[VKey, int]]:
    """Return the text of a note and which keys signed it, each with its time in seconds (or 0).

    Raises:
        InvalidError: Wrong syntax.
        TamperedError: A known key's signature fails, or no known key signed.
    """
    text, signatures = split_note(note)
    known = {(key.name, key.key_id): key for key in vkeys}
    held: dict[VKey, int] = {}
    for signature in signatures:
        key = known.get((signature.name, signature.key_id))
        if key is not None:
            held[key] = key.verify(text, signature.blob)
    if not held:
        raise TamperedError("no known key has signed this note", rule="ledger.note.unsigned")
    return text, held


def parse_decimal(text: str) -> int:
    """Read a size or an index: no sign, no leading zero, below 2^63.

    Raises:
        InvalidError: It is written differently.
    """
    if not _DECIMAL.fullmatch(text) or (value := int(text)) >= 2**63:
        raise InvalidError("not a decimal number below 2^63", rule="ledger.decimal")
    return value


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
