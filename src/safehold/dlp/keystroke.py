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
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from safehold.dlp.keymap import OPAQUE, Op

Ints = npt.NDArray[np.int64]
CONTEXT: Final = (
    128  # characters kept on each side of a caret; 80 was enough for every kind measured
)
LONGEST: Final = 8_192  # characters of one segment; bounds the cost of an edit
_CARRIED: Final = 512
_WORD: Final = 256  # characters a word operation crosses at most; bounds its cost
_DESTROYING: Final = frozenset({Op.BKSP, Op.DEL, Op.WBKSP, Op.WDEL, Op.LBKSP, Op.CUT})
_SELECTING: Final = frozenset({Op.SLEFT, Op.SRIGHT, Op.SHOME, Op.SEND, Op.SWLEFT, Op.SWRIGHT})
_INS, _PASTE, _UNDO, _SELALL = int(Op.INS), int(Op.PASTE), int(Op.UNDO), int(Op.SELALL)
_BKSP, _SEG = int(Op.BKSP), int(Op.SEG)


class Piece(NamedTuple):
    """Text that stood in a field, or was typed into it.

    Args:
        kind: ``final``, ``removed``, ``raw`` or ``joined``.
        text: The characters.
        origins: Row of the operation each character came from.
        segment: Number of the segment.
        confidence: Percent; lower after undo and after text that was not recorded.
    """

    kind: str
    text: str
    origins: Sequence[int] | Ints
    segment: int
    confidence: int = 100


def _is_word(char: str) -> bool:
    return char == "_" or char >= "\x80" or (char.isascii() and char.isalnum())


