"""The lineage as a picture: what was made from what, from left to right, drawn here and needing nothing to be shown.

Kinds differ by shape and by colour, so that neither is needed to tell them apart; what has ended is struck through;
a release carries its epsilon. Numbers of people are those that may be told. No script, no font and no style sheet of
anybody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.sax.saxutils import escape

from safehold.clock import date_of

WIDE, HIGH = 208, 62  # of a node
GAP_X, GAP_Y = 84, 22
MARGIN, TOP, FOOT = 28, 66, 92
COLUMN = 200  # of the legend
MOST_SOURCES: Final = 6  # of those with the same children; more are drawn as one
LONGEST: Final = 24  # characters of an id
INK, PALE, PAPER = "#1b1b1b", "#5a5a5a", "#ffffff"
# fill and edge of each kind, and its word; contrast of ink on every fill is above 7:1
KINDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "source": ("#e3ecf7", "#1d4f91", "telemetry"),
    "feature": ("#e2f3e6", "#1c6b35", "features"),
    "table": ("#fdf1d3", "#8a6100", "table"),
    "vectors": ("#efe4f7", "#6a2c91", "embeddings"),
    "embedding": ("#efe4f7", "#6a2c91", "embeddings"),
    "model": ("#fbe3de", "#a32a14", "model"),
    "aggregate": ("#dff3f3", "#116464", "published result"),
}
_SAME = {"embedding": "vectors"}  # drawn alike
_OTHER = ("#eeeeee", "#444444", "unknown")


def draw_lineage(nodes: Sequence[Mapping[str, Any]], *, start: str = "") -> str:
    """Return an SVG document.

    Args:
        nodes: As ``dataset lineage --json`` shows them, above and below.
        start: Id of the one that is asked about; it is drawn with a heavier edge.
    """
    shown = _gather(nodes, start)
    layers = _layers(shown)
    tallest = max((len(layer) for layer in layers), default=1)
    width = max(
        2 * MARGIN + len(layers) * WIDE + max(len(layers) - 1, 0) * GAP_X, 2 * MARGIN + 4 * COLUMN
    )
    height = TOP + tallest * (HIGH + GAP_Y) + FOOT
    places = {
        node["id"]: (MARGIN + at * (WIDE + GAP_X), _row(TOP, tallest, len(layer), place))
        for at, layer in enumerate(layers)
        for place, node in enumerate(layer)
    }
    ended = sum(node["status"] not in {"live", "broken"} for node in shown)
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
            f' viewBox="0 0 {width} {height}" role="img" aria-labelledby="t d"'
            ' font-family="system-ui, sans-serif" font-size="12">'
        ),
        '<title id="t">What was made from what</title>',
        (
            f'<desc id="d">{len(nodes)} datasets from left to right, telemetry first.'
            f" {ended} of them have ended and are struck through.</desc>"
        ),
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        f'<text x="{MARGIN}" y="32" font-size="18" fill="{INK}">What was made from what</text>',
        (
            f'<text x="{MARGIN}" y="50" fill="{PALE}">'
            "Each carries the people, kinds of data and places of all to its left, the purposes that they share,"
            " and the earliest end.</text>"
        ),
    ]
    for node in shown:
        lines += [
            _edge(places[parent], places[node["id"]], released=bool(node.get("release")))
            for parent in node["parents"]
            if parent in places
        ]
    for node in shown:
        lines += _node(node, *places[node["id"]], asked=node["id"] == start)
    return "\n".join([*lines, *_legend(height - FOOT + 26), "</svg>", ""])


def _gather(nodes: Sequence[Mapping[str, Any]], start: str) -> list[dict[str, Any]]:
    """Return what is drawn: of many sources with the same children one stands for all."""
    children: dict[str, list[str]] = {}
    for node in nodes:
        for parent in node["parents"]:
            children.setdefault(parent, []).append(node["id"])
    alike: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for node in nodes:
        if node["kind"] == "source" and node["id"] != start:
            alike.setdefault(tuple(sorted(children.get(node["id"], []))), []).append(node)
    stands: dict[str, str] = {}
    crowds: dict[str, list[Mapping[str, Any]]] = {}
    for group in alike.values():
        if len(group) > MOST_SOURCES:
            first = str(group[0]["id"])
            crowds[first] = group
            stands |= {str(node["id"]): first for node in group}
    found: list[dict[str, Any]] = []
    for node in nodes:
        name = str(node["id"])
        if stands.get(name, name) != name:
            continue
        parents = list(dict.fromkeys(stands.get(one, one) for one in node["parents"]))
        found.append({**node, "parents": parents})
        if name in crowds:
            found[-1] |= {"crowd": len(crowds[name])}
    return found


def _layers(nodes: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return nodes by how many steps they are from telemetry; in each near what they were made from."""
    known = {node["id"]: node for node in nodes}
    depth: dict[str, int] = {}
    waiting = list(nodes)
    while waiting:
        later = []
        for node in waiting:
            above = [one for one in node["parents"] if one in known]
            if all(one in depth for one in above):
                depth[node["id"]] = 1 + max((depth[one] for one in above), default=-1)
            else:
                later.append(node)
        if len(later) == len(waiting):  # a ring, which only a changed lineage could hold
            depth |= {node["id"]: 0 for node in later}
            break
        waiting = later
    layers: list[list[Mapping[str, Any]]] = []
    place: dict[str, float] = {}
    for at in range(max(depth.values(), default=-1) + 1):
        layer = [node for node in nodes if depth[node["id"]] == at]
        layer.sort(key=lambda node: (_mean(place, node["parents"]), _order(node)))
        place |= {str(node["id"]): float(number) for number, node in enumerate(layer)}
        layers.append(layer)
    return layers


