"""Whether a word that is a common one too stands for a name where it is: ``Will``, ``Mark``, ``May``."""

# ruff: noqa: SIM905, PLR0911 - long lists of words read better as text; one way out for each cue

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from safehold.dlp.pattern import read_data

_GREETINGS: Final = frozenset(
    "hi hey hello dear thanks thx cc ping morning bye cheers regards".split()
)
_BEFORE: Final = _GREETINGS | frozenset(
    "thank ask asks asked tell tells told with from by mr mrs ms miss dr prof sir said says when for to and or "
    "is was lets meet call called email mail see saw met name reporter assignee author manager colleague buddy "
    "congrats sorry welcome via per".split()
)
_SPEAKS: Final = frozenset(
    "said says wrote writes asked asks told tells thinks thought called mailed".split()
)
_AFTER: Final = _SPEAKS | frozenset(
    "left joined will has is was and can could would should wants wanted needs from here".split()
)
# months and peoples are always written with a capital; what may stand before a month says nothing
_CAPITAL_ANYWAY: Final = frozenset(
    "april august june july may march sunday easter christian english french german roman york paris london "
    "jordan jersey island".split()
)
_OF_TIME: Final = frozenset("from by to for in and or is was when until via per says said".split())


@cache
def common_words() -> frozenset[str]:
    """Return the words that are names as well."""
    return frozenset(read_data("names.txt").decode().split())


@dataclass(frozen=True, slots=True)
class Neighbours:
    """A word and what stands around it.

    Args:
        before: The text before it.
        word: The word as it is written; several if a name has several.
        after: The text after it.
        left: The word before it, as it is compared, or nothing.
        right: The word after it.
    """

    before: str
    word: str
    after: str
    left: list[str]
    right: list[str]


def says_name(near: Neighbours, *, key: str, names: frozenset[str]) -> bool:
    """Tell whether a common word stands for a name.

    Args:
        near: The word and its neighbours.
        key: The word as it is compared.
        names: Names that are no common words.
    """
    word, before = near.word, near.before.rstrip(" \t")
    if " " in key:  # "Will Mark": every part with its capital
        return all(part[:1].isupper() for part in word.split())
    if before.endswith("@") or near.after.startswith(("'s ", "\u2019s ")):
        return True
    left, right = near.left[0] if near.left else "", near.right[0] if near.right else ""
    if not word[:1].isupper():
        ends = not near.after.strip() or near.after.lstrip(" ")[:1] in ",!.?\n:"
        return left in _GREETINGS and ends
    if left in names or right in names:
        return True
    if len(word) > 1 and word.isupper() and (near.before + near.after).isupper():
        return left in _BEFORE
    if (len(word) > 1 and word.isupper()) or key in _CAPITAL_ANYWAY:
        return left in _BEFORE - _OF_TIME or right in _SPEAKS
    if before and before[-1] not in ".!?\n:>-\u2022\"'(":
        return True  # a capital within a sentence
    return near.after[:1] in (":", ",") or right in _AFTER
