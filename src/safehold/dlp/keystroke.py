"""Rebuild typed text from key events, with the event every character came from.

The text of one field is a list of characters with a parallel list of origins and a caret. Three
kinds of pieces come out, each to be scanned:

* ``final``: what stood in the field when the segment ended;
* ``removed``: what stood around the caret just before a run of destroying operations, with every
  character the whole run removed (so a long erase hides nothing), or before an insertion into the
  middle. Each such run gives one, whatever was edited elsewhere before (so a far edit hides
  nothing);
* ``raw``: the characters in the order of typing, for carets moved by means that were not
  recorded;
* ``joined``: the ends of what was typed before and after a click within one window, for a click
  may only have moved the caret.

A segment ends at a change of window or field, at Enter and Tab, at a click, and when it grows too
long; then its last characters are carried over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from safehold.dlp.field import CARRIED, CONTEXT, Field, Piece
from safehold.dlp.keymap import OPAQUE, Op

Ints = npt.NDArray[np.int64]
Texts = Sequence[str] | npt.NDArray[np.object_]
LONGEST: Final = 8_192  # characters of one segment; bounds the cost of an edit
_DESTROYING: Final = frozenset({Op.BKSP, Op.DEL, Op.WBKSP, Op.WDEL, Op.LBKSP, Op.CUT})
_INS, _PASTE, _UNDO, _SELALL = int(Op.INS), int(Op.PASTE), int(Op.UNDO), int(Op.SELALL)
_BKSP, _SEG = int(Op.BKSP), int(Op.SEG)


def replay(
    ops: Ints, texts: Texts, segments: Ints, *, counts: Ints | None = None
) -> Iterator[Piece]:
    """Yield the pieces of text that a sequence of operations leaves, segment by segment.

    Args:
        ops: Operation of each row, a value of ``Op``.
        texts: Text each row inserts; empty where it inserts none.
        segments: Segment of each row, non-decreasing.
        counts: How often each row is repeated (a held backspace); None means once.
    """
    live = np.flatnonzero(ops != Op.NOP)
    if not len(live):
        return
    held = texts if isinstance(texts, np.ndarray) else np.array([*texts, ""], object)[:-1]
    many = np.ones(len(live), np.int64) if counts is None else counts[live]
    work = _Work(ops[live], segments[live], held[live], live, many)
    ends = _Ends(work)
    for at, number in enumerate(work.segments[work.bounds[:-1]].tolist()):
        if ends.plain[at]:
            yield from _plain(work, at, number)
        elif ends.fits[at]:
            yield from ends.replay(at, number)
        else:
            yield from _edit(work, at, number)


class _Work:
    """The live operations of a call; most are plain insertions.

    Args:
        ops: The operations.
        segments: Segment of each.
        texts: Text each inserts.
        rows: Row of each.
        many: How often each is repeated.
    """

    def __init__(
        self, ops: Ints, segments: Ints, texts: npt.NDArray[np.object_], rows: Ints, many: Ints
    ) -> None:
        self.ops, self.segments, self.texts, self.rows, self.many = ops, segments, texts, rows, many
        self.bounds = np.flatnonzero(np.r_[True, segments[1:] != segments[:-1], True])
        self.edges: list[int] = self.bounds.tolist()


class _Ends:
    """Segments in which nothing but the end of the text was ever erased: most.

    What ``_edit`` does with them is worked out here for all of them together, in a tenth of its time.

    Args:
        work: The operations.
    """

    def __init__(self, work: _Work) -> None:
        ops, bounds = work.ops, work.bounds
        inserts, erases = ops == _INS, ops == _BKSP
        before = _counts(inserts)  # insertions before each operation
        typed = before[bounds]  # where the characters of each segment begin
        chars = work.texts[inserts].tolist()
        self.text, self.rows = "".join(chars), work.rows[inserts]
        self.plain: list[bool] = (np.diff(typed) == np.diff(bounds)).tolist()
        fits = np.diff(typed) <= LONGEST
        fits &= np.diff(_counts(~inserts & ~erases & (ops != _SEG))[bounds]) == 0
        if len(self.text) != len(chars):  # what one press inserts may be several characters
            wide = np.fromiter((len(char) != 1 for char in chars), bool, len(chars))
            fits &= np.diff(_counts(wide)[typed]) == 0
            self.text = "".join(char[:1] or " " for char in chars)
        self.fits: list[bool] = fits.tolist()
        self.typed: list[int] = typed.tolist()
        # runs of erasures without an insertion between, each at a place of the text
        at = np.flatnonzero(erases)
        place, segment = before[at], work.segments[at]
        change = np.ones(len(at), bool)
        change[1:] = (place[1:] != place[:-1]) | (segment[1:] != segment[:-1])
        first = np.flatnonzero(change)
        self.place: list[int] = place[first].tolist()
        counts = np.add.reduceat(work.many[at], first) if len(first) else first
        self.count: list[int] = counts.tolist()
        self.run: list[int] = np.searchsorted(
            at[first], bounds
        ).tolist()  # the first of each segment

    def replay(self, at: int, number: int) -> Iterator[Piece]:
        """Yield the pieces of one segment.

        Args:
            at: Which one.
            number: Its number.
        """
        begins, end = self.typed[at], self.typed[at + 1]
        low, high = self.run[at], self.run[at + 1]
        text, origins, size, done = "", np.empty(end - begins, np.int64), 0, begins
        for place, count in zip(
            [*self.place[low:high], end], [*self.count[low:high], 0], strict=True
        ):
            text += self.text[done:place]
            full = size + place - done
            origins[size:full] = self.rows[done:place]
            done, size = place, max(0, full - count)
            if size < full:
                begin = max(0, size - CONTEXT)
                yield Piece("removed", text[begin:], origins[begin:full].copy(), number)
                text = text[:size]
        if size:
            yield Piece("final", text, origins[:size], number)
        if begins < end:
            yield Piece("raw", self.text[begins:end], self.rows[begins:end], number)


def _counts(flags: npt.NDArray[np.bool_]) -> Ints:
    """Return how many flags stand before each place, and how many there are."""
    counts = np.zeros(len(flags) + 1, np.int64)
    np.cumsum(flags, out=counts[1:])
    return counts


def _plain(work: _Work, at: int, number: int) -> Iterator[Piece]:
    low, high = work.edges[at], work.edges[at + 1]
    chars, rows = work.texts[low:high].tolist(), work.rows[low:high]
    text = "".join(chars)
    if len(text) != len(chars):
        rows = np.repeat(rows, [len(char) for char in chars])
    for start in range(0, len(text), LONGEST):
        begin = max(0, start - CARRIED)
        yield Piece("final", text[begin : start + LONGEST], rows[begin : start + LONGEST], number)


def join_clicked(pieces: Iterable[Piece], fields: Ints) -> Iterator[Piece]:
    """Yield the pieces, and for each window with clicks in it what was typed around them.

    Args:
        pieces: Pieces in the order of their segments.
        fields: Window of each segment: segments that only a click parts have one number.
    """
    ends: dict[str, list[Piece]] = {"final": [], "raw": []}
    window = -1
    for piece in pieces:
        yield piece
        if piece.kind not in ends:
            continue
        if fields[piece.segment] != window:
            yield from _join(ends)
            window = int(fields[piece.segment])
            ends = {"final": [], "raw": []}
        ends[piece.kind].append(piece)
    yield from _join(ends)


def _join(ends: dict[str, list[Piece]]) -> Iterator[Piece]:
    typed = {piece.segment: piece for piece in ends["final"]}
    for listed in (ends["final"], list((typed | {p.segment: p for p in ends["raw"]}).values())):
        chars: list[str] = []
        origins: list[int] = []
        for piece in listed if len({piece.segment for piece in listed}) > 1 else ():
            text, rows = piece.text, list(piece.origins)
            if len(text) > 2 * CONTEXT:
                text = text[:CONTEXT] + OPAQUE + text[-CONTEXT:]
                rows = [*rows[:CONTEXT], rows[CONTEXT], *rows[-CONTEXT:]]
            chars.append(text)
            origins += rows
        if chars:
            yield Piece("joined", "".join(chars), origins, listed[0].segment)
        if not ends["raw"]:
            break


def _edit(work: _Work, at: int, number: int) -> Iterator[Piece]:
    field = Field(number)
    low, high = work.edges[at], work.edges[at + 1]
    ops, rows, many = work.ops, work.rows, work.many
    chars = work.texts[low:high].tolist()
    special = np.flatnonzero(ops[low:high] != _INS) + low
    at = low
    for place in [*special.tolist(), high]:
        while at < place:  # a run of insertions
            stop = min(place, at + LONGEST)
            _insert(field, chars[at - low : stop - low], rows[at:stop].tolist())
            at = stop
            if len(field.chars) > LONGEST or len(field.raw) > LONGEST:
                yield from field.cut()
        if place == high:
            break
        op = int(ops[place])
        if op == _PASTE:
            if OPAQUE in chars[place - low]:
                field.confidence = min(field.confidence, 80)
            _insert(field, [chars[place - low]], [int(rows[place])])
        elif op in _DESTROYING:
            field.erase(op, int(many[place]))
        elif op == _SELALL:
            field.settle()
            field.anchor, field.caret = 0, len(field.chars)
        elif op == _UNDO:
            field.confidence = min(field.confidence, 50)
        elif op != Op.SEG:
            field.move(op)
        at = place + 1
        if len(field.chars) > LONGEST:
            yield from field.cut()
        elif len(field.pieces) > 256:
            yield from field.pieces
            field.pieces = []
    yield from field.close()


def _insert(field: Field, chars: list[str], rows: list[int]) -> None:
    joined = "".join(chars)
    if len(joined) != len(chars):
        rows = [row for row, char in zip(rows, chars, strict=True) for _ in char]
        chars = list(joined)
    field.insert(chars, rows, broken="\n" in joined)


__all__ = ["CONTEXT", "LONGEST", "Piece", "join_clicked", "replay"]
