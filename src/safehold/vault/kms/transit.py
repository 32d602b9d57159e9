"""A root key in the transit engine of HashiCorp Vault or OpenBao.

The key must be derived (so that a context is part of it), of type aes256-gcm96, and not exportable. The keeper's
token needs ``update`` on ``encrypt/NAME`` and ``decrypt/NAME`` and ``read`` on ``keys/NAME``; with ``create`` on
the first, a mistyped name would make a key. Many items go in one call. Versions are the service's business: what
version 1 wrapped opens while the key's ``min_decryption_version`` allows it.

Source: the transit secrets engine's HTTP API as both projects document it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hmac import compare_digest
from threading import Lock
from typing import Any, Final, NoReturn, TypeVar

import hvac
import requests
from hvac import exceptions as refusals

from safehold.errors import (
    InvalidError,
    ShreddedError,
    SignInError,
    TamperedError,
    UnavailableError,
)
from safehold.vault.kms.interface import Item

T = TypeVar("T")
TIMEOUT_S: Final = 5
MOST_AT_ONCE: Final = 500  # items of one call


class TransitKek:
    """A key of a transit engine. Thread-safe: one call at a time.

    Args:
        where: ``url``, ``mount``, ``key`` and ``ca`` (file of certificates; empty: the usual ones).
        token: The keeper's token.
        make: Make the key, which takes the right to; otherwise it must exist.

    Raises:
        UnavailableError: The service does not answer, is sealed, or refuses the token.
        ShreddedError: There is no such key.
        InvalidError: The key is not of the kind described above.
    """

    kind: Final = "hcvault"
    most: Final = 1024

    def __init__(self, where: Mapping[str, str], token: str, *, make: bool = False) -> None:
        self._where = dict(where)
        self._lock = Lock()
        session = requests.Session()
        session.trust_env = (
            False  # neither proxies nor .netrc; a token goes where the root file says
        )
        self._client: Any = hvac.Client(
            url=where["url"],
            token=token,
            verify=where["ca"] or True,
            timeout=TIMEOUT_S,
            session=session,
            allow_redirects=False,
        )
        transit = self._client.secrets.transit
        name = {"name": where["key"], "mount_point": where["mount"]}
        if make:
            self._told(
                lambda: transit.create_key(
                    **name, key_type="aes256-gcm96", derived=True, exportable=False
                )
            )
        about = self._told(lambda: transit.read_key(**name))
        match about:
            case {
                "data": {"type": "aes256-gcm96", "derived": True, "exportable": False, **rest}
            } if not rest.get("allow_plaintext_backup"):
                pass
            case _:
                raise InvalidError(
                    "the transit key is not a derived aes256-gcm96 key that stays where it is",
                    rule="root.kms.key",
                    fix="make one with derived=true exportable=false allow_plaintext_backup=false",
                )

    @property
    def where(self) -> Mapping[str, str]:
        """URL, mount and name."""
        return dict(self._where)

    def wrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return the ciphertext of each, such as ``vault:v1:...``."""
        asked = [{"plaintext": _text(item.data), "context": _text(item.context)} for item in items]
        found = self._batch(self._client.secrets.transit.encrypt_data, asked, "ciphertext")
        for one in found:
            if not one.startswith("vault:v"):
                raise _strange()
        return [one.encode("ascii") for one in found]

    def unwrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return what was wrapped."""
        asked = []
        for item in items:
            if not item.data.startswith(b"vault:v") or not item.data.isascii():
                raise TamperedError("a wrapped key has an unknown form", rule="root.wrapped")
            asked.append({"ciphertext": item.data.decode("ascii"), "context": _text(item.context)})
        found = self._batch(self._client.secrets.transit.decrypt_data, asked, "plaintext")
        try:
            return [b64decode(one, validate=True) for one in found]
        except binascii.Error:
            raise _strange() from None

    def admit(self, secret: str) -> None:
        """Pass if this is the token that it was reached with; raises ``SignInError`` otherwise."""
        if not compare_digest(secret.encode(), str(self._client.token).encode()):
            raise SignInError("this is not what the root was unlocked with", rule="key.present")

    def destroy(self) -> str:
        """Say who destroys the key: the keeper's token must not be able to."""
        return "delete the old key in the transit engine; the keeper's token has no right to"

    def close(self) -> None:
        """Close connections and let go of the token."""
        self._client.token = None
        self._client.adapter.close()

    def _batch(
        self, call: Callable[..., Any], asked: list[dict[str, str]], field: str
    ) -> list[str]:
        found: list[str] = []
        empty = {"plaintext": None} if field == "ciphertext" else {"ciphertext": None}
        for start in range(0, len(asked), MOST_AT_ONCE):
            some = asked[start : start + MOST_AT_ONCE]
            answer = self._told(
                partial(
                    call,
                    name=self._where["key"],
                    mount_point=self._where["mount"],
                    batch_input=some,
                    **empty,
                )
            )
            match answer:
                case {"data": {"batch_results": list(results)}} if len(results) == len(some):
                    found += [_one(result, field) for result in results]
                case _:
                    raise _strange()
        return found

    def _told(self, act: Callable[[], T]) -> T:
        """Run a call, and say in our words what was answered; its own may quote tokens and names."""
        try:
            with self._lock:
                return act()
        except refusals.InvalidRequest as error:
            raise _invalid(error) from None
        except (refusals.Forbidden, refusals.Unauthorized):
            raise UnavailableError(
                "the key service refuses the keeper's token",
                rule="root.kms.refused",
                fix="renew the token or its policy; nothing is released meanwhile",
            ) from None
        except refusals.InvalidPath:
            raise ShreddedError(
                "the key service has no such key", rule="root.kms.key", fix="look at mount and name"
            ) from None
        except refusals.VaultDown:
            raise UnavailableError(
                "the key service is sealed or in maintenance",
                rule="root.kms",
                fix="unseal it; nothing is released meanwhile",
            ) from None
        except (refusals.VaultError, requests.RequestException, ValueError, OSError) as error:
            raise UnavailableError(
                f"the key service does not answer: {type(error).__name__}",
                rule="root.kms",
                fix="look at network, certificate and service; nothing is released meanwhile",
            ) from None

    def __repr__(self) -> str:
        return "TransitKek(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a TransitKek holds a secret and is never pickled")


def _text(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _one(result: Any, field: str) -> str:
    match result:
        case {"error": str(words)} if words:
            raise _said(words)
        case dict() if isinstance(value := result.get(field), str) and value:
            return value
        case _:
            raise _strange()


def _invalid(error: refusals.VaultError) -> Exception:
    """Return what a refused call means: a batch in which one item fails is refused as a whole."""
    return _said(" ".join(map(str, error.errors or [])) + " " + str(error.json or ""))


def _said(words: str) -> Exception:
    if "too old" in words or "disallowed by policy" in words:
        return UnavailableError(
            "the key service no longer opens what an old version of the key wrapped",
            rule="root.kms.version",
            fix="lower min_decryption_version, rotate with `safehold key rotate`, then raise it",
        )
    if "not found" in words:
        return ShreddedError("the key service has no such key", rule="root.kms.key")
    return TamperedError("a wrapped key does not open", rule="root.wrapped")


def _strange() -> UnavailableError:
    return UnavailableError(
        "the key service answers in another form than is documented",
        rule="root.kms.answer",
        fix="look whether it is Vault or OpenBao that answers there",
    )
