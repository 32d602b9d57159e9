"""People through OpenID Connect: what an ID token must say before it proves anybody.

OpenID Connect Core 1.0 section 3.1.3.7. The token is for this client alone, fresh, of the issuer that was enrolled,
signed by a key of its published set, and carries the nonce that binds it to question and session key. Roles, groups
and names in it are not read: they are the charter's and the register's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from safehold.access.identity.jose import check_keys, verify
from safehold.access.identity.proof import Proved
from safehold.clock import SECOND_US
from safehold.errors import InvalidError, SignInError

RULE: Final = "oidc"
SKEW_S: Final = 60
OLDEST_S: Final = 600  # an ID token that was issued longer ago answers no question of ours
_LOCAL: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An identity provider that a home believes.

    Args:
        issuer: Its issuer, as in its tokens.
        client: Our client id with it: the audience of its tokens.
        jwks_uri: Where its keys are published.
        keys: Its public keys, as read last.
        authorize: Where people sign in.
        token: Where a code is exchanged.
    """

    issuer: str
    client: str
    jwks_uri: str
    keys: Mapping[str, Any]
    authorize: str
    token: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Provider:
        """Read what ``to_json`` made."""
        return cls(**tree)

    @classmethod
    def from_discovery(cls, issuer: str, client: str, said: Any, jwks: Any) -> Provider:
        """Return a provider as it describes itself (OpenID Connect Discovery 1.0 section 4).

        Raises:
            InvalidError: It speaks for another issuer, or names an address without TLS.
        """
        if not isinstance(said, Mapping) or said.get("issuer") != issuer:
            raise InvalidError("a provider that speaks for another issuer", rule="oidc.issuer")
        places = [
            said.get(f"{name}") for name in ("jwks_uri", "authorization_endpoint", "token_endpoint")
        ]
        keys_at, authorize, token = (check_place(one) for one in (*places,))
        return cls(
            issuer=check_place(issuer),
            client=client,
            jwks_uri=keys_at,
            keys=check_keys(jwks),
            authorize=authorize,
            token=token,
        )

    def rotated(self, jwks: Any) -> Provider:
        """Return the provider with the keys that it publishes now."""
        return replace(self, keys=check_keys(jwks))


def check_id_token(token: str, provider: Provider, *, nonce: str, now_us: int) -> Proved:
    """Return the person that an ID token proves.

    Args:
        token: The ID token.
        provider: Whose it must be.
        nonce: From ``sign_in_nonce``.
        now_us: Microseconds.

    Raises:
        UnknownKeyError: Signed with a key that the provider did not publish when its set was read.
        SignInError: Of another issuer, for another client, over, too old, or of another sign-in.
    """
    claims = verify(token, provider.keys, rule=RULE).claims
    now_s = now_us // SECOND_US
    if claims.get("iss") != provider.issuer:
        raise SignInError("a token of another issuer", rule="oidc.issuer")
    audience = claims.get("aud")
    if audience not in (provider.client, [provider.client]):
        raise SignInError("a token for somebody else", rule="oidc.audience")
    if claims.get("azp", provider.client) != provider.client:
        raise SignInError("a token for somebody else", rule="oidc.audience")
    ends, issued = claims.get("exp"), claims.get("iat")
    if type(ends) is not int or type(issued) is not int:
        raise SignInError("a token without its times", rule="oidc.time")
    if ends + SKEW_S <= now_s:
        raise SignInError("this token has ended", rule="oidc.expired", fix="safehold sign-in")
    if not -SKEW_S <= now_s - issued <= OLDEST_S or claims.get("nbf", 0) > now_s + SKEW_S:
        raise SignInError("a token of another time", rule="oidc.time", fix="safehold sign-in")
    if claims.get("nonce") != nonce:
        raise SignInError("a token of another sign-in", rule="oidc.nonce", fix="safehold sign-in")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise SignInError("a token about nobody", rule="oidc.subject")
    return Proved(
        method="oidc", name=f"oidc:{provider.issuer}#{subject}", until_us=ends * SECOND_US
    )


def check_place(url: Any) -> str:
    """Return an address that may be asked: HTTPS, or HTTP on this machine.

    Raises:
        InvalidError: Another one.
    """
    parts = urlsplit(url) if isinstance(url, str) and len(url) <= 2048 else None
    if parts is None or parts.username or parts.fragment or not parts.hostname:
        raise InvalidError("not an address", rule="oidc.place")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
        raise InvalidError("an address without TLS", rule="oidc.place", fix="https://...")
    return str(url)
