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
    "embedding": "◇",
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
    yield from _Tree(nodes, start).lines()


class _Tree:
    def __init__(self, nodes: Sequence[Mapping[str, Any]], start: str) -> None:
        self._known = {node["id"]: node for node in nodes}
        self._start = start
        self._done: set[str] = set()
        self._children: dict[str, list[str]] = {}
        for node in sorted(nodes, key=lambda one: (one.get("created_us", 0), one.get("run", -1))):
            for parent in node["parents"]:
                self._children.setdefault(parent, []).append(node["id"])

    def lines(self) -> Iterator[str]:
        alike: dict[tuple[str, ...], list[str]] = {}
        for name, node in self._known.items():
            if not self._known.keys() & set(node["parents"]):
                alike.setdefault(tuple(self._children.get(name, [])), []).append(name)
        for below, group in alike.items():
            if len(group) > MOST and self._start not in group:
                yield f"● {len(group)} sources"
            else:
                yield from (_line(self._known[root], self._start) for root in group)
            yield from self._below(below, "")

    def _below(self, names: Sequence[str], lead: str) -> Iterator[str]:
        for name in names:
            last = name == names[-1]
            line = _line(self._known[name], self._start)
            if name in self._done:
                line = f"{line.split('  ')[0]}  (written above)"
            yield f"{lead}{'└─' if last else '├─'} {line}"
            if name not in self._done:
                self._done.add(name)
                deeper = lead + ("   " if last else "│  ")
                yield from self._below(self._children.get(name, []), deeper)


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
