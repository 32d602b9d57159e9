"""What was computed from the record is held for a while in memory, up to so many bytes.

Holds: nothing but what its caller can compute again, and the least used of it goes first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Held(Generic[K, V]):
    """A bounded memory.

    Args:
        most: Bytes that it may hold; what is larger by itself is not held at all.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._size = 0

    def get(self, key: K) -> V | None:
        """Return what is held under a key, if anything is."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, size: int) -> None:
        """Hold something of a size in bytes; what was used longest ago makes room."""
        with self._lock:
            if (old := self._values.pop(key, None)) is not None:
                self._size -= old[1]
            if size > self._most:
                return
            self._values[key] = (value, size)
            self._size += size
            while self._size > self._most:
                _, (_, freed) = self._values.popitem(last=False)
                self._size -= freed

    def forget(self) -> None:
        """Hold nothing."""
        with self._lock:
            self._values.clear()
            self._size = 0
