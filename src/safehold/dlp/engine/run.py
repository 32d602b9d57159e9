"""One set of rules over one chunk of text: gate, matches, checks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from safehold.dlp.engine.chosen import chosen_for
from safehold.dlp.engine.gate import Gate
from safehold.dlp.engine.rows import bytes_of, laid_out
from safehold.dlp.engine.seek import seek, stretches
from safehold.dlp.engine.vet import VETS, Candidates, Facts
from safehold.dlp.pattern import Rule

Ints = npt.NDArray[np.int64]
# a candidate with fewer digits is rejected by these checks, so a row with fewer need not be tried
DIGITS: Final = {
    "check_shape": 2, "check_bare_token": 4, "check_iban": 7, "check_house": 1, "check_numbered": 3, "check_account": 6,
    "check_cued_phone": 4, "check_phone": 7, "check_named_phone": 6, "check_ssn": 9, "check_card": 12, "check_age": 1,
    "check_card_alone": 12, "check_card_plain": 12, "check_keyed": 1, "check_token": 1,
}  # fmt: skip
MANY: Final = 64  # candidates that are judged together: what is then worked out of the buffer costs more than a few
AROUND: Final = 96  # bytes of its row before and after a candidate that a check may look at


class Engine:
    """Rules made ready; it holds nothing of the text and may be used by many threads.

    Args:
        rules: The rules.
        tier: The tier, see ``tier``.
    """

    def __init__(self, rules: Sequence[Rule], *, tier: str) -> None:
        self.rules = tuple(rules)
        self._alone = [not chosen_for(rule.pattern, rule.needs).within for rule in rules]
        self._gate = Gate(
            [rule.pattern for rule in rules],
            [rule.needs for rule in rules],
            [DIGITS.get(rule.check.__name__, 0) for rule in rules],
            tier=tier,
        )

    def find(self, array: Any) -> tuple[bytes, Ints, Ints, Ints]:
        """Return what the rules find in a chunk.

        Args:
            array: ``large_string``.

        Returns:
            The buffer that was searched, where the stretch of each of its rows begins, which rows of
            the chunk these are, and one line a span: first byte, byte after the last, number of the
            rule, confidence.
        """
        rule, row = self._gate.rows(*bytes_of(array))
        rows = np.flatnonzero(np.bincount(row, minlength=len(array)))
        picked = array if len(rows) == len(array) else array.take(pa.array(rows))
        data, offsets = laid_out(picked)
        place = np.zeros(len(array), np.int64)
        place[rows] = np.arange(len(rows))
        bounds = np.searchsorted(rule, np.arange(len(self.rules) + 1))
        facts, found = Facts(data), [np.zeros((0, 4), np.int64)]
        for number in np.flatnonzero(np.diff(bounds)).tolist():
            each = self.rules[number]
            mine = place[row[bounds[number] : bounds[number + 1]]]
            low, high = stretches(mine, offsets, alone=self._alone[number])
            spans = seek(each.compiled, each.group, data, low, high, gather=not self._alone[number])
            if spans:
                found.append(checked(each, facts, offsets, spans))
        return data, offsets, rows, np.concatenate(found)


def checked(rule: Rule, facts: Facts, offsets: Ints, spans: list[tuple[int, int]]) -> Ints:
    """Return the spans the rule's check keeps, each cut to its row, with their confidence.

    Args:
        rule: The rule.
        facts: What is known of the buffer.
        offsets: Where the stretch of each row begins.
        spans: What the rule's expression matched, in order.

    Returns:
        First byte, byte after the last, number of the rule, confidence.
    """
    borders = np.fromiter(chain.from_iterable(spans), np.int64, 2 * len(spans))
    place = np.searchsorted(offsets, borders[0::2], side="right") - 1
    place = np.clip(place, 0, len(offsets) - 2)
    first, last = offsets[place] + 1, offsets[place + 1] - 1
    start, end = np.maximum(borders[0::2], first), np.minimum(borders[1::2], last)
    if not (there := start < end).all():  # a border was all there was, or the group took no part
        start, end, first, last = start[there], end[there], first[there], last[there]
    vet = VETS.get(rule.check.__name__) if len(start) >= MANY else None
    said = np.full(len(start), -1, np.int64) if vet is None else vet(Candidates(facts, start, end))
    for at in np.flatnonzero(said < 0).tolist():
        begin, stop = int(start[at]), int(end[at])
        low = max(int(first[at]), begin - AROUND)
        window = facts.data[low : min(int(last[at]), stop + AROUND)]
        said[at] = rule.check(window, begin - low, stop - low)
    kept = said > 0
    if rule.needs and kept.any():
        kept &= _named(rule, facts, first, last)
    return np.stack(
        [start[kept], end[kept], np.full(int(kept.sum()), rule.number), said[kept]], axis=1
    )


def _named(rule: Rule, facts: Facts, first: Ints, last: Ints) -> npt.NDArray[np.bool_]:
    """Return which rows hold one of the words the rule says it needs, in any case.

    Args:
        rule: The rule.
        facts: What is known of the buffer.
        first: Where the row of each span begins; spans of one row come together.
        last: Where it ends.
    """
    lower, words = facts.lower, [word.lower().encode() for word in rule.needs]
    held, before = [], (-1, False)
    for begin, end in zip(first.tolist(), last.tolist(), strict=True):
        if begin != before[0]:
            before = begin, any(lower.find(word, begin, end) >= 0 for word in words)
        held.append(before[1])
    return np.array(held, bool)