def _mean(place: Mapping[str, float], parents: Sequence[str]) -> float:
    known = [place[one] for one in parents if one in place]
    return sum(known) / len(known) if known else 0.0


def _order(node: Mapping[str, Any]) -> tuple[str, int, str]:
    return str(node["kind"]), int(node.get("created_us", 0)), str(node["id"])


def _row(top: int, tallest: int, count: int, place: int) -> int:
    """Return the upper edge of a node, so that each layer stands in the middle."""
    step = HIGH + GAP_Y
    return top + (tallest - count) * step // 2 + place * step


def _edge(parent: tuple[int, int], child: tuple[int, int], *, released: bool) -> str:
    x1, y1 = parent[0] + WIDE, parent[1] + HIGH // 2
    x2, y2 = child[0] - 3, child[1] + HIGH // 2
    bend = (x2 - x1) // 2
    dash = ' stroke-dasharray="7 4"' if released else ""
    return (
        f'<path d="M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}" fill="none"'
        f' stroke="{PALE}" stroke-width="1.4"{dash}/>'
        f'<path d="M{x2 - 6} {y2 - 4} L{x2 + 2} {y2} L{x2 - 6} {y2 + 4} Z" fill="{PALE}"/>'
    )


def _node(node: Mapping[str, Any], x: int, y: int, *, asked: bool) -> list[str]:
    fill, edge, _ = KINDS.get(str(node["kind"]), _OTHER)
    over = node["status"] not in {"live", "broken"}
    broken = node["status"] == "broken"
    dash = ' stroke-dasharray="4 3"' if over or broken else ""
    shape = _shape(str(node["kind"]), x, y, WIDE, HIGH)
    width = "3" if asked else "1.5"
    strike = ' text-decoration="line-through"' if over else ""
    lines = [
        "<g>",
        f"<title>{escape(_spoken(node))}</title>",
        f'<path d="{shape}" fill="{PAPER if over else fill}" stroke="{edge}" stroke-width="{width}"{dash}/>',
        f'<text x="{x + 20}" y="{y + 20}" fill="{INK}" font-weight="600"{strike}>{escape(_name(node))}</text>',
    ]
    texts = ["changed: nobody can say"] if broken else _told(node)
    lines += [
        f'<text x="{x + 20}" y="{y + 36 + 15 * at}" fill="{PALE if at else INK}" font-size="11">'
        f"{escape(text)}</text>"
        for at, text in enumerate(texts)
    ]
    return [*lines, "</g>"]


