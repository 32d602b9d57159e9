"""Which rows a rule has to be tried on.

Built from the rules alone: every match of a rule holds one of a few runs of signs, so a row with none
of them cannot match. Runs of plain letters are found by one automaton in one pass over the text in
lower case, the others by array arithmetic; those with a digit only in rows with a digit. The bytes of
the rows lie end to end: a run that spans two rows only costs time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import chain, product
from typing import Final

import ahocorasick_rs as ac
import numpy as np
import numpy.typing as npt

from safehold.dlp.engine.needs import Run, Runs, digits_of, needed, price
from safehold.dlp.engine.shapes import Shapes, window_of
from safehold.dlp.engine.syntax import DIGIT, read_expression
from safehold.errors import InvalidError

Ints = npt.NDArray[np.int64]
_RARE: Final = (
    2e-3  # a literal that stands at more places of ordinary text is looked for with its neighbours
)
_RARE_BY_DIGIT: Final = 1e-6
_SPELLINGS: Final = 12
_LONGEST: Final = 12  # signs of a literal


def _words_of(run: Run) -> list[bytes]:
    """Return literals one of which stands in every text of a run; none when all are too common."""
    best: list[bytes] = []
    # what stands beside a digit is found as quickly together with it, and is rarer so
    cost = _RARE_BY_DIGIT if any(mask & ~DIGIT == 0 for mask in run) else _RARE
    for low in range(len(run)):
        for high in range(low + 1, min(len(run), low + _LONGEST) + 1):
            part = run[low:high]
            choices = [_signs(mask) for mask in part]
            count = math.prod([len(each) or _SPELLINGS + 1 for each in choices])
            if count > _SPELLINGS:
                break
            now = price([part]) * count
            if now < cost:
                cost = now
                best = [b"".join(each) for each in product(*choices)]
    return best


@cache
def _signs(mask: int) -> list[bytes]:
    """Return the few signs of a set, in lower case; none for many, or for digits."""
    if mask >> 128 or mask.bit_count() > (1 if mask & DIGIT else 2 * _SPELLINGS):
        return []
    return sorted({chr(code).lower().encode() for code in range(128) if mask >> code & 1})


def _shortest(words: set[bytes]) -> list[bytes]:
    """Return words without those that hold another of them."""
    return sorted(w for w in words if not any(o != w and o in w for o in words))


class Gate:
    """The gate for some rules.

    Args:
        patterns: Expressions of the rules, in their order.
        needs: Lower-case words that a rule says it needs, one of which has to be there; used where
            nothing can be worked out of its expression.
    """

    def __init__(self, patterns: Sequence[str], needs: Sequence[Sequence[str]]) -> None:
        words: dict[bytes, list[int]] = {}
        plain: dict[Run, list[int]] = {}
        numeric: dict[Run, list[int]] = {}
        self.always: list[int] = []
        self._digits = np.zeros(len(patterns), np.int64)
        for number, (pattern, said) in enumerate(zip(patterns, needs, strict=True)):
            runs, self._digits[number] = _known(pattern, said)
            if runs is None:
                self.always.append(number)
            literals: set[bytes] = set()
            for run in runs or ():
                if spelt := _words_of(run):
                    literals.update(spelt)
                    continue
                window = window_of(run)
                holds = any(mask & ~DIGIT == 0 for mask in window)
                listed = (numeric if holds else plain).setdefault(window, [])
                if number not in listed:
                    listed.append(number)
            for word in _shortest(literals):
                words.setdefault(word, []).append(number)
        self.words = tuple(words)
        self._automaton = (
            ac.BytesAhoCorasick(list(words), implementation=ac.Implementation.DFA)
            if words
            else None
        )
        self._of_word = _table(list(words.values()))
        self._plain, self._of_plain = Shapes(list(plain)), list(plain.values())
        self._numeric, self._of_numeric = Shapes(list(numeric)), list(numeric.values())
        self._count = len(patterns)

    def rows(self, data: bytes, offsets: Ints) -> tuple[Ints, Ints]:
        """Return pairs of rule and row in which the rule may match, ordered by rule and row.

        Args:
            data: The bytes of all rows, end to end.
            offsets: Where each row begins, and where the last one ends.
        """
        size = len(offsets) - 1
        digit = np.frombuffer(data.translate(_IS_DIGIT), np.bool_)
        digits = _counted(digit, offsets)
        pairs: list[Ints] = []
        if self._automaton is not None:
            hits = self._automaton.find_matches_as_indexes(data.lower(), overlapping=True)
            if hits:
                flat = np.fromiter(chain.from_iterable(hits), np.int64, 3 * len(hits))
                place = np.searchsorted(offsets, flat[1::3], side="right") - 1
                pairs += _spread(self._of_word, flat[0::3], place, size)
        for places, rules in zip(self._plain.find(data), self._of_plain, strict=True):
            if len(places):
                row = _rows_with(places, offsets)
                pairs += [number * size + row for number in rules]
        pairs += self._with_digits(data, offsets, digits)
        if self.always:
            pairs += [number * size + np.arange(size) for number in self.always]
        if not pairs:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        key = _distinct(np.sort(np.concatenate(pairs)))
        rule, row = np.divmod(key, size)
        keep = digits[row] >= self._digits[rule]
        return rule[keep], row[keep]

    def _with_digits(self, data: bytes, offsets: Ints, digits: Ints) -> list[Ints]:
        size = len(offsets) - 1
        kept = np.flatnonzero(digits > 0)
        if not len(kept) or not self._of_numeric:
            return []
        if len(kept) * 2 < size:
            text = memoryview(data)
            begin, end = offsets[kept].tolist(), offsets[kept + 1].tolist()
            part = b"".join([text[low:high] for low, high in zip(begin, end, strict=True)])
            bounds = np.concatenate([[0], np.cumsum(offsets[kept + 1] - offsets[kept])])
        else:
            part, bounds, kept = data, offsets, np.arange(size)
        pairs = []
        for places, rules in zip(self._numeric.find(part), self._of_numeric, strict=True):
            if len(places):
                row = kept[_rows_with(places, bounds)]
                pairs += [number * size + row for number in rules]
        return pairs


_IS_DIGIT: Final = bytes(48 <= code <= 57 for code in range(256))


def _known(pattern: str, said: Sequence[str]) -> tuple[Runs | None, int]:
    try:
        node = read_expression(pattern)
    except InvalidError:
        runs, digits = None, 0
    else:
        runs, digits = needed(node), digits_of(node)
    if runs is None and said:
        runs = tuple(tuple(_either_case(sign) for sign in word) for word in said)
    return runs, digits


def _either_case(sign: str) -> int:
    return 1 << ord(sign.lower()) | 1 << ord(sign.upper())


def _counted(digit: npt.NDArray[np.bool_], offsets: Ints) -> Ints:
    places = np.flatnonzero(digit)
    return np.diff(np.searchsorted(places, offsets))


def _rows_with(places: Ints, offsets: Ints) -> Ints:
    """Return the rows some places, given in order, lie in."""
    if len(places) * 8 < len(offsets):
        return _distinct(np.searchsorted(offsets, places, side="right") - 1)
    return np.flatnonzero(np.diff(np.searchsorted(places, offsets)))


def _distinct(rows: Ints) -> Ints:
    """Return rows in order, each once; they come in order."""
    return rows[np.concatenate([[True], rows[1:] != rows[:-1]])] if len(rows) else rows


def _table(rules: list[list[int]]) -> tuple[Ints, Ints]:
    counts = np.array([len(each) for each in rules], np.int64)
    begins = np.concatenate([[0], np.cumsum(counts)])
    return begins, np.array([number for each in rules for number in each], np.int64)


def _spread(table: tuple[Ints, Ints], word: Ints, row: Ints, size: int) -> list[Ints]:
    """Return a key for each rule that wants each word found."""
    begins, rules = table
    count = begins[word + 1] - begins[word]
    first = np.repeat(begins[word] - np.concatenate([[0], np.cumsum(count)[:-1]]), count)
    number = rules[first + np.arange(int(count.sum()))]
    return [number * size + np.repeat(row, count)]
