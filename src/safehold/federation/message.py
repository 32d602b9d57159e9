"""What coordinator and silo say to each other: a JSON object and bytes, in one body."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

import orjson

from safehold.errors import TamperedError

LARGEST: Final = 1 << 20  # bytes of the JSON object
_LENGTH = struct.Struct(">I")


def pack(header: Mapping[str, Any], body: bytes = b"") -> bytes:
    """Return one message."""
    text = orjson.dumps(dict(header))
    return _LENGTH.pack(len(text)) + text + body


def unpack(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the object and the bytes of a message.

    Raises:
        TamperedError: It is none.
    """
    if len(data) >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(data)
        if length <= LARGEST and _LENGTH.size + length <= len(data):
            try:
                header = orjson.loads(data[_LENGTH.size : _LENGTH.size + length])
            except orjson.JSONDecodeError:
                header = None
            if isinstance(header, dict):
                return header, data[_LENGTH.size + length :]
    raise TamperedError("not a message of a federation", rule="federation.message")
