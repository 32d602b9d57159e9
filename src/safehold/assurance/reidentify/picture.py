"""A picture of risk beside utility, one point a level: plain SVG, no script, no style sheet, readable in grey."""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape

from safehold.assurance.reidentify.trial import Found
from safehold.charter.value import MICRO

WIDTH: Final = 640
HEIGHT: Final = 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 60
INK: Final = "#1b1b1b"
PALE: Final = "#b9b9b9"
COLOURS: Final = {"key": "#0b5fa5", "pointer": "#a5540b"}
NAMES: Final = {"key": "keys", "pointer": "pointer"}
_FEWEST: Final = 0.001  # the axis of risk is logarithmic and begins here


def draw(found: list[Found], *, title: str) -> str:
    """Return the picture as SVG.

    Args:
        found: What was measured; levels without a utility are left out.
        title: Shown above it.
    """
    shown = [one for one in found if one.utility is not None]
    values = [(one.utility.low, one.utility.high) for one in shown if one.utility is not None]
    low = min([each[0] for each in values], default=0.5) - 0.01
    high = max([each[1] for each in values], default=1.0) + 0.01
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'font-family="sans-serif" font-size="12" fill="{INK}">'
        ),
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>',
    ]
    parts += _axes(low, high)
    bounds = {(one.verdict.bound, one.level.name) for one in shown if one.verdict is not None}
    for bound, level in sorted(bounds):
        y = _down(bound / MICRO)
        parts.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{INK}" '
            f'stroke-dasharray="5 4"/><text x="{WIDTH - RIGHT - 4}" y="{y - 4:.1f}" '
            f'text-anchor="end">gate {level}: {bound / MICRO:.0%}</text>'
        )
    for stream in dict.fromkeys(one.stream for one in shown):
        parts += _curve([one for one in shown if one.stream == stream], low, high)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _across(value: float, low: float, high: float) -> float:
    return LEFT + (value - low) / max(high - low, 1e-9) * (WIDTH - LEFT - RIGHT)


def _down(share: float) -> float:
    from math import log10  # noqa: PLC0415 - one use

    place = (log10(max(share, _FEWEST)) - log10(_FEWEST)) / -log10(_FEWEST)
    return HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)


def _axes(low: float, high: float) -> list[str]:
    parts = []
    for share in (0.001, 0.01, 0.03, 0.1, 0.3, 1.0):
        y = _down(share)
        parts.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{PALE}" '
            f'stroke-width="0.5"/><text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share:.1%}</text>'
        )
    for step in range(6):
        value = low + (high - low) * step / 5
        parts.append(
            f'<text x="{_across(value, low, high):.1f}" y="{HEIGHT - BOTTOM + 18}" '
            f'text-anchor="middle">{value:.3f}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
        "utility (right: more useful)</text>"
        f'<text transform="translate(14 {(HEIGHT - BOTTOM + TOP) / 2}) rotate(-90)" '
        'text-anchor="middle">people recognised, worst attacker</text>'
    )
    return parts


def _curve(found: list[Found], low: float, high: float) -> list[str]:
    colour = COLOURS.get(found[0].stream, INK)
    points, parts = [], []
    for one in found:
        if one.utility is None:
            continue
        x, y = _across(one.utility.value, low, high), _down(one.worst.rank1)
        points.append(f"{x:.1f},{y:.1f}")
        parts.append(
            f'<line x1="{x:.1f}" y1="{_down(one.upper):.1f}" x2="{x:.1f}" y2="{y:.1f}" '
            f'stroke="{colour}" stroke-width="2"/>'
            f'<line x1="{_across(one.utility.low, low, high):.1f}" y1="{y:.1f}" '
            f'x2="{_across(one.utility.high, low, high):.1f}" y2="{y:.1f}" stroke="{colour}"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
            f'<text x="{x + 7:.1f}" y="{y - 6:.1f}" fill="{colour}">'
            f"{NAMES.get(one.stream, one.stream)} {one.level.name}</text>"
        )
    line = f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-opacity="0.5"/>'
    return [line, *parts]