class _Field:
    """The text of one field while it is edited."""

    __slots__ = (
        "after",
        "anchor",
        "before",
        "broken",
        "caret",
        "chars",
        "confidence",
        "origins",
        "pieces",
        "raw",
        "raw_origins",
        "segment",
    )

    def __init__(self, segment: int) -> None:
        self.segment = segment
        self.chars: list[str] = []
        self.origins: list[int] = []
        self.caret = 0
        self.anchor = -1
        self.broken = False  # whether a line break was ever inserted
        self.confidence = 100
        # what a run of destroying operations has removed so far, on the two sides of the caret
        self.before: list[tuple[str, int]] | None = None
        self.after: list[tuple[str, int]] = []
        self.raw: list[str] = []
        self.raw_origins: list[int] = []
        self.pieces: list[Piece] = []

    def remove(self, low: int, high: int) -> None:
        """Remove characters next to the caret and remember them."""
        if self.before is None:
            self.before, self.after = [], []
        if high == self.caret == low + 1 == len(self.chars):  # the last character, as nearly always
            self.before.append((self.chars.pop(), self.origins.pop()))
            self.caret = low
            return
        gone = list(zip(self.chars[low:high], self.origins[low:high], strict=True))
        if low < self.caret:
            split = self.caret - low
            self.before.extend(reversed(gone[:split]))
            gone = gone[split:]
        self.after.extend(gone)
        del self.chars[low:high]
        del self.origins[low:high]
        self.caret = low

    def settle(self) -> None:
        """End a run of destroying operations: hand out what stood there before it."""
        if self.before is None:
            return
        removed = [*reversed(self.before), *self.after]
        self.before = None
        if removed:
            self.snapshot([pair[0] for pair in removed], [pair[1] for pair in removed])

    def snapshot(self, chars: list[str], origins: list[int]) -> None:
        """Hand out the text around the caret with these characters at the caret."""
        low, high = max(0, self.caret - CONTEXT), self.caret + CONTEXT
        text = (
            "".join(self.chars[low : self.caret])
            + "".join(chars)
            + "".join(self.chars[self.caret : high])
        )
        whole = self.origins[low : self.caret] + origins + self.origins[self.caret : high]
        self.pieces.append(Piece("removed", text, whole, self.segment, self.confidence))

    def drop_selection(self) -> bool:
        """Remove what is selected; tell whether there was anything."""
        if self.anchor < 0:
            return False
        low, high = sorted((self.anchor, self.caret))
        self.anchor = -1
        if low == high:
            return False
        self.remove(low, min(high, len(self.chars)))
        return True

    def insert(self, chars: list[str], origins: list[int], *, broken: bool) -> None:
        """Insert at the caret.

        Args:
            chars: The characters.
            origins: Row each came from.
            broken: Whether a line break is among them.
        """
        if self.anchor >= 0:
            self.drop_selection()
        if self.before is not None:
            self.settle()
        self.broken = self.broken or broken
        self.raw += chars
        self.raw_origins += origins
        if self.caret == len(self.chars):
            self.chars += chars
            self.origins += origins
        else:
            self.snapshot([], [])
            self.chars[self.caret : self.caret] = chars
            self.origins[self.caret : self.caret] = origins
        self.caret += len(chars)

    def step_word(self, by: int) -> int:
        """Return where the caret lands after a move by one word."""
        at, chars, most = self.caret, self.chars, self.caret + by * _WORD
        for wanted in (False, True):
            while at != most:
                place = at - 1 if by < 0 else at
                if not 0 <= place < len(chars) or _is_word(chars[place]) != wanted:
                    break
                at += by
        return at

    def line(self, by: int) -> int:
        """Return the start or the end of the line of the caret."""
        if not self.broken:
            return 0 if by < 0 else len(self.chars)
        if by < 0:
            return "".join(self.chars[: self.caret]).rfind("\n") + 1
        try:
            return self.chars.index("\n", self.caret)
        except ValueError:
            return len(self.chars)

    def erase(self, op: int, count: int) -> None:
        """Carry out a destroying operation."""
        if self.drop_selection() or op == Op.CUT:
            return
        if op == Op.BKSP:
            self.remove(max(0, self.caret - count), self.caret)
        elif op == Op.DEL:
            self.remove(self.caret, min(len(self.chars), self.caret + count))
        elif op == Op.WBKSP:
            self.remove(self.step_word(-1), self.caret)
        elif op == Op.LBKSP:
            self.remove(self.line(-1), self.caret)
        else:
            self.remove(self.caret, self.step_word(1))

    def move(self, op: int) -> None:
        """Move the caret, with or without selecting."""
        self.settle()
        if op in _SELECTING:
            self.anchor = self.caret if self.anchor < 0 else self.anchor
        elif self.anchor >= 0 and op in (Op.LEFT, Op.RIGHT):
            ends = sorted((self.anchor, self.caret))
            self.caret, self.anchor = ends[op == Op.RIGHT], -1
            return
        else:
            self.anchor = -1
        if op in (Op.LEFT, Op.SLEFT):
            self.caret = max(0, self.caret - 1)
        elif op in (Op.RIGHT, Op.SRIGHT):
            self.caret = min(len(self.chars), self.caret + 1)
        elif op in (Op.HOME, Op.SHOME):
            self.caret = self.line(-1)
        elif op in (Op.END, Op.SEND):
            self.caret = self.line(1)
        elif op in (Op.WLEFT, Op.SWLEFT):
            self.caret = self.step_word(-1)
        else:
            self.caret = self.step_word(1)

    def close(self) -> Iterator[Piece]:
        """End the segment and yield what is left of it."""
        self.settle()
        yield from self.pieces
        self.pieces = []
        if self.chars:
            yield Piece("final", "".join(self.chars), self.origins, self.segment, self.confidence)
        if self.raw:
            yield Piece("raw", "".join(self.raw), self.raw_origins, self.segment, self.confidence)

    def cut(self) -> Iterator[Piece]:
        """Hand out a text that has grown too long and go on with its end."""
        yield from self.close()
        low = max(0, min(self.caret, len(self.chars) - _CARRIED))
        low = max(low, self.caret - _CARRIED)
        high = low + 2 * _CARRIED
        self.chars, self.origins = self.chars[low:high], self.origins[low:high]
        self.caret, self.anchor = max(0, self.caret - low), -1
        self.raw, self.raw_origins = self.raw[-_CARRIED:], self.raw_origins[-_CARRIED:]


