# ruff: noqa: INP001, T201 - a script, not a package
"""Draw what the sentinel and its rivals find at what cost: ``PYTHONPATH=. python docs/draw_sentinel.py ROWS.json``.

ROWS.json is what the long bench writes where ``SAFEHOLD_SENTINEL_OUT`` says. Writes docs/pictures/sentinel.svg and
prints the table of docs/reference/benchmarks.md.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

PICTURE = Path(__file__).parent / "pictures" / "sentinel.svg"
KINDS = ("export", "join", "artifact", "runaway", "off_hours", "first_time", "slow", "scope")
WIDTH, PANEL, HIGH, LEFT, TOP, GAP = 720, 190, 130, 50, 70, 40
LEAST, MOST = 0.3, 16.0
INK = "#1b1b1b"
LINES = {
    "sentinel": ("#0b5fa5", ""),
    "isolation forest": ("#a5540b", ""),
    "ECOD": ("#5b8c2a", ""),
    "half-space trees": ("#8a3fa0", ""),
}


def share(row: dict[str, Any], kind: str) -> float:
    """Return how many of a kind were found, as a share; of all if the kind is ``all``."""
    if kind == "all":
        return float(row["found"]) / float(row["total"])
    return float(row["by_kind"][kind]) / max(1.0, float(row["of_each"].get(kind, 0)))


def across(left: float, rate: float) -> float:
    """Return where a rate of false alerts lies."""
    place = math.log(min(max(rate, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return left + place * PANEL


def panel(rows: list[dict[str, Any]], kind: str, left: float, top: float) -> list[str]:
    """Return one panel: share found against false alerts a day."""
    name = kind.replace("_", " ")
    parts = [f'<text x="{left}" y="{top - 6}" font-weight="bold">{name}</text>']
    for part in (0.0, 0.5, 1.0):
        y = top + HIGH * (1 - part)
        parts.append(
            f'<line x1="{left}" y1="{y:.1f}" x2="{left + PANEL}" y2="{y:.1f}" stroke="#dddddd"/>'
            f'<text x="{left - 4}" y="{y + 4:.1f}" text-anchor="end" font-size="10">{part:.0%}</text>'
        )
    for rate in (0.5, 1, 2, 4, 8):
        x = across(left, rate)
        colour = "#999999" if rate == 2 else "#eeeeee"
        parts.append(
            f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{top + HIGH}" stroke="{colour}"/>'
            f'<text x="{x:.1f}" y="{top + HIGH + 13}" text-anchor="middle" font-size="10">{rate:g}</text>'
        )
    for method, (colour, _) in LINES.items():
        for columns, dashes in (("", ""), ("features", ""), ("raw", "2 3")):
            mine = [
                row for row in rows if row["method"][0] == method and row["method"][1] == columns
            ]
            mine.sort(key=lambda row: row["false_a_day"])
            if not mine:
                continue
            places = [
                (across(left, row["false_a_day"]), top + HIGH * (1 - share(row, kind)))
                for row in mine
            ]
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            thick = 2.5 if method == "sentinel" else 1.5
            parts.append(
                f'<polyline points="{points}" stroke="{colour}" stroke-width="{thick}" '
                f'stroke-dasharray="{dashes}" fill="none"/>'
            )
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in places
            ]
    return parts


def draw(rows: list[dict[str, Any]]) -> str:
    """Return the picture as SVG: all attacks, and each kind."""
    height = TOP + 3 * (HIGH + GAP) + 20
    title = "Attacks found, against false alerts a day for a hundred principals"
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            f'font-family="sans-serif" font-size="12" fill="{INK}">'
        ),
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{title}</text>',
    ]
    for number, (name, (colour, _)) in enumerate(LINES.items()):
        x = LEFT + 130 * number
        parts.append(
            f'<line x1="{x}" y1="38" x2="{x + 24}" y2="38" stroke="{colour}" stroke-width="2.5"/>'
            f'<text x="{x + 28}" y="42">{name}</text>'
        )
    parts.append(f'<text x="{LEFT + 520}" y="42">dotted: raw columns</text>')
    for place, kind in enumerate(("all", *KINDS)):
        left = LEFT + place % 3 * (PANEL + GAP)
        parts += panel(rows, kind, left, TOP + place // 3 * (HIGH + GAP))
    return "\n".join([*parts, "</svg>"]) + "\n"


def tables(rows: list[dict[str, Any]]) -> str:
    """Return the same as a table, one row a method and budget."""
    head = ["| method | budget | found | false a day | " + " | ".join(KINDS) + " | events/CPU-s |"]
    head.append("|---" * (5 + len(KINDS)) + "|")
    for row in rows:
        name, columns, budget = row["method"]
        kinds = " | ".join(
            f"{row['by_kind'][kind]}/{row['of_each'].get(kind, 0)}" for kind in KINDS
        )
        head.append(
            f"| {name}{', ' + columns if columns else ''} | {budget:g} | {row['found']}/{row['total']} "
            f"({row['found'] / row['total']:.0%}) | {row['false_a_day']:.1f} | {kinds} | {row['events_s']:,} |"
        )
    return "\n".join(head)


if __name__ == "__main__":
    found = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    PICTURE.write_text(draw(found), "utf-8")
    print(tables(found))
