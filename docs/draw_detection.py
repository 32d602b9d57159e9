# ruff: noqa: INP001, T201 - a script, not a package
"""Measure the time of detection from 1 KB to 10 MB: ``PYTHONPATH=. python docs/draw_detection.py``.

Writes docs/pictures/detection-time.svg and prints the table of docs/reference/detection.md. Each rule is run alone on
five texts made against it; its slowest counts. About ten CPU-minutes; with a number, only every so many-th rule.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from statistics import median

from tests.timing import SIZES, Curve, rule_curves, typing_curves

from safehold.dlp.engine.tier import TIERS
from safehold.dlp.pattern import load_patterns

PICTURE = Path(__file__).parent / "pictures" / "detection-time.svg"
WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 50
LEAST, MOST = 1e-5, 100.0  # seconds shown
INK = "#1b1b1b"
LINES = {
    "slowest rule, default": ("#0b5fa5", ""),
    "median rule, default": ("#0b5fa5", "2 3"),
    "slowest rule, fast": ("#a5540b", ""),
    "median rule, fast": ("#a5540b", "2 3"),
    "reconstruction of typing, slowest": ("#4d4d4d", "8 3"),
}


def worst(curves: dict[str, Curve]) -> Curve:
    """Return the slowest of some curves at each size."""
    return {size: max(curve[size] for curve in curves.values() if size in curve) for size in SIZES}


def measured(every: int) -> dict[str, Curve]:
    """Return the lines of the picture, from every so many-th rule."""
    lines = {}
    for tier in TIERS:
        rules = {}
        for rule in load_patterns()[::every]:
            rules[rule.id] = worst(rule_curves(rule, tier))
        slowest = max(rules, key=lambda name: rules[name][SIZES[-1]])
        print(f"{tier}: slowest is {slowest}", file=sys.stderr, flush=True)
        lines[f"slowest rule, {tier}"] = worst(rules)
        lines[f"median rule, {tier}"] = {s: median(c[s] for c in rules.values()) for s in SIZES}
    lines["reconstruction of typing, slowest"] = worst(typing_curves())
    return lines


def _across(size: float) -> float:
    share = math.log10(size / SIZES[0]) / math.log10(SIZES[-1] / SIZES[0])
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _down(seconds: float) -> float:
    share = math.log10(max(seconds, LEAST) / LEAST) / math.log10(MOST / LEAST)
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def draw(lines: dict[str, Curve]) -> str:
    """Return the picture as SVG, both axes logarithmic."""
    title = "CPU-seconds of one text made against a rule, by its size"
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'font-family="sans-serif" font-size="12" fill="{INK}">'
        ),
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{title}</text>',
    ]
    for power in range(-5, 3):
        y = _down(10**power)
        parts.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#dddddd"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g} s</text>'
        )
    for size, name in zip(SIZES, ("1 KB", "10 KB", "100 KB", "1 MB", "10 MB"), strict=True):
        x = _across(size)
        anchor = "end" if size == SIZES[-1] else "middle"
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="{anchor}">{name}</text>'
        )
    one, ten = (_down(LEAST * 10**power) for power in (0, 4))
    parts.append(
        f'<line x1="{LEFT}" y1="{one:.1f}" x2="{_across(SIZES[-1]):.1f}" y2="{ten:.1f}" stroke="{INK}" '
        f'stroke-dasharray="1 4"/><text x="{_across(3e5):.1f}" y="{_down(8e-4):.1f}">linear</text>'
    )
    for number, (name, curve) in enumerate(lines.items()):
        colour, dashes = LINES[name]
        points = " ".join(f"{_across(size):.1f},{_down(curve[size]):.1f}" for size in SIZES)
        style = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}" fill="none"'
        y = TOP + 12 + 16 * number
        parts.append(
            f'<polyline points="{points}" {style}/>'
            f'<line x1="{LEFT + 10}" y1="{y}" x2="{LEFT + 44}" y2="{y}" {style}/>'
            f'<text x="{LEFT + 50}" y="{y + 4}">{name}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def table(lines: dict[str, Curve]) -> str:
    """Return the same as a table."""
    rows = ["| CPU-ms | 1 KB | 10 KB | 100 KB | 1 MB | 10 MB |", "|---|---|---|---|---|---|"]
    for name, curve in lines.items():
        cells = (f"{curve[size] * 1e3:,.{0 if curve[size] > 0.02 else 1}f}" for size in SIZES)
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    found = measured(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    PICTURE.write_text(draw(found), "utf-8")
    print(json.dumps(found), file=sys.stderr)
    print(table(found))
