"""Signed tokens (RFC 7515, 7517, 7519), through joserfc and in this file alone.

Holds: the algorithm is one of a closed list of signatures with public keys, and fits the kind of the key; a token
without a signature, or one "signed" with a public key as if it were a password, has no way in (RFC 8725 sections
3.1 and 3.2). Nothing of a token is believed before its signature.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey

from safehold.errors import InvalidError, SignInError
from safehold.signing import SigningKey

ALGORITHMS: Final = ("ES256", "ES384", "RS256", "PS256", "Ed25519")
LEAST_RSA: Final = 2048  # bits
LONGEST: Final = 16_384  # characters of a token
MOST_KEYS: Final = 32
_CURVES: Final[Mapping[str, str]] = {"ES256": "P-256", "ES384": "P-384"}
_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Signed:
    """A token whose signature holds.

    Args:
        header: Its header.
        claims: What it says.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


class UnknownKeyError(SignInError):
    """A token names a key that is not in the set; the set may have been rotated."""


def check_keys(jwks: Any) -> dict[str, Any]:
    """Return a set of public keys, without anything that is not needed to verify.

    Raises:
        InvalidError: It is no JWK set, is empty, or holds a secret.
    """
    found = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(found, list) or not 0 < len(found) <= MOST_KEYS:
        raise InvalidError("not a set of keys", rule="identity.jwks")
    kept = []
    for one in found:
        if not isinstance(one, Mapping) or {"d", "k", "p", "q"} & set(one):
            raise InvalidError("a set of public keys holds a secret", rule="identity.jwks")
        if one.get("use", "sig") in {"sig", "jwt-svid"} and one.get("kty") in {"EC", "RSA", "OKP"}:
            kept.append({name: value for name, value in one.items() if isinstance(value, str)})
    return {"keys": kept}


def verify(
    token: str, jwks: Mapping[str, Any], *, rule: str, typ: Sequence[str] = ("JWT",)
) -> Signed:
    """Return what a token says, if one of these keys signed it.

    Args:
        token: Compact form.
        jwks: From ``check_keys``.
        rule: Name of the rule that a refusal states; what failed is put behind it.
        typ: Values that ``typ`` may have; a token without one passes where ``JWT`` does.

    Raises:
        UnknownKeyError: It names a key that is not there.
        SignInError: Anything else about it does not hold.
    """
    header = read_header(token, rule=rule)
    alg = header.get("alg")
    if alg not in ALGORITHMS:
        raise SignInError("a token is signed in a way that does not count", rule=f"{rule}.alg")
    if "crit" in header or "jwk" in header or "jku" in header or "x5u" in header:
        raise SignInError("a token brings its own key", rule=f"{rule}.header")
    if not isinstance(said := header.get("typ", "JWT"), str) or said.upper() not in {
        one.upper() for one in typ
    }:
        raise SignInError("a token of another type", rule=f"{rule}.typ")
    key = _choose(jwks, header.get("kid"), str(alg), rule)
    return _verify(token, key, str(alg), rule)


def verify_with(token: str, jwk: Mapping[str, Any], *, rule: str, typ: str) -> Signed:
    """Return what a token says, if this one key signed it, and it is of this type.

    Raises:
        SignInError: It did not.
    """
    header = read_header(token, rule=rule)
    alg = header.get("alg")
    if alg not in ALGORITHMS:
        raise SignInError("a token is signed in a way that does not count", rule=f"{rule}.alg")
    if header.get("typ") != typ:
        raise SignInError("a token of another type", rule=f"{rule}.typ")
    return _verify(token, _import(jwk, str(alg), rule), str(alg), rule)


def sign(claims: Mapping[str, Any], key: SigningKey, *, typ: str, **header: Any) -> str:
    """Return a token signed with an Ed25519 key (RFC 9864); its ``kid`` is the thumbprint of the key."""
    private = OKPKey.import_key({**public_jwk(key.public.raw), "d": b64url(key.seed())})
    head = {"alg": "Ed25519", "typ": typ, "kid": thumbprint(public_jwk(key.public.raw)), **header}
    try:
        return jwt.encode(head, dict(claims), private, algorithms=["Ed25519"])
    except JoseError as error:
        raise InvalidError("not a token", rule="identity.sign") from error


