"""Workloads by SPIFFE: an X.509-SVID with a signature over our question, or a JWT-SVID for it alone.

SPIFFE X.509-SVID sections 2-5, JWT-SVID sections 2-3, trust bundle format. Identities of another trust domain than
that of the bundle prove nothing, whoever signed them.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from safehold.access.identity.jose import b64url, check_keys, unb64url, verify
from safehold.access.identity.proof import DOMAIN, Proved
from safehold.clock import SECOND_US
from safehold.errors import InvalidError, SignInError

LONGEST_ID: Final = 2048  # bytes (SPIFFE-ID section 2.3)
MOST_CHAIN: Final = 8
MOST_BYTES: Final = 65_536  # of PEM
SKEW_S: Final = 60
_DOMAIN: Final = re.compile(r"[a-z0-9._-]{1,255}")
_ID: Final = re.compile(r"spiffe://(?P<domain>[a-z0-9._-]{1,255})(?P<path>(?:/[A-Za-z0-9._-]+)+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a trust domain is believed by.

    Args:
        domain: Its name.
        roots: Certificates of its authorities, DER.
        keys: Keys of its JWT authorities, from ``check_keys``; none if it has none.
    """

    domain: str
    roots: tuple[bytes, ...]
    keys: Mapping[str, Any]

    @classmethod
    def read(cls, domain: str, document: Any) -> Bundle:
        """Read a SPIFFE trust bundle: a JWK set whose keys say what they are for.

        Raises:
            InvalidError: It is none, or holds nothing to verify with.
        """
        if _DOMAIN.fullmatch(domain) is None:
            raise InvalidError("not a trust domain", rule="spiffe.domain")
        found = document.get("keys") if isinstance(document, Mapping) else None
        if not isinstance(found, list):
            raise InvalidError("not a trust bundle", rule="spiffe.bundle")
        roots, keys = [], []
        for one in found:
            match one:
                case {"use": "x509-svid", "x5c": [str(first), *_]}:
                    roots.append(_der(first))
                case {"use": "jwt-svid"}:
                    keys.append(one)
                case _:
                    continue  # bundle format section 4.2.2: other uses are ignored
        if not roots and not keys:
            raise InvalidError("a trust bundle without keys", rule="spiffe.bundle")
        return cls(
            domain=domain,
            roots=tuple(roots),
            keys=check_keys({"keys": keys}) if keys else {"keys": []},
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "domain": self.domain,
            "roots": [b64url(one) for one in self.roots],
            "keys": dict(self.keys),
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Bundle:
        """Read what ``to_json`` made."""
        return cls(
            domain=tree["domain"],
            roots=tuple(unb64url(one) for one in tree["roots"]),
            keys=tree["keys"],
        )


def check_x509_svid(
    pem: str, bundle: Bundle, *, message: bytes, proof: bytes, now_us: int
) -> Proved:
    """Return the workload that a certificate and a signature with its key prove.

    Args:
        pem: The certificate, and those between it and the bundle.
        bundle: Of its trust domain.
        message: From ``sign_in_message``.
        proof: The signature over domain and message, with SHA-256.
        now_us: Microseconds.

    Raises:
        SignInError: Expired, of another trust domain, not a workload's, or without its key.
    """
    chain = _chain(pem)
    leaf, moment = chain[0], datetime.fromtimestamp(now_us / SECOND_US, tz=UTC)
    if not leaf.not_valid_before_utc <= moment < leaf.not_valid_after_utc:
        raise SignInError("this certificate is not valid now", rule="spiffe.expired")
    name = _id_of(leaf, bundle)
    if not bundle.roots:
        raise SignInError("this trust domain has no certificates", rule="spiffe.bundle")
    store = Store([x509.load_der_x509_certificate(one) for one in bundle.roots])
    try:
        PolicyBuilder().store(store).time(moment).build_client_verifier().verify(leaf, chain[1:])
    except VerificationError as error:
        raise SignInError(
            "no authority of this trust domain stands behind it", rule="spiffe.chain"
        ) from error
    _check_use(leaf)
    _check_signature(leaf, DOMAIN.encode() + b"\0" + message, proof)
    return Proved(
        method="x509-svid",
        name=name,
        until_us=int(leaf.not_valid_after_utc.timestamp()) * SECOND_US,
    )


def read_peer(certificate: bytes, bundle: Bundle, *, now_us: int) -> Proved:
    """Return the workload at the other end of a TLS connection.

    Args:
        certificate: Its certificate, DER; the handshake has verified the chain and that the key is there.
        bundle: Of its trust domain, whose roots the handshake was given.
        now_us: Microseconds.

    Raises:
        SignInError: Not a workload of this trust domain, or no longer.
    """
    try:
        leaf = x509.load_der_x509_certificate(certificate)
    except ValueError as error:
        raise SignInError("not a certificate", rule="spiffe.certificate") from error
    moment = datetime.fromtimestamp(now_us / SECOND_US, tz=UTC)
    if not leaf.not_valid_before_utc <= moment < leaf.not_valid_after_utc:
        raise SignInError("this certificate is not valid now", rule="spiffe.expired")
    name = _id_of(leaf, bundle)
    _check_use(leaf)
    until_us = int(leaf.not_valid_after_utc.timestamp()) * SECOND_US
    return Proved(method="x509-svid", name=name, until_us=until_us)


def first_of(pem: str) -> bytes:
    """Return the first certificate of a chain, DER.

    Raises:
        SignInError: It is none.
    """
    return _chain(pem)[0].public_bytes(Encoding.DER)


def check_jwt_svid(token: str, bundle: Bundle, *, audience: str, now_us: int) -> Proved:
    """Return the workload that a token proves.

    Args:
        token: The JWT-SVID.
        bundle: Of its trust domain.
        audience: The only audience it may have; it holds the hash of question and session key.
        now_us: Microseconds.

    Raises:
        SignInError: Expired, of another trust domain, for another audience, or not signed by its authority.
    """
    claims = verify(token, bundle.keys, rule="spiffe", typ=("JWT", "JOSE")).claims
    name = _check_id(claims.get("sub"), bundle)
    said = claims.get("aud")
    if said not in (audience, [audience]):
        raise SignInError("a token for another audience", rule="spiffe.audience")
    ends, now_s = claims.get("exp"), now_us // SECOND_US
    if type(ends) is not int or ends + SKEW_S <= now_s:
        raise SignInError("this token has ended", rule="spiffe.expired")
    return Proved(method="jwt-svid", name=name, until_us=ends * SECOND_US)


def _id_of(leaf: x509.Certificate, bundle: Bundle) -> str:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise SignInError("a certificate without a SPIFFE id", rule="spiffe.id") from error
    found = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(found) != 1:
        raise SignInError("a certificate names exactly one SPIFFE id", rule="spiffe.id")
    return _check_id(found[0], bundle)


def _check_id(name: Any, bundle: Bundle) -> str:
    found = _ID.fullmatch(name) if isinstance(name, str) and len(name) <= LONGEST_ID else None
    if found is None or {".", ".."} & set(found["path"].split("/")):
        raise SignInError("not the SPIFFE id of a workload", rule="spiffe.id")
    if found["domain"] != bundle.domain:
        raise SignInError("a workload of another trust domain", rule="spiffe.domain")
    return str(name)


def _check_use(leaf: x509.Certificate) -> None:
    """X.509-SVID section 4: a leaf signs, and signs no certificate."""
    try:
        basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        basic = False
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        raise SignInError("a certificate that does not say its use", rule="spiffe.use") from error
    if basic or not usage.digital_signature or usage.key_cert_sign or usage.crl_sign:
        raise SignInError("a certificate that is not a workload's", rule="spiffe.use")


def _check_signature(leaf: x509.Certificate, message: bytes, proof: bytes) -> None:
    key = leaf.public_key()
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(proof, message, ec.ECDSA(hashes.SHA256()))
            case rsa.RSAPublicKey():
                key.verify(proof, message, padding.PKCS1v15(), hashes.SHA256())
            case _:
                raise SignInError("a key of another kind", rule="spiffe.key")
    except InvalidSignature as error:
        raise SignInError("the workload has not proved its key", rule="spiffe.proof") from error


def _chain(pem: str) -> list[x509.Certificate]:
    try:
        chain = x509.load_pem_x509_certificates(pem[:MOST_BYTES].encode("ascii"))
    except ValueError as error:
        raise SignInError("not a certificate", rule="spiffe.certificate") from error
    if not 0 < len(chain) <= MOST_CHAIN:
        raise SignInError("not a chain of certificates", rule="spiffe.certificate")
    return chain


def _der(text: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
        x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise InvalidError("not a certificate", rule="spiffe.bundle") from error
    return data


def sign_with_pem(pem: bytes, message: bytes) -> bytes:
    """Return the signature with which the key of an X.509-SVID answers a question.

    Raises:
        InvalidError: It is no such key.
    """
    signed = DOMAIN.encode() + b"\0" + message
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidError("not a workload's key", rule="spiffe.key") from error
    match key:
        case ec.EllipticCurvePrivateKey():
            return key.sign(signed, ec.ECDSA(hashes.SHA256()))
        case rsa.RSAPrivateKey():
            return key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        case _:
            raise InvalidError("a key of another kind", rule="spiffe.key")
