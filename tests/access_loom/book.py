"""The log, and the grants that are asked for."""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from tests.access_loom.clock import DAY
from tests.access_loom.firm import Firm, Person, Project, Thing, Who
from tests.access_loom.words import ACTS, HEAVY

Row = tuple[int, int, Who, str, list[str], str, str, int, int, str | None, str, int]
KEYS = (
    *("t", "principal", "kind", "role", "team", "action", "objects"),
    *("segment", "purpose", "rows", "bytes", "grant", "outcome"),
)


class Desk:
    """Writes down who used what, and keeps the grants."""

    def __init__(self, firm: Firm, r: Random) -> None:
        self.firm, self.r = firm, r
        self.rows: list[Row] = []
        self.started: list[tuple[int, Project]] = []  # runs that wait for the trainer
        self.grants: dict[tuple[str, str], tuple[str, int, int]] = {}
        self.number = r.randint(400, 4_000)
        self.prefix = r.choice(["GR", "AR", "DAR", "REQ"])
        self.warm = firm.clock.zero + r.randint(3, 5) * DAY
        self.keen = r.uniform(0.2, 0.5)  # how many ask only after they were refused
        officers = firm.by_role("privacy_officer")
        self.approvers: list[Person] = officers or firm.by_role("team_lead")

    def add(
        self,
        t: int,
        who: Who,
        action: str,
        objects: list[str],
        segment: str,
        purpose: str,
        rows: int = 0,
        size: int = 0,
        grant: str | None = None,
        outcome: str = "ok",
        mark: int = 0,
    ) -> bool:
        """One line, if it lies within the days of the log."""
        clock = self.firm.clock
        if not clock.zero <= t < clock.end:
            return False
        n = len(self.rows)
        self.rows.append(
            (t, n, who, action, objects, segment, purpose, rows, size, grant, outcome, mark)
        )
        return True

    def standing(self, project: Project, thing: Thing) -> str:
        """The standing grant of a project for an area."""
        return f"standing-{project.name}-{thing.area}"

    def ask(self, who: Who, t: int, thing: Thing, project: Project, days: int = 0) -> str:
        """Asks for a grant; somebody approves it within hours or a day."""
        r, clock = self.r, self.firm.clock
        self.number += r.randint(1, 3)
        grant = f"{self.prefix}-{self.number}"
        asker = getattr(who, "operator", None) or who
        self.add(t, asker, "grant.request", [grant, thing.name], "grant-desk", project.purpose)
        d = (t - clock.zero) // DAY
        here = [x for x in self.approvers if x.first <= d < x.last - 4]
        boss = r.choice(here or self.firm.by_role("team_lead"))
        while True:
            noon = clock.at(d, boss.start + r.uniform(0.3, 7.0), boss.office.offset)
            if noon > t + 900 and clock.works(d, boss.office) and d not in boss.away:
                break
            d += 1
            if d > clock.days + 3:
                noon = t + DAY
                break
        self.add(noon, boss, "grant.approve", [grant, thing.name], "grant-desk", project.purpose)
        until = noon + (days or r.choice([7, 14, 14, 30])) * DAY
        self.grants[who.name, thing.name] = (grant, noon, until)
        return grant

    def grant(self, who: Who, t: int, thing: Thing, project: Project) -> str | None:
        """The grant for a use; an empty word says that there is none yet."""
        if thing.guard == "open":
            return None
        if thing.guard == "standing":
            known = who.kind == "workload" or not project.line or t < self.warm
            if not known and (who.name, project.name) not in self.grants and self.r.random() < 0.7:
                self.number += 1
                room = Thing(project.name, "project", "grant-desk", project.line, 0, 0)
                self.ask(who, t + self.r.randint(30, 900), room, project, 400)
                return ""
            held = self.grants.setdefault((who.name, project.name), ("", 0, 0))
            return self.standing(project, thing) if t >= held[1] else ""
        key = (who.name, thing.name)
        given = self.grants.get(key)
        if given is None and (t < self.warm or who.kind == "workload"):
            self.number += 1
            days = 400 if who.kind == "workload" else self.r.randint(6, 30)
            given = (f"{self.prefix}-{self.number}", 0, t + days * DAY)
            self.grants[key] = given
        if given is None or t >= given[2]:
            self.ask(who, t + self.r.randint(30, 900), thing, project)
            return ""
        return given[0] if t >= given[1] else ""

    def use(
        self,
        who: Who,
        t: int,
        action: str,
        things: list[Thing],
        project: Project,
        rows: int | None = None,
        outcome: str = "ok",
        purpose: str = "",
    ) -> bool:
        """An ordinary use, with the grants it needs."""
        grant: str | None = None
        for thing in sorted(things, key=lambda x: x.guard == "standing"):
            g = self.grant(who, t, thing, project)
            if g == "":
                if self.r.random() < self.keen:
                    self.put(who, t, action, things, project.purpose, 0, None, "denied")
                return False
            grant = grant or g
        if outcome == "denied":
            rows, grant = 0, None
        return self.put(who, t, action, things, purpose or project.purpose, rows, grant, outcome)

    def put(
        self,
        who: Who,
        t: int,
        action: str,
        things: list[Thing],
        purpose: str,
        rows: int | None = None,
        grant: str | None = None,
        outcome: str = "ok",
        mark: int = 0,
        also: list[str] | None = None,
    ) -> bool:
        """A use as it is written down, nothing asked."""
        n, size = self.measure(who, action, things, rows)
        names = [x.name for x in things] + (also or [])
        if outcome == "denied":
            n = size = 0
        segment = things[0].segment
        return self.add(t, who, action, names, segment, purpose, n, size, grant, outcome, mark)

    def measure(
        self, who: Who, action: str, things: list[Thing], rows: int | None
    ) -> tuple[int, int]:
        """How many rows and bytes a use moves."""
        r = self.r
        if action in HEAVY:
            return 0, int(HEAVY[action] * 1e6 * r.lognormvariate(0, 0.25))
        if rows is None:
            usual, spread = ACTS.get(action, (100, 0.8))
            rows = int(usual * who.scale * r.lognormvariate(0, spread)) if usual > 1 else int(usual)
            most = max((x.rows for x in things), default=0)
            rows = min(rows, most) if most else rows
        width = max((x.width for x in things), default=100) or 100
        return rows, int(rows * width * r.uniform(0.85, 1.15))