def _shape(kind: str, x: int, y: int, wide: int, high: int) -> str:
    """Return the outline of a kind: each has its own."""
    right, low, middle = x + wide, y + high, y + high // 2
    box = f"M{x} {y} H{right} V{low} H{x} Z"
    shapes = {
        "source": (  # rounded
            f"M{x + 14} {y} H{right - 14} Q{right} {y} {right} {middle} Q{right} {low} {right - 14} {low}"
            f" H{x + 14} Q{x} {low} {x} {middle} Q{x} {y} {x + 14} {y} Z"
        ),
        "feature": (  # cut corners
            f"M{x + 6} {y} H{right - 6} L{right} {y + 6} V{low - 6} L{right - 6} {low}"
            f" H{x + 6} L{x} {low - 6} V{y + 6} Z"
        ),
        "table": f"{box} M{x + 8} {y} V{low}",  # a double edge
        "vectors": f"M{x + 12} {y} H{right} L{right - 12} {low} H{x} Z",  # a slanted box
        "model": (  # a hexagon
            f"M{x + 12} {y} H{right - 12} L{right} {middle} L{right - 12} {low} H{x + 12}"
            f" L{x} {middle} Z"
        ),
        "aggregate": f"M{x} {y} H{right - 14} L{right} {middle} L{right - 14} {low} H{x} Z",  # it leaves
    }
    return shapes.get(_SAME.get(kind, kind), box)


def _name(node: Mapping[str, Any]) -> str:
    if "crowd" in node:
        return f"{node['crowd']} sources"
    name = str(node["id"])
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _told(node: Mapping[str, Any]) -> list[str]:
    label = node["label"]
    first = f"{KINDS.get(str(node['kind']), _OTHER)[2]}, {count_people(label)}"
    if node.get("release"):
        return [first, tell_release(node["release"])]
    over = {"ended": "ended by an erasure", "expired": "its time is over", "replaced": "replaced"}
    return [first, over.get(str(node["status"]), f"until {date_of(label['expires'])}")]


def count_people(label: Mapping[str, Any]) -> str:
    """Return a number of people in words, as it may be told."""
    if label["people"] is None:
        return f"fewer than {label['fewer_than']} people"
    return f"{label['people']:,} people"


def tell_release(release: Mapping[str, int]) -> str:
    """Return what bounds a release."""
    epsilon, delta = release["epsilon_micro"] / 1e6, release["delta_e12"] / 1e12
    return f"ε = {epsilon:g}, δ = {delta:g} per person"


def _spoken(node: Mapping[str, Any]) -> str:
    label = node.get("label")
    if label is None:
        return f"{node['id']}: its row was changed"
    return (
        f"{node['id']}: {node['kind']}, {node['status']}; {count_people(label)};"
        f" from {', '.join(label['streams'])}; for {', '.join(label['purposes'])};"
        f" in {', '.join(label['jurisdictions'])}; until {date_of(label['expires'])}"
    )


def _legend(y: int) -> list[str]:
    lines = []
    for at, (kind, (fill, edge, word)) in enumerate(
        (kind, said) for kind, said in KINDS.items() if kind not in _SAME
    ):
        x = MARGIN + at % 4 * COLUMN
        down = y + at // 4 * 26
        lines.append(
            f'<path d="{_shape(kind, x, down - 13, 34, 18)}" fill="{fill}" stroke="{edge}"/>'
            f'<text x="{x + 42}" y="{down}" fill="{INK}">{word}</text>'
        )
    x, down = MARGIN + 2 * COLUMN, y + 26
    lines.append(
        f'<path d="M{x} {down - 4} H{x + 34}" stroke="{PALE}" stroke-width="1.4" stroke-dasharray="7 4"/>'
        f'<text x="{x + 42}" y="{down}" fill="{INK}">a release ends the chain</text>'
    )
    x += COLUMN
    lines.append(
        f'<text x="{x}" y="{down}" fill="{INK}" text-decoration="line-through">ended</text>'
        f'<text x="{x + 44}" y="{down}" fill="{INK}">it opens no more</text>'
    )
    return lines