def replay(
    ops: Ints,
    texts: Sequence[str] | npt.NDArray[np.object_],
    segments: Ints,
    *,
    counts: Ints | None = None,
) -> Iterator[Piece]:
    """Yield the pieces of text that a sequence of operations leaves, segment by segment.

    Args:
        ops: Operation of each row, a value of ``Op``.
        texts: Text each row inserts; empty where it inserts none.
        segments: Segment of each row, non-decreasing.
        counts: How often each row is repeated (a held backspace); None means once.
    """
    live = np.flatnonzero(ops != Op.NOP)
    ops, segments = ops[live], segments[live]
    many = None if counts is None else counts[live]
    if not len(live):
        return
    bounds = np.flatnonzero(np.r_[True, segments[1:] != segments[:-1], True])
    special = np.flatnonzero(ops != _INS)
    # at the end of a text nothing is edited but what was typed last
    odd = special[(ops[special] != _BKSP) & (ops[special] != _SEG)]
    listed = (
        texts[live].tolist()
        if isinstance(texts, np.ndarray)
        else [texts[row] for row in live.tolist()]
    )
    work = _Work(ops, listed, live, many)
    starts, odds = np.searchsorted(special, bounds).tolist(), np.searchsorted(odd, bounds).tolist()
    edges = bounds.tolist()
    for at, number in enumerate(segments[bounds[:-1]].tolist()):
        low, high = edges[at], edges[at + 1]
        mine = special[starts[at] : starts[at + 1]]
        if not len(mine):
            yield from _plain(listed[low:high], live[low:high], number)
        elif odds[at] < odds[at + 1] or high - low - len(mine) > LONGEST:
            yield from _edit(_Field(number), work, mine, low, high)
        else:
            yield from _taken_back(work, mine, number, low, high)


def _plain(chars: list[str], rows: Ints, number: int) -> Iterator[Piece]:
    text = "".join(chars)
    if len(text) != len(chars):
        rows = np.repeat(rows, [len(char) for char in chars])
    for start in range(0, len(text), LONGEST):
        low = max(0, start - _CARRIED)
        yield Piece("final", text[low : start + LONGEST], rows[low : start + LONGEST], number)


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


@dataclass(frozen=True, slots=True)
class _Work:
    """The live operations of a call; most are plain insertions."""

    ops: Ints
    chars: list[str]
    rows: Ints
    many: Ints | None


def _taken_back(work: _Work, special: Ints, number: int, low: int, high: int) -> Iterator[Piece]:
    """Replay a segment of which only the end was ever erased: as ``_edit`` does, in a tenth of the time."""
    plain = np.ones(high - low, bool)
    plain[special - low] = False
    typed = "".join(work.chars[low:high])
    rows = work.rows[low:high][plain].tolist()
    if len(typed) != len(rows):  # what one press inserts may be several characters
        yield from _edit(_Field(number), work, special, low, high)
        return
    erasing = np.flatnonzero(work.ops[special] == _BKSP)
    after = special[erasing] - erasing - low  # characters typed before each
    first = np.flatnonzero(np.diff(after, prepend=-1))  # of a run without an insertion
    many = np.ones(len(erasing), np.int64) if work.many is None else work.many[special[erasing]]
    counts = np.add.reduceat(many, first) if len(first) else many
    text, origins, done = "", list[int](), 0
    for place, count in zip(after[first].tolist(), counts.tolist(), strict=True):
        text += typed[done:place]
        origins += rows[done:place]
        done = place
        left = max(0, len(text) - count)
        if left < len(text):
            begin = max(0, left - CONTEXT)
            yield Piece("removed", text[begin:], origins[begin:], number)
            text = text[:left]
            del origins[left:]
    text += typed[done:]
    origins += rows[done:]
    if text:
        yield Piece("final", text, origins, number)
    if typed:
        yield Piece("raw", typed, rows, number)


def _edit(field: _Field, work: _Work, special: Ints, low: int, high: int) -> Iterator[Piece]:
    ops, chars, rows, many = work.ops, work.chars, work.rows, work.many
    at = low
    for place in [*special.tolist(), high]:
        while at < place:  # a run of insertions
            stop = min(place, at + LONGEST)
            _insert(field, chars[at:stop], rows[at:stop].tolist())
            at = stop
            if len(field.chars) > LONGEST or len(field.raw) > LONGEST:
                yield from field.cut()
        if place == high:
            break
        op = int(ops[place])
        if op == _PASTE:
            if OPAQUE in chars[place]:
                field.confidence = min(field.confidence, 80)
            _insert(field, [chars[place]], [int(rows[place])])
        elif op in _DESTROYING:
            field.erase(op, 1 if many is None else int(many[place]))
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


def _insert(field: _Field, chars: list[str], rows: list[int]) -> None:
    joined = "".join(chars)
    if len(joined) != len(chars):
        rows = [row for row, char in zip(rows, chars, strict=True) for _ in char]
        chars = list(joined)
    field.insert(chars, rows, broken="\n" in joined)
