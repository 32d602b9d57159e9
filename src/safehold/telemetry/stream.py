"""The eight streams by name, how far an event is minimised, and what its numbers mean; without a column.

Who only speaks of streams (a charter, a grant, a caller of the keeper) need not load Arrow: the columns are in
``schema``.

Sources: W3C UI Events for ``code``, ``key`` and modifiers.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final


class Level(IntEnum):
    """How far an event was minimised; 0 is raw, 4 an aggregate."""

    L0 = 0
    L1 = 1
    L2 = 2
    L3 = 3
    L4 = 4


class KeyKind(IntEnum):
    """What a key event is."""

    UP = 0
    DOWN = 1
    COMMIT = 2
    PASTE = 3


class PointerKind(IntEnum):
    """What a pointer event is."""

    MOVE = 0
    PRESS = 1
    RELEASE = 2
    CLICK = 3
    SCROLL = 4
    DRAG = 5


class FocusKind(IntEnum):
    """What a focus event is."""

    FOCUS = 0
    TITLE = 1
    AFK = 2


class Sensitive(IntFlag):
    """Bits of the ``sens`` column: classes found in an event; bits are only ever added."""

    IDENTIFIER = 1
    PRIVATE_COMMUNICATION = 2
    HEALTH_FINANCIAL_LEGAL = 4
    WORK_INFERENCE = 8
    SECURITY = 16


# names in the charter's ``collect`` list -> stream
WHAT_TO_STREAM: Final = {
    "keys": "key",
    "pointer": "pointer",
    "focus": "focus",
    "chat": "chat",
    "ai_prompts": "ai",
    "speech": "speech",
    "performance_metrics": "metric",
    "screen": "screen",
}
STREAM_TO_WHAT: Final = {stream: what for what, stream in WHAT_TO_STREAM.items()}
HIGH_RATE: Final = frozenset(
    {"key", "pointer"}
)  # these carry no event_id: it would be 2/3 of the bytes
STREAMS: Final = tuple(STREAM_TO_WHAT)

VOCABULARIES: Final[dict[str, frozenset[str]]] = {
    "field_kind": frozenset({"text", "password", "search", "code"}),
    "channel_kind": frozenset({"dm", "private", "channel"}),
    "role": frozenset({"system", "user", "assistant", "tool"}),
}


def segment_name(jurisdiction: str, stream: str) -> str:
    """Return the segment of a jurisdiction and a stream, such as ``us-ca.key``."""
    return f"{jurisdiction.lower()}.{stream}"
