"""The page of a copy: what is held, why, who used it, in plain words with small pictures.

One file that opens anywhere: no script, no style of others, nothing is fetched. Every text that is not ours is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from typing import Any, Final

from safehold.charter import Charter

EPOCH: Final = date(1970, 1, 1)
MOST_BARS: Final = 120  # days in one picture; more of them are added up
MOST_USES: Final = 500  # in the page; the rest is in uses.json

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1b1b;background:#fff}table{border-collapse:collapse;width:100%;margin:1rem 0}"
    "th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc;vertical-align:top}"
    "svg{width:100%;height:4rem;background:#f3f3f3}rect{fill:#1d5fa6}figure{margin:1rem 0}"
    "figcaption{font-size:.9rem}h2{margin-top:2rem}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}svg{background:#262626}"
    "rect{fill:#7fb4ea}th,td{border-color:#444}}"
)
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_WHAT: Final = {
    "access.intent": "used",
    "ingest": "taken in",
    "choice": "a choice of yours was recorded",
    "lease": "a device was allowed to record you",
    "gap": "a record that nothing was recorded",
    "release": "a copy was sealed for you",
}
_STATUS: Final = {
    "shredded": "it would open nowhere any more",
    "rebuilt": "it would open nowhere any more; a later one was made without you",
    "bounded": "it would stay; what it can tell of any one person is bounded",
    "unsupported": "it would stay; nothing bounds what it tells of you",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One kind of data in a copy.

    Args:
        stream: Stream.
        what: The charter's word for it.
        rows: How many rows.
        days: Rows on each UTC day.
        ends: First and last day on which some of it ends.
        purposes: What it may serve.
        place: Jurisdiction.
        file: Name of its files, without the ending.
    """

    stream: str
    what: str
    rows: int
    days: Mapping[int, int]
    ends: tuple[int, int]
    purposes: tuple[str, ...]
    place: str
    file: str


def leaflet(
    *,
    person: str,
    at: str,
    parts: Sequence[Part],
    uses: Sequence[Mapping[str, Any]],
    made: Sequence[Mapping[str, Any]],
    chosen: Mapping[str, Any],
    charter: Charter,
    rights: Sequence[str],
) -> str:
    """Return the page."""
    lines = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>What is held about {escape(person)}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>What is held about {escape(person)}</h1>",
        f"<p>Made on {escape(at)} for you alone: sealed to your key, so that nobody who carried it could read it.</p>",
        *_held(parts),
        *_purposes(charter),
        *_used(uses),
        *_made(made),
        *_chosen(chosen),
        "<h2>Your rights</h2>",
        _list(rights),
        _answers(charter),
        "<h2>What is not in it</h2>",
        _list(
            (
                "what your employer holds outside this system",
                "what was being taken in when this was made",
                "what has ended by its retention: it opens for nobody, you included",
                "whether the list of uses is complete, which trail/package.json proves: safehold-verify package",
            )
        ),
        "</main></body></html>",
    ]
    return "\n".join(lines) + "\n"


def _answers(charter: Charter) -> str:
    who = charter.controller
    return (
        f"<p>{escape(who.name)} answers for this: {escape(who.contact)}. "
        f"The data protection officer: {escape(who.dpo)}.</p>"
    )


def _held(parts: Sequence[Part]) -> Iterator[str]:
    yield "<h2>What is held</h2>"
    if not parts:
        yield "<p>No data of yours is held now.</p>"
        return
    yield _table(
        ("what", "rows", "from", "until", "ends", "may serve", "where"),
        (
            (
                part.what,
                f"{part.rows:,}",
                _day(min(part.days)),
                _day(max(part.days)),
                _day(part.ends[0])
                if part.ends[0] == part.ends[1]
                else f"{_day(part.ends[0])} to {_day(part.ends[1])}",
                ", ".join(part.purposes),
                part.place,
            )
            for part in parts
        ),
    )
    for part in parts:
        yield _picture(part)
    yield (
        "<p>Each row is in the files that are named, twice: .jsonl opens in any editor, .parquet in any "
        "tool for data. What the charter says is masked was masked before anything was kept.</p>"
    )


def _picture(part: Part) -> str:
    first, last = min(part.days), max(part.days)
    step = (last - first) // MOST_BARS + 1
    bars: dict[int, int] = {}
    for day, rows in part.days.items():
        bars[(day - first) // step] = bars.get((day - first) // step, 0) + rows
    count, highest = (last - first) // step + 1, max(bars.values())
    shapes = "".join(
        f'<rect x="{at}.1" y="{100 - 100 * rows / highest:.1f}" width=".8" height="{100 * rows / highest:.1f}"/>'
        for at, rows in sorted(bars.items())
    )
    title = (
        f"{part.what}: rows on each {'day' if step == 1 else f'{step} days'}, {highest:,} at most"
    )
    return (
        f'<figure><svg viewBox="0 0 {count} 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>{shapes}</svg>'
        f"<figcaption>{escape(title)}; {_day(first)} to {_day(last)}; files {escape(part.file)}.jsonl and .parquet"
        "</figcaption></figure>"
    )


def _purposes(charter: Charter) -> Iterator[str]:
    yield "<h2>What for</h2>"
    yield _table(
        ("purpose", "in words"), ((name, one.plain) for name, one in charter.purposes.items())
    )
    yield "<p>What nobody may do with it, whoever agrees:</p>"
    yield _list([line.words() for line in charter.red_lines])


def _used(uses: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "<h2>Who used it</h2>"
    yield (
        "<p>Nobody received rows of yours. Code that was admitted ran on them in a closed room; each time is an entry "
        "of a record that nobody can rewrite.</p>"
    )
    shown = uses[-MOST_USES:]
    if len(shown) < len(uses):
        yield f"<p>The newest {len(shown)} of {len(uses)}; all are in uses.json.</p>"
    yield _table(
        ("when", "entry", "what", "for", "by", "asked by"),
        (
            (
                str(one["at"]),
                str(one["entry"]),
                _WHAT.get(str(one["what"]), str(one["what"])),
                str(one["purpose"]),
                str(one.get("recipe", "")),
                str(one.get("asked_by", "")),
            )
            for one in shown
        ),
    )


def _made(made: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "<h2>What was made from it</h2>"
    if not made:
        yield "<p>Nothing that is kept.</p>"
        return
    yield _table(
        ("what", "name", "if you were erased"),
        (
            (str(one["kind"]), str(one["id"]), f"{one['status']}: {_STATUS[str(one['status'])]}")
            for one in made
        ),
    )


def _chosen(chosen: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>What you chose</h2>"
    streams = ", ".join(map(str, chosen["streams"])) or "nothing"
    yield f"<p>You agreed to: {escape(streams)}. Recorded in: {escape(str(chosen['evidence']) or 'nowhere')}.</p>"
    if chosen["withdrawn_us"] is not None:
        yield "<p>You have withdrawn: nothing of yours is used.</p>"
    yield f"<p>Pauses so far: {len(chosen['pauses'])}. All of it is in choices.json.</p>"


def _table(head: Sequence[str], rows: Any) -> str:
    cells = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(one)}</td>" for one in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(one)}</li>" for one in lines) + "</ul>"


def _day(number: int) -> str:
    return str(EPOCH + timedelta(days=number))