def finish(
    desk: Desk, attacks: list[tuple[str, str, int]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Events in order of time, and what is true of the attacks: (kind, variant, hours after)."""
    desk.rows.sort(key=lambda x: (x[0], x[1]))
    events: list[dict[str, Any]] = []
    lines: dict[int, list[int]] = {}
    zero = desk.firm.clock.zero
    for n, row in enumerate(desk.rows, 1):
        t, _, who, action, objects, segment, purpose, rows, size, grant, outcome, mark = row
        team = who.team_on((t - zero) // DAY)
        head = (stamp(t), who.name, who.kind, who.role, team)
        tail = (action, objects, segment, purpose, rows, size, grant, outcome)
        events.append(dict(zip(KEYS, head + tail, strict=True)))
        if mark:
            lines.setdefault(mark, []).append(n)
    truth = []
    for mark, found in lines.items():
        kind, variant, after = attacks[mark - 1]
        truth.append(
            {
                "kind": kind,
                "variant": variant,
                "principal": events[found[0] - 1]["principal"],
                "from": events[found[0] - 1]["t"],
                "to": stamp(desk.rows[found[-1] - 1][0] + after * 3600),
                "lines": found,
            }
        )
    truth.sort(key=lambda x: x["lines"][0])
    return events, truth


@cache
def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d")


def stamp(t: int) -> str:
    """Seconds as a time with Z."""
    day, s = divmod(t, DAY)
    return f"{_date(day)}T{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}Z"


def save(path: Path, items: list[dict[str, Any]]) -> None:
    """One object a line."""
    # none of our words has a brace in it, so that all can be written in one go
    text = json.dumps(items, separators=(",", ":"))[1:-1].replace("},{", "}\n{")
    path.write_text(text + "\n", encoding="utf-8")
