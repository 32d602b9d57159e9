"""Reach a key elsewhere by its place and what unlocks it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from safehold.errors import UnavailableError
from safehold.vault.kms.interface import Kek
from safehold.vault.kms.place import check_where

NEEDS = {"pkcs11": "pkcs11", "aws-kms": "boto3", "hcvault": "hvac"}


def reach(kind: str, where: Mapping[str, str], secret: str, *, make: bool = False) -> Kek:
    """Return a key in a token or a service, proved to be there and of the right kind.

    Args:
        kind: ``pkcs11``, ``aws-kms`` or ``hcvault``.
        where: Its place, as ``parse_place`` gives it.
        secret: A PIN, a token, or for AWS its credentials as a JSON object.
        make: Make the key. One of AWS is made by whoever administers it.

    Raises:
        SignInError: The secret is not accepted.
        ShreddedError: There is no such key.
        UnavailableError: Nothing answers there, or the extra ``kms`` is not installed.
        InvalidError: The key is of another kind than it must be.
    """
    where = check_where(kind, where)
    if importlib.util.find_spec(NEEDS[kind]) is None:
        raise UnavailableError(
            f"keys in {kind} need more packages",
            rule="root.extra",
            fix="pip install 'safehold[kms]'",
        )
    match kind:
        case "pkcs11":
            from safehold.vault.kms.pkcs11 import TokenKek  # noqa: PLC0415 - an extra

            return TokenKek(where, secret, make=make)
        case "hcvault":
            from safehold.vault.kms.transit import TransitKek  # noqa: PLC0415 - an extra

            return TransitKek(where, secret, make=make)
        case _:
            from safehold.vault.kms.aws import AwsKek  # noqa: PLC0415 - an extra

            return AwsKek(where, secret)
