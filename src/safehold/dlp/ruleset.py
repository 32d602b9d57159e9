"""The rules as they are written in the data files: patterns in RE2 syntax, grouped by what they find.

A rule that is keyed by words names them in ``needs``: it finds nothing in a row that holds none of them, in
any case. What else a row must hold for a rule to be tried there, the engine works out of its pattern.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from safehold.dlp.makers import expand
from safehold.errors import InvalidError

Read = Callable[[str], bytes]
_MAKERS: Final = "patterns/makers.json"
_GATE: Final = "patterns/gate.json"
_GROUPS: Final = (
    "patterns/identifiers.json",
    "patterns/numbers.json",
    "patterns/places.json",
    "patterns/times.json",
    "patterns/people.json",
    "patterns/secrets.json",
    "patterns/sensitive.json",
    "patterns/commands.json",
)
RULE_FILES: Final = (*_GROUPS, _MAKERS, _GATE, "patterns/open_keys.json")


def rule_items(read: Read) -> list[dict[str, Any]]:
    """Return the rules of all files in order: id, class, pattern, check, and what else they say.

    Args:
        read: Returns the bytes of a data file of this package.

    Raises:
        InvalidError: Two rules have one id.
    """
    items = [item for name in _GROUPS for item in json.loads(read(name))["rules"]]
    items += expand(json.loads(read(_MAKERS)))
    if len({item["id"] for item in items}) != len(items):
        raise InvalidError("two rules have one id", rule="dlp.pattern")
    return items


def gate_of(read: Read) -> str:
    """Return the pattern that every text with a span matches: the wide one, and all words of ``needs``."""
    wide = json.loads(read(_GATE))["gate"]
    words = sorted({need for item in rule_items(read) for need in item.get("needs", ())})
    return str(wide) + "".join(f"|(?i:{_quoted(word)})" for word in words)


def _quoted(word: str) -> str:
    return "".join(sign if sign.isalnum() or sign == " " else f"\\{sign}" for sign in word)
