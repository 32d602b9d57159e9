"""A page of what was missed and what was wrongly found, without any value.

Of a span the page tells its class, how long it is and its shape: runs of capitals, small letters and digits,
counted in steps, so that nobody can tell which one it was. Of what stands around it only the lengths are told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from safehold.dlp.classes import CLASSES
from safehold.dlp.score import class_of, covered
from safehold.dlp.settle import Finding

_RUNS: Final = re.compile(r"(.)\1*")
_ROWS: Final = 400
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ccc;padding:.3rem .6rem;text-align:left}"
    "td:nth-child(n+5){text-align:right}code{white-space:pre-wrap}"
)


def shape_of(text: str) -> str:
    """Return the shape of a text: ``X`` capitals, ``x`` small letters, ``9`` digits, ``?`` other letters.

    A run is written once when it is one sign long, twice up to three, and with a plus when longer; a shape ends
    after twelve runs. Signs between are kept, blanks are written as a blank.
    """
    plain = "".join(map(_sign, text[:200]))
    runs = [run.group(0) for run in _RUNS.finditer(plain)]
    parts = [_run(run) for run in runs[:12]]
    return "".join(parts) + ("..." if len(runs) > 12 or len(text) > 200 else "")


def _sign(sign: str) -> str:
    if sign.isdigit():
        return "9"
    if sign.isalpha():
        if not sign.isascii():
            return "?"
        return "X" if sign.isupper() else "x"
    return " " if sign.isspace() else sign if sign in "-_.,:;/@#+()[]'\"=&" else "*"


def _run(run: str) -> str:
    if len(run) == 1 or run[0] not in "Xx9?":
        return run[0]
    return run[0] * 2 if len(run) <= 3 else run[0] + "+"


class Misses:
    """Gathers misses and false alarms over documents."""

    def __init__(self) -> None:
        self._rows: Counter[tuple[str, str, str, str, str]] = Counter()

    def add(
        self, text: str, gold: Iterable[tuple[int, int, str]], found: Sequence[Finding]
    ) -> None:
        """Take one document: gold spans with labels, findings that do not overlap."""
        named: list[tuple[int, int, str]] = []
        for start, end, label in gold:
            try:
                name = class_of(label)
            except KeyError:
                continue
            if name is not None:
                named.append((start, end, name))
        for start, end, name in named:
            same = [(one, two) for one, two, kind, *_ in found if kind == name]
            if 2 * covered((start, end), same) < end - start:
                self._note("missed", name, text, (start, end), _nearest(found, start, end))
        for start, end, name, _, rule in found:
            same = [(one, two) for one, two, kind in named if kind == name]
            if 2 * covered((start, end), _union(same)) < end - start:
                self._note("not in the gold", name, text, (start, end), rule)

    def _note(self, what: str, name: str, text: str, span: tuple[int, int], rule: str) -> None:
        start, end = span
        around = f"{_step(start)} / {_step(len(text) - end)}"
        self._rows[(what, name, rule, shape_of(text[start:end]), around)] += 1

    def page(self, report: Mapping[str, Any]) -> str:
        """Return the page as HTML; it loads nothing from elsewhere."""
        head = "".join(
            f"<th>{word}</th>"
            for word in ("what", "class", "rule nearest", "shape", "before / after", "times")
        )
        rows = sorted(self._rows.items(), key=lambda row: (row[0][0] != "missed", -row[1], row[0]))
        body = "".join(
            "<tr>"
            + "".join(f"<td><code>{escape(value)}</code></td>" for value in key)
            + f"<td>{count}</td></tr>"
            for key, count in rows[:_ROWS]
        )
        left = max(0, len(rows) - _ROWS)
        return (
            "<!doctype html><html lang=en><meta charset=utf-8><title>Misses</title>"
            f"<style>{_STYLE}</style><h1>What was missed</h1>"
            f"<p>Tier {escape(str(report['tier']))}, {report['documents']} documents, rules "
            f"<code>{escape(str(report['rules'])[:16])}</code>. The page holds no text: X is a capital, x a small "
            "letter, 9 a digit, ? another letter, + a run of four or more. Lengths around a span are in characters, in "
            "steps.</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            + (f"<p>{left} rarer rows are left out.</p>" if left else "")
            + f"<p>Classes: {len(CLASSES)}.</p></html>\n"
        )


def _step(length: int) -> str:
    for bound in (0, 9, 99, 999):
        if length <= bound:
            return str(bound) if bound == 0 else f"up to {bound}"
    return "1000 or more"


def _nearest(found: Sequence[Finding], start: int, end: int) -> str:
    touching = [one for one in found if one[0] < end and one[1] > start]
    return f"{touching[0][4]} as {touching[0][2]}" if touching else "none"


def _union(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
