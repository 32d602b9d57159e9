"""Keys of known makers, as facts: which word stands near them, which signs they hold, how many.

The facts (words, prefixes, lengths, alphabets) are those that the rules of gitleaks state (MIT licence,
see NOTICE.md beside this file); the patterns made of them here are our own and RE2 syntax.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

# maker word, what may follow it in a name, an assignment, an opening quote
_ASSIGNED: Final = (
    "[ \\t\\w.-]{0,24}[\"'\\s\\])]{0,3}(?:[=:>,]|\\|\\||\\?=)[=:>]{0,3}[\\x60\"'\\s=(]{0,5}"
)
_BEFORE: Final = "(?:^|[^A-Za-z0-9._-]|\\\\[nrt])"


def expand(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rules made of the facts.

    Args:
        data: ``tokens``: keys known by their own prefix (id, pattern, needs, bits). ``assigned``: keys known
            by the maker's word before an assignment (shape, value, makers, bits). ``bits`` is the least
            entropy, in bits a character.
    """
    return [_token(item) for item in data["tokens"]] + [
        _assigned(item) for item in data["assigned"]
    ]


def _token(item: Mapping[str, Any]) -> dict[str, Any]:
    # RE2 has no look-behind: the border is in the pattern, the key is its group
    border = "" if item.get("inside") else _BEFORE
    return {
        "id": f"secret.{item['id']}",
        "class": "SECRET",
        "pattern": f"{border}({item['pattern']})",
        "group": 1,
        "check": _check(item),
        "needs": item["needs"],
    }


def _assigned(item: Mapping[str, Any]) -> dict[str, Any]:
    words: Sequence[str] = item["makers"]
    listed = "|".join(re.escape(word).replace("_", "[ _.-]?") for word in words)
    return {
        "id": f"secret.assigned.{item['shape']}",
        "class": "SECRET",
        "pattern": f"(?i)(?:^|[^a-z])(?:{listed}){_ASSIGNED}({item['value']})",
        "group": 1,
        "check": _check(item),
        "needs": sorted({part for word in words for part in [max(word.split("_"), key=len)]}),
    }


def _check(item: Mapping[str, Any]) -> str:
    if "check" in item:
        return str(item["check"])
    return f"drawn{round(item.get('bits', 3) * 10)}{'' if item.get('open') else 'w'}"
