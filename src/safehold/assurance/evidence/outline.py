"""The report of a bundle as blocks: what the page and the paper both show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

WORDS: Final = {
    "satisfied": "satisfied",
    "not-satisfied": "NOT satisfied",
    "not-measured": "not measured",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One part of the report.

    Args:
        kind: ``h1``, ``h2``, ``p``, ``list`` or ``table``.
        text: A heading, a paragraph, or the caption of a table.
        items: Lines of a list.
        head: Column heads of a table.
        rows: Its rows.
        state: Number of the column that holds a state, -1 without one.
    """

    kind: str
    text: str = ""
    items: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    state: int = -1


def lay_out(claims: Mapping[str, Any], promises: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return the report.

    Args:
        claims: Those of the bundle.
        promises: Their history, as ``history.listing`` gives it.
    """
    charter = claims["charter"]
    at = f"{datetime.fromtimestamp(claims['at_ms'] / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    about = f"Home {claims['home']} on {at}, over {claims['size']} entries of its record {claims['origin']}."
    blocks = [
        Block(kind="h1", text="Evidence"),
        Block(kind="p", text=about),
        Block(
            kind="p",
            text="No charter is in force."
            if charter is None
            else f"{charter['title']}. Charter {charter['id']}, version {charter['version']},"
            f" digest {charter['digest']}.",
        ),
    ]
    if claims["made_up"]:
        blocks.append(
            Block(kind="p", text="This home is for made-up people: nothing in it is about anybody.")
        )
    blocks += [
        Block(kind="h2", text="What this does not prove"),
        Block(kind="list", items=(*claims["limits"], *claims["gaps"], claims["legal_text"])),
        _summary(claims),
    ]
    for name in _order(claims):
        blocks += _framework(claims, name, claims["frameworks"][name])
    blocks += [
        Block(kind="h2", text="Promises, day by day"),
        Block(
            kind="table",
            text="How often each promise was kept when it was measured",
            head=("promise", "measured", "kept", "broken"),
            rows=tuple(
                (str(one["promise"]), str(one["measured"]), str(one["kept"]), str(one["broken"]))
                for one in promises
            ),
        ),
        Block(kind="h2", text="Probes"),
        Block(
            kind="table",
            text="What every probe said, and the entries that show it",
            head=("probe", "state", "what it found", "entries"),
            rows=tuple(_probe(name, one) for name, one in sorted(claims["probes"].items())),
            state=1,
        ),
        Block(kind="h2", text="Check it yourself"),
        Block(
            kind="p",
            text="safehold-verify evidence BUNDLE --policy FILE. The policy must come from outside the bundle."
            f" Root of the record: {claims['root']}.",
        ),
    ]
    return blocks


def _summary(claims: Mapping[str, Any]) -> Block:
    rows = [
        (claims["frameworks"][name], *(str(claims["counts"][name][state]) for state in WORDS))
        for name in _order(claims)
    ]
    return Block(
        kind="table",
        text="Obligations by framework",
        head=("framework", *WORDS.values()),
        rows=tuple(rows),
    )


def _order(claims: Mapping[str, Any]) -> list[str]:
    """Return the frameworks in the order of the catalogue."""
    return list(dict.fromkeys(str(row["framework"]) for row in claims["rows"]))


def _framework(claims: Mapping[str, Any], name: str, title: str) -> list[Block]:
    rows = [row for row in claims["rows"] if row["framework"] == name]
    limits = {f"{row['clause']}: {one}" for row in rows for one in row["limits"]}
    return [
        Block(kind="h2", text=title),
        Block(
            kind="table",
            text=f"{name}: how each obligation stands",
            head=("clause", "demands", "controls", "state", "why"),
            rows=tuple(
                (
                    row["clause"],
                    row["demands"] + (" (people decide)" if row["mode"] == "assist" else ""),
                    ", ".join(row["controls"]),
                    WORDS[row["state"]],
                    row["reason"],
                )
                for row in rows
            ),
            state=3,
        ),
        *([Block(kind="list", items=tuple(sorted(limits)))] if limits else []),
    ]


def _probe(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    entries = ", ".join(str(leaf["leaf"]) for leaf in one["shown"])
    return (name, WORDS[one["state"]], one["reason"], entries)
