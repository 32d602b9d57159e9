"""What somebody may use and why not, and how a grant is used: for the pages of those who work with data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safehold.access import Grant
from safehold.portal.words import Translate, mark

_RECIPES = {
    "train": mark("train a model on features"),
    "reidentify": mark("measure how well people could be found again"),
    "membership": mark("measure whether a model tells who was in it"),
    "pull": mark("take a model out"),
    "embed": mark("make vectors of text"),
    "embed.near": mark("ask vectors what is near"),
    "embed.head": mark("train on vectors"),
}
# refusals that are told in the visitor's language; any other is told in the keeper's words
_WHY = {
    "charter.purpose": mark("The charter does not give your role this purpose."),
    "charter.role": mark("The charter knows no such role, or gives it no grants."),
    "grant.role": mark("The charter gives your role no grants."),
    "grant.stage": mark("The charter does not let your role or this purpose work in that stage."),
    "attack.stage": mark("The charter does not let your role or this purpose work in that stage."),
    "grant.stream": mark("The charter does not let this purpose use that data."),
    "request.streams": mark("This purpose takes in nothing that could be used so."),
    "charter.default": mark("Nothing in the charter allows it."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One thing that could be done for a purpose.

    Args:
        recipe: Its name for the keeper.
        name: What it is, translated.
        may: Whether the caller's role may ask for it.
        what: Kinds of data that it reads.
        why: Why not, translated where it can be.
        rule: The rule that says no.
    """

    recipe: str
    name: str
    may: bool
    what: str
    why: str
    rule: str


def ways(
    purposes: Sequence[Mapping[str, Any]], *, t: Translate
) -> list[tuple[str, str, tuple[Way, ...]]]:
    """Return each purpose, what it is in words, and what may be done for it; what may stands first."""
    return [
        (
            one["purpose"],
            one["plain"],
            tuple(sorted((_way(use, t) for use in one["uses"]), key=lambda way: not way.may)),
        )
        for one in purposes
    ]


def _way(use: Mapping[str, Any], t: Translate) -> Way:
    rule = str(use.get("rule") or "")
    why = "" if use["may"] else (t(_WHY[rule]) if rule in _WHY else str(use["why"]))
    return Way(
        recipe=use["recipe"],
        name=t(_RECIPES[use["recipe"]]),
        may=use["may"],
        what=", ".join(use.get("streams", ())),
        why=why,
        rule=rule,
    )


_COMMANDS = {
    "train": "safehold enclave train --purpose {purpose}",
    "reidentify": "safehold attack dataset --purpose {purpose}",
    "membership": "safehold attack membership --purpose {purpose}",
    "repair": "safehold ingest repair",
    "pull": "safehold artifact pull ARTIFACT --out FOLDER --purpose {purpose}",
    "embed": "safehold enclave embed --stream STREAM --purpose {purpose}",
    "embed.near": "safehold enclave near --text TEXT --purpose {purpose}",
    "embed.head": "safehold enclave head --purpose {purpose}",
}


def command(grant: Grant) -> str:
    """Return the command that uses a grant: with the file of the request, and the holder's own key."""
    # own code is run by its file; its recipe names the script
    begin = _COMMANDS.get(grant.recipes[0], "safehold enclave run SCRIPT")
    return f"{begin.format(purpose=grant.purpose)} --grant {grant.id}.json --holder KEY"


def spending(shown: Mapping[str, Any], *, t: Translate) -> list[tuple[str, int, int, int]]:
    """Return of each total of a grant its name, what was stated, what was used, and what is left."""
    rows = []
    for name, label in (
        ("runs", t("Runs")),
        ("rows", t("Rows")),
        ("bytes", t("Bytes out")),
        ("epsilon_micro", t("Epsilon, millionths")),
    ):
        stated, done = shown["stated"][name], max(shown["done"][name], 0)
        rows.append((label, stated, done, max(stated - done, 0)))
    return rows
