"""Heat maps: when something was recorded, and when it was used. Squares of five depths; a table says the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from safehold.clock import date_of
from safehold.portal.words import mark

CELL: Final = 18
GAP: Final = 2
LEFT: Final = 168  # room for the names of the rows
TOP: Final = 30
DEPTHS: Final = 4  # beside none
HOURS: Final = 4  # of one row

Cells = Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """One square.

    Args:
        x: Left edge.
        y: Upper edge.
        depth: 0 to 4; nothing, and then four quarters of the largest.
        tip: What it says.
    """

    x: int
    y: int
    depth: int
    tip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """A picture, and the table beside it.

    Args:
        width: Of the picture.
        height: Of the picture.
        rows: Names of the rows with their place: text, y.
        columns: Dates over some columns: text, x.
        squares: All squares.
        table: Date, row and count of everything that is more than nothing, newest first.
        most: The largest count.
    """

    width: int
    height: int
    rows: Sequence[tuple[str, int]]
    columns: Sequence[tuple[str, int]]
    squares: Sequence[Square]
    table: Sequence[tuple[str, str, int]]
    most: int


def draw(
    rows: Sequence[tuple[str, str]],
    cells: Cells,
    *,
    last_day: int,
    days: int,
    t: Callable[..., str],
) -> Heat:
    """Return a heat map of rows by days.

    Args:
        rows: Name and text of each row.
        cells: Count by row and day.
        last_day: The newest day.
        days: How many.
        t: Translates.
    """
    most = max(cells.values(), default=0)
    span = range(last_day - days + 1, last_day + 1)
    squares = [
        Square(
            x=LEFT + (CELL + GAP) * column,
            y=TOP + (CELL + GAP) * place,
            depth=ceil(DEPTHS * count / most) if count else 0,
            tip=t("{date}, {row}: {count}", date=date_of(day), row=text, count=count),
        )
        for place, (name, text) in enumerate(rows)
        for column, day in enumerate(span)
        for count in [cells.get((name, day), 0)]
    ]
    texts = dict(rows)
    table = [
        (date_of(day), texts[name], cells[name, day])
        for day in reversed(span)
        for name, _ in rows
        if cells.get((name, day))
    ]
    return Heat(
        width=LEFT + (CELL + GAP) * days,
        height=TOP + (CELL + GAP) * len(rows) + 4,
        rows=[
            (text, TOP + (CELL + GAP) * place + CELL - 5) for place, (_, text) in enumerate(rows)
        ],
        columns=[
            (date_of(day)[5:], LEFT + (CELL + GAP) * column)
            for column, day in enumerate(span)
            if column % 7 == 0
        ],
        squares=squares,
        table=table,
        most=most,
    )


def recorded(held: Mapping[str, Any], name: Callable[[str], str], t: Callable[..., str]) -> Heat:
    """Return when what was recorded: streams by days, in rows that are held.

    Args:
        held: What ``people.held`` answered.
        name: Names a stream.
        t: Translates.
    """
    cells = {(stream, day): count for stream, day, count in held["by_day"]}
    streams = sorted({stream for stream, _ in cells} | set(held["recorded"]))
    rows = [(stream, name(stream)) for stream in streams]
    return draw(rows, cells, last_day=held["today"], days=held["days"], t=t)


def used(held: Mapping[str, Any], t: Callable[..., str]) -> Heat:
    """Return when it was used: hours of the day by days, in uses.

    Args:
        held: What ``people.held`` answered.
        t: Translates.
    """
    cells: dict[tuple[str, int], int] = {}
    for day, hour, count in held["by_hour"]:
        key = (str(hour // HOURS), day)
        cells[key] = cells.get(key, 0) + count
    text = mark("{first}:00 to {last}:59 UTC")
    rows = [
        (str(at), t(text, first=f"{at * HOURS:02}", last=f"{at * HOURS + HOURS - 1:02}"))
        for at in range(24 // HOURS)
    ]
    return draw(rows, cells, last_day=held["today"], days=held["days"], t=t)
