"""The timeline as a picture: a lane for each kind of thing, time from left to right, the clocks as dashed lines.

Drawn here and needing nothing to be shown: no script, no font, no style sheet of anybody else. Kinds differ by lane
and by shape, so that colour is not needed to tell them apart. Many marks at one place are drawn as one, with how many
they are; people are counted in a tip, never named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.sax.saxutils import escape

from safehold.clock import moment_of
from safehold.incident.timeline import Event

WIDTH, LANE, TOP, LEFT, RIGHT, FOOT = 1080, 54, 96, 132, 36, 56
STEP: Final = 14  # pixels within which marks of one lane are drawn as one
INK, PALE, PAPER, RULE = "#1b1b1b", "#5a5a5a", "#ffffff", "#c9c9c9"
# lane -> edge and fill, shape; ink on every fill is above 7:1
LOOKS: Final[Mapping[str, tuple[str, str, str]]] = {
    "granted": ("#1d4f91", "#e3ecf7", "square"),
    "use": ("#1c6b35", "#e2f3e6", "circle"),
    "out": ("#6a2c91", "#efe4f7", "diamond"),
    "refused": ("#8a6100", "#fdf1d3", "cross"),
    "seen": ("#a32a14", "#fbe3de", "triangle"),
    "held back": ("#116464", "#dff3f3", "bar"),
    "people": ("#1b1b1b", "#eeeeee", "flag"),
    "other": ("#444444", "#eeeeee", "circle"),
}


def draw_timeline(events: Sequence[Event], clocks: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return an SVG document.

    Args:
        events: The timeline, oldest first.
        clocks: As ``read_clocks`` returns them; those with a moment by which they are due are drawn.
    """
    lanes = [lane for lane in LOOKS if any(event.lane == lane for event in events)]
    height = TOP + LANE * max(len(lanes), 1) + FOOT
    dues = [int(clock["due_us"]) // 1000 for clock in clocks if clock.get("due_us")]
    times = [event.at_ms for event in events] or [0]
    first, last = min(times), max(times)
    # a clock that runs out weeks later would squeeze everything else; it is named at the edge
    last += max((last - first) // 20, 60_000)
    scale = (WIDTH - LEFT - RIGHT) / (last - first)

    def place(at_ms: int) -> float:
        return LEFT + min(max(at_ms - first, 0), last - first) * scale

    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
            f' viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t d"'
            ' font-family="system-ui, sans-serif" font-size="12">'
        ),
        '<title id="t">What happened</title>',
        f'<desc id="d">{len(events)} entries of the ledger in {len(lanes)} lanes, oldest on the left.</desc>',
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
        f'<text x="{LEFT}" y="30" font-size="18" fill="{INK}">What happened</text>',
        (
            f'<text x="{LEFT}" y="50" fill="{PALE}">{_moment(first)} to {_moment(max(times))}, UTC.'
            " Each mark is one entry of the ledger, or as many as it says.</text>"
        ),
    ]
    for at, lane in enumerate(lanes):
        y = TOP + LANE * at + LANE // 2
        lines.append(
            f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="{RULE}"/>'
            f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end" fill="{INK}">{escape(lane)}</text>'
        )
        lines += _marks([event for event in events if event.lane == lane], lane, y, place)
    bottom = TOP + LANE * max(len(lanes), 1)
    for clock, due in zip([one for one in clocks if one.get("due_us")], dues, strict=True):
        beyond = due > last
        x = WIDTH - RIGHT if beyond else place(due)
        if not beyond:
            lines.append(
                f'<line x1="{x:.1f}" y1="{TOP - 20}" x2="{x:.1f}" y2="{bottom}" stroke="{LOOKS["seen"][0]}"'
                f' stroke-dasharray="5 4"><title>{escape(str(clock["clock"]))}: {_moment(due)}</title></line>'
            )
    near = [one for one in clocks if one.get("due_us")][:3]
    words = "; ".join(
        f"{one['clock']} {one['state']}, due {_moment(int(one['due_us']) // 1000)}" for one in near
    )
    lines.append(f'<text x="{LEFT}" y="{bottom + 28}" fill="{PALE}">{escape(words)}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _marks(events: Sequence[Event], lane: str, y: int, place: Any) -> list[str]:
    """Return the marks of a lane; those that would cover one another are one, with their number."""
    groups: list[list[Event]] = []
    for event in events:
        if groups and place(event.at_ms) - place(groups[-1][0].at_ms) < STEP:
            groups[-1].append(event)
        else:
            groups.append([event])
    return [_mark(group, lane, place(group[0].at_ms), y) for group in groups]


def _mark(group: Sequence[Event], lane: str, x: float, y: int) -> str:
    edge, fill, shape = LOOKS[lane]
    first = group[0]
    tip = f"{first.index}: {first.sentence}"
    if len(group) > 1:
        tip = (
            f"{len(group)} entries, {first.index} to {group[-1].index}; the first: {first.sentence}"
        )
    look = f'fill="{fill}" stroke="{edge}" stroke-width="1.6"'
    drawn = {
        "square": f'<rect x="{x - 6:.1f}" y="{y - 6}" width="12" height="12" {look}/>',
        "circle": f'<circle cx="{x:.1f}" cy="{y}" r="6.5" {look}/>',
        "diamond": f'<path d="M{x:.1f} {y - 8}l8 8-8 8-8-8z" {look}/>',
        "triangle": f'<path d="M{x:.1f} {y - 8}l8 14h-16z" {look}/>',
        "bar": f'<rect x="{x - 3:.1f}" y="{y - 10}" width="6" height="20" {look}/>',
        "cross": f'<path d="M{x - 6:.1f} {y - 6}l12 12m0-12l-12 12" fill="none" stroke="{edge}" stroke-width="2.4"/>',
        "flag": f'<path d="M{x - 4:.1f} {y + 10}v-20h12l-3 5 3 5h-12" {look}/>',
    }[shape]
    count = (
        f'<text x="{x:.1f}" y="{y - 13}" text-anchor="middle" font-size="11" fill="{INK}">{len(group)}</text>'
        if len(group) > 1
        else ""
    )
    return f"<g><title>{escape(tip)}</title>{drawn}{count}</g>"


def _moment(at_ms: int) -> str:
    return moment_of(at_ms * 1000)[:16].replace("T", " ")
