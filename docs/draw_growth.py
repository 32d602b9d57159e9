# ruff: noqa: INP001 - a script, not a package
"""Draw how the time of each part grows with its work: ``PYTHONPATH=. python docs/draw_growth.py ROWS.json``.

ROWS.json is what ``make bench`` writes (out/bench/rows.json). Writes docs/pictures/growth.svg: one panel a part, both
scales logarithmic, with the line of ten times the work in ten times the time; readable on light and on dark ground.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

PICTURE = Path(__file__).parent / "pictures" / "growth.svg"
COLUMNS, WIDE, HIGH, LEFT, TOP, GAP, BELOW = 3, 180, 110, 46, 64, 62, 56
INK, GROUND, RULES, OURS, LINEAR = "#1b1b1b", "#ffffff", "#dddddd", "#0b5fa5", "#a5540b"
STYLE = """<style>@media (prefers-color-scheme: dark) {
.ground { fill: #16181c } text { fill: #e8e8e8 } .rule { stroke: #3a3d42 }
.ours { stroke: #6db3f2 } .dot { fill: #6db3f2 } .linear { stroke: #e09a4f } }</style>"""


def curves_of(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the curves of a record, in the order in which they were measured."""
    return [curve for group in told["groups"] for curve in group["curves"]]


def draw(curves: list[dict[str, Any]]) -> str:
    """Return the picture as SVG."""
    rows = -(-len(curves) // COLUMNS)
    width = LEFT + COLUMNS * (WIDE + GAP)
    height = TOP + rows * (HIGH + BELOW) + 10
    title = "Time of each part at 1, 10 and 100 times the work"
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            f'font-family="sans-serif" font-size="11" fill="{INK}">'
        ),
        f"<title>{title}</title>", STYLE, f'<rect class="ground" width="{width}" height="{height}" fill="{GROUND}"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{title}</text>',
        (
            f'<text x="{LEFT}" y="38">line with dots: measured, CPU-ms; dashes: linear; '
            "in brackets: the exponent at the end</text>"
        ),
    ]  # fmt: skip
    for place, curve in enumerate(curves):
        left = LEFT + place % COLUMNS * (WIDE + GAP)
        parts += panel(curve, left, TOP + place // COLUMNS * (HIGH + BELOW))
    return "\n".join([*parts, "</svg>"]) + "\n"


def panel(curve: dict[str, Any], left: int, top: int) -> list[str]:
    """Return one panel."""
    points = [(float(size), max(float(spent) * 1000, 1e-6)) for size, spent in curve["points"]]
    least = math.floor(math.log10(min(spent for _, spent in points)))
    most = max(math.ceil(math.log10(max(spent for _, spent in points))), least + 2)

    def across(size: float) -> float:
        return left + WIDE * math.log(size / points[0][0]) / math.log(points[-1][0] / points[0][0])

    def down(spent: float) -> float:
        share = (math.log10(spent) - least) / (most - least)
        return top + HIGH * (1 - min(1.0, max(0.0, share)))

    name = escape(f"{curve['name']} [{curve['last']:.2f}]")
    parts = [f'<text x="{left}" y="{top - 6}" font-weight="bold">{name}</text>']
    for power in range(least, most + 1):
        y = down(10.0**power)
        parts.append(
            f'<line class="rule" x1="{left}" x2="{left + WIDE}" y1="{y:.1f}" y2="{y:.1f}" stroke="{RULES}"/>'
            f'<text x="{left - 4}" y="{y + 4:.1f}" text-anchor="end" font-size="9">{10.0**power:g}</text>'
        )
    for size, _ in points:
        parts.append(
            f'<text x="{across(size):.1f}" y="{top + HIGH + 14}" text-anchor="middle" font-size="9">{size:,.0f}</text>'
        )
    parts.append(
        f'<text x="{left + WIDE / 2}" y="{top + HIGH + 28}" text-anchor="middle">{escape(curve["unit"])}</text>'
    )
    # from the last point backwards, so that what is paid once shows as the gap on the left
    (first, _), (last, spent) = points[0], points[-1]
    start = max(spent * first / last, 10.0**least)
    begin = last * start / spent
    parts.append(
        f'<line class="linear" x1="{across(begin):.1f}" y1="{down(start):.1f}" '
        f'x2="{across(last):.1f}" y2="{down(spent):.1f}" '
        f'stroke="{LINEAR}" stroke-dasharray="4 3"/>'
    )
    drawn = " ".join(f"{across(size):.1f},{down(spent):.1f}" for size, spent in points)
    parts.append(f'<polyline class="ours" points="{drawn}" fill="none" stroke="{OURS}" stroke-width="2"/>')  # fmt: skip
    parts += [
        f'<circle class="dot" cx="{across(size):.1f}" cy="{down(spent):.1f}" r="3" fill="{OURS}"/>'
        for size, spent in points
    ]
    return parts


if __name__ == "__main__":
    found = curves_of(json.loads(Path(sys.argv[1]).read_text("utf-8")))
    PICTURE.write_text(draw(found), "utf-8")
