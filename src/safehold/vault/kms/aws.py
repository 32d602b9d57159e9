"""A root key in AWS KMS. What is wrapped is bound to a hash of its context, which is all that CloudTrail shows.

The keeper's identity needs ``kms:Encrypt``, ``kms:Decrypt`` and ``kms:DescribeKey`` on this one key, and nothing
else. Credentials are those that were given when the root was unlocked: neither environment, nor configuration
files, nor the instance's own are looked at.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from hmac import compare_digest
from typing import Any, Final, NoReturn, TypeVar

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from safehold.errors import (
    InvalidError,
    ShreddedError,
    SignInError,
    TamperedError,
    UnavailableError,
)
from safehold.vault.guarded import Guarded
from safehold.vault.kms.interface import Item

logging.getLogger("botocore").setLevel(
    logging.INFO
)  # below that it writes requests with keys in them

T = TypeVar("T")
CONNECT_S: Final = 3
READ_S: Final = 5
_WRONG: Final = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_STRANGER: Final = frozenset(
    {
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "ExpiredTokenException",
        "MissingAuthenticationToken",
    }
)


class AwsKek:
    """A symmetric key of AWS KMS. Thread-safe.

    Args:
        where: ``key`` (ARN), ``region``, ``endpoint`` (empty: the region's own).
        secret: JSON object: ``access_key_id``, ``secret_access_key`` and, for one that ends, ``session_token``.

    Raises:
        SignInError: The credentials are not accepted.
        UnavailableError: The service does not answer, refuses the keeper, or the key is disabled.
        ShreddedError: There is no such key, or its deletion is scheduled.
        InvalidError: It is no symmetric key for encryption.
    """

    kind: Final = "aws-kms"
    most: Final = 1024  # bytes; the service takes 4096

    def __init__(self, where: Mapping[str, str], secret: str) -> None:
        self._where = dict(where)
        credentials = _credentials(secret)
        self._given = Guarded(secret.encode())
        self._client: Any = boto3.session.Session(
            botocore_session=_bare_session(), region_name=where["region"]
        ).client(
            "kms",
            endpoint_url=where["endpoint"] or None,
            aws_access_key_id=credentials["access_key_id"],
            aws_secret_access_key=credentials["secret_access_key"],
            aws_session_token=credentials.get("session_token"),
            config=Config(
                connect_timeout=CONNECT_S,
                read_timeout=READ_S,
                retries={"total_max_attempts": 2, "mode": "standard"},
                proxies={},
            ),
        )
        about = self._told(lambda: self._client.describe_key(KeyId=where["key"]))["KeyMetadata"]
        if (
            about.get("KeySpec") != "SYMMETRIC_DEFAULT"
            or about.get("KeyUsage") != "ENCRYPT_DECRYPT"
        ):
            raise InvalidError(
                "the key is no symmetric key for encryption", rule="root.kms.key", fix="make one"
            )
        _check_state(str(about.get("KeyState")))

    @property
    def where(self) -> Mapping[str, str]:
        """ARN, region and endpoint."""
        return dict(self._where)

    def wrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return the ciphertext of each, in a call each: the service has none for many."""
        return [
            self._one(self._client.encrypt, "Plaintext", item)["CiphertextBlob"] for item in items
        ]

    def unwrap_many(self, items: Sequence[Item]) -> list[bytes]:
        """Return what was wrapped, in a call each."""
        return [
            self._one(self._client.decrypt, "CiphertextBlob", item)["Plaintext"] for item in items
        ]

    def _one(self, call: Callable[..., dict[str, Any]], given: str, item: Item) -> dict[str, Any]:
        bound = {"safehold": hashlib.sha256(item.context).hexdigest()}
        asked = {"KeyId": self._where["key"], given: item.data, "EncryptionContext": bound}
        return self._told(partial(call, **asked))

    def admit(self, secret: str) -> None:
        """Pass if this is the JSON object of credentials that it was reached with; raises ``SignInError`` otherwise."""
        if not compare_digest(secret.encode(), bytes(self._given.view())):
            raise SignInError("this is not what the root was unlocked with", rule="key.present")

    def destroy(self) -> str:
        """Say who destroys the key: the keeper's identity must not be able to."""
        return "schedule the deletion of the old key in AWS KMS; the keeper has no right to"

    def close(self) -> None:
        """Close connections and overwrite the credentials."""
        self._client.close()
        self._given.wipe()

    def _told(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except ClientError as error:
            _refuse(str(error.response.get("Error", {}).get("Code", "")))
        except (BotoCoreError, OSError) as error:
            raise UnavailableError(
                f"the key service does not answer: {type(error).__name__}",
                rule="root.kms",
                fix="look at network, endpoint and region; nothing is released meanwhile",
            ) from None

    def __repr__(self) -> str:
        return "AwsKek(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a AwsKek holds a secret and is never pickled")


def _credentials(secret: str) -> Mapping[str, str]:
    try:
        found: Any = json.loads(secret)
    except json.JSONDecodeError:
        found = None
    names = {"access_key_id", "secret_access_key"}
    if (
        not isinstance(found, dict)
        or not names <= set(found) <= names | {"session_token"}
        or not all(isinstance(one, str) for one in found.values())
    ):
        raise InvalidError(
            "credentials are a JSON object of access_key_id, secret_access_key and session_token",
            rule="root.unlock",
            fix="give it with --unlock FILE, or - for standard input",
        )
    return found


@lru_cache(1)  # it reads the description of the service once
def _bare_session() -> Any:
    """Return a session that reads neither environment nor files for credentials, endpoints or proxies."""
    session = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, "/dev/null", None),
            "credentials_file": (None, None, "/dev/null", None),
        }
    )
    session.set_config_variable("ignore_configured_endpoint_urls", True)  # noqa: FBT003 - its only form
    return session


def _check_state(state: str) -> None:
    if state == "PendingDeletion":
        raise ShreddedError("the deletion of the root key is scheduled", rule="root.kms.key")
    if state != "Enabled":
        raise _refused("the root key is not enabled")


def _refuse(code: str) -> NoReturn:
    """Say in our words what the service answered; its own may quote names and numbers of an account."""
    if code in _WRONG:
        raise TamperedError("a wrapped key does not open", rule="root.wrapped") from None
    if code in _STRANGER:
        raise SignInError(
            "the key service does not know these credentials",
            rule="root.kms.credentials",
            fix="give the keeper's own with --unlock FILE",
        ) from None
    if code == "NotFoundException":
        raise ShreddedError(
            "the key service has no such key", rule="root.kms.key", fix="look at ARN and region"
        ) from None
    known = code if code.isalnum() and len(code) < 64 else "an error"
    raise _refused(f"the key service refuses: {known}") from None


def _refused(why: str) -> UnavailableError:
    return UnavailableError(
        why,
        rule="root.kms.refused",
        fix="look at the key's state and at the rights of the keeper; nothing is released meanwhile",
    )
