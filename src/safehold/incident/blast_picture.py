"""A blast radius as a picture and as a tree: from what was lost to whom it reaches, from left to right.

Two bands, since they are two answers: what was opened has whole edges, what could have been has broken ones. Kinds
differ by their words and their outline as well as by colour. Light or dark as whoever looks prefers; no script, no
font and no style sheet of anybody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final
from xml.sax.saxutils import escape

from safehold.clock import date_of

WIDE, LINE, PAD = 188, 16, 12
GAP_X, GAP_Y = 46, 16
MARGIN, TOP = 24, 78
BAND: Final = 58  # between two bands
MOST: Final = 5  # names in one box; of more it says how many there are
LONGEST: Final = 24  # characters of a name

Box = tuple[str, list[str], str]  # heading, lines, class
# contrast of ink on every fill is above 7:1, in the light as in the dark
_STYLE: Final = """
svg{background:#fff}
.paper{fill:#fff}.ink{fill:#1b1b1b}.pale{fill:#4d4d4d}.edge{stroke:#4d4d4d;fill:none;stroke-width:1.5}.tip{fill:#4d4d4d}
.lost{fill:#fbe3de;stroke:#a32a14}.run{fill:#eeeeee;stroke:#444444}.who{fill:#e3ecf7;stroke:#1d4f91}
.made{fill:#e2f3e6;stroke:#1c6b35}.model{fill:#fdf1d3;stroke:#8a6100}.left{fill:#dff3f3;stroke:#116464}
@media (prefers-color-scheme: dark){
svg{background:#161616}
.paper{fill:#161616}.ink{fill:#f4f4f4}.pale{fill:#c9c9c9}.edge{stroke:#c9c9c9}.tip{fill:#c9c9c9}
.lost{fill:#4a130a;stroke:#f2937f}.run{fill:#303030;stroke:#bdbdbd}.who{fill:#12294a;stroke:#8db8f2}
.made{fill:#0f3018;stroke:#7fd196}.model{fill:#3d2c00;stroke:#e5bd5a}.left{fill:#093434;stroke:#6fd0d0}
}
"""


def draw_blast(answer: Mapping[str, Any]) -> str:
    """Return an SVG document.

    Args:
        answer: As ``incident blast --json`` shows it.
    """
    bands = [_columns(answer, which) for which in ("was", "could")]
    heights = [max(_height(column) for column in band) for band in bands]
    width = 2 * MARGIN + 6 * WIDE + 5 * GAP_X
    height = TOP + sum(heights) + BAND + 2 * LINE + MARGIN
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
            f' viewBox="0 0 {width} {height}" role="img" aria-labelledby="t d"'
            ' font-family="system-ui, sans-serif" font-size="12">'
        ),
        f'<title id="t">How far it reaches: {escape(answer["about"])}</title>',
        f'<desc id="d">{escape(" ".join(_spoken(answer, one) for one in ("was", "could")))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
        f'<text class="ink" x="{MARGIN}" y="30" font-size="18">How far it reaches</text>',
        f'<text class="pale" x="{MARGIN}" y="48">{escape(_cut(answer["about"], 140))}</text>',
    ]
    y = TOP
    for band, tall, words in zip(bands, heights, _HEADS, strict=True):
        lines.append(f'<text class="ink" x="{MARGIN}" y="{y}" font-weight="600">{words}</text>')
        lines += _band(band, y + LINE, tall, broken=words is _HEADS[1])
        y += tall + BAND
    return "\n".join([*lines, "</svg>", ""])


_HEADS: Final = (
    "Was opened, by the ledger",
    "Could have been opened, by what it reached while it lived",
)


def draw_blast_tree(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the same as a tree."""
    yield f"● {answer['about']}"
    for which, words in zip(("was", "could"), _HEADS, strict=True):
        last = which == "could"
        yield f"{'└─' if last else '├─'} {words}"
        lead = "   " if last else "│  "
        boxes = [box for column in _columns(answer, which)[1:] for box in column]
        for box in boxes:
            end = box is boxes[-1]
            yield f"{lead}{'└─' if end else '├─'} {box[0]}"
            for line in box[1]:
                yield f"{lead}{'   ' if end else '│  '}   {line}"
    for limit in answer["limits"]:
        yield f"  ! {limit}"


def _columns(answer: Mapping[str, Any], which: str) -> list[list[Box]]:
    part = answer[which]
    days = part["days"]
    stretch = [f"{date_of(days['first'])} to", f"{date_of(days['last'])}"] if days["count"] else []
    derived, models, releases = part["derived"], part["models"], part["releases"]
    runs = part["runs"]
    ran = _counted_words(runs["shown"])
    start: list[Box] = [("lost", _wrap(answer["about"]), "lost")]
    how: Box = (
        (f"{runs['count']:,} runs", [*ran, f"{len(part['grants'])} grants"], "run")
        if which == "was"
        else (f"{len(part['grants'])} grants", _blocks(part), "run")
    )
    who: list[Box] = [
        (_people(part), _gone(part), "who"),
        (f"{len(part['classes'])} classes", [", ".join(part["classes"])], "who"),
        (f"{days['count']:,} days", stretch, "who"),
    ]
    return [
        start,
        [how],
        who,
        [(f"{derived['count']:,} derived datasets", _names(derived), "made")],
        [(f"{models['count']:,} models", _names(models), "model")],
        [(f"{releases['count']:,} releases", _left(releases), "left")],
    ]


def _people(part: Mapping[str, Any]) -> str:
    if part["people"] is None:
        return f"fewer than {part['fewer_than']} people"
    return f"{part['people']:,} people"


def _gone(part: Mapping[str, Any]) -> list[str]:
    least, most = part["erased"]["least"], part["erased"]["most"]
    lines = []
    if most["people"] != 0:
        few, many = _people(least).split(" people")[0], _people(most).split(" people")[0]
        lines.append(f"erased: {few if few == many else f'{few} to {many}'}")
    if part["untold_runs"]:
        lines.append(f"{part['untold_runs']:,} runs: nobody can say")
    return lines


def _blocks(part: Mapping[str, Any]) -> list[str]:
    return [] if part["blocks"] is None else [f"{part['blocks']:,} blocks"]


def _names(listed: Mapping[str, Any]) -> list[str]:
    lines = [
        _cut(f"{one['id']}{'' if one['status'] == 'live' else ' (' + one['status'] + ')'}")
        for one in listed["shown"][:MOST]
    ]
    return lines + _more(listed["count"], len(lines))


def _left(listed: Mapping[str, Any]) -> list[str]:
    lines = [_cut(f"{one['kind']} {one['what']}") for one in listed["shown"][:MOST]]
    return lines + _more(listed["count"], len(lines))


def _more(count: int, shown: int) -> list[str]:
    return [f"and {count - shown:,} more"] if count > shown else []


def _counted_words(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    counts: dict[str, int] = {}
    for one in runs:
        counts[one["what"] or "?"] = counts.get(one["what"] or "?", 0) + 1
    return [_cut(f"{name}: {count}") for name, count in sorted(counts.items())[:MOST]]


def _wrap(text: str) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + len(word) < LONGEST:
            lines[-1] += f" {word}"
        else:
            lines.append(_cut(word))
    return lines[:6]


def _cut(text: str, most: int = LONGEST) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _tall(box: Box) -> int:
    return 2 * PAD + LINE * (1 + len(box[1]))


def _height(column: Sequence[Box]) -> int:
    return sum(_tall(box) for box in column) + GAP_Y * (len(column) - 1)


def _band(band: Sequence[Sequence[Box]], y: int, tall: int, *, broken: bool) -> Iterator[str]:
    middle = y + tall // 2
    places: list[list[tuple[int, int, int]]] = []
    for at, column in enumerate(band):
        top, x = middle - _height(column) // 2, MARGIN + at * (WIDE + GAP_X)
        found = []
        for box in column:
            found.append((x, top, _tall(box)))
            top += _tall(box) + GAP_Y
        places.append(found)
    for before, after in pairwise(places):
        for left in before:
            for right in after:
                yield _edge(left, right, broken=broken)
    for column, found in zip(band, places, strict=True):
        for box, (x, top, high) in zip(column, found, strict=True):
            yield from _box(box, x, top, high, broken=broken)


def _edge(left: tuple[int, int, int], right: tuple[int, int, int], *, broken: bool) -> str:
    x1, y1 = left[0] + WIDE, left[1] + left[2] // 2
    x2, y2 = right[0] - 3, right[1] + right[2] // 2
    bend = (x2 - x1) // 2
    dash = ' stroke-dasharray="6 4"' if broken else ""
    return (
        f'<path class="edge" d="M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"{dash}/>'
        f'<path class="tip" d="M{x2 - 5} {y2 - 4} L{x2 + 2} {y2} L{x2 - 5} {y2 + 4} Z"/>'
    )


def _box(box: Box, x: int, y: int, high: int, *, broken: bool) -> Iterator[str]:
    heading, lines, kind = box
    dash = ' stroke-dasharray="5 3"' if broken else ""
    round_ = ' rx="14"' if kind == "who" else ""
    yield "<g>"
    yield f"<title>{escape('; '.join([heading, *lines]))}</title>"
    yield f'<rect class="{kind}" x="{x}" y="{y}" width="{WIDE}" height="{high}" stroke-width="1.5"{round_}{dash}/>'
    yield (
        f'<text class="ink" x="{x + PAD}" y="{y + PAD + LINE - 4}" font-weight="600">{escape(heading)}</text>'
    )
    for at, line in enumerate(lines, 2):
        yield (
            f'<text class="ink" x="{x + PAD}" y="{y + PAD + at * LINE - 4}" font-size="11">'
            f"{escape(_cut(line, 30))}</text>"
        )
    yield "</g>"


def _spoken(answer: Mapping[str, Any], which: str) -> str:
    part = answer[which]
    verb = "Was opened" if which == "was" else "Could have been opened"
    gone = "; ".join(_gone(part))
    return (
        f"{verb}: data of {_people(part)}{' (' + gone + ')' if gone else ''};"
        f" classes {', '.join(part['classes']) or 'none'};"
        f" {part['days']['count']} days; {part['derived']['count']} derived datasets;"
        f" {part['models']['count']} models; {part['releases']['count']} releases."
    )
