"""Signed notes, verifier keys, checkpoints (C2SP signed-note, tlog-checkpoint, tlog-cosignature).

A note splits at its last blank line. A known key whose signature fails rejects the whole note;
unknown keys are ignored. A verifier key's id is computed again, and weak Ed25519 keys are refused.
An ML-DSA-44 signature covers origin, size and root, never the extension lines of a checkpoint.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from safehold_verify.errors import VerificationError

ED25519 = 0x01
COSIGNATURE = 0x04
ML_DSA = 0x06
KEY_BYTES = {ED25519: 32, COSIGNATURE: 32, ML_DSA: 1_312}
LARGEST_NOTE = 1_000_000  # bytes, as in golang.org/x/mod/sumdb/note
MOST_SIGNATURES = 100

_LONGEST_KEY = 4_096  # characters of a verifier key; the name is all that may vary
_CONTROL = bytes(one for one in range(0x20) if one != 0x0A)
_STAMP = 8  # bytes of the time in front of a cosignature
_DASH = "\N{EM DASH} "
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_SMALL = (
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)
_LOW_ORDER = {0, 1, _P - 1, *(int.from_bytes(bytes.fromhex(y), "little") for y in _SMALL)}


@dataclass(frozen=True, slots=True)
class VKey:
    """Who may sign: name, type (0x01, 0x04 or 0x06) and Ed25519 or ML-DSA-44 public key."""

    name: str
    algorithm: int
    key: bytes

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name, newline, type, key)."""
        stem = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.key
        return hashlib.sha256(stem).digest()[:4]


@dataclass(frozen=True, slots=True)
class Signature:
    """A verified signature: by whom, and its time in seconds (0 if it carries none)."""

    key: VKey
    time: int


