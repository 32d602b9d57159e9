"""The ticket of a session: who signed in, until when, and with which key each call of theirs is signed.

The keeper signs it and keeps nothing; it counts only with a fresh signature of the session's key over the call, so
a ticket alone, or a call seen before, is worth nothing. Whether somebody still may do what they ask is looked up at
every call: a ticket says who, never what.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, SignInError, TamperedError
from safehold.signing import SigningKey, VerifyKey

DOMAIN: Final = "safehold.session.v1"
CALL_DOMAIN: Final = "safehold.call.v1"
LONGEST: Final = 4096  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One session.

    Args:
        id: Random.
        home: Name of the home.
        principal: Id of who signed in.
        method: How.
        name: What proved them: ``key:...``, ``oidc:ISSUER#SUBJECT`` or ``spiffe://...``.
        key: Public key of the session, base64.
        since_us: When it began, microseconds.
        until_us: When it ends.
        entry: The leaf that records it.
    """

    id: str
    home: str
    principal: str
    method: str
    name: str
    key: str
    since_us: int
    until_us: int
    entry: int


def mint_ticket(ticket: Ticket, key: SigningKey) -> str:
    """Return a ticket as text, signed."""
    body = canonical.encode(asdict(ticket))
    return f"{b64(body)}.{b64(key.sign(DOMAIN, body))}"


def open_ticket(text: Any, key: VerifyKey, *, home: str, now_us: int) -> Ticket:
    """Return a ticket that was signed here and is not over.

    Raises:
        SignInError: It was not, or is; sign in again.
    """
    try:
        body, _, value = str(text)[:LONGEST].partition(".")
        key.verify(DOMAIN, unb64(body), unb64(value))
        ticket = Ticket(**canonical.decode(unb64(body)))
    except (InvalidError, TamperedError, TypeError) as error:
        raise SignInError(
            "this session was not opened here", rule="session.ticket", fix="safehold sign-in"
        ) from error
    if ticket.home != home:
        raise SignInError("a session of another home", rule="session.home", fix="safehold sign-in")
    if not ticket.since_us <= now_us < ticket.until_us:
        raise SignInError("this session is over", rule="session.expired", fix="safehold sign-in")
    return ticket


def sign_call(key: SigningKey, nonce: bytes, verb: str, arguments: Mapping[str, Any]) -> bytes:
    """Return the session key's signature over one call, 64 bytes."""
    return key.sign(CALL_DOMAIN, _message(nonce, verb, arguments))


def check_call(
    ticket: Ticket, nonce: bytes, verb: str, arguments: Mapping[str, Any], proof: bytes
) -> None:
    """Pass if this very call was signed with the key of a session.

    Args:
        ticket: The session.
        nonce: From ``Nonces.spend``: issued here, not used before.
        verb: What is asked for.
        arguments: With what, without what the caller proves themselves by.
        proof: From ``sign_call``.

    Raises:
        SignInError: It was not.
    """
    try:
        VerifyKey.from_text(ticket.key).verify(CALL_DOMAIN, _message(nonce, verb, arguments), proof)
    except TamperedError as error:
        raise SignInError(
            "this call was not signed by whoever signed in", rule="session.proof"
        ) from error


def _message(nonce: bytes, verb: str, arguments: Mapping[str, Any]) -> bytes:
    # not canonical JSON: arguments may hold a fraction, and both sides write them with the same encoder
    said = orjson.dumps({"arguments": arguments, "verb": verb}, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(nonce).digest() + hashlib.sha256(said).digest()
