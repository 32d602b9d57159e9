"""Published keys of identity providers: read from where they were enrolled, bounded, and not often."""

from __future__ import annotations

import json
import threading
from typing import Any, Final

from safehold.access.identity.oidc import Provider
from safehold.clock import SECOND_US
from safehold.errors import MissingError, SafeholdError, SignInError, UnavailableError
from safehold.ledger.published import PublishedSite

LARGEST: Final = 262_144  # bytes of a document
SELDOM_US: Final = (
    30 * SECOND_US
)  # whoever sends tokens of unknown keys must not make us ask again and again


class KeySets:
    """Reads them."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}
        self._lock = threading.Lock()

    def refresh(self, provider: Provider, *, now_us: int) -> Provider:
        """Return a provider with the keys that it publishes now.

        Raises:
            SignInError: It was asked a moment ago.
            UnavailableError: It cannot be reached.
        """
        with self._lock:
            last = self._asked.get(provider.issuer)
            if last is not None and 0 <= now_us - last < SELDOM_US:
                raise SignInError(
                    "this token is signed with a key that its provider does not publish",
                    rule="oidc.key",
                    fix="try again in a minute",
                )
            self._asked[provider.issuer] = now_us
        return provider.rotated(fetch_json(provider.jwks_uri))


def discover(issuer: str, client: str) -> Provider:
    """Return a provider as it describes itself at its issuer (OpenID Connect Discovery 1.0).

    Raises:
        InvalidError: It speaks for another issuer, or names an address without TLS.
        UnavailableError: It cannot be reached.
    """
    said = fetch_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    keys = said.get("jwks_uri") if isinstance(said, dict) else None
    return Provider.from_discovery(issuer, client, said, fetch_json(str(keys)))


def fetch_json(url: str) -> Any:
    """Return a JSON document at an address: HTTPS, or HTTP on this machine; no redirect is followed.

    Raises:
        UnavailableError: It cannot be had, or is no JSON.
    """
    prefix, _, name = url.rpartition("/")
    site = PublishedSite(prefix)
    try:
        return json.loads(site.read(name, LARGEST))
    except (ValueError, MissingError) as error:
        raise UnavailableError(
            "the identity provider has no such document", rule="oidc.fetch"
        ) from error
    except SafeholdError as error:
        raise UnavailableError(
            "the identity provider cannot be reached", rule="oidc.fetch"
        ) from error
    finally:
        site.close()
