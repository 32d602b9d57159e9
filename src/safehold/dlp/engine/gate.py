"""Which rows a rule has to be tried on.

Built from the rules alone: every match of a rule holds one of a few runs of signs, so a row with none
of them cannot match. Runs of plain letters are found by one automaton in one pass over the text in
lower case, the others by array arithmetic; those with a digit only in rows with a digit. The bytes of
the rows lie end to end: a run that spans two rows only costs time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

from safehold.dlp.engine.needs import Need, Run, digits_of, needed, price
from safehold.dlp.engine.shapes import Shapes, window_of
from safehold.dlp.engine.syntax import DIGIT, read_expression
from safehold.dlp.engine.words import finder_of
from safehold.errors import InvalidError

Ints = npt.NDArray[np.int64]
_RARE: Final = (
    2e-3  # a literal that stands at more places of ordinary text is looked for with its neighbours
)
_RARE_BY_DIGIT: Final = 1e-6
_SPELLINGS: Final = 12
_WORDS: Final = 64  # words of one need, and shapes of one need, beyond which another is taken
_SHAPES: Final = 12
_ASKED: Final = 2  # needs by words a rule is asked for
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
        words: dict[bytes, list[int]] = {}
        shaped: tuple[dict[Run, list[int]], ...] = tuple({} for _ in LEVELS)
        self.always: list[int] = []
        self._digits = np.zeros(len(patterns), np.int64)
        self._times: list[int] = []  # of each need that is looked for
        self._rule: list[int] = []
        for number, (pattern, said) in enumerate(zip(patterns, needs, strict=True)):
            known, least = _known(pattern)
            self._digits[number] = max(least, digits[number])
            spelt, shape = _chosen(known, said)
            if not spelt and shape is None:
                self.always.append(number)
            for literals, times in spelt:
                for word in literals:
                    words.setdefault(word, []).append(len(self._rule))
                self._add(number, times)
            if shape is not None:
                level = int(np.searchsorted(LEVELS, self._digits[number], side="right")) - 1
                for window in dict.fromkeys(map(window_of, shape.runs)):
                    shaped[level].setdefault(window, []).append(len(self._rule))
                self._add(number, 1)
        self._asked = np.bincount(np.array(self._rule, np.int64), minlength=len(patterns))
        self._rule_of, self._least = np.array(self._rule, np.int64), np.array(self._times, np.int64)
        self.words = tuple(words)
        self._of_word = _table(list(words.values()))
        self._finder = finder_of(tier, self.words, list(shaped[0]))
        self._shapes = [Shapes(list(each)) for each in shaped[1:]]
        self._of_shape = [list(each.values()) for each in shaped]

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
        word, place, found = self._finder.find(data)
        pairs = []
        if len(word):
            place = np.searchsorted(offsets, place, side="right") - 1
            pairs += _spread(self._of_word, word, place, size)
        pairs += _paired(found, self._of_shape[0], offsets, None, size)
        for level in range(1, len(LEVELS)):
            pairs += self._shaped(level, data, offsets, digits)
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

    def _shaped(self, level: int, data: bytes, offsets: Ints, digits: Ints) -> list[Ints]:
        """Look for the shapes of rules that need so many digits, in the rows that have them."""
        size = len(offsets) - 1
        if not self._of_shape[level]:
            return []
        part, bounds = data, offsets
        few = np.flatnonzero(digits >= LEVELS[level])
        kept = few if len(few) * 4 <= size * 3 else None
        if kept is not None:
            text = memoryview(data)
            begin, end = offsets[kept].tolist(), offsets[kept + 1].tolist()
            part = b"".join([text[low:high] for low, high in zip(begin, end, strict=True)])
            bounds = np.concatenate([[0], np.cumsum(offsets[kept + 1] - offsets[kept])])
        found = self._shapes[level - 1].find(part)
        return _paired(found, self._of_shape[level], bounds, kept, size)


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


LEVELS: Final = (0, 2, 4, 9)  # digits a row has to have before shapes are looked for in it
_BLOCK: Final = 1 << 16
_ZERO, _TEN = np.uint8(48), np.uint8(10)


def _known(pattern: str) -> tuple[tuple[Need, ...], int]:
    with suppress(InvalidError):
        node = read_expression(pattern)
        return needed(node), digits_of(node)
    return (), 0


def _chosen(
    needs: tuple[Need, ...], said: Sequence[str]
) -> tuple[list[tuple[list[bytes], int]], Need | None]:
    """Return the needs that are looked for: by words, two at most; without any, one by shape.

    What a rule says of itself is used where its expression gives no words, or very many.
    """
    spelt: list[tuple[list[bytes], int]] = []
    seen: set[bytes] = set()
    for need in needs:
        listed = _spelt(need)
        if listed and len(listed) <= _WORDS and len(spelt) < _ASKED:
            if not any(o in w or w in o for o in seen for w in listed):
                spelt.append((listed, need.times))
                seen.update(listed)
    if not spelt and said:
        spelt = [(_shortest({word.lower().encode() for word in said}), 1)]
    if spelt:
        return spelt, None
    few = [need for need in needs if len(set(map(window_of, need.runs))) <= _SHAPES]
    if few:
        return [], few[0]
    spelt = [(listed, need.times) for need in needs if (listed := _spelt(need))][:1]
    return spelt, needs[0] if needs and not spelt else None


def _spelt(need: Need) -> list[bytes]:
    """Return words one of which stands in every run of a need; none when a run has no such word."""
    words: set[bytes] = set()
    for run in need.runs:
        found = _words_of(run)
        if not found:
            return []
        words.update(found)
    return _shortest(words)


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
