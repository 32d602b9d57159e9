"""When blocks are joined, and which. Pure: sizes in, ranges out.

A block costs a reader about the same whatever lies in it, until it has some hundred KB. So small ones are joined, but
a row that is rewritten again and again costs more than it saves. Rule: blocks are joined only into one that is at least
``OPEN`` (while more may come) or ``CLOSED`` times as large as the largest of them. So each time
a row was rewritten the block that it lies in has grown by half at least, and from ``TARGET`` on it is left alone: it is
rewritten log(TARGET / size of its first block) / log(CLOSED) times at most, whatever comes in which order.
``docs/how-to/compact-small-blocks.md`` has the figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

LEAST: Final = 100_000  # bytes that a block should have, where there is so much
TARGET: Final = 1_000_000  # bytes from which a block is left alone
FEWEST: Final = 8  # blocks that wait before they are joined, while more may come
OPEN: Final = 4  # how much larger than the largest of them a joined block is, while more may come
CLOSED: Final = 1.5  # and once the day is over
SMALL_OBJECT: Final = (
    1_000_000  # bytes below which the blocks of an object are moved to a larger one
)


def choose(sizes: Sequence[int], *, closed: bool) -> list[range]:
    """Return which neighbours are joined, as ranges of positions; none overlap, each has two at least.

    Args:
        sizes: Bytes of the blocks of one person, stream, day and label, in the order in which they are read.
        closed: The day is over.
    """
    return [
        found
        for run in _unfinished(sizes)
        for piece in _pieces(sizes, run)
        for found in _worth(
            sizes, piece, least=2 if closed else FEWEST, ratio=CLOSED if closed else OPEN
        )
    ]


def worth_moving(sizes: Sequence[int]) -> list[int]:
    """Return which objects' blocks are moved into a larger one, as positions; none, or ``FEWEST`` at least.

    Args:
        sizes: Bytes of the small objects of one segment whose data ends on one day.
    """
    order = sorted(range(len(sizes)), key=lambda place: sizes[place])
    total = sum(sizes)
    while len(order) >= FEWEST:
        largest = sizes[order[-1]]
        if largest * CLOSED <= total:
            return sorted(order)
        total -= largest
        order.pop()
    return []


def _unfinished(sizes: Sequence[int]) -> Iterator[range]:
    """Yield the longest runs of blocks that are below the target."""
    start = 0
    for place, size in enumerate([*sizes, TARGET]):
        if size >= TARGET:
            if place - start > 1:
                yield range(start, place)
            start = place + 1


def _pieces(sizes: Sequence[int], run: range) -> list[range]:
    """Return a run in pieces of about the target; what is left at its end goes with the last if it is little."""
    pieces: list[range] = []
    start, held = run.start, 0
    for place in run:
        held += sizes[place]
        if held >= TARGET:
            pieces.append(range(start, place + 1))
            start, held = place + 1, 0
    if start < run.stop:
        if pieces and held < LEAST:
            start = pieces.pop().start
        pieces.append(range(start, run.stop))
    return pieces


def _worth(sizes: Sequence[int], piece: range, *, least: int, ratio: float) -> Iterator[range]:
    """Yield the parts of a piece that are worth it: without the largest block where it is too large for the rest."""
    waiting = [piece]
    while waiting:
        one = waiting.pop()
        if len(one) < least:
            continue
        largest = max(one, key=lambda place: sizes[place])
        if sizes[largest] * ratio <= sum(sizes[place] for place in one):
            yield one
        else:
            waiting += [range(largest + 1, one.stop), range(one.start, largest)]
