"""An auditor's key: opens the bundles that are sealed to it, and signs what was found complete.

A statement is a signed note of the auditor's own; whoever trusts the key knows that the index of
that epoch, by origin, range and root, was computed again and is complete.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from safehold_verify.assize import DOMAIN as WORD_DOMAIN
from safehold_verify.errors import VerificationError
from safehold_verify.index import IndexReport
from safehold_verify.merkle import HASH
from safehold_verify.notes import ED25519, VKey, open_note

BUNDLE = "safehold.audit/1"
STATEMENT = "safehold.index-complete/1"

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class Auditor:
    """An auditor's key: signs statements, opens bundles.

    Args:
        name: As it stands on signature lines.
        seed: 32 secret bytes.
    """

    name: str
    seed: bytes

    @property
    def vkey(self) -> VKey:
        """What verifies the statements."""
        return VKey(self.name, ED25519, self._signing().public_key().public_bytes_raw())

    @property
    def public(self) -> str:
        """What the keeper needs to seal a bundle: name, verifier key, opening key."""
        vkey = self.vkey
        key = base64.b64encode(bytes([ED25519]) + vkey.key).decode()
        opening = base64.b64encode(self._opening().public_key().public_bytes_raw()).decode()
        return f"{self.name}+{vkey.key_id.hex()}+{key}\n{opening}\n"

    def open(self, sealed: bytes) -> bytes:
        """Open a bundle that was sealed to this auditor.

        Raises:
            VerificationError: It was sealed to somebody else, or changed.
        """
        try:
            return bytes(_SUITE.decrypt(sealed, self._opening(), BUNDLE.encode()))
        except (InvalidTag, ValueError) as error:
            raise VerificationError("it does not open with this key", where="bundle") from error

    def sign(self, report: IndexReport) -> bytes:
        """Return the statement that an index is complete, as a signed note.

        Raises:
            VerificationError: Somebody in it was erased, so it can no longer be said.
        """
        if report.closed or report.unaccounted:
            raise VerificationError("not all of it can be checked any more", where="statement")
        text = _of(report)
        vkey = self.vkey
        blob = base64.b64encode(vkey.key_id + self._signing().sign(text)).decode()
        return text + f"\n\N{EM DASH} {self.name} {blob}\n".encode()

    def sign_word(self, message: bytes) -> bytes:
        """Return the signature of a word of this auditor, made of what ``assize.message_of`` returns."""
        return self._signing().sign(WORD_DOMAIN + b"\0" + message)

    def _signing(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._derive(b"sh/auditor/sign/v1"))

    def _opening(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self._derive(b"sh/auditor/open/v1"))

    def _derive(self, purpose: bytes) -> bytes:
        if len(self.seed) != HASH:
            raise VerificationError("an auditor's key has 32 bytes", where="key")
        return hmac.digest(self.seed, purpose, "sha256")


def check_statement(note: bytes, report: IndexReport, vkey: str) -> None:
    """Check that an auditor has stated that an index is complete.

    Raises:
        VerificationError: The note says something else, or the auditor has not signed it.
    """
    if open_note(note, [vkey]).text != _of(report):
        raise VerificationError("it speaks of another index", where="statement")


def statement_of(*, origin: str, epoch: int, first: int, stop: int, root: str) -> bytes:
    """Return what an auditor signs of a complete index; the root is in hex."""
    text = base64.b64encode(bytes.fromhex(root)).decode()
    lines = [STATEMENT, origin, f"{epoch} {first} {stop}", text]
    return ("\n".join(lines) + "\n").encode()


def _of(report: IndexReport) -> bytes:
    return statement_of(
        origin=report.origin,
        epoch=report.epoch,
        first=report.first,
        stop=report.stop,
        root=report.root,
    )
