"""From the text of one person to windows of words, each as long as the other.

What goes in is scanned once more: a rule that is newer than the day on which the text was sealed masks what it finds.
A window holds so many words that no single one stands out; words that are left over at the end have no vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from safehold.dlp.redact import mask_text
from safehold.errors import InvalidError

Codes = NDArray[np.int32]

# the column of each stream that holds text; an assistant's answers are not what the person wrote
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "ai": ("role", "text"),
    "chat": ("text",),
    "focus": ("title",),
    "speech": ("text",),
}
SOURCES: Final = tuple(COLUMNS)
WINDOW: Final = 48  # words
MOST_WINDOWS: Final = 16  # of one person and stream; what comes after has no vector
_OWN: Final = "user"  # the role of what the person wrote
_MASK: Final = r"\[[A-Z_]+\]"
_BORDER: Final = r"[^a-z0-9']+"


def own_texts(stream: str, table: pa.Table) -> pa.Array:
    """Return the texts of a block that its person wrote or said, scanned anew, in order.

    Args:
        stream: One of ``SOURCES``.
        table: Its columns of ``COLUMNS``.

    Raises:
        InvalidError: It is no table of text.
    """
    if stream not in COLUMNS or table.column_names != list(COLUMNS[stream]):
        raise InvalidError("a part is not what the embedder reads", rule="embedding.part")
    if stream == "ai":
        table = table.filter(pc.equal(table["role"].cast(pa.string()), _OWN))
    texts = table[COLUMNS[stream][-1]].combine_chunks()
    if isinstance(texts, pa.ChunkedArray):  # no rows at all
        texts = pa.concat_arrays(texts.chunks) if texts.num_chunks else pa.array([], texts.type)
    return mask_text(texts.cast(pa.large_string()).drop_null()).text


def split_words(texts: Any) -> pa.Array:
    """Return the words of each text in order, in lower case, as lists; what was masked is none."""
    plain = pc.utf8_lower(pc.replace_substring_regex(texts, _MASK, " "))
    # no empty word before the first and after the last
    return pc.split_pattern_regex(
        pc.utf8_trim(pc.replace_substring_regex(plain, _BORDER, " "), " "), " "
    )


def words_of(texts: Any) -> pa.Array:
    """Return every word of some texts in order, in lower case; what was masked is none."""
    split = split_words(texts).flatten()
    return split.filter(pc.not_equal(split, ""))


def cut_windows(codes: Codes, *, most: int = MOST_WINDOWS) -> Codes:
    """Return windows of ``WINDOW`` words each, the first ``most`` of them.

    Args:
        codes: Words by their place in an encoder's list; -1 for one that it does not know.
        most: Most windows.
    """
    known = codes[codes >= 0]
    count = min(most, len(known) // WINDOW)
    return known[: count * WINDOW].reshape(count, WINDOW)


__all__ = [
    "COLUMNS",
    "MOST_WINDOWS",
    "SOURCES",
    "WINDOW",
    "cut_windows",
    "own_texts",
    "split_words",
    "words_of",
]
