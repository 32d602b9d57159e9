# ruff: noqa: INP001 - a script, not a package
"""Draw accuracy against epsilon: ``PYTHONPATH=. python docs/draw_training.py FIGURES.jsonl...``.

The figures are the lines that ``python -m tests.bench.training_curve curve FILE`` and ``table FILE`` write, about ten
CPU-minutes together. Writes docs/pictures/training-curve.svg, for docs/reference/training.md.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

PICTURE = Path(__file__).parent / "pictures" / "training-curve.svg"
WIDTH, HEIGHT = 640, 560
LEFT, RIGHT = 60, 20
PANELS = (("top1", "top-1", 40, 270, 0.6, 0.8), ("macro_f1", "macro-F1", 310, 520, 0.1, 0.7))
LEAST, MOST = 0.9, 40.0
INK, OURS, TABLE = "#1b1b1b", "#0b5fa5", "#a5540b"


def _across(epsilon: float) -> float:
    share = math.log(epsilon / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _panel(
    panel: tuple[str, str, int, int, float, float], lines: list[dict[str, Any]]
) -> list[str]:
    name, title, top, bottom, low, high = panel

    def down(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    drawn = [f'<text x="{LEFT}" y="{top - 10}" fill="{INK}">{title}</text>']
    for step in range(5):
        value = low + step * (high - low) / 4
        at = down(value)
        drawn += [
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#d0d0d0"/>',
            f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end" fill="{INK}">{value:.2f}</text>',
        ]
    drawn += [
        f'<text x="{_across(epsilon):.1f}" y="{bottom + 16}" text-anchor="middle" fill="{INK}">{epsilon:g}</text>'
        for epsilon in (1, 2, 4, 8, 16, 32)
    ]
    ours = [(_across(one["epsilon"]), down(one[name])) for one in lines if one["what"] == "ours"]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in sorted(ours))
    drawn.append(f'<polyline points="{path}" fill="none" stroke="{OURS}" stroke-width="2"/>')
    drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{OURS}"/>' for x, y in ours]
    for one in lines:
        if "row" in one:
            x, y = _across(one["row"][5]), down(one[name])
            drawn.append(
                f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{TABLE}"/>'
            )
    return drawn


def main(places: list[str]) -> None:
    """Draw the picture."""
    lines = [json.loads(line) for place in places for line in Path(place).read_text().splitlines()]
    drawn = [part for panel in PANELS for part in _panel(panel, lines)]
    drawn += [
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle" fill="{INK}">epsilon, of a crowd session</text>',
        f'<text x="{WIDTH - RIGHT}" y="20" text-anchor="end" fill="{OURS}">line and dots: ours</text>',
        f'<text x="{WIDTH - RIGHT}" y="34" text-anchor="end" fill="{TABLE}">squares: rows of the table, re-run</text>',
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        ' font-size="12" role="img" aria-label="Top-1 and macro-F1 against epsilon">'
    )
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    PICTURE.write_text("\n".join([head, ground, *drawn, "</svg>"]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
