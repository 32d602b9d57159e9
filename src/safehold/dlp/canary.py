"""Planted words: found wherever they turn up, whatever they look like.

A canary is a word that exists nowhere else. It need not look like anything a rule knows, so it is
searched for as it is: case, look-alike letters and separators inside it do not hide it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from ahocorasick_rs import AhoCorasick, MatchKind

from safehold.dlp.fold import fold_rows
from safehold.errors import InvalidError

SHORTEST: Final = 8  # characters left of a canary; a shorter one would turn up by chance
_SEPARATORS: Final = r"[\s._\-/:,;|]+"


class Canaries:
    """A set of planted words.

    Args:
        words: The words.

    Raises:
        InvalidError: There is none, or one is too short to be told from ordinary text.
    """

    def __init__(self, words: Iterable[str]) -> None:
        folded = _fold(pa.array(list(words), pa.large_string())).to_pylist()
        if not folded or any(len(word) < SHORTEST for word in folded):
            raise InvalidError(
                f"a canary has at least {SHORTEST} letters or digits",
                rule="dlp.canary",
                fix="plant longer words",
            )
        self._found = AhoCorasick(folded, matchkind=MatchKind.LeftmostLongest)

    def __repr__(self) -> str:
        return "Canaries(...)"

    def find(self, texts: Any) -> list[int]:
        """Return the row of every hit, in order; a row may come more than once.

        Args:
            texts: Arrow strings; nulls are fine.
        """
        rows = []
        for row, text in enumerate(_fold(texts).to_pylist()):
            if text:
                rows += [row] * len(self._found.find_matches_as_indexes(text))
        return rows


def _fold(texts: Any) -> pa.Array:
    array = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    plain = fold_rows(array.cast(pa.large_string())).text
    return pc.replace_substring_regex(pc.utf8_lower(plain), _SEPARATORS, "")


__all__ = ["SHORTEST", "Canaries"]
