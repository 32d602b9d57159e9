"""What was refused and why: row, field and rule, never the value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from safehold.errors import InvalidError

REMEDY: Final = "correct the rows, or state in the mapping which share of them to tolerate"
HINTS: Final = {  # what is mostly behind it
    "source.type": (
        "the wire form writes a number as digits and a time as whole microseconds since 1970; for another"
        " form, write a mapping. Or "
    ),
    "time.future": "check the recorder's clock and the unit of its times. Or ",
    "time.before_1970": "check the unit of the times: they count from 1970. Or ",
}


@dataclass(frozen=True, slots=True, order=True)
class Refusal:
    """One refused row.

    Args:
        row: Zero-based number of the row in its source.
        field: The field that broke the rule.
        rule: The rule.
    """

    row: int
    field: str
    rule: str


@dataclass(slots=True, kw_only=True)
class RefusalReport:
    """Refusals of one source: counts by rule, and the first of them.

    Args:
        keep: How many refusals are kept one by one.
    """

    keep: int = 100
    counts: Counter[str] = field(default_factory=Counter)
    first: list[Refusal] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many rows were refused."""
        return sum(self.counts.values())

    def add(self, rows: Sequence[Refusal]) -> list[Refusal]:
        """Count refusals and return those of them that are still kept one by one."""
        self.counts.update(item.rule for item in rows)
        kept = sorted(rows)[: max(0, self.keep - len(self.first))]
        self.first.extend(kept)
        return kept

    def check(self, *, file: str, rows: int, tolerate: float) -> None:
        """Refuse the whole source when too large a share of its rows was refused.

        Args:
            file: Name of the source.
            rows: Rows that were read.
            tolerate: Share of refused rows that is accepted, 0 to 1.

        Raises:
            InvalidError: More than that share was refused; it names the first row, field and rule.
        """
        if self.total == 0 or self.total <= tolerate * rows:
            return
        first = min(self.first)
        rules = ", ".join(f"{rule} {count}" for rule, count in sorted(self.counts.items()))
        raise InvalidError(
            f"{self.total} of {rows} rows were refused ({rules}); nothing of this source was kept",
            file=file,
            row=first.row,
            field=first.field or None,
            rule=first.rule,
            fix=HINTS.get(first.rule, "") + REMEDY,
        )


class Sieve:
    """Collect the refused rows of one table, each row once, under the first rule it broke.

    Args:
        rows: Number of each row in the source.
    """

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows
        self.ok = np.ones(len(rows), dtype=bool)
        self._found: list[tuple[np.ndarray, str, str]] = []

    def refuse(self, bad: np.ndarray, field: str, rule: str) -> None:
        """Refuse the rows where ``bad`` is true, unless they are refused already."""
        fresh = bad & self.ok
        if fresh.any():
            self.ok &= ~fresh
            self._found.append((self.rows[fresh], field, rule))

    def refusals(self) -> list[Refusal]:
        """Return one refusal for each refused source row."""
        seen: dict[int, Refusal] = {}
        for rows, name, rule in self._found:
            for row in rows.tolist():
                seen.setdefault(row, Refusal(row, name, rule))
        return sorted(seen.values())
