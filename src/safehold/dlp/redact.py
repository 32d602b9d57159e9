"""Replace what was found in text by the name of its class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.classes import CLASSES, NAMES
from safehold.dlp.engine.rows import large_texts
from safehold.dlp.overlap import replace_spans, unite
from safehold.dlp.scan import ALL, find_spans

_ROUNDS: Final = (
    6  # a mask may complete another pattern; what is still found then takes the whole text
)
_RANKS: Final = tuple(each.rank for each in CLASSES.values())
_BITS: Final = np.array([int(each.bit) for each in CLASSES.values()], np.uint32)


@dataclass(frozen=True, slots=True)
class Masked:
    """Text after masking.

    Args:
        text: The text, ``large_string``.
        sens: Bits of what was found, per row.
        classes: Rows in which each class was found.
        row: Rows in which something was found, once for each class.
        kind: Number of the class found there.
    """

    text: pa.Array
    sens: npt.NDArray[np.uint32]
    classes: dict[str, int]
    row: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int64]


def mask_text(texts: Any, *, groups: frozenset[str] = ALL) -> Masked:
    """Return text without the spans of the given groups.

    Masking is repeated until nothing is found any more; a text in which something is
    still found after some rounds is replaced whole.

    Args:
        texts: Arrow strings; sliced arrays and nulls are fine.
        groups: Groups of classes to mask.
    """
    array = pa.array([], pa.large_string()) if texts is None else texts
    array = large_texts(array)
    sens = np.zeros(len(array), np.uint32)
    seen: set[tuple[int, int]] = set()
    todo = np.arange(len(array))
    for turn in range(_ROUNDS):
        spans = find_spans(array if turn == 0 else array.take(pa.array(todo)), groups=groups)
        if not len(spans):
            break
        rows, kinds = todo[spans.row], spans.kind
        np.bitwise_or.at(sens, rows, _BITS[kinds])
        seen.update(zip(rows.tolist(), kinds.tolist(), strict=True))
        found = list(zip(spans.start.tolist(), spans.end.tolist(), kinds.tolist(), strict=True))
        todo = np.unique(rows)
        values = array.take(pa.array(todo)).to_pylist()
        local = np.searchsorted(todo, rows)
        bounds = np.searchsorted(local, np.arange(len(todo) + 1))
        fresh = [
            _replace(value, found[low:high], whole=turn == _ROUNDS - 1)
            for value, low, high in zip(
                values, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True
            )
        ]
        place = np.zeros(len(array), bool)
        place[todo] = True
        array = pc.replace_with_mask(array, pa.array(place), pa.array(fresh, pa.large_string()))
    counts: dict[str, int] = {}
    for _, kind in seen:
        counts[NAMES[kind]] = counts.get(NAMES[kind], 0) + 1
    pairs = np.array(sorted(seen), np.int64).reshape(len(seen), 2)
    return Masked(array, sens, counts, pairs[:, 0], pairs[:, 1])


def _replace(text: str, found: list[tuple[int, int, int]], *, whole: bool) -> str:
    if whole:
        return _token(text, max((kind for _, _, kind in found), key=_RANKS.__getitem__))
    return replace_spans(text, unite(found), _token)


def _token(_value: str, kind: int) -> str:
    return f"[{NAMES[kind]}]"
