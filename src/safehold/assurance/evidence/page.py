"""The report as one HTML page: no script, nothing from elsewhere, readable on paper and by a screen reader."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from safehold.assurance.evidence.outline import WORDS, Block

_STYLE: Final = """
:root{--ink:#14212e;--soft:#4b5a67;--line:#c6d0d9;--paper:#fff;--good:#1d6b38;--bad:#a3231c;--none:#5c5300}
@media (prefers-color-scheme:dark){:root{--ink:#e8eef4;--soft:#a9b7c4;--line:#3a4856;--paper:#121a22;
--good:#7fcf9a;--bad:#ff9d90;--none:#e6d35c}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:70rem;margin:0 auto;padding:1rem}
h1{font-size:1.7rem}h2{font-size:1.2rem;margin:2rem 0 .5rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
caption{text-align:left;color:var(--soft);padding:.3rem 0}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line)}
.satisfied{color:var(--good);font-weight:600}.not-satisfied{color:var(--bad);font-weight:700}
.not-measured{color:var(--none);font-weight:600}
td[class]{white-space:nowrap}td,th{overflow-wrap:break-word}p,li{overflow-wrap:anywhere}svg{width:100%;height:auto;max-width:44rem}
@media print{body{font-size:10pt}.wide{overflow:visible}tr{break-inside:avoid}h2{break-after:avoid}}
"""
_STATES: Final = {word: state for state, word in WORDS.items()}


def render(blocks: Sequence[Block], *, picture: str = "") -> str:
    """Return the page.

    Args:
        blocks: From ``outline.lay_out``.
        picture: The SVG of ``history.draw``, shown before the table of promises.
    """
    title = next((one.text for one in blocks if one.kind == "h1"), "Evidence")
    parts = []
    for one in blocks:
        parts.append(_block(one))
        if picture and one.kind == "h2" and one.text.startswith("Promises"):
            parts.append(f"<figure>{picture}</figure>")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _block(one: Block) -> str:
    match one.kind:
        case "h1" | "h2":
            return f"<{one.kind}>{escape(one.text)}</{one.kind}>"
        case "list":
            return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in one.items) + "</ul>"
        case "table":
            return _table(one)
        case _:
            return f"<p>{escape(one.text)}</p>"


def _table(one: Block) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in one.head)
    rows = "".join(
        "<tr>"
        + "".join(_cell(text, at, state=at == one.state) for at, text in enumerate(row))
        + "</tr>"
        for row in one.rows
    )
    # a wide table scrolls by itself, and by keyboard
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(one.text)}">'
        f"<table><caption>{escape(one.text)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cell(text: str, at: int, *, state: bool) -> str:
    if at == 0:
        return f'<th scope="row">{escape(text)}</th>'
    kind = f' class="{_STATES[text]}"' if state else ""
    return f"<td{kind}>{escape(text)}</td>"
