"""Machine forms of the red lines that older charters state only in prose.

Prose enforces nothing: editing it changes nothing and adding it adds nothing. So a red line either
carries a machine form, or has one of the ids below with the very words that the form fixed here was
made for; any other line of prose alone is refused, and so are other words under one of these ids.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from safehold.charter.model import RedLine
from safehold.charter.vocabulary import ROWS

KNOWN: Final[dict[str, dict[str, Any]]] = {
    "no-raw-to-people": {
        "forbid_actions": tuple(action for action in ROWS if action != "join_external")
    },
    "no-single-person-query": {"min_people": 50},
    "no-cross-join": {
        "forbid_actions": ("join_external",),
        "forbid_beside": ("hr", "badge", "payroll", "medical"),
    },
}


WORDS: Final[dict[str, str]] = {
    "no-raw-to-people": "no human ever receives raw pointer, keystroke or prompt data",
    "no-single-person-query": "no answer about fewer than 50 people",
    "no-cross-join": ("no table ever holds telemetry beside HR, badge, payroll or medical data"),
}


def forms(line: RedLine) -> RedLine:
    """Return a red line with its machine form.

    A line that carries a form of its own keeps it; a line of prose alone gets the form of its id,
    if there is one for these words.
    """
    if _formed(line) or line.rule != WORDS.get(line.id, ""):
        return line
    return replace(line, **KNOWN[line.id])


def falls_short(line: RedLine) -> bool:
    """Tell whether a line has words that stand for a machine form, and a form of its own that bans less."""
    if line.rule is None or line.rule != WORDS.get(line.id):
        return False
    full = forms(line)
    for key, least in KNOWN[line.id].items():
        given = getattr(full, key)
        enough = (given or 0) >= least if key == "min_people" else {*given} >= {*least}
        if not enough:
            return True
    return False


def _formed(line: RedLine) -> bool:
    return bool(
        line.terms() or line.forbid_actions or line.forbid_beside or line.min_people is not None
    )
