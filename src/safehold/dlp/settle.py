"""One class for each character: which of overlapping spans is reported.

The span of the higher rank wins, then the more confident, then the longer one. Of a span that loses a part,
the rest is kept when it still holds two letters or digits side by side, so nothing that was found is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from safehold.dlp.classes import CLASSES

Finding = tuple[int, int, str, int, str]
"""Start and end in code points, class, confidence in percent, rule."""

_RANK: Final = {each.name: each.rank for each in CLASSES.values()}
_REST: Final = re.compile(r"\w\w")


def settle(text: str, findings: Iterable[Finding]) -> list[Finding]:
    """Return findings that do not overlap, in order of their start.

    Args:
        text: What was scanned.
        findings: Spans of any rules, in code points of the text.
    """
    order = sorted(
        set(findings), key=lambda one: (-_RANK[one[2]], -one[3], one[0] - one[1], one[0], one[4])
    )
    kept: list[Finding] = []
    for start, end, name, confidence, rule in order:
        for low, high in _free(start, end, kept):
            whole = (low, high) == (start, end)
            low_trimmed, high_trimmed = (low, high) if whole else _trimmed(text, low, high)
            if whole or _REST.search(text[low_trimmed:high_trimmed]):
                kept.append((low_trimmed, high_trimmed, name, confidence, rule))
    return sorted(kept)


def _free(start: int, end: int, kept: list[Finding]) -> list[tuple[int, int]]:
    parts = [(start, end)]
    for low, high, *_ in kept:
        parts = [
            piece
            for one, two in parts
            for piece in ((one, min(two, low)), (max(one, high), two))
            if piece[0] < piece[1]
        ]
    return parts


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return start, end
