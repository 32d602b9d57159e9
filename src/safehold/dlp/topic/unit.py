"""Messages that are masked as a whole, because of what they are about.

A unit is a whole text; of a text longer than ``LONGEST`` code points it is a paragraph (a line). A unit is taken
when one of its sentences, or two that follow one another, are on a topic: what else it holds cannot hide it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.classes import CLASSES, NAMES
from safehold.dlp.engine.rows import chunks_of, large_texts
from safehold.dlp.overlap import replace_spans
from safehold.dlp.topic.judge import (
    TOPICS,
    Model,
    cut_windows,
    load_model,
    score_windows,
)
from safehold.dlp.topic.lexicon import Lexicon, find_terms, load_lexicon, rows_to_judge

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
LONGEST: Final = 600  # code points of a text that is one unit
RULE: Final = "topic"
_KINDS: Final = np.array([NAMES.index(topic) for topic in TOPICS], np.int64)
_BITS: Final = np.array([int(CLASSES[topic].bit) for topic in TOPICS], np.uint32)
_RANKS: Final = np.array([CLASSES[topic].rank for topic in TOPICS], np.int64)
_NEVER: Final = np.float32(-1e9)
_NONE: Final = np.zeros(0, np.int64)
TOLD: Final = 2.5  # what a rule that found something adds to the score of its topic


@dataclass(frozen=True, slots=True)
class Units:
    """Units on a topic, ordered by row and start; they do not overlap.

    Args:
        row: Row of each.
        start: First code point.
        end: Code point after the last.
        kind: Number of its class in ``classes.NAMES``; of several topics the one of the highest rank.
        sens: Bits of all its topics.
        confidence: Percent.
    """

    row: Ints
    start: Ints
    end: Ints
    kind: Ints
    sens: npt.NDArray[np.uint32]
    confidence: Ints

    def __len__(self) -> int:
        return len(self.row)


def find_units(
    texts: Any,
    *,
    groups: frozenset[str],
    told: tuple[Ints, Ints] = (_NONE, _NONE),
    model: Model | None = None,
) -> Units:
    """Return the units of texts that are on a topic of the given groups.

    Args:
        texts: Arrow strings; sliced arrays, chunks, dictionaries and nulls are fine.
        groups: Groups of classes that are looked for.
        told: Rows in which rules found something, and the number of the class: a word that speaks for its topic.
        model: The weights; those that come with the program if none are given.
    """
    asked = np.array([CLASSES[topic].group in groups for topic in TOPICS], bool)
    parts: list[npt.NDArray[np.int64]] = []
    if asked.any():
        model = load_model() if model is None else model
        plain = large_texts(texts)
        said = np.zeros((len(plain), len(TOPICS)), np.float32)
        for topic, kind in enumerate(_KINDS.tolist()):
            said[told[0][told[1] == kind], topic] = TOLD
        for begin, part in chunks_of(plain):
            found = _find(part, said[begin : begin + len(part)], asked, model)
            found[:, 0] += begin
            parts.append(found)
    table = np.concatenate(parts) if parts else np.zeros((0, 6), np.int64)
    row, start, end, kind, sens, sure = table.T
    return Units(row, start, end, kind, sens.astype(np.uint32), sure)


def score_texts(texts: Any, lexicon: Lexicon, model: Model) -> tuple[Ints, Floats]:
    """Return the rows that hold a term that may carry a topic, and the highest score of each topic in each.

    Args:
        texts: ``large_string``.
        lexicon: The terms.
        model: The weights.
    """
    rows = rows_to_judge(texts, lexicon)
    if not len(rows):
        return rows, np.zeros((0, len(TOPICS)), np.float32)
    windows = cut_windows(find_terms(texts.take(pa.array(rows)), lexicon))
    best = np.full((len(rows), len(TOPICS)), _NEVER, np.float32)
    np.maximum.at(best, windows.row, score_windows(windows, lexicon, model))
    return rows, best


def _find(
    texts: Any, said: Floats, asked: npt.NDArray[np.bool_], model: Model
) -> npt.NDArray[np.int64]:
    """Return row, start, end, kind, bits and confidence of the units of a chunk."""
    lexicon = load_lexicon()
    rows, best = score_texts(texts, lexicon, model)
    best += said[rows]
    taken = ((best >= model.bound) & asked).any(axis=1)
    rows, best = rows[taken], best[taken]
    if not len(rows):
        return np.zeros((0, 6), np.int64)
    lengths = pc.utf8_length(texts.take(pa.array(rows))).to_numpy(zero_copy_only=False)
    short = lengths <= LONGEST
    whole = np.stack([rows, np.zeros(len(rows), np.int64), lengths], axis=1)
    parts = [_told(whole[short], best[short], asked, model.bound)]
    if not short.all():
        long = rows[~short]
        where, pieces = _paragraphs(long, texts.take(pa.array(long)).to_pylist())
        best = _score_lines(where, pieces, said, asked, model)
        taken = ((best >= model.bound) & asked).any(axis=1)
        parts.append(_told(where[taken], best[taken], asked, model.bound))
    table = np.concatenate(parts)
    order: Ints = np.lexsort((table[:, 1], table[:, 0]))
    ordered: Ints = table[order]
    return ordered


def _score_lines(
    where: Ints, pieces: Any, said: Floats, asked: npt.NDArray[np.bool_], model: Model
) -> Floats:
    """Return the score of each topic in each line of long texts.

    A sentence may be broken over lines: two that follow one another and are on a topic only together both are.
    """

    def scores(lines: Any) -> tuple[Floats, npt.NDArray[np.bool_]]:
        best = np.full((len(lines), len(TOPICS)), _NEVER, np.float32)
        rows, found = score_texts(lines, load_lexicon(), model)
        best[rows] = found
        return best, np.asarray(((best >= model.bound) & asked).any(axis=1), bool)

    row = where[:, 0]
    best, on = scores(pieces)
    words = pc.match_substring_regex(pieces, r"[^\pZ\pC\pP\pS]").to_numpy(zero_copy_only=False)
    lines = np.flatnonzero(words)
    one, two = lines[:-1], lines[1:]
    follows = (row[one] == row[two]) & ~on[one] & ~on[two]
    one, two = one[follows], two[follows]
    breaks = pa.scalar("\n", pa.large_string())
    both, together = scores(
        pc.binary_join_element_wise(pieces.take(pa.array(one)), pieces.take(pa.array(two)), breaks)
    )
    for lines in (one[together], two[together]):
        best[lines] = np.maximum(best[lines], both[together])
        on[lines] = True
    # what a rule found in the text speaks for its lines where none of them is on a topic by itself
    rest = ~np.isin(row, row[on])
    best[rest] += said[row[rest]]
    return best


def _told(
    where: Ints, best: Floats, asked: npt.NDArray[np.bool_], bound: Floats
) -> npt.NDArray[np.int64]:
    """Return row, start and end of units with the class, the bits and the confidence of each."""
    on = (best >= bound) & asked
    first = np.where(on, _RANKS, -1).argmax(axis=1) if len(on) else np.zeros(0, np.int64)
    sens = np.bitwise_or.reduce(np.where(on, _BITS, 0), axis=1)
    chance = 100 / (1 + np.exp(-best.max(axis=1, initial=_NEVER)))
    sure = np.clip(np.round(chance), 1, 99)
    told = np.stack([_KINDS[first], sens, sure], axis=1).astype(np.int64)
    return np.concatenate([where, told], axis=1)


def _paragraphs(rows: Ints, texts: list[str]) -> tuple[Ints, Any]:
    """Return row, start and end of each line of long texts, and the lines."""
    where, pieces = [], []
    for row, text in zip(rows.tolist(), texts, strict=True):
        at = 0
        for line in text.split("\n"):
            where.append((row, at, at + len(line)))
            pieces.append(line)
            at += len(line) + 1
    return np.array(where, np.int64).reshape(len(where), 3), pa.array(pieces, pa.large_string())


def replace_units(texts: Any, units: Units) -> Any:
    """Return texts in which each unit is replaced by its class.

    Args:
        texts: ``large_string``.
        units: What was found in them.
    """
    rows = np.unique(units.row)
    if not len(rows):
        return texts
    found: dict[int, list[tuple[int, int, int]]] = {}
    for row, start, end, kind in zip(
        units.row.tolist(),
        units.start.tolist(),
        units.end.tolist(),
        units.kind.tolist(),
        strict=True,
    ):
        found.setdefault(row, []).append((start, end, kind))
    fresh = [
        replace_spans(text, found[row], lambda _, kind: f"[{NAMES[kind]}]")
        for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True)
    ]
    place = np.zeros(len(texts), bool)
    place[rows] = True
    return pc.replace_with_mask(texts, pa.array(place), pa.array(fresh, pa.large_string()))
