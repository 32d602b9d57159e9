"""Which rows a rule has to be tried on.

Built from the rules alone: every match of a rule holds one of a few runs of signs, so a row with none
of them cannot match. Runs of plain letters are found by one automaton in one pass over the text in
lower case, the others by array arithmetic; those with a digit only in rows with a digit. The bytes of
the rows lie end to end: a run that spans two rows only costs time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from safehold.dlp.engine.chosen import chosen_for
from safehold.dlp.engine.needs import Run
from safehold.dlp.engine.rows import bytes_of
from safehold.dlp.engine.shapes import window_of
from safehold.dlp.engine.tier import TIERS
from safehold.dlp.engine.words import finder_of

Ints = npt.NDArray[np.int64]


class Gate:
    """The gate for some rules.

    Args:
        patterns: Expressions of the rules, in their order.
        digits: Digits that each rule's check asks for besides.
        needs: Lower-case words that a rule says it needs, one of which has to be there; used where
            nothing can be worked out of its expression.
        tier: Which machine finds words and rare runs.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        needs: Sequence[Sequence[str]],
        digits: Sequence[int],
        *,
        tier: str,
    ) -> None:
        wanted = [_Wanted() for _ in LEVELS]
        self.always: list[int] = []
        self._digits = np.zeros(len(patterns), np.int64)
        self._times: list[int] = []  # of each need that is looked for
        self._rule: list[int] = []
        for number, (pattern, said) in enumerate(zip(patterns, needs, strict=True)):
            chosen = chosen_for(pattern, tuple(said))
            self._digits[number] = max(chosen.digits, digits[number])
            level = int(np.searchsorted(LEVELS, self._digits[number], side="right")) - 1
            spelt, shape = chosen.words, chosen.shape
            if not spelt and shape is None:
                self.always.append(number)
            for literals, times in spelt:
                for word in literals:
                    wanted[level].words.setdefault(word, []).append(len(self._rule))
                self._add(number, times)
            if shape is not None:
                for window in dict.fromkeys(map(window_of, shape.runs)):
                    wanted[level].runs.setdefault(window, []).append(len(self._rule))
                self._add(number, 1)
        self._asked = np.bincount(np.array(self._rule, np.int64), minlength=len(patterns))
        self._rule_of, self._least = np.array(self._rule, np.int64), np.array(self._times, np.int64)
        # only what is looked for in every row is worth another machine
        self._levels = [
            _Level(least, each, tier=tier if least == 0 else TIERS[0])
            for least, each in zip(LEVELS, wanted, strict=True)
            if each.words or each.runs
        ]

    def _add(self, rule: int, times: int) -> None:
        self._rule.append(rule)
        self._times.append(times)

    def rows(self, data: bytes, offsets: Ints) -> tuple[Ints, Ints]:
        """Return pairs of rule and row in which the rule may match, ordered by rule and row.

        Args:
            data: The bytes of all rows, end to end.
            offsets: Where each row begins, and where the last one ends.
        """
        size = len(offsets) - 1
        digits = digits_in(data, offsets)
        pairs = [key for level in self._levels for key in level.keys(data, offsets, digits)]
        rule, row = self._met(pairs, size)
        keep = digits[row] >= self._digits[rule]
        return rule[keep], row[keep]

    def _met(self, pairs: list[Ints], size: int) -> tuple[Ints, Ints]:
        """Return rules and rows in which every need of the rule is met, as often as it has to be."""
        key = np.sort(np.concatenate([np.zeros(0, np.int64), *pairs]))
        begin = np.flatnonzero(np.diff(key, prepend=-1))
        need, row = np.divmod(key[begin], size)
        enough = np.diff(begin, append=len(key)) >= self._least[need]
        key = np.sort(self._rule_of[need[enough]] * size + row[enough])
        begin = np.flatnonzero(np.diff(key, prepend=-1))
        rule, row = np.divmod(key[begin], size)
        every = np.diff(begin, append=len(key)) >= self._asked[rule]
        rule, row = rule[every], row[every]
        if self.always:
            rule = np.concatenate([rule, np.repeat(self.always, size)])
            row = np.concatenate([row, np.tile(np.arange(size), len(self.always))])
            order = np.lexsort((row, rule))
            rule, row = rule[order], row[order]
        return rule, row


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Words and runs, each with the needs that want it."""

    words: dict[bytes, list[int]] = field(default_factory=dict)
    runs: dict[Run, list[int]] = field(default_factory=dict)


class _Level:
    """What is looked for in rows with so many digits at least."""

    def __init__(self, least: int, wanted: _Wanted, *, tier: str) -> None:
        self.least = least
        self._finder = finder_of(tier, list(wanted.words), list(wanted.runs))
        self._of_word = _table(list(wanted.words.values()))
        self._of_run = list(wanted.runs.values())

    def keys(self, data: bytes, offsets: Ints, digits: Ints) -> list[Ints]:
        """Return need times rows plus row, for each need met at a place of a row."""
        size = len(offsets) - 1
        part, bounds, kept = data, offsets, None
        few = np.flatnonzero(digits >= self.least)
        if len(few) * 4 <= size * 3:
            part, bounds, kept = _picked(data, offsets, few), np.zeros(len(few) + 1, np.int64), few
            np.cumsum(offsets[few + 1] - offsets[few], out=bounds[1:])
        word, place, found = self._finder.find(part)
        keys = _paired(found, self._of_run, bounds, kept, size)
        if len(word):
            row = np.searchsorted(bounds, place, side="right") - 1
            keys += _spread(self._of_word, word, row if kept is None else kept[row], size)
        return keys


def _picked(data: bytes, offsets: Ints, rows: Ints) -> bytes:
    first = np.concatenate([[True], rows[1:] != rows[:-1] + 1])[: len(rows)]
    last = np.concatenate([first[1:], [True]])[: len(rows)]
    begin, end = offsets[rows[first]].tolist(), offsets[rows[last] + 1].tolist()
    return b"".join([data[low:high] for low, high in zip(begin, end, strict=True)])


def _paired(
    found: list[Ints], needs: list[list[int]], bounds: Ints, kept: Ints | None, size: int
) -> list[Ints]:
    """Return a key for each need that wants a run, and each row the run stands in."""
    pairs = []
    for places, wanted in zip(found, needs, strict=True):
        if len(places):
            row = _rows_with(places, bounds)
            row = row if kept is None else kept[row]
            pairs += [number * size + row for number in wanted]
    return pairs


LEVELS: Final = (0, 1, 2, 4, 9)  # digits a row has to have before shapes are looked for in it
_BLOCK: Final = 1 << 16
_ZERO, _TEN = np.uint8(48), np.uint8(10)


def digits_in(data: bytes, offsets: Ints) -> Ints:
    """Return how many digits each row holds, by counting the bits of 64 bytes at once."""
    code = np.frombuffer(data, np.uint8)
    packed = np.zeros((len(code) >> 6) * 8 + 16, np.uint8)
    for low in range(0, len(code), _BLOCK):
        digit = (code[low : low + _BLOCK] - _ZERO) < _TEN
        bits = np.packbits(digit, bitorder="little")
        packed[low >> 3 : (low >> 3) + len(bits)] = bits
    words = packed.view(np.uint64)
    before = np.zeros(len(words) + 1, np.int64)
    np.cumsum(np.bitwise_count(words), out=before[1:])
    place = offsets >> 6
    below = (np.uint64(1) << (offsets & 63).astype(np.uint64)) - np.uint64(1)
    counts: Ints = np.diff(before[place] + np.bitwise_count(words[place] & below))
    return counts


def numbered_rows(array: Any) -> Ints:
    """Return the rows that hold a digit, or a sign beyond ASCII, which may be one.

    Args:
        array: ``string`` or ``large_string``; nulls are fine.
    """
    data, offsets = bytes_of(array)
    some = digits_in(data, offsets) > 0
    if not data.isascii():
        beyond = np.flatnonzero(np.frombuffer(data, np.uint8) >= 0x80)
        some[_rows_with(beyond, offsets)] = True
    return np.flatnonzero(some)


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
