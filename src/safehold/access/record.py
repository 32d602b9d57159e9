"""Signed records: the stored bytes are what was signed, and nobody encodes them again."""

from __future__ import annotations

from typing import Any

from safehold.canonical import b64, decode, encode, unb64
from safehold.errors import InvalidError, TamperedError
from safehold.signing import SigningKey, VerifyKey


def sign_record(value: Any, *, domain: str, key: SigningKey) -> bytes:
    """Return canonical JSON with the value as ``body``, the ``key`` and the ``signature``."""
    body = encode(value)
    return encode(
        {"body": b64(body), "key": key.public.text(), "signature": b64(key.sign(domain, body))}
    )


def open_record(data: bytes, *, domain: str, key: VerifyKey) -> dict[str, Any]:
    """Return the value of a signed record.

    Args:
        data: The record's bytes.
        domain: What it was signed for.
        key: Who must have signed it.

    Raises:
        InvalidError: It is no record.
        TamperedError: Another key signed it, or it was changed.
    """
    outer = decode(data)
    if not isinstance(outer, dict) or set(outer) != {"body", "key", "signature"}:
        raise InvalidError("not a signed record", rule=f"{domain}.shape")
    if not all(isinstance(item, str) for item in outer.values()):
        raise InvalidError("not a signed record", rule=f"{domain}.shape")
    if outer["key"] != key.text():
        raise TamperedError("another key signed this", rule=f"signing.{domain}")
    body = unb64(outer["body"])
    key.verify(domain, body, unb64(outer["signature"]))
    value = decode(body)
    if not isinstance(value, dict):
        raise InvalidError("not a signed record", rule=f"{domain}.shape")
    return value
