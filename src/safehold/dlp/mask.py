"""From spans of text to key events.

Masked are: the events a span's characters came from; what lies between two of them that are near
each other; editing operations and modifiers next to a masked run; and the releases of all of
these.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

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
from safehold.telemetry.stream import KeyKind

Ints = npt.NDArray[np.int64]
NEAR: Final = 14  # presses between two characters of one span that are masked with it
_RANKS: Final = np.array([each.rank for each in CLASSES.values()], np.int64)
_BITS: Final = np.array([int(each.bit) for each in CLASSES.values()], np.uint32)
_EDITS: Final = np.array([op not in (Op.NOP, Op.INS, Op.PASTE, Op.SEG) for op in Op], bool)
_BLOCK: Final = 1 << 18  # characters of spans that are looked at together; bounds the memory


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

    def put_each(self, rows: Ints, kinds: Ints) -> None:
        """Mask rows, each by a class of its own, as ``put`` does one after the other.

        Args:
            rows: The rows; one may come several times.
            kinds: The class of each.
        """
        order = np.lexsort((-_RANKS[kinds], rows))  # stable: of equal ranks the first
        once, best = rows[order], kinds[order]
        first = np.flatnonzero(np.diff(once, prepend=-1))
        once, best = once[first], best[first]
        old = self.kind[once]
        better = (old < 0) | (_RANKS[old] < _RANKS[best])
        self.kind[once[better]] = best[better]
        np.bitwise_or.at(self.sens, rows, _BITS[kinds])


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
    texts = _texts_of(pieces)
    presses = _Presses(typed)
    spans = find_spans(texts, groups=groups)
    _mark_spans(spans, pieces, presses, marks)
    units = find_units(texts, groups=groups, told=(spans.row, spans.kind))
    _mark_spans(units, pieces, presses, marks)
    if roster is not None:
        _mark_spans(roster.find(texts), pieces, presses, marks)
    if tagged:
        _mark_spans(find_named(texts), pieces, presses, marks)


def _texts_of(pieces: list[Piece]) -> Any:
    texts = [piece.text for piece in pieces]
    whole = "".join(texts)
    if not whole.isascii() or "\0" in whole:
        # a lone half of a surrogate pair has no UTF-8; a zero byte is the border between texts
        texts = [
            text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
            for text in texts
        ]
    return pa.array(texts, pa.large_string())


class _Presses:
    """The presses among events, counted, so that releases do not widen a gap."""

    def __init__(self, typed: Typed) -> None:
        self.typed = typed

    @cached_property
    def place(self) -> Ints:
        """Where each press stands."""
        return np.flatnonzero(self.typed.kinds != KeyKind.UP)

    @cached_property
    def number(self) -> Ints:
        """How many presses there are before each event."""
        pressed = self.typed.kinds != KeyKind.UP
        before: Ints = np.cumsum(pressed) - pressed
        return before

    def windows(self, events: Ints) -> Ints:
        """Return the window each event lies in."""
        found: Ints = self.typed.fields[self.typed.segments[events]]
        return found


def _mark_spans(
    spans: Spans | Found | Units | Names, pieces: list[Piece], presses: _Presses, marks: Marks
) -> None:
    size = np.cumsum(spans.end - spans.start)
    if not len(size):
        return
    cuts = np.searchsorted(size, np.arange(0, int(size[-1]), _BLOCK))
    for low, high in pairwise([*np.unique(cuts).tolist(), len(size)]):
        rows, starts, ends = (
            each[low:high].tolist() for each in (spans.row, spans.start, spans.end)
        )
        origins = [
            pieces[row].origins[start:end]
            for row, start, end in zip(rows, starts, ends, strict=True)
        ]
        of = np.repeat(np.arange(low, high), np.fromiter(map(len, origins), np.int64, high - low))
        events, of = _filled(np.concatenate(origins), of, presses)
        marks.put_each(events, spans.kind[of])


def _filled(events: Ints, of: Ints, presses: _Presses) -> tuple[Ints, Ints]:
    """Return the events of spans with what lies between two of one span that are near each other.

    Args:
        events: The events.
        of: The span of each, in order.
        presses: The presses among all events.
    """
    order = np.lexsort((events, of))
    events, of = events[order], of[order]
    begins = np.diff(of, prepend=-1) > 0
    fresh = begins | (np.diff(events, prepend=-1) > 0)
    events, of, begins = events[fresh], of[fresh], begins[fresh]
    number = presses.number[events]
    gap = np.diff(number)
    wide = np.flatnonzero((gap > 1) & (gap <= NEAR) & ~begins[1:])
    if not len(wide):
        return events, of
    many = gap[wide] - 1
    step = np.arange(int(many.sum())) - np.repeat(np.cumsum(many) - many, many)
    inner = presses.place[np.repeat(number[wide] + 1, many) + step]
    first = np.flatnonzero(begins)[np.cumsum(begins) - 1]  # the first event of the span of each
    here = presses.windows(events[np.repeat(first[wide], many)]) == presses.windows(inner)
    events = np.concatenate([events, inner[here]])
    of = np.concatenate([of, np.repeat(of[wide], many)[here]])
    order = np.argsort(of, kind="stable")
    return events[order], of[order]


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
    loose = _EDITS[typed.ops[place]] | held[typed.names[place]]
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
