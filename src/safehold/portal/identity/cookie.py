"""Sessions rest with the browser, sealed: a portal that restarts, or a second one beside it, goes on with them.

A cookie holds the keeper's ticket and the key that signs this session's calls, under Fernet (AES-128-CBC and
HMAC-SHA-256 with a version and a time, github.com/fernet/spec). The keys lie in the portal's state folder; the first
seals, all open. Signing out ends the ticket at the keeper, so a stolen copy of the cookie ends too.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, SignInError
from safehold.keeper.signed import Session
from safehold.signing import SigningKey

SESSION: Final = "safehold"
START: Final = "safehold-start"
VERSION: Final = "safehold.portal-session/1"
TOKEN_VERSION: Final = "safehold.portal-token/1"  # noqa: S105 - a name
START_VERSION: Final = "safehold.portal-start/1"
START_S: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody who signed in.

    Args:
        session: Ticket and key.
        principal: Who they are to the keeper.
        kind: ``human``, ``workload`` or ``agent``.
        role: Their role; it decides what is shown in the menu, never what is let through.
        until_s: When the session ends, seconds since 1970.
    """

    session: Session
    principal: str
    kind: str
    role: str
    until_s: int

    def csrf(self) -> str:
        """Return what each form of this session carries."""
        key = self.session.key.seed()
        return hmac.new(key, b"safehold.portal-form/1", hashlib.sha256).hexdigest()


class Cookies:
    """Seals what browsers keep.

    Args:
        keys: Fernet keys, newest first.
    """

    def __init__(self, keys: list[bytes]) -> None:
        self._seal = MultiFernet([Fernet(key) for key in keys])

    @classmethod
    def at(cls, folder: Path) -> Cookies:
        """Return the cookies of a portal, whose key file is made if there is none.

        Raises:
            InvalidError: Others may read the keys, or they are none.
        """
        file = folder / "cookie-keys"
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(handle, "wb") as new:
                new.write(Fernet.generate_key() + b"\n")
                new.flush()
                os.fsync(new.fileno())
        if file.stat().st_mode & 0o077:
            raise InvalidError("others may read the portal's keys", rule="portal.keys")
        try:
            return cls(file.read_bytes().split())
        except ValueError as error:
            raise InvalidError("not keys of a portal", rule="portal.keys") from error

    def wrap(self, data: bytes) -> bytes:
        """Return bytes sealed, for what rests with the portal."""
        return self._seal.encrypt(data)

    def unwrap(self, data: bytes) -> bytes | None:
        """Return what ``wrap`` sealed, or nothing if it is not ours."""
        try:
            return self._seal.decrypt(data)
        except InvalidToken:
            return None

    def seal(self, value: dict[str, Any]) -> str:
        """Return a value as a cookie."""
        return self._seal.encrypt(canonical.encode(value)).decode("ascii")

    def open(self, text: str, *, longest_s: int) -> dict[str, Any] | None:
        """Return what a cookie holds, or nothing if it is not ours or too old."""
        try:
            found = canonical.decode(self._seal.decrypt(text.encode(), ttl=longest_s))
        except (InvalidToken, UnicodeEncodeError, InvalidError):
            return None
        return found if isinstance(found, dict) else None

    def write(self, visitor: Visitor, *, bound: str = "") -> str:
        """Return a session as a cookie; as an access token, if it is bound to a key.

        Args:
            visitor: Who signed in.
            bound: Thumbprint of the key that a token is bound to; what is bound is no cookie.
        """
        return self.seal(
            {
                "v": TOKEN_VERSION if bound else VERSION,
                **({"bound": bound} if bound else {}),
                "ticket": visitor.session.ticket,
                "key": b64(visitor.session.key.seed()),
                "principal": visitor.principal,
                "kind": visitor.kind,
                "role": visitor.role,
                "until_s": visitor.until_s,
            }
        )

    def read(self, text: str | None, *, now_s: int, longest_s: int) -> Visitor | None:
        """Return who a cookie says is there; nobody if it is not ours, or over."""
        found = self.open(text, longest_s=longest_s) if text else None
        return None if found is None or "bound" in found else _visitor(found, VERSION, now_s)

    def read_token(self, text: str, *, now_s: int, longest_s: int) -> tuple[Visitor, str] | None:
        """Return who an access token says is there, and the thumbprint of the key it is bound to."""
        found = self.open(text, longest_s=longest_s)
        visitor = None if found is None else _visitor(found, TOKEN_VERSION, now_s)
        bound = "" if found is None else str(found.get("bound", ""))
        return (visitor, bound) if visitor is not None and bound else None


def _visitor(found: dict[str, Any], version: str, now_s: int) -> Visitor | None:
    match found:
        case {
            "v": str(said),
            "ticket": str(ticket),
            "key": str(seed),
            "principal": str(principal),
            "kind": str(kind),
            "role": str(role),
            "until_s": int(until_s),
        } if until_s > now_s and said == version:
            return Visitor(
                session=Session(ticket, SigningKey(unb64(seed))),
                principal=principal,
                kind=kind,
                role=role,
                until_s=until_s,
            )
        case _:
            return None


def signed_out() -> SignInError:
    """Return what is said to somebody who is not signed in."""
    return SignInError("you are signed out", rule="session.none", fix="sign in")
