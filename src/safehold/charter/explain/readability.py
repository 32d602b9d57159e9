"""How easy a text is to read: Flesch's formula for English, Amstad's for German.

Reading ease = 206.835 - 1.015 x words a sentence - 84.6 x syllables a word (Flesch 1948, A new readability yardstick);
for German 180 - words a sentence - 58.5 x syllables a word (Amstad 1978, Wie verständlich sind unsere Zeitungen?).
60 to 70 is plain language, 30 and less is for specialists. Syllables are counted by groups of vowels, which is within a
few points of a count by dictionary; the figure is a guide, not a proof that somebody understands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_VOWELS_EN: Final = re.compile(r"[aeiouy]+")
_VOWELS_DE: Final = re.compile(r"aa|ee|ie|oo|ai|au|ei|eu|ey|äu|[aeiouäöüy]")
_SILENT_EN: Final = re.compile(r"(?:[^aeiouy]e|[^aeiouytd]ed|[^aeiouysxzcg]es)$")
_KEPT_EN: Final = re.compile(r"[^aeiouy]le$")
_MARKS: Final = re.compile(r"https?://\S+|\S+@\S+|\S*[:_/]\S*|\b\w+(?:\.\w+)+\b")


def reading_ease(sentences: Iterable[str], language: str) -> float:
    """Return the reading ease of some sentences.

    Args:
        sentences: Each a sentence; names of terms, addresses and codes in them are not counted as words.
        language: ``en`` or ``de``.
    """
    words, count = 0, 0
    syllables = 0
    for sentence in sentences:
        found = _WORD.findall(_MARKS.sub(" ", sentence))
        if not found:
            continue
        count += max(1, len(re.findall(r"[.!?:](?:\s|$)", sentence)))
        words += len(found)
        syllables += sum(count_syllables(word, language) for word in found)
    if not words:
        return 0.0
    if language == "de":
        return 180.0 - words / count - 58.5 * syllables / words
    return 206.835 - 1.015 * words / count - 84.6 * syllables / words


def count_syllables(word: str, language: str) -> int:
    """Return how many syllables a word has, at least one."""
    text = word.lower()
    if language == "de":
        return max(1, len(_VOWELS_DE.findall(text)))
    count = len(_VOWELS_EN.findall(text))
    if _SILENT_EN.search(text) and not _KEPT_EN.search(text):
        count -= 1
    return max(1, count)
