"""The key of a person: Ed25519, or a passkey that signs by an assertion (W3C Web Authentication Level 3).

What holds when ``verify_spoken`` returns: whoever holds the key signed exactly these words. With a passkey moreover: a
page of the name that the passkey was made for asked for it, over a line that nobody else reads and not from inside
another page; and the authenticator says that somebody was there and proved to be its owner. That the page showed the
person these words is nothing that a signature can tell.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from safehold_verify.errors import VerificationError
from safehold_verify.notes import parse_base64

_PREFIX = "passkey:"
_MARK = b"safehold-assertion/1\0"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = rf"(?:{_LABEL}\.)*{_LABEL}"
_KEY = re.compile(rf"passkey:({_HOST}):([A-Za-z0-9+/=]{{44}}|[A-Za-z0-9+/=]{{88}})")
_ORIGIN = re.compile(rf"(https?)://({_HOST})(?::[1-9][0-9]{{0,4}})?")
_LONGEST_NAME = 100
_DATA = (37, 293)  # bytes of authenticator data
_CLIENT = (1, 1024)  # bytes of client data
_SIGNATURE = 64
# SEC 2, section 2.4.2
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_PRESENT, _VERIFIED, _ELIGIBLE, _BACKED_UP, _ATTESTED, _EXTENDED = 1, 4, 8, 16, 64, 128


def verify_spoken(key: str, domain: str, message: bytes, signature: bytes, *, where: str) -> None:
    """Check what a person signed.

    Args:
        key: Base64 of an Ed25519 key, or ``passkey:RPID:BASE64``.
        domain: What it was signed for.
        message: What was signed.
        signature: 64 bytes, or a packed assertion.
        where: Named in errors.

    Raises:
        VerificationError: It does not hold.
    """
    signed = domain.encode() + b"\0" + message
    try:
        if key.startswith(_PREFIX):
            _verify_assertion(key, hashlib.sha256(signed).digest(), signature, where)
        else:
            raw = parse_base64(key, where=where)
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, signed)
    except (InvalidSignature, ValueError) as error:
        raise VerificationError("the signature does not hold", where=where) from error


def _verify_assertion(key: str, challenge: bytes, value: bytes, where: str) -> None:
    named = _KEY.fullmatch(key)
    name = named[1] if named else ""
    if named is None or len(name) > _LONGEST_NAME or name.rpartition(".")[2].isdigit():
        raise VerificationError("not a passkey", where=where)
    if not value.startswith(_MARK):
        raise VerificationError("not the signature of a passkey", where=where)
    data, rest = _take(value[len(_MARK) :], _DATA, where)
    client, signature = _take(rest, _CLIENT, where)
    if len(signature) != _SIGNATURE:
        raise VerificationError("not the signature of a passkey", where=where)
    said = _read_client(client, where)
    expected = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
    origin = _ORIGIN.fullmatch(str(said.get("origin")))
    host = origin[2] if origin else ""
    flags = data[32]
    for why, holds in (
        ("this passkey was not asked to sign", said.get("type") == "webauthn.get"),
        ("this passkey signed something else", said.get("challenge") == expected),
        (
            "this was asked from inside another page",
            said.get("crossOrigin", False) is False and "topOrigin" not in said,
        ),
        ("this was asked by another page", host == name or host.endswith(f".{name}")),
        (
            "this was asked over a line that anybody can read",
            origin is not None and (origin[1] == "https" or host == "localhost"),
        ),
        ("this was signed for another page", data[:32] == hashlib.sha256(name.encode()).digest()),
        ("nobody was there", flags & _PRESENT),
        ("whoever was there did not prove themselves", flags & _VERIFIED),
        (
            "not the authenticator data of an assertion",
            not flags & _ATTESTED
            and bool(flags & _EXTENDED) == (len(data) > _DATA[0])
            and not (flags & _BACKED_UP and not flags & _ELIGIBLE),
        ),
    ):
        if not holds:
            raise VerificationError(why, where=where)
    _verify_bytes(
        parse_base64(named[2], where=where),
        data + hashlib.sha256(client).digest(),
        signature,
        where,
    )


def _verify_bytes(raw: bytes, signed: bytes, signature: bytes, where: str) -> None:
    if len(raw) == 32:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, signed)
        return
    if raw[:1] != b"\x04":
        raise VerificationError("not a passkey", where=where)
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if s > _ORDER // 2:
        raise VerificationError("this signature has another spelling", where=where)
    point.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))


def _take(value: bytes, bounds: tuple[int, int], where: str) -> tuple[bytes, bytes]:
    length = int.from_bytes(value[:2], "big")
    if not bounds[0] <= length <= bounds[1] or 2 + length > len(value):
        raise VerificationError("not the signature of a passkey", where=where)
    return value[2 : 2 + length], value[2 + length :]


def _read_client(client: bytes, where: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise VerificationError("a name stands twice in the client data", where=where)
        return found

    try:
        said = json.loads(client.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise VerificationError("not the client data of a browser", where=where) from error
    if not isinstance(said, dict):
        raise VerificationError("not the client data of a browser", where=where)
    return said
