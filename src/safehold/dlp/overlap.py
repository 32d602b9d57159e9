"""Spans that overlap become one, and a text gets something else in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from safehold.dlp.classes import CLASSES

Kind = TypeVar("Kind")
_RANKS: Final = tuple(each.rank for each in CLASSES.values())


def unite(spans: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Return spans that do not overlap; those that did are one, named by the class of highest rank.

    Args:
        spans: Start, end and number of the class, in order of their start.
    """
    united: list[tuple[int, int, int]] = []
    for start, end, kind in spans:
        if united and start < united[-1][1]:
            first, last, best = united[-1]
            united[-1] = first, max(last, end), kind if _RANKS[kind] > _RANKS[best] else best
        else:
            united.append((start, end, kind))
    return united


def replace_spans(
    text: str, spans: Iterable[tuple[int, int, Kind]], say: Callable[[str, Kind], str]
) -> str:
    """Return a text with something else in the place of each span.

    Args:
        text: The text.
        spans: Start, end and class of each, in order; they do not overlap.
        say: What stands for a value of a class.
    """
    parts, at = [], 0
    for start, end, kind in spans:
        parts += [text[at:start], say(text[start:end], kind)]
        at = end
    return "".join(parts) + text[at:]
