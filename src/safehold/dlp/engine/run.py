"""One set of rules over one chunk of text: gate, matches, checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from safehold.dlp.engine.gate import Gate
from safehold.dlp.engine.needs import stays_within
from safehold.dlp.engine.rows import bytes_of, laid_out
from safehold.dlp.engine.seek import seek, stretches
from safehold.dlp.pattern import Rule

Ints = npt.NDArray[np.int64]
# a candidate with fewer digits is rejected by these checks, so a row with fewer need not be tried
DIGITS: Final = {"check_shape": 2, "check_bare_token": 4, "check_iban": 7}
AROUND: Final = 96  # bytes of its row before and after a candidate that a check may look at


class Engine:
    """Rules made ready; it holds nothing of the text and may be used by many threads.

    Args:
        rules: The rules.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._alone = [not stays_within(rule.pattern) for rule in rules]
        self._gate = Gate(
            [rule.pattern for rule in rules],
            [rule.needs for rule in rules],
            [DIGITS.get(rule.check.__name__, 0) for rule in rules],
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
        found: list[tuple[int, int, int, int]] = []
        for number in np.flatnonzero(np.diff(bounds)).tolist():
            each = self.rules[number]
            mine = place[row[bounds[number] : bounds[number + 1]]]
            low, high = stretches(mine, offsets, alone=self._alone[number])
            spans = seek(each.compiled, each.group, data, low, high)
            if spans:
                found += _checked(each, data, offsets, spans)
        table = np.array(found, np.int64) if found else np.zeros((0, 4), np.int64)
        return data, offsets, rows, table


def _checked(
    rule: Rule, data: bytes, offsets: Ints, spans: list[tuple[int, int]]
) -> list[tuple[int, int, int, int]]:
    """Return the spans the rule's check keeps, with their confidence; each is cut to its row."""
    place = np.searchsorted(offsets, [start for start, _ in spans], side="right") - 1
    first, last = (offsets[place] + 1).tolist(), (offsets[place + 1] - 1).tolist()
    check, name, found = rule.check, rule.number, []
    for (start, end), begin, stop in zip(spans, first, last, strict=True):
        start, end = max(start, begin), min(end, stop)  # noqa: PLW2901 - a border may be in the match
        if start >= end:
            continue
        low = max(begin, start - AROUND)
        confidence = check(data[low : min(stop, end + AROUND)], start - low, end - low)
        if confidence:
            found.append((start, end, name, confidence))
    return found
