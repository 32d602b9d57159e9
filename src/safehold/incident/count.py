"""Numbers of people as they may be told: of made-up people exactly, of real ones in tens, and none below the floor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Counted = Callable[[int], Mapping[str, Any]]  # a number of people -> how it may be told


def in_words(counted: Mapping[str, Any]) -> str:
    """Return a number of people as it may be told, in words."""
    if counted.get("people") is None:
        return f"fewer than {counted['fewer_than']}"
    return str(counted["people"])
