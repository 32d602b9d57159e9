"""The lineage in a terminal: telemetry first, and below each thing what was made from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from safehold.catalog.picture import count_people, tell_release
from safehold.clock import date_of

MOST = 12  # sources beside each other that are written one by one
_MARKS = {
    "source": "●",
    "feature": "◆",
    "table": "▤",
    "vectors": "◇",
    "model": "▲",
    "aggregate": "∑",
}
_OVER = {
    "ended": "ENDED by an erasure",
    "expired": "its time is over",
    "replaced": "replaced by a later one",
    "broken": "CHANGED: its row does not hold",
}


def draw_tree(nodes: Sequence[Mapping[str, Any]], *, start: str = "") -> Iterator[str]:
    """Yield the lines of a tree; what is below several things is written out below the first of them.

    Args:
        nodes: As ``dataset lineage --json`` shows them, above and below.
        start: Id of the one that is asked about.
    """
    known = {node["id"]: node for node in nodes}
    children: dict[str, list[str]] = {}
    for node in sorted(nodes, key=lambda one: (one.get("created_us", 0), one.get("run", -1))):
        for parent in node["parents"]:
            children.setdefault(parent, []).append(node["id"])
    roots = [node["id"] for node in nodes if not known.keys() & set(node["parents"])]
    done: set[str] = set()
    alike: dict[tuple[str, ...], list[str]] = {}
    for root in roots:
        alike.setdefault(tuple(children.get(root, [])), []).append(root)
    for below, group in alike.items():
        if len(group) > MOST:
            yield f"● {len(group)} sources"
            yield from _below(known, children, below, done, start, "")
            continue
        for root in group:
            yield _line(known[root], start)
        yield from _below(known, children, below, done, start, "")


def _below(
    known: Mapping[str, Mapping[str, Any]],
    children: Mapping[str, Sequence[str]],
    names: Sequence[str],
    done: set[str],
    start: str,
    lead: str,
) -> Iterator[str]:
    for name in names:
        last = name == names[-1]
        line = _line(known[name], start)
        if name in done:
            yield f"{lead}{'└─' if last else '├─'} {line.split('  ')[0]}  (written above)"
            continue
        done.add(name)
        yield f"{lead}{'└─' if last else '├─'} {line}"
        deeper = lead + ("   " if last else "│  ")
        yield from _below(known, children, children.get(name, []), done, start, deeper)


def _line(node: Mapping[str, Any], start: str) -> str:
    mark = _MARKS.get(str(node["kind"]), "?")
    name = str(node["id"])
    pointed = "  <-- this one" if name == start else ""
    label = node.get("label")
    if label is None:
        return f"{mark} {name}  {_OVER['broken']}{pointed}"
    said = [str(node["kind"]), count_people(label)]
    if node.get("release"):
        said.append(tell_release(node["release"]))
    said.append(", ".join(label["purposes"]))
    said.append(_OVER.get(str(node["status"]), f"until {date_of(label['expires'])}"))
    return f"{mark} {name}  {'; '.join(said)}{pointed}"
