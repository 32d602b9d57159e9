"""The report after an incident: what the record shows, each claim with the entry that shows it.

A program draws it up from leaves; people add what no leaf can know, and publish it by its hash. Nobody is named: who
did something is told by role or seat, and people are counted. Every entry that a claim names comes with a proof that
it is in the log, so a reader needs neither this program nor whoever runs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from safehold.charter import Charter
from safehold.charter.legal.page import Page, begin, limits
from safehold.clock import moment_of
from safehold.errors import SafeholdError
from safehold.incident.count import in_words
from safehold.incident.severity import SCALE
from safehold.incident.timeline import Event
from safehold.keeper.incident import Incident
from safehold.ledger import Ledger

NAME: Final = "post-mortem"  # of the published document
MOST_SHOWN: Final = 400  # lines of the timeline in the report; all of them are in the JSON
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A drawn-up report.

    Args:
        text: Markdown.
        entries: Leaves that its claims name, in order.
    """

    text: str
    entries: tuple[int, ...]


def draw_report(
    one: Incident,
    charter: Charter,
    ledger: Ledger,
    *,
    events: Sequence[Event],
    reach: Mapping[str, Any],
    clocks: Sequence[Mapping[str, Any]],
) -> Report:
    """Draw up the report of an incident.

    Args:
        one: The incident.
        charter: The charter in force.
        ledger: The record; sealed parts of grants and refusals are read for seats and rules.
        events: Its timeline.
        reach: Counts of whom and what it reached.
        clocks: Its clocks.
    """
    page = begin(charter, f"Report of incident {one.index}")
    _facts(page, one, events)
    page.head("In short")
    page.ask("what happened and why, in five plain sentences; blame no person")
    page.head("Root cause")
    if causes := one.caused():
        page.items(
            f"published with hash {sha} (entry {index})" for index, sha in sorted(causes.items())
        )
    else:
        page.say("No root cause is published.")
    page.head("What was allowed, and what was refused")
    page.items(
        (
            f"{reach['uses']} uses, {reach['uses_finished']} of them with a result{_shown(events, 'access.intent')}",
            (
                f"data of {in_words(reach['people'])} people was used;"
                f" that of {in_words(reach['could'])} more could have been opened with a key;"
                f" up to {in_words(reach['erased'])} were erased since"
            ),
            f"{reach['refused']} attempts were refused{_shown(events, 'refusal')}",
        )
    )
    page.head("Guards that held")
    rules = _rules(events, ledger)
    page.items(
        f"{rule}: {len(found)} times{_entries(found)}" for rule, found in sorted(rules.items())
    )
    page.head("Guards that did not hold, or were not there")
    page.items(_failed(events))
    page.head("What contributed")
    page.items(_contributed(events, ledger))
    page.head("Clocks")
    page.table(
        ("clock", "due", "state", "entry"),
        [
            (
                str(clock["clock"]),
                "-" if clock["due_us"] is None else _when(clock["due_us"] // 1000),
                str(clock["state"]),
                "-" if clock["entry"] is None else str(clock["entry"]),
            )
            for clock in clocks
        ],
    )
    page.head("Actions")
    page.items(
        f"{'done' if done else 'open'} (entry {index})"
        for index, done in sorted(one.actions.items())
    )
    page.head("Timeline")
    page.table(
        ("entry", "when", "what"),
        [(str(event.index), _when(event.at_ms), event.sentence) for event in events[:MOST_SHOWN]],
    )
    if len(events) > MOST_SHOWN:
        page.say(f"{len(events) - MOST_SHOWN} more are in the timeline.")
    page.head("What this does not prove")
    page.items(limits())
    text = page.text()
    return Report(text=text, entries=tuple(sorted({*claimed(text), *_listed(events)})))


def claimed(text: str) -> tuple[int, ...]:
    """Return the entries that a report names, in order."""
    found = {int(number) for group in _CLAIM.findall(text) for number in _NUMBER.findall(group)}
    return tuple(sorted(found))


_CLAIM: Final = re.compile(r"\((?:entry|entries) ([0-9, ]+)")
_NUMBER: Final = re.compile(r"[0-9]+")


def _facts(page: Page, one: Incident, events: Sequence[Event]) -> None:
    first_use = next((event for event in events if event.lane in ("use", "out")), None)
    contained = next(
        (
            event
            for event in events
            if event.lane == "held back" and event.at_ms == one.contained_ms
        ),
        None,
    )
    rows = [
        ("opened", f"{_when(one.opened_ms)} (entry {one.index})"),
        ("known since", _when(one.aware_ms)),
        ("found by", _found_by(one)),
        ("severity", f"{one.grave} of 0 (gravest) to 5: {SCALE[one.grave].name}"),
        ("state", one.state),
    ]
    if first_use is not None:
        rows.append(
            (
                "from the first use to when somebody knew",
                f"{_hours(one.aware_ms - first_use.at_ms)} (entry {first_use.index})",
            )
        )
    if one.contained_ms:
        where = "" if contained is None else f" (entry {contained.index})"
        rows.append(("from then to contained", f"{_hours(one.contained_ms - one.aware_ms)}{where}"))
    if one.closed_ms:
        rows.append(("closed", f"{_when(one.closed_ms)} (entry {one.ended})"))
    page.table(("", ""), rows)


def _found_by(one: Incident) -> str:
    if one.alert is not None:
        return f"an alert (entry {one.alert})"
    return f"a person, or the keeper itself (entry {one.index})"


def _rules(events: Sequence[Event], ledger: Ledger) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for event in events:
        if event.kind == "refusal":
            rule = str(event.facts.get("rule", ""))
            if not rule:
                rule = str(
                    _sealed(ledger, event.index).get("rule", "a rule that nobody can read any more")
                )
            found.setdefault(rule, []).append(event.index)
    return found


def _failed(events: Sequence[Event]) -> list[str]:
    found = []
    for event in events:
        facts = event.facts
        match event.kind:
            case "review" if facts.get("outcome") in ("misuse", "differs"):
                found.append(
                    f"a use was not as stated, by a review: {facts['outcome']} (entry {event.index})"
                )
            case "drill" if facts.get("state") not in (None, "held"):
                found.append(
                    f"the drill's {facts.get('scenario', 'attack')}: {facts['state']} (entry {event.index})"
                )
            case "milestone" if facts.get("state") == "broken":
                found.append(f"the promise {facts.get('promise')} was broken (entry {event.index})")
            case "access.result" if facts.get("outcome") in ("lost", "failed"):
                found.append(f"a use ended as {facts['outcome']} (entry {event.index})")
            case _:
                pass
    return found or ["none, as far as the record shows"]


def _contributed(events: Sequence[Event], ledger: Ledger) -> Iterator[str]:
    for event in events:
        facts = event.facts
        match event.kind:
            case "drift" if facts.get("state") == "found":
                yield f"what ran was not what was signed: clause {facts.get('clause', '?')} (entry {event.index})"
            case "charter":
                way = {"widen": "allows more", "narrow": "allows less"}.get(
                    str(facts.get("direction")), "is the first"
                )
                yield f"version {facts.get('version')} of the charter {way} (entry {event.index})"
            case "key.change":
                yield f"keys were changed: {facts.get('level')}, {facts.get('state')} (entry {event.index})"
            case "grant" if facts.get("state") == "approved":
                told = _sealed(ledger, event.index)
                seats = (
                    ", ".join(map(str, told.get("seats", ())))
                    or "seats that nobody can read any more"
                )
                role = (
                    str(told.get("grant", {}).get("requester", {}).get("role", ""))
                    or "an agent or unknown"
                )
                glass = ", in an emergency" if told.get("grant", {}).get("break_glass") else ""
                yield f"access was granted to the role {role} by {seats}{glass} (entry {event.index})"
            case "alert":
                yield f"an alert of {facts.get('signal')}, severity {facts.get('severity')} of 4 (entry {event.index})"
            case "stop" | "resume":
                yield f"{event.sentence} (entry {event.index})"
            case _:
                pass


def _sealed(ledger: Ledger, index: int) -> Mapping[str, Any]:
    try:
        return dict(ledger.detail(index)["detail"])
    except SafeholdError:
        return {}


def _shown(events: Sequence[Event], kind: str) -> str:
    return _entries([event.index for event in events if event.kind == kind])


def _entries(found: Sequence[int]) -> str:
    """Return where something stands: every entry that is not too many, else the first and the last."""
    if not found:
        return ""
    if len(found) == 1:
        return f" (entry {found[0]})"
    return f" (entries {', '.join(map(str, found if len(found) <= MOST_SHOWN else (found[0], found[-1])))})"


def _listed(events: Sequence[Event]) -> tuple[int, ...]:
    return tuple(event.index for event in events[:MOST_SHOWN])


def _hours(ms: int) -> str:
    return f"{ms / HOUR_MS:.2f} hours"


def _when(at_ms: int) -> str:
    return f"{moment_of(at_ms * 1000)[:19].replace('T', ' ')} UTC"


def to_html(text: str, *, title: str, picture: str = "") -> str:
    """Return a report as one HTML page that needs nothing else: headings, paragraphs, lists, tables and a picture.

    Args:
        text: Markdown as ``draw_report`` makes it.
        title: Of the page.
        picture: SVG that is put after the first table.
    """
    body: list[str] = []
    for block in text.split("\n\n"):
        lines = block.strip().splitlines()
        if not lines:
            continue
        if lines[0].startswith("#"):
            level = min(len(lines[0]) - len(lines[0].lstrip("#")), 6)
            body.append(f"<h{level}>{escape(lines[0].lstrip('# '))}</h{level}>")
        elif lines[0].startswith("- "):
            items = "".join(f"<li>{escape(line[2:])}</li>" for line in lines)
            body.append(f"<ul>{items}</ul>")
        elif lines[0].startswith("|"):
            body.append(_table(lines))
            if picture:
                body.append(f"<figure>{picture}</figure>")
                picture = ""
        else:
            body.append(f"<p>{escape(' '.join(lines))}</p>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}"
    "table{border-collapse:collapse}td,th{border:1px solid #c9c9c9;padding:.25rem .6rem;text-align:left;"
    "vertical-align:top}figure{margin:1rem 0;overflow-x:auto}"
)


def _table(lines: Sequence[str]) -> str:
    rows = [
        [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for number, line in enumerate(lines)
        if number != 1
    ]
    cells = [
        "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
        for tag, row in ((("th" if number == 0 else "td"), row) for number, row in enumerate(rows))
    ]
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"