@dataclass(frozen=True, slots=True)
class Note:
    """A note that known keys have signed.

    Args:
        text: What they signed.
        signatures: Those of known keys, all verified.
        unknown: Number of signature lines of unknown keys.
    """

    text: bytes
    signatures: tuple[Signature, ...]
    unknown: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Origin, number of leaves and root hash of a log, and the number of extension lines."""

    origin: str
    size: int
    root: bytes
    extensions: int


def parse_vkey(text: str) -> VKey:
    """Read ``name+id+key``.

    Raises:
        VerificationError: Wrong syntax, wrong id, unknown type, or a weak key.
    """
    where = "verifier key"
    if type(text) is not str or len(text) > _LONGEST_KEY:
        raise VerificationError("not a verifier key", where=where)
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise VerificationError("it has not three parts", where=where)
    raw = parse_base64(parts[2], where=where)
    if not raw or len(raw) - 1 != KEY_BYTES.get(raw[0]):
        raise VerificationError("unknown type", where=where)
    key = VKey(_name(parts[0], where=where), raw[0], raw[1:])
    if key.key_id.hex() != parts[1]:
        raise VerificationError("wrong id", where=where)
    if key.algorithm == ML_DSA:
        if len(key.name.encode()) > 255:
            raise VerificationError("a cosigner's name is longer than 255 bytes", where=where)
        return key
    y = int.from_bytes(key.key, "little") & ((1 << 255) - 1)
    # x^2 = (y^2 - 1) / (d y^2 + 1); a quotient is a square where the product is one
    square = (y * y - 1) * (_D * y * y + 1) % _P
    if y >= _P or y in _LOW_ORDER or pow(square, (_P - 1) // 2, _P) != 1:
        raise VerificationError("a weak or malformed Ed25519 key", where=where)
    return key


def open_note(note: bytes, vkeys: Sequence[str | VKey]) -> Note:
    """Verify a note.

    Args:
        note: All bytes of it.
        vkeys: Keys that count, as text or parsed.

    Raises:
        VerificationError: Malformed, a known key's signature fails, no known key has signed, or
            two of the keys cannot be told apart.
    """
    text, lines = _split(note)
    known = _known(vkeys)
    held: dict[VKey, Signature] = {}
    unknown = 0
    for number, line in enumerate(lines, 1):
        where = f"note, signature {number}"
        name, gap, data = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not gap:
            raise VerificationError("malformed signature line", where=where)
        raw = parse_base64(data, where=where)
        if len(raw) < 5:
            raise VerificationError("a signature is too short", where=where)
        key = known.get((_name(name, where=where), raw[:4]))
        if key is None:
            unknown += 1
        elif key in held:
            raise VerificationError("the same key has signed twice", where=where)
        else:
            held[key] = Signature(key, _check(key, text, raw[4:], where))
    if not held:
        raise VerificationError("no known key has signed", where="note")
    return Note(text, tuple(held.values()), unknown)


def _split(note: bytes) -> tuple[bytes, list[str]]:
    """Return the text of a note, and its signature lines without their line ends."""
    if type(note) is not bytes or len(note) > LARGEST_NOTE:
        raise VerificationError("not a signed note", where="note")
    cut = note.rfind(b"\n\n")
    if cut < 0 or not note.endswith(b"\n"):
        raise VerificationError("not a signed note", where="note")
    try:
        note.decode()
    except UnicodeDecodeError as error:
        raise VerificationError("not UTF-8", where=f"note, byte {error.start}") from error
    if len(note.translate(None, _CONTROL)) < len(note):
        raise VerificationError("a control character", where="note")
    lines = note[cut + 2 : -1].decode().split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise VerificationError("too many signatures", where="note")
    return note[: cut + 1], lines


def _known(vkeys: Sequence[str | VKey]) -> dict[tuple[str, bytes], VKey]:
    """Return the keys by what a signature line says of them."""
    known: dict[tuple[str, bytes], VKey] = {}
    for one in vkeys:
        key = one if isinstance(one, VKey) else parse_vkey(one)
        if known.setdefault((key.name, key.key_id), key) != key:
            raise VerificationError("two keys of one name and id", where="verifier key")
    return known


def parse_checkpoint(text: bytes) -> Checkpoint:
    """Read a checkpoint body.

    Raises:
        VerificationError: Wrong syntax, or a root that is not 32 bytes.
    """
    if type(text) is not bytes or len(text) > LARGEST_NOTE:
        raise VerificationError("not a checkpoint", where="checkpoint")
    try:
        lines = text.decode().split("\n")
    except UnicodeDecodeError as error:
        raise VerificationError("not UTF-8", where="checkpoint") from error
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise VerificationError("it has not three lines", where="checkpoint")
    root = parse_base64(lines[2], where="checkpoint, line 3")
    if len(root) != 32:
        raise VerificationError("a root hash has 32 bytes", where="checkpoint, line 3")
    size = parse_decimal(lines[1], where="checkpoint, line 2")
    return Checkpoint(lines[0], size, root, len(lines) - 4)


def cosigned_message(name: str, at: int, head: Checkpoint) -> bytes:
    """Return what an ML-DSA-44 cosignature of a checkpoint signs (C2SP tlog-cosignature).

    Args:
        name: The cosigner's name, at most 255 bytes.
        at: Its time in seconds.
        head: What it says is the log's.

    Raises:
        VerificationError: The origin is longer than 255 bytes.
    """
    who, origin = name.encode(), head.origin.encode()
    if len(origin) > 255 or len(who) > 255:
        raise VerificationError("a name is longer than 255 bytes", where="checkpoint, line 1")
    return b"".join(
        (
            b"subtree/v1\n\0",
            bytes((len(who),)), who, at.to_bytes(8, "big"),
            bytes((len(origin),)), origin,
            bytes(8), head.size.to_bytes(8, "big"), head.root,
        )
    )  # fmt: skip


def parse_decimal(text: str, *, where: str = "number") -> int:
    """Read a decimal below 2^63 without sign and leading zeros.

    Raises:
        VerificationError: It is written differently.
    """
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text, re.ASCII) or int(text) >= 2**63:
        raise VerificationError("not a plain decimal number", where=where)
    return int(text)


def parse_base64(text: str, *, where: str = "base64") -> bytes:
    """Read standard padded base64 in its one canonical spelling.

    Raises:
        VerificationError: It is not that.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise VerificationError("not base64", where=where) from error
    if base64.b64encode(data).decode() != text:
        raise VerificationError("not canonical base64", where=where)
    return data


def _check(key: VKey, text: bytes, blob: bytes, where: str) -> int:
    """Verify one signature and return its time."""
    at, message = 0, text
    if key.algorithm != ED25519:
        at, blob = int.from_bytes(blob[:_STAMP], "big"), blob[_STAMP:]
        if at >= 2**63:
            raise VerificationError("a time out of range", where=where)
    if key.algorithm == COSIGNATURE:
        message = f"cosignature/v1\ntime {at}\n".encode() + text
    elif key.algorithm == ML_DSA:
        message = cosigned_message(key.name, at, parse_checkpoint(text))
    check_signature(key, blob, message, where=where)
    return at


def check_signature(key: VKey, signature: bytes, message: bytes, *, where: str) -> None:
    """Check the bare signature of a key over a message; for ML-DSA-44 the context is empty.

    Raises:
        VerificationError: It does not hold, or the key is none.
    """
    try:
        if key.algorithm == ML_DSA:
            MLDSA44PublicKey.from_public_bytes(key.key).verify(signature, message)
        else:
            Ed25519PublicKey.from_public_bytes(key.key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise VerificationError(f"the signature of {key.name} fails", where=where) from error
    except UnsupportedAlgorithm as error:
        raise VerificationError("this machine cannot check ML-DSA-44", where=where) from error


def _name(name: str, *, where: str) -> str:
    """Return what may be a signer's name: no space and no plus sign in it (C2SP signed-note)."""
    surrogate = any("\ud800" <= one <= "\udfff" for one in name)
    if not name or "+" in name or surrogate or any(map(str.isspace, name)):
        raise VerificationError("not a signer's name", where=where)
    return name
