"""Messages between two processes of ours: two lengths, a JSON object, bytes.

Only the standard library, because the processes that speak to Ray hold no part of ours that could open anything.
Wire form, big-endian: ``u32 length of the header | u32 length of the body | header | body``.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Mapping
from typing import Any, Final

LARGEST_HEADER: Final = 64 << 10
LARGEST_BODY: Final = 16 << 20  # bytes; a piece of a parcel is smaller
_HEAD: Final = struct.Struct(">II")


class LineError(Exception):
    """The other side has gone, or does not speak this form."""


class Line:
    """One end of a line; any thread may write, one reads.

    Args:
        source: Where messages come from.
        sink: Where they go.
    """

    def __init__(self, source: Any, sink: Any) -> None:
        self._source, self._sink = source, sink
        self._lock = threading.Lock()

    def write(self, header: Mapping[str, Any], body: bytes | memoryview = b"") -> None:
        """Send one message.

        Raises:
            LineError: The other side has gone, or the message is too large.
        """
        text = json.dumps(header, separators=(",", ":")).encode()
        if len(text) > LARGEST_HEADER or len(body) > LARGEST_BODY:
            raise LineError("a message is too large")
        try:
            with self._lock:
                self._sink.write(_HEAD.pack(len(text), len(body)) + text)
                if body:
                    self._sink.write(body)
                self._sink.flush()
        except (OSError, ValueError) as error:
            raise LineError("the other side has gone") from error

    def read(self) -> tuple[dict[str, Any], bytes]:
        """Return the next message.

        Raises:
            LineError: The other side has gone, or sent something else.
        """
        first, second = _HEAD.unpack(self._exactly(_HEAD.size))
        if first > LARGEST_HEADER or second > LARGEST_BODY:
            raise LineError("a message is too large")
        try:
            header = json.loads(self._exactly(first))
        except (ValueError, RecursionError):  # a header may be nested as deep as it is long
            raise LineError("a header is no JSON") from None
        if not isinstance(header, dict):
            raise LineError("a header is no JSON object")
        return header, self._exactly(second)

    def _exactly(self, count: int) -> bytes:
        if not count:
            return b""
        try:
            data = self._source.read(count)
        except (OSError, ValueError) as error:
            raise LineError("the other side has gone") from error
        if data is None or len(data) != count:
            raise LineError("the other side has gone")
        return bytes(data)
