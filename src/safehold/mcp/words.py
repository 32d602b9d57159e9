"""Words that come from outside, as they stand in the output of a tool: marked, bounded, without control characters.

No word of them is ever read as an instruction here; the mark is for whoever reads the output.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

LONGEST: Final = 280  # characters
MOST: Final = 200  # items of a list
DEEPEST: Final = 6
MARK: Final = "text_from_outside"
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+=-]{0,127}")


def mark(value: Any, depth: int = 0) -> Any:
    """Return a value in which every text that is not one plain word stands behind a mark.

    Numbers, truth values and plain words (ids, names of purposes and rules) stay as they are; keys are ours.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if not value or _PLAIN.fullmatch(value) else {MARK: bounded(value)}
    if depth >= DEEPEST:
        return {MARK: "..."}
    if isinstance(value, Mapping):
        return {
            name if _PLAIN.fullmatch(name) else "unnamed": mark(item, depth + 1)
            for name, item in list(value.items())[:MOST]
        }
    if isinstance(value, list | tuple):
        return [mark(item, depth + 1) for item in value[:MOST]]
    return {MARK: "..."}


def bounded(text: str) -> str:
    """Return a text of at most ``LONGEST`` characters, on one line, without invisible ones."""
    kept = "".join(
        " " if one in "\r\n\t" else one
        for one in text[: LONGEST * 4]
        if one in "\r\n\t" or unicodedata.category(one)[0] != "C"
    )
    return kept if len(kept) <= LONGEST else kept[: LONGEST - 3] + "..."
