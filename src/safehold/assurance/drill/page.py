"""A run as one static page: no script, no remote part, light and dark, for small screens too. It holds counts only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

from safehold.assurance.drill.picture import draw

_STYLE: Final = """
:root{--ink:#14212e;--soft:#566573;--line:#d5dde5;--pale:#eef3f8;--good:#1f6b38;--bad:#a32a1d;--odd:#7a5200;--paper:#fff}
@media (prefers-color-scheme:dark){:root{--ink:#e8eef4;--soft:#a9b7c4;--line:#3a4856;--pale:#1f2a35;--good:#7fcf9a;
--bad:#ff9d90;--odd:#f0c060;--paper:#121a22}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:64rem;margin:0 auto;padding:1rem}
h1{font-size:1.6rem;margin:.2rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.6rem;padding:0;list-style:none}
.facts li{background:var(--pale);border-radius:.5rem;padding:.6rem}.facts b{display:block;font-size:1.4rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.held{color:var(--good);font-weight:bold}.broken{color:var(--bad);font-weight:bold}.unable{color:var(--odd);font-weight:bold}
small{color:var(--soft);display:block}svg{width:100%;height:auto}
footer{color:var(--soft);margin-top:2rem;border-top:1px solid var(--line);padding-top:.7rem}
"""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_CLASS: Final = {"held": "held", "broken": "broken"}
_FIGURES: Final = ("people_exposed", "records_readable", "segments_exposed", "canaries_exposed")


def render(report: Mapping[str, Any], *, made: str) -> str:
    """Return the page of a run.

    Args:
        report: ``Report.to_json``.
        made: When it was run, in words.
    """
    head = report["headline"]
    scenarios = report["scenarios"]
    blind = head["does_not_discriminate"]
    parts = [
        "<h1>The drill</h1>",
        f"<p>{escape(_lead(head))}</p>",
        _facts(head, report),
        draw(scenarios),
        "<h2>Every scenario</h2>",
        _table(scenarios),
        "<h2>At rest and live, at each level of the keeper</h2>",
        _levels(scenarios),
        "<h2>What does not discriminate</h2>",
        f"<p>{escape(_blind(blind, head['control_could_not_run']))}</p>",
        "<h2>What broke, and what could not run</h2>",
        _list(f"{one['id']}: {one['reason']}" for one in scenarios if one["reason"]),
        "<h2>What this does not show</h2>",
        _list(report["limits"]),
        (
            f"<footer>Run {escape(report['run'])}, {escape(made)}, {report['seconds']:g} seconds,"
            f" {report['size'].get('people', 0)} made-up people.</footer>"
        ),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>The drill</title><style>{_STYLE}</style></head><body><main>"
        + "\n".join(parts)
        + "</main></body></html>\n"
    )


def _lead(head: Mapping[str, Any]) -> str:
    return (
        f"{head['of']} attacks were tried on this deployment, on a twin of it and on a plain lake with the same made-up"
        f" people. {head['held']} were withstood, {head['broken']} came through, {head['could_not_run']} could not be"
        " tried."
    )


def _facts(head: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    rest, live, lake = (
        head[name]
        for name in (
            "people_exposed_at_rest", "people_exposed_live", "people_exposed_in_the_lake",
        )
    )  # fmt: skip
    facts = (
        (rest, "people exposed at rest"),
        (live, "people inside one running segment"),
        (lake, "people exposed by the lake"),
        (f"{head['held']}/{head['of']}", "withstood"),
        ("yes" if report["recorded"] else "no", "in the ledger"),
    )
    items = "".join(
        f"<li><b>{escape(f'{figure:,}' if isinstance(figure, int) else str(figure))}</b>{escape(word)}</li>"
        for figure, word in facts
    )
    return f'<ul class="facts">{items}</ul>'


def _table(scenarios: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for one in scenarios:
        state = one["status"]
        cells = "".join(
            f'<td class="n">{_number(one[name])}<small>{_number(one["lake"][name])}</small></td>'
            for name in _FIGURES
        )
        rows.append(
            f"<tr><td>{one['id']} {escape(one['title'])}<small>{escape(one['attacker'])}</small></td>"
            f'<td class="{_CLASS.get(state, "unable")}">{state}</td>{cells}'
            f'<td class="n">{_seconds(one["detect_s"])}</td><td class="n">{_seconds(one["contain_s"])}</td>'
            f"<td>{_control(one)}</td></tr>"
        )
    heads = "".join(
        f'<th class="n">{word}<small>in the lake</small></th>'
        for word in ("people", "rows", "segments", "planted secrets")
    )
    return (
        '<div class="wide"><table><thead><tr><th>attack</th><th></th>'
        + heads
        + '<th class="n">noticed</th><th class="n">contained</th><th>guards off</th></tr></thead><tbody>'
        + "".join(rows)
        + "</tbody></table></div>"
    )


def _levels(scenarios: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for one in scenarios:
        for level, found in one["levels"].items():
            told = "".join(
                f'<td class="n">{_number((found.get(side) or {}).get("people_exposed"))}'
                f"<small>{_number((found.get(side) or {}).get('segments_exposed'))} segments</small></td>"
                for side in ("at_rest", "live")
            )
            state = found["status"]
            rows.append(
                f"<tr><td>{one['id']}</td><td>{level}</td>"
                f'<td class="{_CLASS.get(state, "unable")}">{state}'
                f"<small>{escape(found.get('reason') or '')}</small></td>{told}</tr>"
            )
    if not rows:
        return "<p>No level was tried besides in this run.</p>"
    return (
        '<div class="wide"><table><thead><tr><th></th><th>level</th><th></th>'
        '<th class="n">people at rest</th><th class="n">people live</th></tr></thead><tbody>'
        + "".join(rows)
        + "</tbody></table></div>"
    )


def _control(one: Mapping[str, Any]) -> str:
    match one["discriminates"]:
        case True:
            return "red, as it must be"
        case False:
            return '<span class="broken">does not discriminate</span>'
        case _:
            return f"could not run<small>{escape(one['control'].get('reason') or '')}</small>"


def _blind(blind: list[str], unable: list[str]) -> str:
    words = [
        f"With its guards off it still held, so it shows nothing: {', '.join(blind)}."
        if blind
        else "Nothing: every control that ran turned red."
    ]
    if unable:
        words.append(f"Whose control could not run: {', '.join(unable)}.")
    return " ".join(words)


def _list(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else "<p>Nothing.</p>"


def _number(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


__all__ = ["render"]
