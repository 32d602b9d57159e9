"""Machine forms of the red lines that older charters state only in prose.

Prose enforces nothing: editing it changes nothing and adding it adds nothing. So a red line either
carries a
machine form, or has one of the ids below, whose form is fixed here; any other line of prose alone
is refused.
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


def forms(line: RedLine) -> RedLine:
    """Return a red line with its machine form.

    A line that carries a form of its own keeps it; a line of prose alone gets the form of its id,
    if there is one.
    """
    own = line.terms() or line.forbid_actions or line.forbid_beside or line.min_people is not None
    return line if own or line.id not in KNOWN else replace(line, **KNOWN[line.id])
