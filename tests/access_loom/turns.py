"""What befalls the company: people come, go and move, and things happen."""

from random import Random

from tests.access_loom.book import Desk
from tests.access_loom.clock import some
from tests.access_loom.firm import Firm, Person, Project, _assign, _hire, _strand

NIGHTS = ("platform_engineer", "data_engineer", "security_analyst", "ml_engineer")


def plan(firm: Firm, r: Random) -> None:
    """Settles beforehand who is away, on call, moved, lent or late."""
    days = firm.clock.days
    _come_and_go(firm, r)
    _reorganise(firm, r)
    for p in firm.people:
        if p.manner == "rota":
            d = r.randrange(7)
            p.off = {d, (d + 1) % 7}
            if r.random() < 0.3:  # another shift from some day on
                turn = r.choice([-5.0, 5.0]) if p.start >= 12 else -5.0
                for k in range(r.randint(8, days - 5), days):
                    p.travel[k] = p.office.offset + turn
        if r.random() < 0.4:
            a = r.randint(0, days - 3)
            p.away |= set(range(a, a + r.choice([2, 3, 5, 7, 9, 12])))
            if r.random() < 0.6:
                _cover(firm, p, a, max(p.away) + 1, r)
        p.away |= {d for d in range(days) if r.random() < 0.012}
        if r.random() < 0.07 and p.manner == "steady":
            a, there = r.randint(0, days - 6), r.choice(firm.offices).offset + r.choice([0, 1, -1])
            for d in range(a, a + r.randint(4, 8)):
                p.travel[d] = there
    for team, craft in firm.teams.items():
        rota = [p for p in firm.people if p.team == team and p.role in NIGHTS]
        if craft in ("platform", "data", "security") and rota:
            shift = r.randrange(7)
            for d in range(days):
                rota[(d + shift) // 7 % len(rota)].oncall.add(d)
    _rushes(firm, r)


def _come_and_go(firm: Firm, r: Random) -> None:
    clock = firm.clock
    taken = {p.name for p in firm.people}
    whens = [r.randint(3, clock.learn - 2), clock.learn + r.randint(1, 8)]
    whens += [r.randint(5, clock.days - 6) for _ in range(r.randint(0, 3))]
    for d in whens:
        like = r.choice([p for p in firm.people if p.role != "team_lead"])
        p = _hire(r, firm, taken, like.role, like.team, like.office)
        p.first = d
        _assign(r, firm, p, d)
        for k in range(6):
            p.boost[d + k] = 0.35 + 0.1 * k
        firm.people.append(p)
    for p in r.sample([x for x in firm.people if x.first == 0], r.randint(2, 4)):
        p.last = r.randint(6, clock.days - 2)
        for k in range(5):
            p.boost[p.last - k] = 0.3 + 0.12 * k


def _move(firm: Firm, p: Person, d: int, to: str, r: Random) -> None:
    """Somebody moves to another team; the old work fades over a week or two."""
    p.moves.append((d, to))
    for s in p.strands:
        s.last = min(s.last, d + r.randint(2, 12)) if r.random() < 0.7 else s.last
        s.weights = [w if k <= d // 7 else w * 0.3 for k, w in enumerate(s.weights)]
    _assign(r, firm, p, d)


def _reorganise(firm: Firm, r: Random) -> None:
    days = firm.clock.days
    for craft in some(r, ["product", "science"], 0, 2):
        teams = [t for t, c in firm.teams.items() if c == craft]
        if len(teams) < 2:
            continue
        d = r.randint(8, days - 6)
        while firm.clock.weekday(d) != 0:
            d -= 1
        old, to = r.sample(teams, 2)
        members = [p for p in firm.people if p.team == old and p.first < d < p.last]
        for p in some(r, members, 2, 5):
            _move(firm, p, d, to, r)
    for _ in range(r.randint(1, 2)):
        p = r.choice([x for x in firm.people if x.first == 0 and not x.moves and x.last == 999])
        teams = [t for t, c in firm.teams.items() if c == firm.teams[p.team] and t != p.team]
        if teams:
            _move(firm, p, r.randint(5, days - 5), r.choice(teams), r)


def _cover(firm: Firm, p: Person, a: int, b: int, r: Random) -> None:
    """Somebody of the team takes the work of one who is away."""
    mates = [x for x in firm.people if x.team == p.team and x.role == p.role and x is not p]
    mine = [s.project for s in p.strands if s.project.line]
    if mates and mine:
        x = r.choice(mates)
        x.strands.append(_strand(r, firm, r.choice(mine), 0.5, a, b))


def _rushes(firm: Firm, r: Random) -> None:
    """Deadlines and releases: a team works more, and later, for some days."""
    days = firm.clock.days
    spots = [r.randint(4, firm.clock.learn - 3), r.randint(4, days - 5)]
    spots += [firm.clock.learn + r.randint(1, 10)]
    for d in spots:
        team = r.choice([t for t, c in firm.teams.items() if c in ("product", "science", "people")])
        for p in firm.people:
            if p.team_on(d) != team or p.manner == "rota":
                continue
            for k in range(r.randint(2, 4)):
                p.boost[d + k] = r.uniform(1.3, 2.4)
                if r.random() < 0.4 and firm.clock.works(d + k, p.office):
                    p.late[d + k] = r.uniform(19.5, 22.8)
    science = firm.by_role("data_scientist", "ml_engineer", "product_analyst", "research_scientist")
    for _ in range(r.randint(5, 9)):  # somebody is lent to another project for a while
        p = r.choice(science)
        lines = [x for x in firm.projects if x.line and x.line != "rhythm"]
        a = r.randint(2, days - 4)
        p.strands.append(_strand(r, firm, r.choice(lines), 0.7, a, a + r.randint(2, 8)))


def happen(desk: Desk) -> None:
    """Incidents, withdrawals of consent, releases, an audit, refusals after a change."""
    r, firm = desk.r, desk.firm
    days = firm.clock.days
    for _ in range(r.randint(1, 3)):
        _incident(desk, r.randint(2, days - 3))
    _audit(desk, r.randint(5, days - 5))
    for _ in range(r.randint(2, 4)):
        _release(desk, r.randint(2, days - 3))
    for d in some(r, list(range(3, days - 2)), 1, 2):
        _locked_out(desk, d)


def _incident(desk: Desk, d: int) -> None:
    """Something breaks or leaks in the evening, and those who can help look into it together."""
    r, firm = desk.r, desk.firm
    team = some(r, firm.by_role(*NIGHTS), 3, 6)
    begin = firm.clock.at(d, r.uniform(15, 23), firm.offices[0].offset)
    grant = f"INC-{r.randint(100, 999)}"
    lines = [x for x in firm.projects if x.line]
    hurt = r.choice(lines)
    tables = hurt.things.get("clean", []) + hurt.things.get("feature", [])
    for p in team:
        if not p.first <= d < p.last or d in p.away:
            continue
        t = begin + r.randint(0, 3_000)
        for _ in range(r.randint(8, 35)):
            t += int(r.expovariate(1 / 260)) + 3
            if p.role == "security_analyst" or r.random() < 0.2:
                desk.put(p, t, "audit.search", [r.choice(firm.of("audit"))], "incident-response")
            elif r.random() < 0.35:
                action = r.choice(["table.describe", "table.query"])
                desk.put(p, t, action, [r.choice(tables)], "incident-response", grant=grant)
            else:
                n, size = desk.measure(p, "run.logs", [], None)
                run = [r.choice(hurt.runs[-3:])]
                seg = f"training-{hurt.line}"
                desk.add(t, p, "run.logs", run, seg, "incident-response", n, size, grant)


def _audit(desk: Desk, d: int) -> None:
    """An auditor's visit: the privacy office draws its yearly extracts."""
    r, firm = desk.r, desk.firm
    for p in firm.by_role("privacy_officer")[:2]:
        if d in p.away or not firm.clock.works(d, p.office):
            continue
        t = firm.clock.at(d, p.start + 1, p.office.offset)
        for _ in range(r.randint(4, 10)):
            t += r.randint(120, 900)
            desk.put(p, t, "audit.export", [r.choice(firm.of("audit"))], "external-audit")


def _release(desk: Desk, d: int) -> None:
    """A model goes into a product: its makers and its engineers fetch it, and try it."""
    r, firm = desk.r, desk.firm
    line = r.choice([x for x in firm.projects if x.line and x.things.get("adapter")])
    product = r.choice([t for t, c in firm.teams.items() if c == "product"])
    crew = [p for p in firm.people if p.team_on(d) == product and p.role == "software_engineer"]
    makers = [p for p in firm.by_role("ml_engineer") if any(s.project is line for s in p.doing(d))]
    for p in some(r, crew, 1, 3) + makers[:2]:
        if d in p.away or not p.first <= d < p.last or not firm.clock.works(d, p.office):
            continue
        t = firm.clock.at(d, p.start + r.uniform(1, 6), p.offset(d))
        for _ in range(r.randint(1, 3)):
            t += r.randint(90, 1_500)
            sort = r.choice(["model", "adapter"])
            thing = r.choice(line.things[sort])
            grant = desk.standing(line, thing)
            desk.put(p, t, f"{sort}.download", [thing], "release", grant=grant)


def _locked_out(desk: Desk, d: int) -> None:
    """A policy is changed by mistake, and a project is refused for an hour or two."""
    r, firm = desk.r, desk.firm
    line: Project = r.choice([x for x in firm.projects if x.line and x.things.get("feature")])
    for p in firm.people:
        if not any(s.project is line for s in p.doing(d)) or d in p.away or r.random() < 0.4:
            continue
        if not p.first <= d < p.last or not firm.clock.works(d, p.office):
            continue
        t = firm.clock.at(d, p.start + r.uniform(1, 3), p.offset(d))
        for _ in range(r.randint(1, 4)):
            t += r.randint(20, 600)
            thing = r.choice(line.things["feature"])
            desk.put(p, t, "feature.read", [thing], line.purpose, outcome="denied")
