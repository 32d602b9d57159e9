"""Who somebody proves to be, by OpenID Connect, SPIFFE or a key of their own: an identity, never a right."""

from safehold.access.identity.oidc import Provider, check_id_token
from safehold.access.identity.proof import (
    METHODS,
    Proved,
    check_key,
    sign_in_message,
    sign_in_nonce,
)
from safehold.access.identity.spiffe import Bundle, check_jwt_svid, check_x509_svid
from safehold.access.identity.ticket import Ticket, check_call, mint_ticket, open_ticket, sign_call

__all__ = [
    "METHODS",
    "Bundle",
    "Proved",
    "Provider",
    "Ticket",
    "check_call",
    "check_id_token",
    "check_jwt_svid",
    "check_key",
    "check_x509_svid",
    "mint_ticket",
    "open_ticket",
    "sign_call",
    "sign_in_message",
    "sign_in_nonce",
]
