"""The company: who is there, what they are for, and what data there is."""

import random
from dataclasses import dataclass, field

from .days import Days
from .words import MODELS, STUDIES, TABLES, Words

Row = tuple[float, str, str, str, str, str, tuple[str, ...], str, str, int, int, str | None, str]


@dataclass
class Project:
    """A protocol: what it may use, who is in it, how it was approved."""

    code: str
    purpose: str
    kind: str
    number: int
    data: dict[str, list[str]]
    shared: bool
    recorded: bool
    start: int
    end: int
    deadline: int
    lead: str = ""
    members: list[str] = field(default_factory=list)

    def grant(self, who: str) -> str:
        """The approval under which somebody uses the data."""
        return f"AP-{self.number}" if self.shared else f"AP-{self.number}/{who}"

    def special(self) -> list[str]:
        """What it uses besides the records: images, genes, speech or rosters."""
        return [x for k, v in self.data.items() if k != "ehr" for x in v]

    def study(self) -> list[str]:
        """The study's own tables."""
        return [f"{self.code}/{x}" for x in ("cohort", "outcomes", "features", "followup")]


@dataclass
class Principal:
    """A person, an agent or a workload, with their habits."""

    name: str
    kind: str
    role: str
    teams: list[tuple[int, str]]
    site: str
    zone: float
    pattern: str
    start: float
    hours: float
    tasks: float
    ward: str = ""
    area: str = ""
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)
    habits: dict[str, float] = field(default_factory=dict)
    projects: list[Project] = field(default_factory=list)
    joined: int = 0
    left: int = 999
    away: set[int] = field(default_factory=set)
    evening: float = 0.0
    weekend: float = 0.0
    clumsy: float = 1.0
    offset: int = 0
    scale: float = 1.0
    order: dict[str, list[str]] = field(default_factory=dict)
    owner: str = ""

    def team(self, day: int) -> str:
        """The team on a day."""
        if len(self.teams) == 1:
            return self.teams[0][1]
        return next(team for since, team in reversed(self.teams) if since <= day)

    def there(self, day: int) -> bool:
        """Whether they are with the company and not on leave."""
        return self.joined <= day < self.left and day not in self.away


class World:
    """One company and its log so far."""

    def __init__(self, seed: int, learn: int) -> None:
        self.r = random.Random(f"ward-{seed}")
        r = self.r
        self.days = Days(r, learn)
        self.words = Words(r)
        self.people: dict[str, Principal] = {}
        self.projects: list[Project] = []
        self.log: list[Row] = []
        self.local_site = r.choice(self.words.sites)
        self.standing = r.random() < 0.6
        self.partition = r.choice(("/", ".", "/"))
        self.models = {k: r.sample(v, 3) for k, v in MODELS.items()}
        self.release = {m: r.randint(3, 14) for names in self.models.values() for m in names}
        self.batch = r.randint(30, 300)
        self.segments: dict[str, str] = {}
        self.pace = r.uniform(1.3, 1.6)
        self.rotation: tuple[int, dict[str, str]] = (999, {})
        self._projects()

    def of_role(self, role: str, day: int = -1) -> list[Principal]:
        """Those of a role, on a day if one is given."""
        return [
            p
            for p in self.people.values()
            if p.role == role and (day < 0 or p.joined <= day < p.left)
        ]

    def genes(self) -> list[str]:
        """The genetic data of all studies."""
        return [x for j in self.projects if j.kind == "gx" for x in j.data["gx"]]

    def _projects(self) -> None:
        r, w = self.r, self.words
        number = r.randint(200, 700)
        kinds = ["ehr", "ehr", "ehr", "img", "img", "img", "gx", "gx", "txt", "txt"]
        kinds += r.sample(["ehr", "img", "gx", "wf", "txt"], 3)
        names = {k: r.sample(v, len(v)) for k, v in STUDIES.items()}
        for k, kind in enumerate(kinds):
            if not names[kind]:
                continue
            number += r.randint(1, 9)
            code = names[kind].pop()
            sites = r.sample(w.sites, r.randint(1, len(w.sites)))
            tables = r.sample(TABLES, r.randint(3, 5))
            data: dict[str, list[str]] = {"ehr": [f"{s}.{t}" for s in sites for t in tables]}
            if kind == "img":
                data["img"] = r.sample(w.scans, r.randint(1, 3))
            if kind == "gx":
                data["gx"] = [f"variants/{code}", f"panel/{code}"]
            if kind == "txt":
                data["sp"] = [f"transcripts/{d}" for d in r.sample(w.wards, 3)]
            if kind == "wf":
                data["wf"] = [f"{x}/{s}" for x in ("overtime", "absence") for s in sites]
            late = k >= len(kinds) - 2 or r.random() < 0.08
            start = r.randint(6, self.days.count - 9) if late else 0
            end = r.randint(18, self.days.count) if not late and r.random() < 0.15 else 999
            self.projects.append(
                Project(
                    code=code,
                    purpose=f"{code}-{number}" if self.standing else code,
                    kind=kind,
                    number=number,
                    data=data,
                    shared=r.random() < 0.5,
                    recorded=r.random() < 0.6,
                    start=start,
                    end=end,
                    deadline=r.randint(5, self.days.count + 25),
                )
            )

    def segment(self, obj: str) -> str:
        """The micro-segment in which an object lies."""
        found = self.segments.get(obj)
        if found is None:
            found = self.segments[obj] = self._segment(obj)
        return found

    def _segment(self, obj: str) -> str:
        s = self.words.segment
        head = obj.split("/", maxsplit=1)[0]
        heads = {
            "vec": s["vec"], "model": s["mod"], "ckpt": s["mod"], "adapter": s["mod"],
            "link": s["link"], "out": s["out"], "speech": s["sp"], "transcripts": s["sp"],
            "roster": s["wf"], "overtime": s["wf"], "absence": s["wf"], "skills": s["wf"],
            "wes": s["gx"], "variants": s["gx"], "panel": s["gx"], "protocol": "governance",
            "host": s["ops"], "service": s["ops"], "backup": s["ops"], "catalog": "catalog",
            "registry": "governance",
        }  # fmt: skip
        if head in heads:
            return heads[head]
        if head in self.words.scans:
            return s["img"]
        site = obj.split(".", maxsplit=1)[0]
        if site in self.words.sites:
            return f"clinical-{site}"
        return f"study-{head}"

    def emit(
        self,
        t: float,
        p: Principal,
        action: str,
        objects: tuple[str, ...],
        purpose: str,
        *,
        rows: int = 0,
        size: int = 0,
        grant: str | None = None,
        outcome: str = "ok",
        segment: str = "",
        log: list[Row] | None = None,
    ) -> None:
        """Write one event."""
        if outcome == "denied":
            rows = size = 0
        if action in self.words.action:
            action = self.words.action[action]
        row = (
            t, p.name, p.kind, p.role, p.team(max(0, int(t // 86400))), action, objects,
            segment or self.segment(objects[0]), purpose, rows, size, grant, outcome,
        )  # fmt: skip
        (self.log if log is None else log).append(row)
