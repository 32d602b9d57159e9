"""How people spend their days."""

from random import Random

from tests.access_loom.book import Desk
from tests.access_loom.clock import poisson, some
from tests.access_loom.firm import Firm, Person, Project, Strand, Thing, Who

Sitting = list[int]


def sittings(firm: Firm, p: Person, d: int, r: Random) -> list[Sitting]:
    """The sittings of a day: times at which somebody does things."""
    if not p.first <= d < p.last or d in p.away:
        return []
    rest = firm.clock.weekday(d) in p.off
    works = firm.clock.works(d, p.office)
    if p.manner == "rota":
        works = d != firm.clock.holiday or r.random() < 0.4
    rate, begin, length = p.rate * p.boost.get(d, p.pace[d // 7]), p.start, p.length
    if not works or rest:
        odd = {"loose": 0.14, "owl": 0.12, "rota": 0.02}.get(p.manner, 0.012)
        if r.random() > odd * (1.0 if d != firm.clock.holiday else 0.5) and d not in p.late:
            return []
        rate, begin, length = rate * 0.25, r.uniform(10, 17), 2.0
    swing = 1.3 if p.manner == "loose" else 0.35
    begin += r.gauss(0, swing)
    until = p.late.get(d, begin + length + r.gauss(0, swing))
    spans = [(begin, until)]
    if p.manner == "split":
        spans = [(begin, begin + 4.5), (19.5 + r.gauss(0, 0.4), 22.6)]
    elif works and r.random() < (0.08 if p.role == "team_lead" else 0.02):
        spans.append((20.0, 22.0))
    elif works and r.random() < 0.004:
        spans.append((22.7, 24.0))
    out = []
    weekly = 0.75 if firm.clock.weekday(d) == 4 else 1.0
    for a, b in spans:
        share = max(0.3, b - a) / max(1.0, length)
        left = poisson(r, rate * weekly * min(share, 1.6) * r.lognormvariate(0, 0.25))
        while left > 0:
            n = min(left, 1 + poisson(r, 4.5))
            left -= n
            hour = r.uniform(a, b)
            if 12.0 < hour < 13.0 and r.random() < 0.7:
                hour += 1.1
            t = firm.clock.at(d, hour, p.offset(d))
            times = []
            for _ in range(n):
                times.append(t)
                t += int(r.expovariate(1 / 110)) + 4
            out.append(times)
    return out


def strand(p: Who, d: int, r: Random) -> Strand | None:
    """What somebody turns to."""
    live = p.doing(d)
    if not live:
        return None
    return r.choices(live, [s.weights[min(d // 7, len(s.weights) - 1)] for s in live])[0]


def favourite(who: Who, project: Project, sort: str, r: Random) -> Thing | None:
    """A thing of a sort, out of those that somebody is used to; habits drift."""
    all_of = project.things.get(sort)
    if not all_of:
        return None
    key = (project.name, sort)
    mine = who.taste.get(key)
    if mine is None:
        mine = who.taste[key] = some(r, all_of, 2, 5)
    if r.random() < 0.006:
        new = r.choice(all_of)
        if new not in mine:
            mine[r.randrange(len(mine))] = new
    return mine[min(int(r.expovariate(0.9)), len(mine) - 1)]


def run_of(firm: Firm, project: Project, r: Random, who: Who) -> Project:
    """The line whose runs are looked at."""
    if project.line:
        return project
    lines = [x for x in firm.projects if x.line]
    k = sum(map(ord, who.name))
    return lines[(k + min(int(r.expovariate(0.9)), 3)) % len(lines)]


def act(desk: Desk, p: Person, t: int, project: Project) -> bool:
    """One act of somebody on a project."""
    r = desk.r
    for _ in range(6):
        action, sort, _ = r.choices(p.mix, [w for *_, w in p.mix])[0]
        if sort in ("run", "checkpoint"):
            line = run_of(desk.firm, project, r, p)
            if sort == "checkpoint" and line is not project:
                continue
            return _on_run(desk, p, t, action, line, project)
        parts = sort.split("+")
        things = [x for part in parts if (x := favourite(p, project, part, r))]
        if len(things) < len(parts) or (len(things) > 1 and things[0] is things[1]):
            continue
        if r.random() < 0.014:
            _mistake(desk, p, t - 40, action, things[0], project)
        return desk.use(p, t, action, things, project)
    reports = project.things.get("report") or desk.firm.of("report")
    return desk.use(p, t, "dashboard.view", [reports[0]], project)


def _on_run(desk: Desk, p: Person, t: int, action: str, line: Project, project: Project) -> bool:
    sort = action.split(".", maxsplit=1)[0]
    names = line.runs if sort == "run" else line.saved
    if action == "run.start":
        desk.started.append((t + desk.r.randint(60, 900), line))
        last = int(line.runs[-1].rsplit("-", 1)[1])
        line.runs.append(f"run/{line.line}-{last + 1}")
        name = names[-1]
    else:
        name = names[-1 - min(int(desk.r.expovariate(0.8)), len(names) - 1)]
    n, size = desk.measure(p, action, [], None)
    segment = f"training-{line.line}" if sort == "run" else f"registry-{line.line}"
    grant = f"standing-{project.name}-{line.line}"
    return desk.add(t, p, action, [name], segment, project.purpose, n, size, grant)


def _mistake(desk: Desk, p: Person, t: int, action: str, thing: Thing, project: Project) -> None:
    """A honest mistake: the table beside the right one, refused."""
    mine = project.things.get(thing.sort, [])
    near = [x for x in desk.firm.of(thing.sort) if x.area == thing.area and x not in mine]
    if near and thing.guard != "open":
        desk.put(p, t, action, [desk.r.choice(near)], project.purpose, 0, None, "denied")


def day(desk: Desk, p: Person, d: int) -> list[Sitting]:
    """A day of somebody; gives back their sittings, which their agents follow."""
    r, firm = desk.r, desk.firm
    sat = sittings(firm, p, d, r)
    for times in sat:
        s = strand(p, d, r)
        if s is None:
            continue
        for t in times:
            if r.random() < 0.003:
                look_round(desk, p, t, s.project)
            else:
                act(desk, p, t, s.project)
    if sat:
        _rhythms(desk, p, d, max(x[-1] for x in sat))
    return sat


def look_round(desk: Desk, p: Person, t: int, project: Project) -> None:
    """A rare look at something open of another team."""
    sort, action = desk.r.choice([("report", "dashboard.view"), ("repo", "repo.read")])
    desk.use(p, t, action, [desk.r.choice(desk.firm.of(sort))], project)


def _rhythms(desk: Desk, p: Person, d: int, t: int) -> None:
    """What comes by the week and by the month."""
    r, clock = desk.r, desk.firm.clock
    wd = clock.weekday(d)
    mine = [s.project for s in p.doing(d)]
    if not mine:
        return
    a = mine[0]
    if p.role == "security_analyst" and wd == 0:
        for k in range(r.randint(5, 14)):
            at = t - 9_000 + k * r.randint(60, 400)
            desk.use(p, at, "audit.read", r.sample(a.things["audit"], 1), a)
    if p.role == "product_manager" and wd == 4 and a.things["report"]:
        for k, x in enumerate(a.things["report"]):
            desk.use(p, t - 7_000 + k * 140, "report.export", [x], a)
    if p.role == "people_analyst" and clock.month_end(d):
        for k in range(r.randint(4, 12)):
            own = r.choice(mine)
            at = t - 12_000 + k * r.randint(100, 700)
            thing, f = favourite(p, own, "people", r), favourite(p, own, "feature", r)
            if thing and f:
                desk.use(p, at, "people.join", [thing, f], own)
            elif reports := own.things.get("report"):
                desk.use(p, at, "report.export", [r.choice(reports)], own)
    if p.role in ("data_scientist", "research_scientist") and wd == 3:
        for own in mine:
            for x in own.things.get("report", [])[:2]:
                desk.use(p, t - r.randint(3_000, 9_000), "dashboard.view", [x], own)


def night_call(desk: Desk, p: Person, d: int) -> None:
    """A page in the night: a look at runs, jobs and logs, and perhaps a repair."""
    r, firm = desk.r, desk.firm
    t = firm.clock.at(d, r.uniform(22.5, 29.5), p.offset(d))
    chores = p.strands[0].project if p.strands else firm.projects[-1]
    line = r.choice([x for x in firm.projects if x.line])
    for _ in range(r.randint(3, 14)):
        t += int(r.expovariate(1 / 200)) + 5
        if p.role == "security_analyst":
            action = r.choice(["audit.search", "audit.read"])
            desk.put(p, t, action, [r.choice(firm.of("audit"))], "on-call")
        elif p.role == "data_engineer" and r.random() < 0.6:
            raw = r.choice(chores.things.get("raw") or firm.of("raw"))
            action = r.choice(["stream.inspect", "stream.inspect", "stream.repair"])
            desk.put(p, t, action, [raw], "on-call", grant=desk.standing(chores, raw))
        else:
            action = r.choice(["run.status", "run.logs", "run.logs", "run.stop"])
            n, size = desk.measure(p, action, [], None)
            seg, grant = f"training-{line.line}", f"standing-{chores.name}-{line.line}"
            desk.add(t, p, action, [line.runs[-1]], seg, "on-call", n, size, grant)


def calls(desk: Desk, p: Person, d: int) -> None:
    """Whether the night of somebody on call is quiet."""
    if d in p.oncall and p.first <= d < p.last and d not in p.away and desk.r.random() < 0.3:
        night_call(desk, p, d)
