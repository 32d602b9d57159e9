"""Find names in Arrow text with a trained tagger.

The score of a label at a place is the sum of what the distinct words around it say (computed once per batch)
and of the features that join them. What is likely enough to be a name is taken; the bound is low, since a
name that is missed costs more than a word that is masked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from safehold.dlp.classes import NAMES
from safehold.dlp.engine.rows import large_texts
from safehold.dlp.tagger.chain import Odds, cut_pieces, marginals
from safehold.dlp.tagger.feature import (
    Words,
    place_features,
    read_places,
    read_words,
    word_features,
)
from safehold.dlp.tagger.labelled import KINDS
from safehold.dlp.tagger.model import LABELS, Model, load_model
from safehold.dlp.tagger.token import MARGIN, Tokens, byte_view, cut_tokens

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
RULE: Final = "ner.tagger"
BLOCK: Final = 1 << 19  # bytes that are looked at together
ROWS: Final = 1 << 16  # rows that are looked at together
LIKELY: Final = 0.3  # how likely a name must be, all classes together
_STEP: Final = 1 << 13  # tokens at a time
_DATE: Final = KINDS.index("DATE")
_KIND: Final = np.array([NAMES.index(kind) for kind in KINDS], np.int64)


@dataclass(frozen=True, slots=True)
class Names:
    """Names found, ordered by row and start; they do not overlap.

    Args:
        row: Row of each name.
        start: First code point.
        end: Code point after the last.
        byte_start: First byte within the row.
        byte_end: Byte after the last.
        kind: Number of its class in ``classes.NAMES``.
        confidence: Percent.
    """

    row: Ints
    start: Ints
    end: Ints
    byte_start: Ints
    byte_end: Ints
    kind: Ints
    confidence: Ints

    def __len__(self) -> int:
        return len(self.row)


def tag_names(texts: Any, *, model: Model | None = None, likely: float = LIKELY) -> Names:
    """Return the names of people, places and organisations, and dates, in texts.

    Args:
        texts: Arrow strings; sliced arrays, chunks, dictionaries and nulls are fine.
        model: The tagger; the one that comes with the program if none is given.
        likely: How likely a name must be, 0 to 1.
    """
    model = load_model() if model is None else model
    array = large_texts(texts)
    parts = [_shift(_tag(block, model, likely), row, at) for row, at, block in _blocks(array)]
    if not parts:
        return Names(*(np.zeros(0, np.int64) for _ in range(7)))
    columns = [np.concatenate([part[name] for part in parts]) for name in range(5)]
    row, start, end, kind, confidence = columns
    points = _points(array, row, start, end)
    return Names(row, *points, start, end, kind, confidence)


def _blocks(array: Any) -> Iterator[tuple[int, int, Any]]:
    """Yield first row, first byte in it, and texts of at most about ``BLOCK`` bytes; a longer row is cut."""
    data, offsets = byte_view(array)
    row = 0
    while row < len(array):
        last = int(np.searchsorted(offsets, offsets[row] + BLOCK, side="right")) - 1
        last = min(max(last, row), row + ROWS, len(array))
        if last > row:
            yield row, 0, array.slice(row, last - row)
            row = last
            continue
        at, end = int(offsets[row]), int(offsets[row + 1])
        while at < end:
            stop = min(at + BLOCK, end)
            if stop < end:
                gap = np.flatnonzero(data[max(at + 1, stop - 4096) : stop] <= 32)
                stop = max(at + 1, stop - 4096) + int(gap[-1]) if len(gap) else stop
                while stop < end and data[stop] & 0xC0 == 0x80:  # never inside a sign
                    stop += 1
            piece = pa.LargeStringArray.from_buffers(
                1,
                pa.py_buffer(np.array([0, stop - at], np.int64)),
                pa.py_buffer(np.ascontiguousarray(data[at:stop])),
            )
            yield row, at - int(offsets[row]), piece
            at = stop
        row += 1


def _shift(found: tuple[Ints, ...], row: int, at: int) -> tuple[Ints, ...]:
    rows, start, end, *rest = found
    return (rows + row, start + at, end + at, *rest)


def _tables(words: Words, model: Model) -> dict[int, Floats]:
    """Return by distance what each distinct word says to a token so far away."""
    tables = {}
    for far, ids in word_features(words).items():
        table = np.zeros((ids.shape[1], LABELS), np.float32)
        for line in ids:
            table += model.weights[line]
        tables[far] = table
    return tables


def _scores(tokens: Tokens, model: Model) -> tuple[Floats, Odds]:
    """Return the score of each label for each token, and the odds that it is a name; cache by cache."""
    words = read_words(tokens.words, model.gazetteer)
    tables = _tables(words, model)
    places = read_places(tokens, words, model.gazetteer)
    size = len(tokens) - 2 * MARGIN
    scores, odds = np.empty((size, LABELS), np.float32), Odds(size, model.moves)
    room = np.empty((min(size, _STEP), LABELS), np.float32)
    for low in range(0, size, _STEP):
        high = min(low + _STEP, size)
        part, more = scores[low:high], room[: high - low]
        part[:] = 0
        for far, table in tables.items():
            ids = tokens.word[MARGIN + far + low : MARGIN + far + high]
            part += np.take(table, ids, axis=0, out=more, mode="clip")
        for ids in place_features(places, MARGIN + low, MARGIN + high):
            part += np.take(model.weights, ids, axis=0, out=more, mode="clip")
        odds.add(low, part)
    return scores, odds


def _tag(texts: Any, model: Model, likely: float) -> tuple[Ints, ...]:
    """Return row, first byte, byte after the last, class and confidence of each name."""
    tokens = cut_tokens(texts)
    nothing = np.zeros(0, np.int64)
    if len(tokens) <= 2 * MARGIN:
        return nothing, nothing, nothing, nothing, nothing
    scores, odds = _scores(tokens, model)
    inner = slice(MARGIN, len(tokens) - MARGIN)
    row, start, end = tokens.row[inner], tokens.start[inner], tokens.end[inner]
    pieces = odds.worth_reading(cut_pieces(row), least=likely)
    chance, _, _ = marginals(scores, pieces, model.moves)
    return _spans(chance, row, start, end, letters=_letters(tokens)[inner], likely=likely)


def _letters(tokens: Tokens) -> Ints:
    """Return how many letters each token has, counted in bytes; -1 for a sign."""
    data, offsets = byte_view(tokens.words)
    digit = (data >= ord("0")) & (data <= ord("9"))
    plain = (data >= ord("A")) & ((data | 32) >= ord("a")) & ((data | 32) <= ord("z"))
    sums = np.concatenate([[0], np.cumsum(plain | (data >= 128))])
    digits = np.concatenate([[0], np.cumsum(digit)])
    letters = sums[offsets[1:]] - sums[offsets[:-1]]
    letters[(letters == 0) & (digits[offsets[1:]] == digits[offsets[:-1]])] = -1
    result: Ints = letters[tokens.word]
    return result


def _spans(
    chance: Floats, row: Ints, start: Ints, end: Ints, *, letters: Ints, likely: float
) -> tuple[Ints, ...]:
    begin, inside = chance[:, 1::2], chance[:, 2::2]
    sign = letters < 0
    both = begin + inside
    sure = both.sum(axis=1)
    kind = np.where(sure >= likely, both.argmax(axis=1), -1)
    kind[row < 0] = -1
    # a sign belongs to a name only between two words of it
    loose = sign.copy()
    loose[1:-1] &= (kind[1:-1] != kind[:-2]) | (kind[1:-1] != kind[2:])
    kind[loose] = -1
    hit = np.flatnonzero(kind >= 0)
    mine = kind[hit]
    fresh = np.ones(len(hit), bool)
    joined = (hit[1:] == hit[:-1] + 1) & (mine[1:] == mine[:-1])
    fresh[1:] = ~joined | (begin[hit[1:], mine[1:]] > inside[hit[1:], mine[1:]])
    head = np.flatnonzero(fresh)
    tail = np.append(head[1:], len(hit)) - 1 if len(head) else head
    peak = np.maximum.reduceat(sure[hit], head) if len(head) else np.zeros(0)
    confidence = np.clip(np.round(peak * 100), 1, 99).astype(np.int64)
    # one letter alone, or a number that is no date, is nobody and nowhere
    total = np.add.reduceat(np.maximum(letters[hit], 0), head) if len(head) else head
    real = np.flatnonzero((total > 1) | (mine[head] == _DATE))
    head, tail = head[real], tail[real]
    return row[hit[head]], start[hit[head]], end[hit[tail]], _KIND[mine[head]], confidence[real]


def _points(array: Any, row: Ints, start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Return the places in code points."""
    data, offsets = byte_view(array)
    if not len(row) or (data < 128).all():
        return start.copy(), end.copy()
    points = np.zeros(len(data) + 1, np.int64)
    np.cumsum((data & 0xC0) != 0x80, out=points[1:])
    base = offsets[row]
    return points[base + start] - points[base], points[base + end] - points[base]


def findings(texts: Sequence[str]) -> list[list[tuple[int, int, str, int, str]]]:
    """Return for each text start, end (code points), class, confidence (percent) and rule of its names."""
    names = tag_names(pa.array(texts, pa.large_string()))
    found: list[list[tuple[int, int, str, int, str]]] = [[] for _ in texts]
    columns = (names.row, names.start, names.end, names.kind, names.confidence)
    for row, start, end, kind, sure in zip(*(each.tolist() for each in columns), strict=True):
        found[row].append((start, end, NAMES[kind], sure, RULE))
    return found
