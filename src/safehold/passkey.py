"""Passkeys: keys that live in a person's device or browser, and sign by WebAuthn assertions.

A passkey signs no bytes of ours. It signs an assertion that names a challenge, the page that asked, and that the
person was there and proved to be themselves (W3C Web Authentication Level 3, sections 5.8.1, 6.1 and 7.2). So the
challenge is the SHA-256 of ``domain || 0x00 || message``, and the signature's value carries the assertion whole.

One spelling each: a key has one text, and an assertion one value. Of the two signatures that ECDSA allows for one
number, only that with the smaller ``s`` is taken; ``pack`` turns the other into it. Signature counters are not looked
at: keys that are synchronised always say 0, a check would need a memory that the offline verifier has not, and what
is signed here names a question, a case or a leaf, so it counts once anyway.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, TamperedError

PREFIX: Final = "passkey:"
MARK: Final = b"safehold-assertion/1\0"
POINT: Final = 65  # bytes of an uncompressed point on P-256 (SEC 1, 2.3.3)
EDWARDS: Final = 32  # bytes of an Ed25519 key
SIGNATURE: Final = 64  # bytes: r and s of 32 each, or Ed25519's
SHORTEST_DATA: Final = 37  # bytes of authenticator data: hash, flags, counter
LONGEST_DATA: Final = 293  # with what extensions added
LONGEST_CLIENT: Final = 1024  # bytes of client data
LONGEST_RP: Final = 100  # characters
LOCAL: Final = "localhost"
PRESENT: Final = 0x01
VERIFIED: Final = 0x04
ELIGIBLE: Final = 0x08  # may be backed up
BACKED_UP: Final = 0x10
ATTESTED: Final = 0x40  # brings a new credential: never in an assertion
EXTENDED: Final = 0x80
# SEC 2, section 2.4.2
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_NO_KEY: Final = "not the key of a passkey: ES256 or EdDSA"
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_RP: Final = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_ORIGIN: Final = re.compile(rf"(https?)://((?:{_LABEL}\.)*{_LABEL})(?::([1-9][0-9]{{0,4}}))?")


def challenge_of(domain: str, message: bytes) -> bytes:
    """Return what a browser is given to sign: SHA-256 of the domain, a zero byte and the message, 32 bytes."""
    return hashlib.sha256(domain.encode("ascii") + b"\0" + message).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """What an authenticator signed, and its signature.

    Args:
        data: Authenticator data.
        client: ``clientDataJSON`` exactly as the browser wrote it.
        signature: 64 bytes: ``r`` and ``s``, big-endian, or Ed25519's.
    """

    data: bytes
    client: bytes
    signature: bytes

    def pack(self) -> bytes:
        """Return the one value that stands where other keys have 64 bytes."""
        return b"".join(
            (
                MARK,
                len(self.data).to_bytes(2, "big"),
                self.data,
                len(self.client).to_bytes(2, "big"),
                self.client,
                self.signature,
            )
        )

    @classmethod
    def read(cls, value: bytes) -> Assertion:
        """Read what ``pack`` made.

        Raises:
            TamperedError: It is nothing of that shape, or something stands behind it.
        """
        wrong = TamperedError("not the signature of a passkey", rule="passkey.value")
        at = len(MARK)
        if value[:at] != MARK:
            raise wrong
        data, at = _take(value, at, SHORTEST_DATA, LONGEST_DATA, wrong)
        client, at = _take(value, at, 1, LONGEST_CLIENT, wrong)
        if len(value) - at != SIGNATURE:
            raise wrong
        return cls(data=data, client=client, signature=value[at:])

    @classmethod
    def of_browser(cls, *, data: bytes, client: bytes, signature: bytes) -> Assertion:
        """Return it from the three parts of an ``AuthenticatorAssertionResponse``; nothing is verified.

        Args:
            data: ``authenticatorData``.
            client: ``clientDataJSON``.
            signature: ``signature``: of ES256 in DER, of EdDSA 64 bytes.

        Raises:
            InvalidError: The parts are no such thing, or longer than is taken.
        """
        wrong = InvalidError("not the answer of a passkey", rule="passkey.answer")
        if len(signature) != SIGNATURE:
            try:
                r, s = decode_dss_signature(signature)
            except ValueError as error:
                raise wrong from error
            if not (0 < r < ORDER and 0 < s < ORDER):
                raise wrong
            signature = r.to_bytes(32, "big") + min(s, ORDER - s).to_bytes(32, "big")
        made = cls(data=data, client=client, signature=signature)
        try:
            return cls.read(made.pack())
        except (TamperedError, OverflowError) as error:
            raise wrong from error


class Passkey:
    """The public half of a person's passkey.

    Args:
        rp_id: The host, or the domain above it, that the passkey was made for.
        raw: 65 bytes of a point on P-256 (ES256), or 32 of an Ed25519 key (EdDSA).

    Raises:
        InvalidError: It is no such key or no such name.
    """

    def __init__(self, rp_id: str, raw: bytes) -> None:
        last = rp_id.rpartition(".")[2]
        if len(rp_id) > LONGEST_RP or _RP.fullmatch(rp_id) is None or last.isdigit():
            raise InvalidError("not the name of a relying party", rule="passkey.rp")
        self.rp_id = rp_id
        self.raw = raw
        self._key = _public(raw)

    @classmethod
    def from_text(cls, text: str) -> Passkey:
        """Read a passkey from ``passkey:RPID:BASE64``; there is one spelling.

        Raises:
            InvalidError: It is none.
        """
        match text.split(":"):
            case ["passkey", rp_id, raw]:
                return cls(rp_id, unb64(raw))
            case _:
                raise InvalidError("not a passkey", rule="passkey.text", fix="passkey:RPID:BASE64")

    @classmethod
    def of_browser(cls, rp_id: str, der: bytes) -> Passkey:
        """Return a passkey that a browser just made.

        Args:
            rp_id: What it was made for.
            der: SubjectPublicKeyInfo, as ``getPublicKey()`` of the answer gives it.

        Raises:
            InvalidError: It is no ES256 and no EdDSA key.
        """
        try:
            key = serialization.load_der_public_key(der)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidError(_NO_KEY, rule="passkey.key") from error
        if isinstance(key, Ed25519PublicKey):
            return cls(rp_id, key.public_bytes_raw())
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise InvalidError(_NO_KEY, rule="passkey.key")
        raw = key.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return cls(rp_id, raw)

    def text(self) -> str:
        """Return the key as text."""
        return f"{PREFIX}{self.rp_id}:{b64(self.raw)}"

    @property
    def key_id(self) -> str:
        """The first 8 bytes of the SHA-256 of the key's text, in hex."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:16]

    def verify(self, domain: str, message: bytes, signature: bytes) -> None:
        """Check a signature, which is a packed assertion.

        Raises:
            TamperedError: It does not hold for this key, domain and message; the rule says why.
        """
        self.check(Assertion.read(signature), challenge_of(domain, message))

    def check(self, made: Assertion, challenge: bytes) -> None:
        """Check an assertion over a challenge (Web Authentication Level 3, section 7.2, steps 11 to 22).

        Raises:
            TamperedError: It does not hold; the rule says why.
        """
        self._check_client(_object(made.client), challenge)
        self._check_data(made.data)
        signed = made.data + hashlib.sha256(made.client).digest()
        try:
            if isinstance(self._key, Ed25519PublicKey):
                self._key.verify(made.signature, signed)
                return
            r, s = (
                int.from_bytes(half, "big") for half in (made.signature[:32], made.signature[32:])
            )
            if s > ORDER // 2:
                raise _refused("value", "this signature has another spelling")
            self._key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise _refused("signature", "a signature does not hold") from error

    def _check_client(self, said: dict[str, Any], challenge: bytes) -> None:
        if said.get("type") != "webauthn.get":
            raise _refused("type", "this passkey was not asked to sign")
        expected = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
        if said.get("challenge") != expected:
            raise _refused("challenge", "this passkey signed something else")
        if said.get("crossOrigin", False) is not False or "topOrigin" in said:
            raise _refused("cross_origin", "this was asked from inside another page")
        found = _ORIGIN.fullmatch(str(said.get("origin")))
        if found is None:
            raise _refused("origin", "this was asked by no page of ours")
        scheme, host = found[1], found[2]
        if host != self.rp_id and not host.endswith(f".{self.rp_id}"):
            raise _refused("origin", "this was asked by another page")
        if scheme != "https" and host != LOCAL:
            raise _refused("origin", "this was asked over a line that anybody can read")

    def _check_data(self, data: bytes) -> None:
        if data[:32] != hashlib.sha256(self.rp_id.encode()).digest():
            raise _refused("rp", "this was signed for somebody else's page")
        flags = data[32]
        if not flags & PRESENT:
            raise _refused("present", "nobody was there")
        if not flags & VERIFIED:
            raise _refused("verified", "whoever was there did not prove themselves to the passkey")
        if flags & BACKED_UP and not flags & ELIGIBLE:
            raise _refused("flags", "a passkey that contradicts itself")
        # what extensions say is signed and not read; without them nothing stands behind the counter
        if flags & ATTESTED or bool(flags & EXTENDED) != (len(data) > SHORTEST_DATA):
            raise _refused("flags", "not the authenticator data of an assertion")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Passkey) and other.text() == self.text()

    def __hash__(self) -> int:
        return hash(self.text())

    def __repr__(self) -> str:
        return f"Passkey({self.key_id})"


def _public(raw: bytes) -> Ed25519PublicKey | ec.EllipticCurvePublicKey:
    wrong = InvalidError(_NO_KEY, rule="passkey.key")
    if len(raw) == EDWARDS:
        return Ed25519PublicKey.from_public_bytes(raw)
    if len(raw) != POINT or raw[:1] != b"\x04":
        raise wrong
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
    except ValueError as error:
        raise wrong from error


def _take(value: bytes, at: int, least: int, most: int, wrong: TamperedError) -> tuple[bytes, int]:
    """Return one part with its length before it, and where the next begins."""
    length = int.from_bytes(value[at : at + 2], "big")
    end = at + 2 + length
    if not least <= length <= most or end > len(value):
        raise wrong
    return value[at + 2 : end], end


def _object(client: bytes) -> dict[str, Any]:
    """Return what a browser wrote; a name that stands twice would mean one thing to us and another elsewhere."""
    try:
        said = json.loads(client.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _refused("client", "not the client data of a browser") from error
    if not isinstance(said, dict):
        raise _refused("client", "not the client data of a browser")
    return said


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _refused(what: str, why: str) -> TamperedError:
    return TamperedError(why, rule=f"passkey.{what}")
