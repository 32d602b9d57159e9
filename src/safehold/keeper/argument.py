"""What a caller put beside a verb, before anything believes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safehold.errors import InvalidError


def read_word(
    arguments: Mapping[str, Any], name: str, *, rule: str, longest: int, least: int = 0
) -> str:
    """Return an argument that is a word.

    Args:
        arguments: What came with the verb.
        name: Which of it.
        rule: What an error names.
        longest: Most characters.
        least: Fewest.

    Raises:
        InvalidError: It is none, or too long or short.
    """
    given = arguments.get(name)
    if not isinstance(given, str) or not least <= len(given) <= longest:
        raise InvalidError("not a word", field=name, rule=rule)
    return given
