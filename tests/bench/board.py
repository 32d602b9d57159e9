"""One table of ratios: what was measured, against what in the same run, and whether the goal is met.

Every row asserts a floor that is a ratio of two figures of this run, so that a slow or busy machine slows both.
Goals that are rates hold for an idle core of today; they are printed and never asserted.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

HEAD = ("what", "ours", "against, in the same run", "ratio", "goal", "")
WIDTHS = (46, 24, 46, 8, 26, 7)


@dataclass(slots=True)
class Board:
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        what: str,
        *,
        ours: str,
        peer: str,
        ratio: float,
        goal: str,
        met: bool,
        floor: float | None = None,
        most: float | None = None,
    ) -> None:
        """Add a row, print it, and fail if the ratio is below its floor or above its most."""
        shown = f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.3f}"
        row = (
            what,
            ours,
            peer,
            shown,
            goal,
            "-" if goal.startswith("(none") else "met" if met else "NOT MET",
        )
        self.rows.append(row)
        print("\n" + line(row))
        if floor is not None:
            assert ratio >= floor, f"{what}: ratio {shown} is below its floor of {floor}"
        if most is not None:
            assert ratio <= most, f"{what}: ratio {shown} is above its limit of {most}"
        assert (floor is None) != (most is None)

    def note(self, text: str) -> None:
        """Add a line below the table."""
        self.notes.append(text)
        print("  " + text)

    def render(self) -> list[str]:
        return [line(HEAD), "-" * sum(WIDTHS), *map(line, self.rows), "", *self.notes]


def line(row: tuple[str, ...]) -> str:
    return " ".join(text.ljust(width) for text, width in zip(row, WIDTHS, strict=True)).rstrip()


BOARD = Board()


def cpu(work: Callable[[], object], *, rounds: int = 3) -> float:
    """Return the least CPU-seconds of this process that some work takes."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def together(*works: Callable[[], object], rounds: int = 3) -> list[float]:
    """Return the least CPU-seconds of each of some works, done in turns so that a busy moment meets all of them."""
    best = [float("inf")] * len(works)
    for _ in range(rounds):
        for at, work in enumerate(works):
            best[at] = min(best[at], cpu(work, rounds=1))
    return best


def plain_pass(table: pa.Table) -> float:
    """Return the CPU-seconds of doing almost nothing to the same rows: Arrow bytes, and their SHA-256."""

    def work() -> None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        hashlib.sha256(sink.getvalue()).digest()

    return cpu(work)


PLAIN = "Arrow bytes + SHA-256 of the same rows"
