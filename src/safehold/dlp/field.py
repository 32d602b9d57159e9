"""The text of one field while it is edited, and the pieces of it that are scanned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from safehold.dlp.keymap import Op

Ints = npt.NDArray[np.int64]
CONTEXT: Final = (
    128  # characters kept on each side of a caret; 80 was enough for every kind measured
)
CARRIED: Final = 512
_WORD: Final = 256  # characters a word operation crosses at most; bounds its cost
_SELECTING: Final = frozenset({Op.SLEFT, Op.SRIGHT, Op.SHOME, Op.SEND, Op.SWLEFT, Op.SWRIGHT})


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


class Field:
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
        low = max(0, min(self.caret, len(self.chars) - CARRIED))
        low = max(low, self.caret - CARRIED)
        high = low + 2 * CARRIED
        self.chars, self.origins = self.chars[low:high], self.origins[low:high]
        self.caret, self.anchor = max(0, self.caret - low), -1
        self.raw, self.raw_origins = self.raw[-CARRIED:], self.raw_origins[-CARRIED:]
