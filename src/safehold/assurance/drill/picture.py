"""People exposed, scenario by scenario: Safehold beside a plain lake, drawn from a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

WIDTH: Final = 640
ROW: Final = 20
LEFT, RIGHT, TOP = 210, 60, 46
_STYLE: Final = (
    ".w{fill:#14212e;font:12px sans-serif}.lake{fill:#b5533c}.ours{fill:#2b5c8a}.l{stroke:#9aa7b3}"
    "@media (prefers-color-scheme:dark){.w{fill:#e8eef4}.lake{fill:#ff9d90}.ours{fill:#7fb2e0}}"
)


def draw(scenarios: Sequence[Mapping[str, Any]]) -> str:
    """Return the picture as SVG."""
    rows = [one for one in scenarios if one["lake"].get("people_exposed") is not None]
    most = max((one["lake"]["people_exposed"] for one in rows), default=0) or 1
    height = TOP + ROW * len(rows) + 14
    room = WIDTH - LEFT - RIGHT
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
            ' aria-labelledby="dt dd">'
        ),
        '<title id="dt">People exposed by each attack</title>',
        f'<desc id="dd">{escape(_words(rows))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<text class="w" x="{LEFT}" y="16">people exposed, of {most} made-up people</text>',
        (
            f'<rect class="lake" x="{LEFT}" y="25" width="12" height="9"/>'
            f'<text class="w" x="{LEFT + 17}" y="34">a plain lake</text>'
        ),
        (
            f'<rect class="ours" x="{LEFT + 110}" y="25" width="12" height="9"/>'
            f'<text class="w" x="{LEFT + 127}" y="34">Safehold</text>'
        ),
    ]
    for number, one in enumerate(rows):
        y = TOP + ROW * number
        parts.append(
            f'<text class="w" x="{LEFT - 8}" y="{y + 12}" text-anchor="end">'
            f"{one['id']} {escape(one['title'])}</text>"
        )
        for kind, count, at in (
            ("lake", one["lake"]["people_exposed"], y + 2),
            ("ours", one.get("people_exposed"), y + 10),
        ):
            length = 0.0 if not count else max(2.0, room * count / most)
            parts.append(
                f'<rect class="{kind}" x="{LEFT}" y="{at}" width="{length:.1f}" height="7"/>'
            )
        ours, lake = one.get("people_exposed"), one["lake"]["people_exposed"]
        told = f"{lake} / {'-' if ours is None else ours}"
        end = LEFT + room * lake / most + 6
        parts.append(f'<text class="w" x="{end:.1f}" y="{y + 13}">{told}</text>')
    bottom = TOP + ROW * len(rows)
    parts.append(f'<line class="l" x1="{LEFT}" y1="{TOP}" x2="{LEFT}" y2="{bottom}"/></svg>')
    return "\n".join(parts)


def _words(rows: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(
        f"{one['id']}: lake {one['lake']['people_exposed']}, Safehold"
        f" {'not tried' if one.get('people_exposed') is None else one['people_exposed']}"
        for one in rows
    )


__all__ = ["draw"]
