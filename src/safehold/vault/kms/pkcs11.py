"""A root key inside a PKCS#11 token: made there, used there, never extractable.

AES-256-GCM with 96-bit random nonces: one key wraps at most a few thousand keys in its life, far below the 2^32 of
NIST SP 800-38D section 8.3. One session serves all threads, one at a time; when it is lost it is opened again.

Source: PKCS#11 v2.40 (OASIS), CKM_AES_GCM; addresses of keys: RFC 7512.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hmac import compare_digest, digest
from threading import Lock
from typing import Any, Final, NoReturn, TypeVar

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.mechanisms import GCMParams

from safehold import ids
from safehold.errors import (
    ConflictError,
    InvalidError,
    SafeholdError,
    ShreddedError,
    SignInError,
    TamperedError,
    UnavailableError,
)
from safehold.vault.guarded import Guarded
from safehold.vault.kms.interface import Item

T = TypeVar("T")
_PROCESS: Final = ids.random_bytes(32)
_GIVEN: Final[dict[tuple[str, str], bytes]] = {}  # codes of the PINs that opened tokens, by place
NONCE: Final = 12  # bytes
TAG: Final = 16  # bytes
# what a key must be, whoever made it
_REQUIRED: Final = {
    Attribute.EXTRACTABLE: False,
    Attribute.SENSITIVE: True,
    Attribute.ENCRYPT: True,
    Attribute.DECRYPT: True,
}
_LOST: Final = (
    pkcs11.SessionHandleInvalid,
    pkcs11.SessionClosed,
    pkcs11.UserNotLoggedIn,
    pkcs11.DeviceRemoved,
    pkcs11.DeviceError,
    pkcs11.TokenNotPresent,
    pkcs11.KeyHandleInvalid,
    pkcs11.ObjectHandleInvalid,
    pkcs11.OperationActive,
)
_WRONG_PIN: Final = (
    pkcs11.PinIncorrect,
    pkcs11.PinInvalid,
    pkcs11.PinLenRange,
    pkcs11.PinLocked,
    pkcs11.PinExpired,
    pkcs11.UserPinNotInitialized,
)


class TokenKek:
    """A key in a token. Thread-safe.

    Args:
        where: ``module`` (path of the PKCS#11 library), ``token`` and ``object`` (labels).
        pin: The user's PIN of the token.
        make: Make the key; otherwise it must exist.

    Raises:
        SignInError: The token refuses the PIN.
        ShreddedError: The token holds no such key.
        ConflictError: The key is to be made and exists.
        UnavailableError: No such library or token, or it does not answer.
    """

    kind: Final = "pkcs11"
    most: Final = 1024

    def __init__(self, where: Mapping[str, str], pin: str, *, make: bool = False) -> None:
        self._where = dict(where)
        self._pin = Guarded(pin.encode() or b"\0")
        self._lock = Lock()
        self._session: Any = None
        self._key: Any = None
        with self._lock:
            self._told(lambda: self._connect(make=make))

    @property
    def where(self) -> Mapping[str, str]:
        """Library, token and label."""
        return dict(self._where)

    def wrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return for each: nonce, ciphertext and tag."""
        return [self._held(partial(_seal, item)) for item in items]

    def unwrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return what was wrapped."""
        return [self._held(partial(_open, item)) for item in items]

    def admit(self, secret: str) -> None:
        """Pass if this is the PIN that it was reached with; raises ``SignInError`` otherwise."""
        if not compare_digest(secret.encode(), bytes(self._pin.view())):
            raise SignInError("this is not what the root was unlocked with", rule="key.present")

    def destroy(self) -> str:
        """Destroy the key in the token."""
        self._held(lambda key: key.destroy())
        return "the key was destroyed in the token"

    def close(self) -> None:
        """End the session and overwrite the PIN."""
        with self._lock:
            self._drop()
            self._pin.wipe()

    def _held(self, use: Callable[[Any], T]) -> T:
        with self._lock:
            return self._told(lambda: self._again(use))

    def _again(self, use: Callable[[Any], T]) -> T:
        if self._key is not None:
            try:
                return use(self._key)
            except _LOST:
                pass
        self._drop()
        self._connect(make=False)
        return use(self._key)

    def _connect(self, *, make: bool) -> None:
        token = pkcs11.lib(self._where["module"]).get_token(token_label=self._where["token"])
        place = (self._where["module"], self._where["token"])
        given = digest(_PROCESS, bytes(self._pin.view()), "sha256")
        try:
            self._session = token.open(rw=True, user_pin=str(self._pin.view(), "utf-8"))
            _GIVEN[place] = given
        except pkcs11.UserAlreadyLoggedIn:
            # another session of this process has given the PIN, and the token would take any other now
            if not compare_digest(_GIVEN.get(place, b""), given):
                raise pkcs11.PinIncorrect from None
            self._session = token.open(rw=True)
        if make:
            self._make()
        key = self._session.get_key(
            label=self._where["object"], object_class=ObjectClass.SECRET_KEY
        )
        if key.key_type != KeyType.AES or any(
            key[name] != value for name, value in _REQUIRED.items()
        ):
            raise InvalidError(
                "the key in the token is no AES key that stays in it",
                rule="root.token.key",
                fix="have it made with CKA_EXTRACTABLE false and CKA_SENSITIVE true",
            )
        self._key = key

    def _make(self) -> None:
        label = self._where["object"]
        with contextlib.suppress(pkcs11.NoSuchKey):
            self._session.get_key(label=label, object_class=ObjectClass.SECRET_KEY)
            raise ConflictError(
                "the token has a key of this label",
                rule="root.token.key",
                fix="choose another label: object=NAME",
            )
        denied = (
            Attribute.WRAP,
            Attribute.UNWRAP,
            Attribute.SIGN,
            Attribute.VERIFY,
            Attribute.DERIVE,
        )
        self._session.generate_key(
            KeyType.AES,
            256,
            label=label,
            store=True,
            template=_REQUIRED | dict.fromkeys(denied, False),
        )

    def _drop(self) -> None:
        session, self._session, self._key = self._session, None, None
        if session is not None:
            with contextlib.suppress(pkcs11.PKCS11Error):
                session.close()

    def _told(self, act: Callable[[], T]) -> T:
        """Run something, and say in our words what a token answers; its own may quote labels."""
        try:
            return act()
        except SafeholdError:
            self._drop_if_unmade()
            raise
        except _WRONG_PIN:
            self._drop()
            raise SignInError(
                "the token refuses the PIN",
                rule="root.token.pin",
                fix="check the PIN; a token locks itself after a few wrong ones",
            ) from None
        except pkcs11.NoSuchKey:
            self._drop()
            raise ShreddedError(
                "the token holds no such key: it was destroyed, or this is another token",
                rule="root.token.key",
                fix="put in the token that the root file names",
            ) from None
        except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
            self._drop()
            raise UnavailableError(
                f"the token does not answer: {type(error).__name__}",
                rule="root.token",
                fix="look at token, module path and its service; nothing is released meanwhile",
            ) from None

    def _drop_if_unmade(self) -> None:
        if self._key is None:
            self._drop()

    def __repr__(self) -> str:
        return "TokenKek(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a TokenKek holds a secret and is never pickled")


def _seal(item: Item, key: Any) -> bytes:
    nonce = ids.random_bytes(NONCE)
    sealed: bytes = key.encrypt(
        item.data,
        mechanism=Mechanism.AES_GCM,
        mechanism_param=GCMParams(nonce, item.context, TAG * 8),
    )
    return nonce + sealed


def _open(item: Item, key: Any) -> bytes:
    nonce, sealed = item.data[:NONCE], item.data[NONCE:]
    if len(sealed) < TAG:
        raise TamperedError("a wrapped key is cut short", rule="root.wrapped")
    try:
        opened: bytes = key.decrypt(
            sealed,
            mechanism=Mechanism.AES_GCM,
            mechanism_param=GCMParams(nonce, item.context, TAG * 8),
        )
    except _LOST:
        raise
    except pkcs11.PKCS11Error:
        # tokens answer a wrong tag with this error or that; if the key still works, it was the bytes
        probe = Item(bytes(16), b"probe")
        if item.context == probe.context or _open(Item(_seal(probe, key), b"probe"), key) != bytes(
            16
        ):
            raise
        raise TamperedError("a wrapped key does not open", rule="root.wrapped") from None
    return opened
