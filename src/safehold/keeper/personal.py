"""What a leaf says of one person, sealed once more under a key that ends with them.

The details of leaves are sealed under the key of a month, which outlives people. So whatever would name a person or
their device there is sealed under the person's own ledger key first, and the leaf is found again by a *handle* that
can be computed with that key alone. After an erasure both are noise.
"""

from __future__ import annotations

import hmac
from typing import Any

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.errors import InvalidError
from safehold.vault import keys

PAD = 4096  # bytes: what is sealed is equally long for all

_KEY = b"sh/personal/v1"
_HANDLE = b"sh/choice/v1"
_AAD = b"safehold/personal/1"


def handle_of(key: bytes, name: str) -> str:
    """Return by what a leaf of a person is found.

    Args:
        key: The person's ledger key.
        name: Which of their leaves: ``person/2`` for the second change of their standing, and so on.
    """
    return hmac.digest(key, _HANDLE + name.encode(), "sha256")[:16].hex()


def seal_personal(key: bytes, record: dict[str, Any], *, pad: int = PAD) -> str:
    """Return a record as base64 text that opens with the person's ledger key alone.

    Args:
        key: The person's ledger key.
        record: What is sealed.
        pad: Bytes that every such record has, and none has more.

    Raises:
        InvalidError: It is longer than what others take.
    """
    plain = canonical.encode(record)
    if len(plain) > pad:  # a longer leaf would tell what it holds
        raise InvalidError(
            "this is too long to be recorded", rule="subjects.size", fix="shorten it"
        )
    plain += b" " * (pad - len(plain))
    return b64(keys.seal_bytes(hmac.digest(key, _KEY, "sha256"), plain, aad=_AAD))


def open_personal(key: bytes, sealed: str) -> dict[str, Any]:
    """Return a sealed record.

    Raises:
        TamperedError: It is another person's, or was changed.
    """
    plain = keys.open_bytes(hmac.digest(key, _KEY, "sha256"), unb64(sealed), aad=_AAD)
    found: dict[str, Any] = canonical.decode(plain.rstrip(b" "))
    return found
