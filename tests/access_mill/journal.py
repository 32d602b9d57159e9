"""The lines of a log while it is made, before they are put in order of time."""

import math
import random
from typing import Any

from tests.access_mill.place import Calendar
from tests.access_mill.world import Principal, Table

#: a line: when, who, and the fields of the log
Line = tuple[float, Principal, dict[str, Any]]

_OWN = "-"


class Journal:
    """Takes lines in any order."""

    def __init__(self, rng: random.Random, calendar: Calendar) -> None:
        self.rng, self.calendar = rng, calendar
        self.lines: list[Line] = []

    def emit(
        self,
        when: float,
        who: Principal,
        action: str,
        objects: list[str],
        segment: str,
        rows: int = 0,
        *,
        size: int = 0,
        outcome: str = "ok",
        purpose: str = _OWN,
        grant: str | None = _OWN,
    ) -> Line:
        """Writes one line; what is not said follows the habits of the one who acts."""
        rng = self.rng
        if purpose == _OWN:
            purposes = who.purposes
            purpose = purposes[min(len(purposes) - 1, int(rng.expovariate(1.4)))]
            if rng.random() < who.plan.untidy:
                purpose = ""
        role = "" if rng.random() < who.plan.untidy * 0.5 else who.role
        fields = {
            "principal": who.name,
            "kind": who.kind,
            "role": role,
            "team": who.team,
            "action": action,
            "objects": objects,
            "segment": segment,
            "purpose": purpose,
            "rows": rows if outcome == "ok" else 0,
            "bytes": size if outcome == "ok" else 0,
            "grant": who.grants.get(segment) if grant == _OWN else grant,
            "outcome": outcome,
        }
        line = (when, who, fields)
        self.lines.append(line)
        return line

    def rows(self, who: Principal, table: Table, shift: float = 0.0) -> int:
        """How many rows a use of a table brings, by somebody's habit."""
        drawn = math.exp(self.rng.gauss(who.volume + shift, 1.1))
        return int(min(table.rows, drawn))

    def scanned(self, table: Table, rows: int) -> int:
        """Bytes of a query: what it returns and, at times, the part of the table it scans."""
        scan = self.rng.random() ** 4 * table.rows * 0.05
        return int(table.width * (rows + scan))

    def title(self, table: Table, when: float) -> str:
        """The name of a table on a day; some are written as a partition per day."""
        if not table.dated:
            return table.name
        back = min(int(self.rng.expovariate(0.7)), 20)
        return f"{table.name}/dt={self.calendar.date(int(when // 86_400) - back).isoformat()}"
