"""From spans of text to key events.

Masked are: the events a span's characters came from; what lies between two of them that are near
each other; editing operations and modifiers next to a masked run; and the releases of all of
these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from safehold.dlp.classes import CLASSES
from safehold.dlp.keymap import MODIFIERS, Op
from safehold.dlp.keystroke import Piece
from safehold.dlp.named import find_named
from safehold.dlp.roster import Found, Roster
from safehold.dlp.scan import Spans, find_spans
from safehold.dlp.tagger import Names
from safehold.dlp.topic import Units, find_units
from safehold.dlp.typed import Typed
from safehold.telemetry.schema import KeyKind

Ints = npt.NDArray[np.int64]
NEAR: Final = 14  # presses between two characters of one span that are masked with it
_RANKS: Final = np.array([each.rank for each in CLASSES.values()], np.int64)
_BITS: Final = np.array([int(each.bit) for each in CLASSES.values()], np.uint32)
_EDITS: Final = tuple(op for op in Op if op not in (Op.NOP, Op.INS, Op.PASTE, Op.SEG))


@dataclass(frozen=True, slots=True)
class Marks:
    """What was found in each event.

    Args:
        kind: Number of the class that masks the event; -1 where none does.
        sens: Bits of everything found in it.
    """

    kind: Ints
    sens: npt.NDArray[np.uint32]

    @classmethod
    def clean(cls, rows: int) -> Marks:
        """Return marks in which nothing is masked."""
        return cls(np.full(rows, -1, np.int64), np.zeros(rows, np.uint32))

    def put(self, rows: Ints, kind: int) -> None:
        """Mask rows; the class of higher rank wins."""
        old = self.kind[rows]
        better = (old < 0) | (_RANKS[old] < _RANKS[kind])
        self.kind[rows[better]] = kind
        self.sens[rows] |= _BITS[kind]


def mark_pieces(
    pieces: list[Piece],
    typed: Typed,
    marks: Marks,
    *,
    groups: frozenset[str],
    roster: Roster | None = None,
    tagged: bool = False,
) -> None:
    """Scan pieces of rebuilt text and mask the presses of every span.

    Args:
        pieces: The text.
        typed: The events.
        marks: Where the result goes.
        groups: Groups of classes to look for.
        roster: Names of people who work here.
        tagged: Whether the tagger looks for other names.
    """
    if not pieces:
        return
    texts = pa.array([_clean(piece.text) for piece in pieces], pa.large_string())
    spans = find_spans(texts, groups=groups)
    _mark_spans(spans, pieces, typed, marks)
    units = find_units(texts, groups=groups, told=(spans.row, spans.kind))
    _mark_spans(units, pieces, typed, marks)
    if roster is not None:
        _mark_spans(roster.find(texts), pieces, typed, marks)
    if tagged:
        _mark_spans(find_named(texts), pieces, typed, marks)


def _mark_spans(
    spans: Spans | Found | Units | Names, pieces: list[Piece], typed: Typed, marks: Marks
) -> None:
    press = np.cumsum(
        typed.kinds != KeyKind.UP
    )  # counts presses, so that releases do not widen a gap
    place = np.flatnonzero(typed.kinds != KeyKind.UP)
    for row, start, end, kind in zip(
        spans.row.tolist(),
        spans.start.tolist(),
        spans.end.tolist(),
        spans.kind.tolist(),
        strict=True,
    ):
        origins = np.unique(np.asarray(pieces[row].origins[start:end], np.int64))
        number = press[origins] - 1
        gap = np.diff(number)
        wide = np.flatnonzero((gap > 1) & (gap <= NEAR))
        if len(wide):
            between = [np.arange(number[at] + 1, number[at + 1]) for at in wide.tolist()]
            inner = np.concatenate(between)
            window = typed.fields[typed.segments[origins[0]]]
            inner = inner[typed.fields[typed.segments[place[inner]]] == window]
            origins = np.concatenate([origins, place[inner]])
        marks.put(origins, kind)


def _clean(text: str) -> str:
    # a lone half of a surrogate pair has no UTF-8; a zero byte is the border between texts
    text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def spread(typed: Typed, marks: Marks) -> None:
    """Mask editing operations and modifiers next to a masked run, and the releases.

    Args:
        typed: The events.
        marks: What is masked so far; widened in place.
    """
    if not (marks.kind >= 0).any():
        return
    place = np.flatnonzero(typed.kinds != KeyKind.UP)
    kind, segment = marks.kind[place], typed.segments[place]
    held = np.array([name in MODIFIERS or name == "CapsLock" for name in typed.vocabulary], bool)
    loose = np.isin(typed.ops[place], _EDITS) | held[typed.names[place]]
    for reach in (
        _reach(kind, segment, loose),
        _reach(kind[::-1], segment[::-1], loose[::-1])[::-1],
    ):
        for number in np.unique(reach[reach >= 0]).tolist():
            marks.put(place[reach == number], number)
    ups = np.flatnonzero((typed.kinds == KeyKind.UP) & (typed.release >= 0))
    pressed = marks.kind[typed.release[ups]]
    for number in np.unique(pressed[pressed >= 0]).tolist():
        marks.put(ups[pressed == number], number)
    # an up without a press, inside a masked run
    lost = np.flatnonzero((typed.kinds == KeyKind.UP) & (typed.release < 0))
    if len(lost) and len(place):
        after = (
            np.clip(np.searchsorted(place, lost), 1, len(place) - 1)
            if len(place) > 1
            else np.zeros(len(lost), np.int64)
        )
        inside = (kind[after] >= 0) & (kind[np.maximum(after - 1, 0)] >= 0)
        for number in np.unique(kind[after][inside]).tolist():
            marks.put(lost[inside & (kind[after] == number)], number)


def _reach(kind: Ints, segment: Ints, loose: npt.NDArray[np.bool_]) -> Ints:
    """Return the class that reaches each loose press from a masked one before it; -1 for none."""
    at = np.arange(len(kind))
    masked = np.maximum.accumulate(np.where(kind >= 0, at, -1))
    firm = np.maximum.accumulate(np.where(~loose & (kind < 0), at, -1))
    ok = loose & (kind < 0) & (masked > firm) & (masked >= 0)
    ok &= segment[np.maximum(masked, 0)] == segment
    return np.where(ok, kind[np.maximum(masked, 0)], -1)
