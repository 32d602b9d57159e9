"""Which blocks are joined: only what is worth it, and never so often that it costs more than it saves."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest

from safehold.catalog.tier import (
    CLOSED,
    FEWEST,
    LEAST,
    OPEN,
    TARGET,
    choose,
    worth_moving,
)

KB = 1_000


@pytest.mark.parametrize(
    ("sizes", "closed", "found"),
    [
        ([11 * KB] * 24, True, [range(24)]),
        ([11 * KB] * 7, False, []),
        ([11 * KB] * 8, False, [range(8)]),
        ([11 * KB], True, []),
        ([], True, []),
        ([TARGET, 5 * KB], True, []),
        # a block that is large already is not written again for a little beside it
        ([600 * KB, 5 * KB], True, []),
        ([600 * KB, 5 * KB, 6 * KB], True, [range(1, 3)]),
        ([5 * KB, 600 * KB, 5 * KB, 5 * KB], True, [range(2, 4)]),
        ([5 * KB, 11 * KB], True, []),
        ([88 * KB] * 3, True, [range(3)]),
        ([400 * KB] * 5, True, [range(3), range(3, 5)]),
        # what would be left over goes with the rest
        ([500 * KB, 500 * KB, 9 * KB], True, [range(3)]),
        ([TARGET, 11 * KB, 11 * KB, TARGET, 11 * KB, 11 * KB], True, [range(1, 3), range(4, 6)]),
    ],
)
def test_which_are_joined(sizes: list[int], closed: bool, found: list[range]) -> None:
    assert sorted(choose(sizes, closed=closed), key=lambda one: one.start) == found


def test_whatever_the_sizes_are_a_join_is_worth_it() -> None:
    draw = random.Random(7)
    for _ in range(2_000):
        sizes = [int(2 ** draw.uniform(9, 21)) for _ in range(draw.randrange(40))]
        closed = draw.random() < 0.5
        ranges = sorted(choose(sizes, closed=closed), key=lambda one: one.start)
        assert all(first.stop <= second.start for first, second in pairwise(ranges))
        for one in ranges:
            some = [sizes[place] for place in one]
            assert len(some) >= (2 if closed else FEWEST)
            assert sum(some) >= max(some) * (CLOSED if closed else OPEN)
            assert max(some) < TARGET
            assert sum(some) < 2 * TARGET + LEAST


def test_a_row_is_rewritten_seldom_however_it_trickles_in() -> None:
    """The bound that the docs state: how often its first block grows by half until it has the target."""
    draw = random.Random(3)
    for size in (600, 3 * KB, 11 * KB):
        bound = math.ceil(math.log(TARGET / size, CLOSED))
        blocks: list[tuple[int, int]] = []  # size, how often the oldest of its rows was rewritten
        for _ in range(1_500):
            blocks.append((int(size * draw.uniform(1, 2)), 0))
            closed = draw.random() < 0.5  # as if the day ended again and again
            for one in sorted(
                choose([b for b, _ in blocks], closed=closed), key=lambda r: -r.start
            ):
                some = [blocks[place] for place in one]
                joined = (sum(b for b, _ in some), 1 + max(times for _, times in some))
                blocks[one.start : one.stop] = [joined]
        assert max(times for _, times in blocks) <= bound
        assert sum(b < LEAST for b, _ in blocks) < 20, "what is left small"


def test_objects_are_moved_together_or_not_at_all() -> None:
    assert worth_moving([5 * KB] * (FEWEST - 1)) == []
    assert worth_moving([5 * KB] * FEWEST) == list(range(FEWEST))
    assert worth_moving([900 * KB, *[5 * KB] * FEWEST]) == list(range(1, FEWEST + 1))
    assert worth_moving([900 * KB, *[5 * KB] * (FEWEST - 1)]) == []
