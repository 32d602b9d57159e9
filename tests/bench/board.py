"""One table of ratios: what was measured, against what in the same run, and whether the goal is met.

A floor is a ratio of two figures of one run, so that a slow or busy machine slows both. A row below its floor fails its
bench, after the others were made. Goals that are rates hold for an idle core of today; they are printed and never fail.
A row that could not be measured stays in the table with the reason.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

HEAD = ("what", "ours", "against, in the same run", "ratio", "goal", "", "")
WIDTHS = (46, 24, 46, 8, 26, 7, 5)
SHORT = os.environ.get("SAFEHOLD_BENCH_SHORT", "") == "1"  # tiny sizes, and no floor counts
MET, MISSED, NONE, ABSENT = "met", "NOT MET", "-", "not here"
WON, LOST, EVEN = "won", "lost", "even"
_ALIKE = 0.03  # nearer than this to one, nobody won


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Args:
        group: Part of the suite that made it.
        what: What was measured.
        ours: Our figure with its unit.
        peer: The other one, with its name.
        ratio: Of the two; None where there is only one of them.
        goal: What is wanted, in words.
        state: ``met``, ``NOT MET``, ``-`` or ``not here``.
        verdict: ``won``, ``lost`` or ``even`` against a rival; empty where the other figure is a limit or a part.
        floor: The least that the ratio may be, or None.
        most: The most that it may be, or None.
    """

    group: str
    what: str
    ours: str
    peer: str
    ratio: float | None
    goal: str
    state: str
    verdict: str = ""
    floor: float | None = None
    most: float | None = None

    @property
    def shown(self) -> str:
        """The ratio as it is printed."""
        if self.ratio is None:
            return "-"
        if self.ratio >= 1_000:
            return f"{self.ratio:,.0f}"
        return f"{self.ratio:.2f}" if self.ratio >= 0.1 else f"{self.ratio:.3f}"

    @property
    def fault(self) -> str:
        """What is wrong with the ratio, or nothing."""
        if self.ratio is None:
            return ""
        if self.floor is not None and not self.ratio >= self.floor:
            return f"{self.what}: ratio {self.shown} is below its floor of {self.floor}"
        if self.most is not None and not self.ratio <= self.most:
            return f"{self.what}: ratio {self.shown} is above its limit of {self.most}"
        return ""

    def cells(self) -> tuple[str, ...]:
        """The cells of the printed line."""
        return (self.what, self.ours, self.peer, self.shown, self.goal, self.state, self.verdict)


@dataclass(slots=True)
class Board:
    """Rows and notes of one run; ``group`` names the bench that is running."""

    rows: list[Row] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    curves: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    group: str = "more"

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
        rival: bool = False,
    ) -> None:
        """Add a row and print it; a ratio beyond its floor or most is kept as a fault, for ``settle``.

        Args:
            what: What was measured.
            ours: Our figure with its unit.
            peer: The other one, with its name.
            ratio: Of the two: with a floor more is better, with a most less.
            goal: What is wanted; ``(none...`` where nothing is.
            met: Whether the goal is.
            floor: The least that is accepted, below what was measured.
            most: The most that is accepted.
            rival: Whether the other side does the same job, so that there is a winner.
        """
        assert (floor is None) != (most is None), f"{what}: a floor or a most"
        assert math.isfinite(ratio), f"{what}: {ratio}"
        verdict = ""
        if rival:
            gain = ratio if floor is not None else 1 / max(ratio, 1e-12)
            verdict = EVEN if abs(gain - 1) <= _ALIKE else WON if gain > 1 else LOST
        state = NONE if goal.startswith("(none") else MET if met else MISSED
        self._put(
            Row(self.group, what, ours, peer, float(ratio), goal, state, verdict, floor, most)
        )

    def miss(
        self, what: str, *, ours: str = "-", peer: str, why: str, goal: str = "(none)"
    ) -> None:
        """Add a row that could not be measured, with the reason: it does not vanish."""
        self._put(Row(self.group, what, ours, f"{peer}: {why}", None, goal, ABSENT))

    def _put(self, row: Row) -> None:
        self.rows.append(row)
        print("\n" + line(row.cells()))
        if row.fault and not SHORT:
            self.faults.append(row.fault)

    def note(self, text: str) -> None:
        """Add a line below the table."""
        self.notes.append((self.group, text))
        print("  " + text)

    def settle(self) -> None:
        """Raise if a ratio of the bench that just ran is beyond what is accepted."""
        faults, self.faults = self.faults, []
        assert not faults, "; ".join(faults)

    def render(self) -> list[str]:
        """Return the table as lines."""
        lines = [line(HEAD), "-" * (sum(WIDTHS) + len(WIDTHS))]
        lines += [line(row.cells()) for row in self.rows]
        return [*lines, "", *(text for _, text in self.notes)]

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        told = {
            "rows": [asdict(row) for row in self.rows],
            "notes": [list(one) for one in self.notes],
            "curves": self.curves,
        }
        path.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


def line(cells: tuple[str, ...]) -> str:
    """Return one printed line."""
    return " ".join(text.ljust(width) for text, width in zip(cells, WIDTHS, strict=True)).rstrip()


BOARD = Board()


def sized(full: int, short: int) -> int:
    """Return how much work a bench does: the second where only its short form runs."""
    return short if SHORT else full


def cpu(work: Callable[[], object], *, rounds: int = 3) -> float:
    """Return the least CPU-seconds of this process that some work takes."""
    best = float("inf")
    for _ in range(sized(rounds, 1)):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return max(best, 1e-9)


def together(*works: Callable[[], object], rounds: int = 3) -> list[float]:
    """Return the least CPU-seconds of each of some works, done in turns so that a busy moment meets all of them."""
    best = [float("inf")] * len(works)
    for _ in range(sized(rounds, 1)):
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
