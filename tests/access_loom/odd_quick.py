"""Odd uses that are over soon: exports, joins, artifacts, first times, runaways."""

from collections.abc import Callable

from tests.access_loom.clock import some
from tests.access_loom.firm import Project, Thing, Who
from tests.access_loom.stage import Stage

THINKERS = ("data_scientist", "product_analyst", "research_scientist")


def _never(s: Stage, action: str) -> Callable[[Who], bool]:
    return lambda w: not s.acts[w.name][action]


def vectors_pulled_whole(s: Stage) -> None:
    """One who searches an index takes all of it, in one to three pieces."""
    cast = [w for w in s.people(*THINKERS, "annotator", "support_agent") if s.own(w, "index")]
    who, t, mark = s.when(cast, _never(s, "embedding.export"))
    thing = s.r.choice(s.own(who, "index")[:2])
    n = s.r.randint(1, 3)
    for _ in range(n):
        s.put(mark, who, t, "embedding.export", [thing], int(thing.rows / n * s.r.uniform(0.85, 1)))
        t += s.r.randint(120, 900)


def search_returns_all(s: Stage) -> None:
    """A search for the nearest few that gives back thousands, again and again."""
    cast = [w for w in s.people(*THINKERS, "annotator", "support_agent") if s.own(w, "index")]
    who, t, mark = s.when([*cast, *[w for w in s.machines("analysis_agent") if s.own(w, "index")]])
    things = [*s.own(who, "index")[:1], *some(s.r, s.firm.of("index"), 0, 1)]
    for _ in range(s.r.randint(3, 8)):
        thing = s.r.choice(things)
        rows = min(thing.rows // 3, s.r.randint(3_000, 20_000))
        s.put(mark, who, t, "embedding.search", [thing], rows)
        t += s.r.randint(20, 400)


def table_to_file(s: Stage) -> None:
    """A table is written to a file by one who only ever looked at it."""
    cast = s.people("research_scientist", "annotator", "team_lead", "data_engineer", *THINKERS[:1])
    cast = [w for w in cast if s.own(w, "clean", "feature") and not s.acts[w.name]["table.export"]]
    who, t, mark = s.when(cast, _never(s, "feature.export"))
    for _ in range(s.r.randint(2, 5)):
        thing = s.r.choice(s.own(who, "clean", "feature")[:3])
        action = "table.export" if thing.sort == "clean" else "feature.export"
        s.put(mark, who, t, action, [thing], int(thing.rows * s.r.uniform(0.1, 0.5)))
        t += s.r.randint(90, 900)


def agent_shares_out(s: Stage) -> None:
    """An agent writes what it reads to a share outside."""
    cast = [w for w in s.machines("analysis_agent", "desk_agent") if s.own(w, "feature", "index")]
    who, t, mark = s.when(cast)
    share = f"share/out-{s.r.randrange(16**6):06x}"
    for _ in range(s.r.randint(3, 8)):
        thing = s.r.choice(s.own(who, "feature", "index")[:3])
        action = "embedding.export" if thing.sort == "index" else "feature.export"
        s.put(mark, who, t, action, [thing], s.r.randint(3_000, 30_000), also=[share])
        t += s.r.randint(15, 240)


def reviews_with_streams(s: Stage) -> None:
    """The files of people are laid beside what those people typed and said."""
    who, t, mark = s.when(s.people("people_analyst"))
    tables = [x for x in s.firm.of("clean") if x.area in ("keys", "chat", "meetings", "prompts")]
    tables = s.strange(who, tables) or tables
    left = s.firm.things[s.r.choice(["people/reviews", "people/pay_bands"])]
    for x in some(s.r, tables, 1, 4):
        s.put(mark, who, t, "people.join", [left, x], s.r.randint(2_000, 60_000))
        t += s.r.randint(120, 900)


def one_department_laid_open(s: Stage) -> None:
    """All streams of one closed department are brought together."""
    who, t, mark = s.when(s.people(*THINKERS[:2], "data_engineer", "annotator"))
    closed = sorted({x.name.split("/")[2] for x in s.firm.of("clean") if x.guard == "asked"})
    dept = s.r.choice(closed)
    tables = [x for x in s.firm.of("clean") if x.name.endswith("/" + dept)]
    if s.r.random() < 0.4:
        s.put(mark, who, t, "table.join", tables[:2], outcome="denied")
        t += s.r.randint(40, 300)
    for _ in range(s.r.randint(1, 4)):
        s.put(mark, who, t, "table.join", some(s.r, tables, 3, 5), s.r.randint(10_000, 90_000))
        t += s.r.randint(120, 900)


def roster_with_vectors(s: Stage) -> None:
    """Names are put to vectors that were made to have none."""
    cast = s.people("ml_engineer", "research_scientist", "data_scientist")
    who, t, mark = s.when([w for w in cast if s.own(w, "index", "feature")])
    roster = s.firm.things[s.r.choice(["people/roster", "people/roster", "people/leave"])]
    for _ in range(s.r.randint(1, 3)):
        thing = s.r.choice(s.own(who, "index", "feature")[:3])
        action = "embedding.join" if thing.sort == "index" else "feature.join"
        s.put(mark, who, t, action, [thing, roster], s.r.randint(1_000, 20_000))
        t += s.r.randint(200, 1_200)


def agent_joins_wide(s: Stage) -> None:
    """An agent brings together five tables and more from all over the house."""
    who, t, mark = s.when(s.machines("analysis_agent"))
    pool = s.firm.of("clean", "feature")
    pool = s.strange(who, pool) or pool
    for _ in range(s.r.randint(2, 6)):
        things = [*some(s.r, s.own(who, "feature", "clean"), 1, 2), *some(s.r, pool, 4, 5)]
        s.put(mark, who, t, "table.join", things, s.r.randint(5_000, 200_000))
        t += s.r.randint(10, 200)


def checkpoints_of_others(s: Stage) -> None:
    """Checkpoints of a line of work that is not theirs are fetched in a row."""
    lines = [p for p in s.firm.projects if p.line]

    def others(w: Who) -> list[Project]:
        return [p for p in lines if all(x.project.line != p.line for x in w.strands)]

    cast = s.people("data_scientist", "research_scientist", "annotator", "platform_engineer")
    who, t, mark = s.when(cast, lambda w: len(others(w)) > 0)
    line = s.r.choice(others(who))
    models = line.things.get("model") or s.firm.of("model")
    for name in line.saved[-s.r.randint(2, 6) :]:
        _, size = s.desk.measure(who, "checkpoint.download", models, None)
        seg, (why, grant) = models[0].segment, s.usual(who)
        s.desk.add(t, who, "checkpoint.download", [name], seg, why, 0, size, grant, "ok", mark)
        t += s.r.randint(60, 600)


def adapters_gathered(s: Stage) -> None:
    """Adapters of team after team are fetched by one who needs one at most."""
    who, t, mark = s.when(s.people("software_engineer", "product_analyst", "data_engineer"))
    pool = s.strange(who, s.firm.of("adapter")) or s.firm.of("adapter")
    for x in some(s.r, pool, 4, 8):
        s.put(mark, who, t, "adapter.download", [x])
        t += s.r.randint(20, 400)


def job_takes_weights(s: Stage) -> None:
    """A job that makes reports or checks tables fetches models."""
    who, t, mark = s.when(
        s.machines("report", "check", "cache", "monitor", "ingest", "consent", "clean")
    )
    for x in some(s.r, s.firm.of("model"), 1, 3):
        s.put(mark, who, t, "model.download", [x])
        t += s.r.randint(20, 300)


def desk_takes_model(s: Stage) -> None:
    """Somebody whose work has no models in it fetches one."""
    roles = ("support_agent", "people_analyst", "security_analyst", "privacy_officer")
    who, t, mark = s.when(
        s.people(*roles, "product_manager", "annotator"), _never(s, "model.download")
    )
    if s.r.random() < 0.3:
        s.put(mark, who, t, "model.download", [s.firm.of("model")[0]], outcome="denied")
        t += s.r.randint(60, 600)
    for x in some(s.r, s.firm.of("model", "adapter"), 1, 3):
        s.put(mark, who, t, f"{x.sort}.download", [x])
        t += s.r.randint(60, 600)


def _first(s: Stage, cast: list[Who], things: list[Thing], actions: list[str], most: int) -> None:
    """Uses of things that are all new to somebody of the cast."""
    who, t, mark = s.when(cast, lambda w: len(s.strange(w, things)) > 0)
    picked = some(s.r, s.strange(who, things), 1, 3)
    if s.r.random() < 0.25:
        s.put(mark, who, t, actions[0], picked[:1], outcome="denied")
        t += s.r.randint(30, 300)
    for _ in range(s.r.randint(max(1, most // 3), most)):
        s.put(mark, who, t, s.r.choice(actions), [s.r.choice(picked)])
        t += s.r.randint(10, 90) if who.kind == "agent" else s.r.randint(40, 600)


def people_files_opened(s: Stage) -> None:
    """The files of people are opened by one who builds or sells software."""
    roles = (
        "software_engineer",
        "ml_engineer",
        "product_manager",
        "support_agent",
        "data_engineer",
    )
    things = [s.firm.things[f"people/{x}"] for x in ("reviews", "pay_bands", "leave")]
    _first(s, s.people(*roles), things, ["people.read"], 4)


def closed_department(s: Stage) -> None:
    """What the leadership or the lawyers say is read by one with nothing to do with it."""
    roles = (
        "support_agent",
        "annotator",
        "product_analyst",
        "software_engineer",
        "platform_engineer",
    )
    things = [
        x
        for x in s.firm.of("clean")
        if x.name.split("/")[2] in ("leadership", "legal", "hr", "finance")
    ]
    acts = ["table.sample", "table.read", "table.query"]
    _first(s, s.people(*roles), things, acts, 5)


def agent_new_ground(s: Stage) -> None:
    """An agent that writes code or answers tickets reads what people said."""
    things = [x for x in s.firm.of("clean") if x.area in ("chat", "prompts", "meetings", "keys")]
    cast = s.machines("coding_agent", "desk_agent", "watch_agent")
    _first(s, cast, things, ["table.query", "table.read"], 7)


def job_new_ground(s: Stage) -> None:
    """A job reads what is in none of its plans."""
    cast = s.machines("ingest", "report", "monitor", "refresh", "ship", "cache", "check")
    things = s.firm.of("people", "consent")
    _first(s, cast, things, ["table.read"], 4)


def loop_over_one(s: Stage) -> None:
    """An agent asks the same thing hundreds of times."""
    who, t, mark = s.when(s.agents())
    rows = [x for x in s.past[who.name] if x[4][0] in s.firm.things]
    row = s.r.choice(rows)
    for _ in range(s.r.randint(120, 420)):
        things = [s.firm.things[x] for x in row[4]]
        s.put(mark, who, t, row[3], things, purpose=row[6], grant=row[9])
        t += s.r.choice([0, 1, 1, 2, 3])


def refused_and_again(s: Stage) -> None:
    """Refused, and tried again, and again."""
    cast = [*s.agents(), *s.machines("report", "check", "build", "refresh", "monitor")]
    pool = s.firm.of("clean", "feature", "people")
    who, t, mark = s.when(cast, lambda w: len(s.strange(w, pool)) > 0)
    things = some(s.r, s.strange(who, pool), 1, 3)
    for k in range(s.r.randint(30, 150)):
        action = "feature.read" if things[k % len(things)].sort == "feature" else "table.read"
        s.put(mark, who, t, action, [things[k % len(things)]], outcome="denied")
        t += s.r.choice([1, 2, 2, 4, 8])


def walks_the_catalogue(s: Stage) -> None:
    """An agent goes through all there is."""
    who, t, mark = s.when(s.agents())
    things = s.firm.of("clean", "feature", "index")
    s.r.shuffle(things)
    for x in things[: s.r.randint(35, 90)]:
        action = {
            "clean": "table.describe",
            "feature": "feature.read",
            "index": "embedding.search",
        }[x.sort]
        outcome = "denied" if x.guard == "asked" and s.r.random() < 0.7 else "ok"
        s.put(mark, who, t, action, [x], outcome=outcome)
        if x.sort == "clean" and outcome == "ok" and s.r.random() < 0.6:
            t = s.put(mark, who, t + 1, "table.query", [x])
        t += s.r.choice([1, 2, 3, 5, 9])


def job_spins(s: Stage) -> None:
    """A job begins again as soon as it is done, and takes more each time."""
    who, t, mark = s.when(
        s.machines("ingest", "refresh", "monitor", "check", "consent", "ship", "build")
    )
    rows = [x for x in s.past[who.name] if x[4][0] in s.firm.things]
    grow = 1.0
    for _ in range(s.r.randint(80, 320)):
        row = s.r.choice(rows[-200:])
        things = [s.firm.things[x] for x in row[4]]
        s.put(mark, who, t, row[3], things, int(row[7] * grow), purpose=row[6], grant=row[9])
        grow = min(8.0, grow * 1.01)
        t += s.r.choice([1, 2, 3, 4, 6])
