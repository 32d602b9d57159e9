"""The journey of somebody's data as a picture: streams at the left, what was made of them in columns to the right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

WIDE: Final = 190  # of a box
HIGH: Final = 46
ACROSS: Final = 70  # between two columns
DOWN: Final = 14
EDGE: Final = 8
LONGEST: Final = 22  # characters of a line in a box
MOST: Final = 12  # things that are drawn; the table has all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One thing.

    Args:
        x: Left edge.
        y: Upper edge.
        kind: ``stream``, ``feature``, ``model`` or another kind of thing.
        title: Its first line.
        line: Its second line.
        over: Whether it opens no more.
    """

    x: int
    y: int
    kind: str
    title: str
    line: str
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A picture.

    Args:
        width: Of it.
        height: Of it.
        boxes: All boxes.
        arrows: Paths from one to another.
        left_out: How many older things are only in the table.
    """

    width: int
    height: int
    boxes: Sequence[Box]
    arrows: Sequence[str]
    left_out: int


def draw_journey(
    made: Sequence[Mapping[str, Any]],
    streams: Sequence[str],
    *,
    name: Callable[[str, str], str],
) -> Drawn:
    """Return the picture.

    Args:
        made: What ``people.journey`` answered, oldest first.
        streams: Streams of which something is held.
        name: Gives the plain word of a table and a word, translated.
    """
    shown = list(made[-MOST:])
    ids = {one["id"] for one in shown}
    starts = sorted({*streams, *(stream for one in shown for stream in one["streams"])})
    column: dict[str, int] = dict.fromkeys(starts, 0)
    parents: dict[str, list[str]] = {}
    for one in shown:
        above = [parent for parent in one["from"] if parent in ids]
        parents[one["id"]] = above or list(one["streams"])
        column[one["id"]] = 1 + max((column[parent] for parent in parents[one["id"]]), default=0)
    place: dict[str, tuple[int, int]] = {}
    filled: dict[int, int] = {}
    for thing, at in column.items():
        row = filled.get(at, 0)
        filled[at] = row + 1
        place[thing] = (EDGE + at * (WIDE + ACROSS), EDGE + row * (HIGH + DOWN))
    boxes = [
        Box(x=place[one][0], y=place[one][1], kind="stream", title=name("streams", one), line="", over=False)
        for one in starts
    ] + [
        Box(
            x=place[one["id"]][0],
            y=place[one["id"]][1],
            kind=one["kind"],
            title=name("things", one["kind"]),
            line=shorten(one["id"]),
            over=one["status"] != "live",
        )
        for one in shown
    ]  # fmt: skip
    return Drawn(
        width=2 * EDGE + (max(column.values(), default=0) + 1) * (WIDE + ACROSS) - ACROSS,
        height=2 * EDGE + max(filled.values(), default=1) * (HIGH + DOWN) - DOWN,
        boxes=boxes,
        arrows=[
            _arrow(place[parent], place[thing])
            for thing, above in parents.items()
            for parent in above
        ],
        left_out=len(made) - len(shown),
    )


def shorten(text: str) -> str:
    """Return a name that fits into a box: its beginning and its end."""
    return text if len(text) <= LONGEST else f"{text[:12]}\N{HORIZONTAL ELLIPSIS}{text[-9:]}"


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    x, y = start[0] + WIDE, start[1] + HIGH // 2
    to_x, to_y = end[0] - 6, end[1] + HIGH // 2
    middle = (x + to_x) // 2
    return f"M{x} {y}C{middle} {y} {middle} {to_y} {to_x} {to_y}"
