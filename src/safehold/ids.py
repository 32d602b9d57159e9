"""The only source of randomness and of identifiers.

Key material, nonces, noise and sampling come from the operating system's entropy and nowhere else; no
function here takes a seed.
"""

from __future__ import annotations

import os
import time
from typing import NewType

PersonId = NewType("PersonId", str)
GrantId = NewType("GrantId", str)
RunId = NewType("RunId", str)
LeaseId = NewType("LeaseId", str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32


def random_bytes(count: int) -> bytes:
    """Return ``count`` bytes of operating-system entropy."""
    return os.urandom(count)


def uuid7() -> bytes:
    """Return a time-ordered UUID version 7 as 16 bytes (RFC 9562 section 5.7)."""
    value = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    value[6] = (value[6] & 0x0F) | 0x70
    value[8] = (value[8] & 0x3F) | 0x80
    return bytes(value)


def new_id(prefix: str) -> str:
    """Return ``<prefix>_`` and 26 characters: time-ordered, unique, without meaning.

    Use it for things that may be listed in order of creation; for people use ``opaque_id``.
    """
    return f"{prefix}_{_text(int.from_bytes(uuid7(), 'big'), 26)}"


def opaque_id(prefix: str) -> str:
    """Return ``<prefix>_`` and 26 random characters that do not tell when they were made."""
    return f"{prefix}_{_text(int.from_bytes(os.urandom(16), 'big'), 26)}"


def _text(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        digits.append(_ALPHABET[number & 31])
        number >>= 5
    return "".join(reversed(digits))
