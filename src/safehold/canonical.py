"""Canonical bytes: one value, one encoding, for everything that is hashed or signed.

The profile is a subset of JCS (RFC 8785) in which sorting by code unit and by code point agree: ASCII keys,
no floats, integers below 2^53 in size, valid Unicode. Inside it the output equals RFC 8785; outside it the
encoder refuses. Verifiers hash stored bytes and never encode again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import orjson

from safehold.errors import InvalidError

LARGEST = 2**53 - 1
_dumps, _SORTED = orjson.dumps, orjson.OPT_SORT_KEYS
_STRICT = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER  # which refuses 2^53 and more
_PLAIN = frozenset((str, int))
# of a mapping of ASCII texts to texts and integers alone; raises TypeError where it has no such form
encode_plain = partial(_dumps, option=_STRICT)


def encode(value: Any) -> bytes:
    """Return the canonical bytes of a JSON value.

    Raises:
        InvalidError: The value holds a float, a key that is not ASCII text, an integer of 2^53 or more, or
            text that is not valid Unicode.
    """
    if type(value) is dict and _PLAIN.issuperset(map(type, value.values())):
        # Texts and numbers alone, as nearly always: the encoder itself refuses what the profile
        # does, but for keys that are not ASCII.
        try:
            data = encode_plain(value)
            if data.isascii() or all(map(str.isascii, value)):
                return compact(data)
        except (orjson.JSONEncodeError, TypeError):
            pass  # the check says what is wrong
    _check(value, 0)
    try:
        return compact(_dumps(value, option=_SORTED))
    except (orjson.JSONEncodeError, TypeError) as error:
        raise InvalidError("value has no canonical form", rule="canonical.profile") from error


def compact(data: bytes) -> bytes:
    """Return the same bytes in no more memory than they need.

    The encoder (orjson 3.12 and later) writes into 4 KiB and more, and returns all of that: a key of 300 bytes that is
    kept in a table takes 4,096, one of 1,500 takes 16,384. To be called on whatever is kept.
    """
    return b"".join((data, b""))


def decode(data: bytes) -> Any:
    """Return the value of canonical bytes.

    Raises:
        InvalidError: The bytes are not JSON, or are not the canonical form of what they say.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidError("not JSON", rule="canonical.json") from error
    if encode(value) != data:
        raise InvalidError("not in canonical form", rule="canonical.profile")
    return value


def digest(value: Any) -> bytes:
    """Return the SHA-256 of the canonical bytes, 32 bytes."""
    return hashlib.sha256(encode(value)).digest()


def b64(data: bytes) -> str:
    """Return standard base64 text with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def unb64(text: str) -> bytes:
    """Return the bytes of standard base64 text; only the one canonical spelling is taken.

    Raises:
        InvalidError: The text is not canonical base64.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidError("not base64", rule="canonical.base64") from error
    if b64(data) != text:
        raise InvalidError("not canonical base64", rule="canonical.base64")
    return data


def _check(value: Any, depth: int) -> None:
    if depth > 64:
        raise InvalidError("nested too deeply", rule="canonical.depth")
    if value is None or isinstance(value, (str, bool)):
        return
    if isinstance(value, int):
        if not -LARGEST <= value <= LARGEST:
            raise InvalidError("integer of 2^53 or more", rule="canonical.integer")
    elif type(value) is list:  # asking an ABC, as below, is slow
        _check_items(value, depth + 1)
    elif type(value) is dict or isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or not key.isascii():
                raise InvalidError("key is not ASCII text", rule="canonical.key")
        _check_items(value.values(), depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        _check_items(value, depth + 1)
    else:
        raise InvalidError(
            f"a {type(value).__name__} has no canonical form", rule="canonical.profile"
        )


def _check_items(items: Iterable[Any], depth: int) -> None:
    for item in items:
        kind = type(item)
        # nearly everything is a text or a small number: those need no call of their own
        if depth > 64 or not (
            kind is str or (kind is int and -LARGEST <= item <= LARGEST) or item is None
        ):
            _check(item, depth)
