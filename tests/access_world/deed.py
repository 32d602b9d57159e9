"""One line of the log, and who did it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.access_world.almanac import written


@dataclass(slots=True)
class Deed:
    """What somebody did. ``attack`` is the number of the attack it belongs to; it is not written."""

    t: int
    principal: str
    kind: str
    role: str
    team: str
    action: str
    objects: tuple[str, ...] = ()
    segment: str = ""
    purpose: str = ""
    rows: int = 0
    bytes: int = 0
    grant: str | None = None
    outcome: str = "ok"
    attack: int | None = None

    def line(self) -> dict[str, Any]:
        return {
            "t": written(self.t),
            "principal": self.principal,
            "kind": self.kind,
            "role": self.role,
            "team": self.team,
            "action": self.action,
            "objects": list(self.objects),
            "segment": self.segment,
            "purpose": self.purpose,
            "rows": self.rows,
            "bytes": self.bytes,
            "grant": self.grant,
            "outcome": self.outcome,
        }
