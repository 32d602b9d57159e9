"""How a promise stood over time: one mark a measurement, its shape tells the state without the colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup, escape

MOST: Final = 60  # marks, the newest
STEP: Final = 12
HIGH: Final = 20
_SHAPES: Final = {
    "kept": '<rect class="kept" x="{x}" y="5" width="9" height="10"/>',
    "broken": '<path class="broken" d="M{x} 5l9 10m0-10l-9 10"/>',
    "unmeasured": '<rect class="unmeasured" x="{x}" y="9" width="9" height="2"/>',
}


def draw_strip(name: str, points: Sequence[tuple[int, str]]) -> Markup:
    """Return an SVG of the newest measurements, oldest at the left.

    Args:
        name: Of the promise.
        points: Moment (milliseconds) and state of each measurement.
    """
    newest = points[-MOST:]
    kept = sum(state == "kept" for _, state in newest)
    broken = sum(state == "broken" for _, state in newest)
    title = f"{name}: {kept} kept, {broken} broken, {len(newest) - kept - broken} unmeasured of the last {len(newest)}"
    marks = "".join(
        _SHAPES.get(state, _SHAPES["unmeasured"]).format(x=place * STEP)
        for place, (_, state) in enumerate(newest)
    )
    wide = max(1, len(newest)) * STEP
    return Markup(
        '<svg class="strip" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">{}</svg>'
    ).format(
        wide,
        HIGH,
        wide,
        HIGH,
        escape(title),
        Markup(marks),  # noqa: S704 - shapes of ours and whole numbers
    )
