"""Texts with the places of the names in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safehold.errors import InvalidError

KINDS: Final = ("PERSON", "LOC", "ORG", "DATE")
_CLASS_OF: Final = {
    "PERSON": "PERSON", "PERSON_NAME": "PERSON", "NAME": "PERSON",
    "LOC": "LOC", "LOCATION": "LOC", "GPE": "LOC", "ADDRESS": "LOC", "STREET_ADDRESS": "LOC", "ZIP_CODE": "LOC",
    "ORG": "ORG", "ORGANIZATION": "ORG", "ORGANIZATION_NAME": "ORG", "CORPORATION": "ORG", "GROUP": "ORG",
    "DATE": "DATE", "DATE_TIME": "DATE", "TIMESTAMP": "DATE",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and its names.

    Args:
        text: The text.
        spans: First code point, code point after the last, class; in order.
        open: Classes the text is not labelled with: what is not marked may still be one.
    """

    text: str
    spans: tuple[tuple[int, int, str], ...]
    open: frozenset[str] = frozenset()

    def joined(self, other: Labelled, gap: str) -> Labelled:
        """Return both texts as one."""
        move = len(self.text) + len(gap)
        moved = tuple((start + move, end + move, kind) for start, end, kind in other.spans)
        return Labelled(self.text + gap + other.text, self.spans + moved, self.open | other.open)

    def replaced(self, text: str) -> Labelled:
        """Return the spans on another text of the same length; the text itself if the length differs."""
        return Labelled(text, self.spans, self.open) if len(text) == len(self.text) else self


def class_of(label: str) -> str | None:
    """Return our name for the label of another corpus; None for what is no name."""
    return _CLASS_OF.get(label.upper())


def read_labelled(path: Path) -> Iterator[Labelled]:
    """Yield the texts of a corpus, one JSON object a line: ``text``, ``spans`` of start, end and label.

    A corpus in which a class never occurs is taken as not labelled with it.

    Raises:
        InvalidError: A line has another shape.
    """
    rows: list[Labelled] = []
    seen: set[str] = set()
    try:
        for line in path.read_text("utf-8").splitlines():
            item = json.loads(line)
            spans = sorted(
                (int(start), int(end), kind)
                for start, end, label in item["spans"]
                if (kind := class_of(label)) is not None
            )
            seen.update(kind for _, _, kind in spans)
            rows.append(Labelled(str(item["text"]), tuple(spans)))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidError(
            "a line of the corpus has another shape", file=path.name, rule="dlp.corpus"
        ) from error
    missing = frozenset(KINDS) - seen
    for row in rows:
        yield Labelled(row.text, row.spans, missing)
