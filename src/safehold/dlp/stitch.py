"""What is split over messages: a number in two halves or many pieces, a cue and its answer.

Neighbouring messages of a conversation, and neighbouring ones of one person in it, are scanned
once more where they meet; a run of pieces of a number is read as one.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.chain import chained
from safehold.dlp.classes import CLASSES, NAMES
from safehold.dlp.context import distinct, words_of
from safehold.dlp.engine.gate import numbered_rows
from safehold.dlp.overlap import replace_spans, unite
from safehold.dlp.scan import find_spans

Ints = npt.NDArray[np.int64]
_REACH: Final = 64  # characters of each message that are looked at
# of a split secret the second part holds a digit near its beginning; most messages do not
_BEGINS: Final = r"^[^\pN]{0,24}\pN"
_BITS: Final = np.array([int(each.bit) for each in CLASSES.values()], np.uint32)


def stitch(
    texts: pa.Array, thread: Any, person: Any, moment: Ints, *, groups: frozenset[str]
) -> tuple[pa.Array, npt.NDArray[np.uint32], dict[str, int]]:
    """Mask what two neighbouring messages hold together.

    Args:
        texts: Messages, each masked by itself.
        thread: Conversation of each.
        person: Author of each.
        moment: When each was written.
        groups: Groups of classes to mask.

    Returns:
        The messages, bits of what was found in each, and messages by class.
    """
    sens, counts = np.zeros(len(texts), np.uint32), dict[str, int]()
    orders = _orders(thread, person, moment)
    found: dict[int, list[tuple[int, int, int]]] = {}
    for row, start, end, kind in sorted(chained(texts, orders, groups=groups)):
        found.setdefault(row, []).append((start, end, kind))
    first, second = _pairs(texts, orders)
    if not len(first) and not found:
        return texts, sens, counts
    tails = pc.utf8_slice_codeunits(texts.take(pa.array(first)), start=-_REACH)
    heads = pc.utf8_slice_codeunits(texts.take(pa.array(second)), start=0, stop=_REACH)
    length = pc.utf8_length(texts).fill_null(0).to_numpy(zero_copy_only=False)
    tail = pc.utf8_length(tails).to_numpy(zero_copy_only=False)
    for mark in (" ", ""):
        joined = pc.binary_join_element_wise(tails, heads, pa.scalar(mark, pa.large_string()))
        spans = find_spans(joined, groups=groups)
        for pair, start, end, kind in zip(
            spans.row.tolist(), spans.start.tolist(), spans.end.tolist(), spans.kind.tolist(),
            strict=True,
        ):  # fmt: skip
            border = int(tail[pair])
            begin = border + len(mark)
            if end <= begin:
                continue
            one, two = int(first[pair]), int(second[pair])
            found.setdefault(two, []).append((max(0, start - begin), end - begin, kind))
            if start < border:
                low = int(length[one]) - border + start
                found.setdefault(one, []).append((low, int(length[one]), kind))
    if not found:
        return texts, sens, counts
    rows = sorted(found)
    fresh = []
    for row, text in zip(rows, texts.take(pa.array(rows)).to_pylist(), strict=True):
        fresh.append(
            replace_spans(text, unite(sorted(found[row])), lambda _, kind: f"[{NAMES[kind]}]")
        )
        for kind in {kind for _, _, kind in found[row]}:
            sens[row] |= _BITS[kind]
            counts[NAMES[kind]] = counts.get(NAMES[kind], 0) + 1
    place = np.zeros(len(texts), bool)
    place[rows] = True
    new = pa.array(fresh, pa.large_string())
    return pc.replace_with_mask(texts, pa.array(place), new), sens, counts


def _orders(thread: Any, person: Any, moment: Ints) -> list[tuple[Ints, npt.NDArray[np.bool_]]]:
    """Return the messages by conversation, and by person in it: rows, and which follow which."""
    talk, who = words_of(thread)[0], words_of(person)[0]
    orders = []
    for code in (talk, distinct(talk * (int(who.max(initial=0)) + 1) + who)[1]):
        order = np.lexsort((np.arange(len(code)), moment, code))
        orders.append((order, code[order[1:]] == code[order[:-1]]))
    return orders


def _pairs(texts: pa.Array, orders: list[tuple[Ints, npt.NDArray[np.bool_]]]) -> tuple[Ints, Ints]:
    wanted = np.zeros(len(texts), bool)
    if len(rows := numbered_rows(texts)):
        begins = pc.match_substring_regex(texts.take(pa.array(rows)), _BEGINS)
        wanted[rows] = pc.fill_null(begins, fill_value=False).to_numpy(zero_copy_only=False)
    if not wanted.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    found = []
    for order, same in orders:
        ok = same & wanted[order[1:]]
        found.append(order[:-1][ok] * len(order) + order[1:][ok])
    both = np.unique(np.concatenate(found))
    there = pc.is_valid(texts).to_numpy(zero_copy_only=False)
    both = both[there[both // len(texts)]]
    return both // len(texts), both % len(texts)
