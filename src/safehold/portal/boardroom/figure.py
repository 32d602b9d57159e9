"""Bars as SVG: figures beside each other, with their names, readable without colour and in print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from safehold.portal.shown import count

WIDTH: Final = 640
ROW: Final = 46
BAR: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar.

    Args:
        name: What it is, translated.
        value: How much.
        shown: How the value is written; the number where nothing is said.
    """

    name: str
    value: float
    shown: str = ""


def bars(
    title: str, rows: Sequence[Bar], *, most: float | None = None, log: bool = False
) -> Markup:
    """Return bars under their names.

    Args:
        title: What the picture shows; it is read aloud.
        rows: The bars, from above.
        most: What fills the width; the largest value where nothing is said.
        log: Whether ten times as much is one step longer, for values that are far apart.
    """
    top = most if most is not None else max((one.value for one in rows), default=0)
    parts = [
        Markup(
            '<svg class="bars" role="img" viewBox="0 0 {w} {h}" width="{w}" height="{h}"'
            ' xmlns="http://www.w3.org/2000/svg"><title>{title}</title>'
        ).format(w=WIDTH, h=ROW * len(rows) + 4, title=title)
    ]
    for place, one in enumerate(rows):
        y = place * ROW
        parts.append(
            Markup(
                '<text x="0" y="{y}" class="name">{name}</text>'
                '<text x="{w}" y="{y}" text-anchor="end" class="value">{shown}</text>'
                '<rect x="0" y="{b}" width="{w}" height="{h}" rx="3" class="rest"></rect>'
                '<rect x="0" y="{b}" width="{part}" height="{h}" rx="3" class="part"></rect>'
            ).format(
                y=y + 16,
                b=y + 22,
                w=WIDTH,
                h=BAR,
                name=one.name,
                shown=one.shown or count(one.value),
                part=round(WIDTH * _share(one.value, top, log=log), 1),
            )
        )
    return Markup("").join([*parts, Markup("</svg>")])


def _share(value: float, top: float, *, log: bool) -> float:
    if top <= 0 or value <= 0:
        return 0.0
    if log:
        return min(math.log10(1 + value) / math.log10(1 + top), 1.0)
    return min(value / top, 1.0)
