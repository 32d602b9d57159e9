"""Mask messages: spans by their class, and a message that is on a sensitive topic as a whole.

What a topic takes goes whatever the rules saw of it; what they saw is still counted, and in ``sens``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.classes import NAMES
from safehold.dlp.engine.rows import large_texts
from safehold.dlp.redact import Masked, mask_text
from safehold.dlp.scan import ALL, find_spans
from safehold.dlp.topic import find_units, replace_units


def mask_messages(texts: Any, *, groups: frozenset[str] = ALL) -> Masked:
    """Return messages without the spans of the given groups, and without those that are on a topic of them.

    Args:
        texts: Arrow strings; sliced arrays and nulls are fine.
        groups: Groups of classes to mask.
    """
    array = large_texts(texts)
    found = mask_text(array, groups=groups)
    units = find_units(array, groups=groups, told=(found.row, found.kind))
    if not len(units):
        return found
    rows = np.unique(units.row)
    # what is left beside a paragraph that went is masked as ever
    rest = mask_text(replace_units(array, units).take(pa.array(rows)), groups=groups)
    place = np.zeros(len(array), bool)
    place[rows] = True
    sens = found.sens.copy()
    np.bitwise_or.at(sens, units.row, units.sens)
    pairs = np.concatenate(
        [np.stack([found.row, found.kind], axis=1), np.stack([units.row, units.kind], axis=1)]
    )
    pairs = np.unique(pairs, axis=0)
    kinds, rows_of = np.unique(pairs[:, 1], return_counts=True)
    counts = {
        NAMES[kind]: count for kind, count in zip(kinds.tolist(), rows_of.tolist(), strict=True)
    }
    text = pc.replace_with_mask(found.text, pa.array(place), rest.text)
    return Masked(text, sens, counts, pairs[:, 0], pairs[:, 1])


def message_units(texts: Sequence[str]) -> list[list[tuple[int, int, str, int]]]:
    """Return for each message start, end (code points), class and confidence (percent) of its units."""
    array = pa.array(texts, pa.large_string())
    found = find_spans(array)
    units = find_units(array, groups=ALL, told=(found.row, found.kind))
    listed: list[list[tuple[int, int, str, int]]] = [[] for _ in texts]
    columns = (units.row, units.start, units.end, units.kind, units.confidence)
    for row, start, end, kind, sure in zip(*(each.tolist() for each in columns), strict=True):
        listed[row].append((start, end, NAMES[kind], sure))
    return listed