def public_jwk(raw: bytes) -> dict[str, str]:
    """Return an Ed25519 public key, 32 bytes, as a JWK (RFC 8037)."""
    return {"kty": "OKP", "crv": "Ed25519", "x": b64url(raw)}


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return the SHA-256 thumbprint of a key (RFC 7638).

    Raises:
        SignInError: It is no key.
    """
    try:
        return str(JWKRegistry.import_key(dict(jwk)).thumbprint())
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise SignInError("not a key", rule="identity.jwk") from error


def read_header(token: str, *, rule: str) -> Mapping[str, Any]:
    """Return the header of a token, of which nothing is known yet.

    Raises:
        SignInError: It is no signed token.
    """
    if len(token) > LONGEST or token.count(".") != _PARTS - 1:
        raise SignInError("not a signed token", rule=f"{rule}.shape")
    try:
        header = json.loads(unb64url(token.partition(".")[0]))
    except ValueError as error:
        raise SignInError("not a signed token", rule=f"{rule}.shape") from error
    if not isinstance(header, dict):
        raise SignInError("not a signed token", rule=f"{rule}.shape")
    return header


def _choose(jwks: Mapping[str, Any], kid: Any, alg: str, rule: str) -> Key:
    keys = [one for one in jwks["keys"] if one.get("kid") == kid]
    if not isinstance(kid, str) and len(jwks["keys"]) == 1:
        keys = list(jwks["keys"])  # a set of one key needs no name
    if len(keys) != 1:
        raise UnknownKeyError("a token is signed with a key that is not known", rule=f"{rule}.key")
    return _import(keys[0], alg, rule)


def _import(jwk: Mapping[str, Any], alg: str, rule: str) -> Key:
    if jwk.get("alg", alg) != alg and not (jwk.get("alg") == "EdDSA" and alg == "Ed25519"):
        raise SignInError("a key of another algorithm", rule=f"{rule}.alg")
    try:
        if jwk.get("kty") == "RSA" and len(unb64url(str(jwk["n"]))) * 8 < LEAST_RSA:
            raise SignInError("a key that is too small", rule=f"{rule}.alg")
        key = JWKRegistry.import_key({k: v for k, v in jwk.items() if k not in {"alg", "use"}})
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise SignInError("a key that cannot be read", rule=f"{rule}.key") from error
    match key:
        case ECKey():
            fits = _CURVES.get(alg) == key.curve_name
        case RSAKey():
            fits = alg in {"RS256", "PS256"}
        case OKPKey():
            fits = alg == "Ed25519" and key.curve_name == "Ed25519"
        case _:
            fits = False
    if not fits or key.is_private:
        raise SignInError("a key of another algorithm", rule=f"{rule}.alg")
    return key


def _verify(token: str, key: Key, alg: str, rule: str) -> Signed:
    try:
        found = jwt.decode(token, key, algorithms=[alg])
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise SignInError(
            "the signature of a token does not hold", rule=f"{rule}.signature"
        ) from error
    return Signed(found.header, found.claims)


def b64url(data: bytes) -> str:
    """Return base64url text without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64url(text: str) -> bytes:
    """Return the bytes of base64url text without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def read_unproved(token: str, claim: str, *, rule: str) -> str:
    """Return a text that a token claims, to find out by whose keys it must hold; believe nothing else of it.

    Raises:
        SignInError: It claims none.
    """
    try:
        said = json.loads(unb64url(token.split(".")[1]))[claim]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise SignInError("not a token", rule=f"{rule}.shape") from error
    if not isinstance(said, str):
        raise SignInError("not a token", rule=f"{rule}.shape")
    return said
