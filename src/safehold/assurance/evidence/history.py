"""Each promise over time, as the ledger tells it: rows for tables, and a picture drawn on the server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

DAY_MS: Final = 86_400_000
WIDTH: Final = 640
ROW: Final = 26
LEFT, RIGHT, TOP = 190, 16, 30
MOST_DAYS: Final = 90
_MARKS: Final = {"kept": "k", "broken": "b", "unmeasured": "u"}
_STYLE: Final = (
    ".w{fill:#14212e;font:12px sans-serif}.k{fill:#2c7a45}.b{fill:#b3261e}.u{fill:#9aa7b3}"
    "@media (prefers-color-scheme:dark){.w{fill:#e8eef4}.k{fill:#7fcf9a}.b{fill:#ff9d90}.u{fill:#66727e}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measurement of a promise.

    Args:
        entry: Its leaf.
        at_ms: When.
        state: ``kept``, ``broken`` or ``unmeasured``.
        micro: The figure, millionths; None without one.
        op: How it is compared.
        bound: With what, millionths.
    """

    entry: int
    at_ms: int
    state: str
    micro: int | None
    op: str
    bound: int

    def to_json(self) -> dict[str, Any]:
        """Return it as canonical JSON values."""
        return {
            "entry": self.entry,
            "at_ms": self.at_ms,
            "state": self.state,
            "micro": self.micro,
            "op": self.op,
            "bound": self.bound,
        }


def point_of(index: int, at_ms: int, facts: Mapping[str, Any]) -> Point:
    """Return the measurement that a leaf of the kind ``milestone`` tells.

    Args:
        index: Of the leaf.
        at_ms: Its time, milliseconds.
        facts: What it says in public.
    """
    return Point(
        entry=index,
        at_ms=at_ms,
        state=str(facts["state"]),
        micro=facts.get("micro"),
        op=str(facts["op"]),
        bound=int(facts["bound"]),
    )


def fold(leaves: Iterable[tuple[int, Mapping[str, Any]]]) -> dict[str, list[Point]]:
    """Return every measurement of every promise, oldest first, from the leaves of a ledger."""
    found: dict[str, list[Point]] = {}
    for index, leaf in leaves:
        if leaf["k"] == "milestone":
            facts = leaf["pub"]
            point = point_of(index, int(leaf["t"]), facts)
            found.setdefault(str(facts["promise"]), []).append(point)
    return found


def listing(history: Mapping[str, Sequence[Point]]) -> list[dict[str, Any]]:
    """Return the history of each promise as JSON: how often it was kept, and every measurement."""
    return [
        {
            "promise": name,
            "measured": len(points),
            "kept": sum(one.state == "kept" for one in points),
            "broken": sum(one.state == "broken" for one in points),
            "points": [one.to_json() for one in points],
        }
        for name, points in sorted(history.items())
    ]


def draw(history: Mapping[str, Sequence[Point]]) -> str:
    """Return the last 90 days of every promise as SVG: one mark a day, the worst of that day.

    Kept is a full square, broken a cross, unmeasured a small dot: the shapes differ as the colours do.
    """
    days = [one.at_ms // DAY_MS for points in history.values() for one in points]
    last = max(days, default=0)
    first = max(min(days, default=0), last - MOST_DAYS + 1)
    names = sorted(history)
    height = TOP + ROW * len(names) + 24
    step = min((WIDTH - LEFT - RIGHT) / max(last - first + 1, 1), 18.0)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
            ' aria-labelledby="ht hd">'
        ),
        '<title id="ht">Promises, day by day</title>',
        f'<desc id="hd">{escape(_words(history))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<text class="w" x="{LEFT}" y="18">{_date(first)} to {_date(last)}</text>',
    ]
    for number, name in enumerate(names):
        y = TOP + ROW * number
        parts.append(
            f'<text class="w" x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>'
        )
        for day, state in sorted(_worst(history[name]).items()):
            if day >= first:
                parts.append(_mark(state, LEFT + (day - first) * step, y + 4, min(step - 1, 11.0)))
    bottom = TOP + ROW * len(names) + 14
    parts.append(
        f'<text class="w" x="{LEFT}" y="{bottom}">square: kept; cross: broken; dot: not measured</text></svg>'
    )
    return "".join(parts)


def _mark(state: str, x: float, y: float, size: float) -> str:
    kind = _MARKS.get(state, "u")
    if kind == "k":
        return f'<rect class="k" x="{x:.1f}" y="{y:.1f}" width="{size:.1f}" height="{size:.1f}"/>'
    if kind == "u":
        half = size / 2
        return f'<circle class="u" cx="{x + half:.1f}" cy="{y + half:.1f}" r="{size / 5:.1f}"/>'
    third = size / 3
    return (
        f'<path class="b" d="M{x:.1f} {y + third:.1f}h{third:.1f}v-{third:.1f}h{third:.1f}v{third:.1f}'
        f'h{third:.1f}v{third:.1f}h-{third:.1f}v{third:.1f}h-{third:.1f}v-{third:.1f}h-{third:.1f}z"/>'
    )


def _worst(points: Sequence[Point]) -> dict[int, str]:
    order = ("kept", "unmeasured", "broken")
    found: dict[int, str] = {}
    for one in points:
        day = one.at_ms // DAY_MS
        before = found.get(day, "kept")
        found[day] = max(before, one.state, key=order.index) if one.state in order else before
    return found


def _words(history: Mapping[str, Sequence[Point]]) -> str:
    return "; ".join(
        f"{name}: {sum(one.state == 'kept' for one in points)} of {len(points)} measurements kept"
        for name, points in sorted(history.items())
    )


def _date(day: int) -> str:
    return f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}"
