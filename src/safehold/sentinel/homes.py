"""In which segment each object is at home: learned from uses of it alone, so that names need not tell it."""

from __future__ import annotations

from typing import Any, Final

from safehold.sentinel.event import Event

MOST: Final = 50_000  # objects kept; those that are used least go first
SURE: Final = 20.0  # uses that count


class Homes:
    """For each object the segment that its uses state, and how many more stated it than any other.

    Args:
        most: Most objects that are kept.
    """

    __slots__ = ("kept", "most")

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.kept: dict[str, list[Any]] = {}

    def of(self, name: str) -> str:
        """Return the segment of an object; empty if none is known.

        Args:
            name: The object.
        """
        kept = self.kept.get(name)
        return kept[0] if kept is not None else ""

    def learn(self, event: Event, *, first: bool = True) -> None:
        """Note a use of one object alone: the majority of such uses tells where it is at home.

        A principal has one voice a day, so that nobody moves a thing, or holds it where it is, in an hour.

        Args:
            event: The use.
            first: True if it is the first of this object by its principal on this day.
        """
        name, segment = event.objects[0], event.segment
        kept = self.kept.get(name)
        if kept is None:
            if len(self.kept) >= self.most:
                best = sorted(self.kept.items(), key=lambda one: (-one[1][1], one[0]))
                self.kept = dict(best[: self.most * 3 // 4])
            self.kept[name] = [segment, 1.0]
        elif not first:
            return
        elif kept[0] == segment:
            kept[1] = min(SURE, kept[1] + 1.0)
        elif kept[1] > 1.0:
            kept[1] -= 1.0
        else:
            kept[0] = segment
