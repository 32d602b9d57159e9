"""What must be remembered of each session from one chunk to the next."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from safehold.errors import InvalidError

Key = tuple[str, str, str]
FRESH: Final = -1


@dataclass(slots=True)
class SessionState:
    """One session so far.

    Args:
        start_us: Time of its first event.
        rows: Events of all its streams that were accepted.
        streams: For each stream: how many events were numbered, the last number, the last ``mono``.
    """

    start_us: int = FRESH
    rows: int = 0
    streams: dict[str, tuple[int, int, int]] = field(default_factory=dict)


class Sessions:
    """Sessions of one source, by a hash of who, on what and when it began.

    Args:
        most: Most sessions a source may hold.
        name: Name of the source.
    """

    def __init__(self, *, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._states: dict[bytes, SessionState] = {}

    def get(self, key: Key) -> SessionState:
        """Return the state of a session, a fresh one the first time.

        Raises:
            InvalidError: The source holds more sessions than the limit.
        """
        tag = hashlib.blake2b("\0".join(key).encode(), digest_size=12).digest()
        state = self._states.get(tag)
        if state is None:
            if len(self._states) >= self._most:
                raise InvalidError(
                    f"more than {self._most} sessions",
                    file=self._name,
                    rule="ingest.sessions",
                    fix="split the source",
                )
            state = self._states[tag] = SessionState()
        return state
