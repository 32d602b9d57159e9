"""Names that are on no list: the tagger, where a home takes data in (``names: ner``).

A home says which names are masked: those of the staff roster alone (``roster``), or also what the tagger takes
for a person, a place or an organisation (``ner``). What was asked for and is not there is refused by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.classes import CLASSES, NAMES
from safehold.dlp.engine.rows import large_texts
from safehold.dlp.overlap import replace_spans
from safehold.dlp.tagger import Names, tag_names
from safehold.dlp.tagger.model import load_model, model_version
from safehold.errors import InvalidError, UnavailableError

Ints = npt.NDArray[np.int64]
ROSTER: Final = "roster"
TAGGER: Final = "ner"
TIERS: Final = (ROSTER, TAGGER)
GROUP: Final = "identifiers"
_MASKED: Final = np.array([CLASSES[name].masked for name in NAMES], bool)
_TOKEN: Final = re.compile(r"\[[A-Z]{2,16}\]")  # what stands for something that was masked before
_REAL: Final = re.compile(r"[^\W_]{2}")


def admit_names(tier: str) -> str:
    """Return the tier of names if it can run here.

    Raises:
        InvalidError: There is no such tier.
        UnavailableError: The tagger's model is not installed, or is damaged.
    """
    if tier not in TIERS:
        raise InvalidError(
            "there is no such tier of names", rule="dlp.names", fix=f"one of {', '.join(TIERS)}"
        )
    if tier == TAGGER:
        try:
            load_model()
        except (OSError, InvalidError) as error:
            raise UnavailableError(
                "this home masks names by the tagger, and its model is not installed",
                rule="dlp.names",
                fix="pip install --force-reinstall 'safehold[ner]'",
            ) from error
    return tier


def names_version(tier: str) -> str:
    """Return the SHA-256 of what finds the names of a tier; nothing for the roster, which is handed in."""
    return model_version() if tier == TAGGER else ""


def find_named(texts: Any) -> Names:
    """Return the names the tagger finds, of the classes that are masked when data comes in.

    Args:
        texts: Arrow strings; sliced arrays, chunks and nulls are fine.
    """
    found = tag_names(texts)
    kept = _MASKED[found.kind]
    columns = ("row", "start", "end", "byte_start", "byte_end", "kind", "confidence")
    return Names(*(getattr(found, column)[kept] for column in columns))


@dataclass(frozen=True, slots=True)
class Nameless:
    """Texts without the names the tagger found.

    Args:
        text: The texts.
        row: Rows in which a name was found, once for each class.
        kind: Number of the class found there.
    """

    text: pa.Array
    row: Ints
    kind: Ints


def mask_named(texts: Any) -> Nameless:
    """Return texts in which the names the tagger finds are replaced by their class.

    Args:
        texts: Texts, masked by rule and roster already: what stands for something stays.
    """
    plain = large_texts(texts)
    found = find_named(plain)
    spans: dict[int, list[tuple[int, int, int]]] = {}
    for row, start, end, kind in zip(
        found.row.tolist(), found.start.tolist(), found.end.tolist(), found.kind.tolist(),
        strict=True,
    ):  # fmt: skip
        spans.setdefault(row, []).append((start, end, kind))
    fresh: list[str] = []
    seen: set[tuple[int, int]] = set()
    rows = sorted(spans)
    for row, text in zip(rows, plain.take(pa.array(rows, pa.int64())).to_pylist(), strict=True):
        free = _beside_tokens(text, spans[row])
        seen.update((row, kind) for _, _, kind in free)
        fresh.append(replace_spans(text, free, lambda _, kind: f"[{NAMES[kind]}]"))
    place = np.zeros(len(plain), bool)
    place[rows] = True
    pairs = np.array(sorted(seen), np.int64).reshape(len(seen), 2)
    masked = pc.replace_with_mask(plain, pa.array(place), pa.array(fresh, pa.large_string()))
    return Nameless(masked, pairs[:, 0], pairs[:, 1])


def _beside_tokens(text: str, spans: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Return the parts of spans that are no token of a class."""
    tokens = [match.span() for match in _TOKEN.finditer(text) if match.group()[1:-1] in CLASSES]
    if not tokens:
        return spans
    free = []
    for start, end, kind in spans:
        at = start
        for low, high in [*tokens, (end, end)]:
            if high <= at or at >= end:
                continue
            stop = min(low, end)
            if at < stop and _REAL.search(text, at, stop):
                free.append((at, stop, kind))
            at = high
    return free
