"""How requests stand: a fold over their leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from safehold.access.grant import WAIT_US


@dataclass(slots=True)
class Asked:
    """One request.

    Args:
        entry: Index of its leaf.
        at_ms: When it was asked, milliseconds.
        decided: What each seat said, ``approve`` or ``deny``.
        enacted: Whether a grant came of it.
    """

    entry: int
    at_ms: int
    decided: dict[str, str] = field(default_factory=dict)
    enacted: bool = False

    def state(self, now_us: int) -> str:
        """Return ``denied``, ``enacted``, ``expired`` or ``open``; the first denial holds for ever."""
        if "deny" in self.decided.values():
            return "denied"
        if self.enacted:
            return "enacted"
        return "expired" if now_us > self.at_ms * 1000 + WAIT_US else "open"


class Requested:
    """The fold."""

    def __init__(self) -> None:
        self._requests: dict[int, Asked] = {}

    def note(self, index: int, leaf: Mapping[str, Any]) -> None:
        """Take the next leaf of the kind ``request``."""
        ref, facts = leaf.get("ref"), leaf.get("pub", {})
        if ref is None:
            self._requests[index] = Asked(entry=index, at_ms=leaf["t"])
        elif (known := self._requests.get(ref)) is not None:
            match facts.get("state"):
                case "approve" | "deny" as said if known.decided.get(facts["seat"]) != "deny":
                    known.decided[facts["seat"]] = said
                case "enacted":
                    known.enacted = True
                case _:
                    pass

    def look(self, entry: int) -> Asked | None:
        """Return a request by the index of its leaf."""
        return self._requests.get(entry)

    def all(self) -> list[Asked]:
        """Return every request, oldest first."""
        return list(self._requests.values())
