"""How long detection and the reconstruction of typing take on text made against them, 1 KB to 10 MB."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
from tests.adversary import against

from safehold.dlp.engine.run import Engine
from safehold.dlp.keymap import Op
from safehold.dlp.keystroke import replay
from safehold.dlp.pattern import Rule

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
PRESS = 10  # bytes a key press takes, about: its key, kind and time
Work = Callable[[], object]
Curve = dict[int, float]
"""CPU-seconds by size."""

# what is done again and again to the text of one field; each starts from what the last one left
TYPED = {
    "typed straight on": [Op.INS],
    "typed and erased": [Op.INS, Op.BKSP],
    "typed at the begin": [Op.HOME, Op.INS],
    "erased word by word": [Op.INS, Op.INS, Op.INS, Op.WBKSP],
    "caret to and fro": [Op.INS, Op.WLEFT, Op.END],
    "selected and typed over": [Op.INS, Op.INS, Op.SELALL, Op.INS],
    "taken back": [Op.INS, Op.UNDO],
}


def least(work: Work, rounds: int) -> float:
    """The least CPU-seconds some work takes; garbage of a long test process is not collected meanwhile."""
    best = float("inf")
    gc.disable()
    try:
        for _ in range(rounds):
            start = time.process_time()
            work()
            best = min(best, time.process_time() - start)
    finally:
        gc.enable()
    return best


def curves(works: dict[str, Callable[[int], Work]]) -> dict[str, Curve]:
    """The curve of each work up to 1 MB, and of the two that are slowest there up to 10 MB."""
    for make in works.values():
        make(SIZES[0])()  # what is made on first use is not counted
    found = {
        name: {size: least(make(size), 3 if size < SIZES[-2] else 1) for size in SIZES[:-1]}
        for name, make in works.items()
    }
    for name in sorted(found, key=lambda name: found[name][SIZES[-2]])[-2:]:
        found[name][SIZES[-1]] = least(works[name](SIZES[-1]), 1)
    return found


def rule_curves(rule: Rule, tier: str) -> dict[str, Curve]:
    """The curves of one rule alone, by the kind of text."""
    engine = Engine([rule], tier=tier)

    def prepared(name: str) -> Callable[[int], Work]:
        def make(size: int) -> Work:
            texts = pa.array([against(rule.pattern, size)[name]], pa.large_string())
            return lambda: engine.find(texts)

        return make

    return curves({name: prepared(name) for name in against(rule.pattern, 10)})


def _typed(ops: list[Op], size: int) -> Work:
    row = np.resize(np.array(ops, np.int64), size // PRESS)
    texts = ["a" if op == Op.INS else "" for op in row.tolist()]
    segments = np.zeros(len(row), np.int64)

    def work() -> None:
        for _ in replay(row, texts, segments):
            pass

    return work


def typing_curves() -> dict[str, Curve]:
    """The curves of the reconstruction."""
    return curves({name: lambda size, ops=ops: _typed(ops, size) for name, ops in TYPED.items()})


def growths(curve: Curve) -> Iterator[tuple[int, float, float]]:
    """Size, time of a tenth of it, time of it."""
    for small, large in pairwise(sorted(curve)):
        yield large, curve[small], curve[large]


def linear(small: float, large: float, growth: float = 10) -> bool:
    """Ten times the text may take 25 times as long, and a little more for what does not grow."""
    return large <= 2.5 * growth * small + 0.05
