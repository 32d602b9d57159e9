"""Attacks that are over within minutes or hours: exports, joins, downloads, first uses."""

import random
from collections.abc import Sequence

from .company import Principal
from .facts import MAKERS, Facts, Strike, never, role, study_of, variant
from .routine import stamp
from .words import TABLES

# exports of vectors and of data


@variant("export", never("vector.dump", "ml-engineer biostatistician clinician coding literature"))
def vector_dump(s: Strike, day: int, r: random.Random) -> None:
    """Takes a whole index of vectors along."""
    what = r.choice(("vec/transcripts", "vec/letters"))
    for _ in range(r.randint(0, 2)):
        s.act("vector.search", what, rows=r.randint(100, 900), size=3100, wait=200)
    for _ in range(r.randint(1, 3)):
        s.act("vector.dump", what, rows=r.randint(40000, 180000), size=3100, wait=900)


@variant(
    "export", role("study-coordinator biostatistician bioinformatician imaging-analyst", study=True)
)
def raw_outside(s: Strike, day: int, r: random.Random) -> None:
    """Puts rows of patients where partners fetch, who till then sent summaries at most."""
    code = study_of(s, day)
    for x in r.sample(("cohort", "followup", "outcomes"), r.randint(1, 3)):
        s.act("extract.export", f"{code}/{x}", rows=r.randint(9000, 60000), size=180, wait=400)
    if r.random() < 0.7:
        s.act("share.send", f"out/{code}", rows=r.randint(9000, 60000), size=180)


@variant("export", never("extract.export", "clinician transcription-editor"))
def patient_list(s: Strike, day: int, r: random.Random) -> None:
    """Saves lists of patients from the ward's systems to a file."""
    if s.p.role == "clinician":
        s.purpose, s.grant = "treatment", None
    if r.random() < 0.4:
        s.act("extract.export", f"{s.p.site}.letters", denied=True, wait=200)
    for x in r.sample(("encounters", "problems", "letters", "medication"), r.randint(1, 3)):
        s.act("extract.export", f"{s.p.site}.{x}", rows=r.randint(2500, 15000), size=300, wait=500)


@variant("export", role("curation literature coding assistant ml-engineer biostatistician"))
def neighbours(s: Strike, day: int, r: random.Random) -> None:
    """Empties an index by searches that ask for thousands of neighbours."""
    action = "retrieve.context" if s.p.role == "clinic-assistant" else "vector.search"
    what = r.choice(("vec/letters", "vec/transcripts"))
    for _ in range(r.randint(4, 8)):
        s.act(action, what, rows=r.randint(2500, 10000), size=3100, wait=60)


@variant("export", role("agents"))
def agent_ships(s: Strike, day: int, r: random.Random) -> None:
    """An agent sends what it has read to the outside."""
    out = f"out/{r.choice(s.world.projects).code}"
    s.act(
        "extract.export",
        f"{s.p.site}.letters",
        rows=r.randint(900, 9000),
        size=900,
        denied=r.random() < 0.2,
        wait=60,
    )
    for _ in range(r.randint(1, 3)):
        s.act("share.send", out, rows=r.randint(900, 9000), size=900, wait=90)


# data brought together


def _join(s: Strike, sets: Sequence[tuple[str, ...]], low: int, high: int) -> None:
    r = s.world.r
    if r.random() < 0.3:
        s.act("dataset.join", *sets[0], denied=True, wait=300)
    for objects in sets:
        s.act("dataset.join", *objects, rows=r.randint(low, high), size=200, wait=700)


def _no_map(f: Facts, p: Principal) -> bool:
    return role("studiers", study=True)(f, p) and f.used[p.name]["link/mrn-map"] == 0


@variant("join", _no_map)
def names_back(s: Strike, day: int, r: random.Random) -> None:
    """Brings the map of patients' numbers to a study's table: who is who."""
    code = study_of(s, day)
    tables = r.sample(("cohort", "outcomes", "features"), r.randint(1, 3))
    _join(s, [("link/mrn-map", f"{code}/{x}") for x in tables], 800, 12000)


@variant("join", role("roster-planner study-coordinator it-operator data-steward"))
def staff_and_health(s: Strike, day: int, r: random.Random) -> None:
    """Brings the absences of staff to their records as patients."""
    tables = r.sample(("encounters", "medication", "letters"), r.randint(1, 3))
    _join(s, [(f"absence/{s.p.site}", f"{s.p.site}.{x}") for x in tables], 40, 700)


@variant(
    "join", lambda _, p: p.role in {"transcription-editor", "roster-planner"} or p.area == "txt"
)
def voice_and_roster(s: Strike, day: int, r: random.Random) -> None:
    """Finds out who spoke which notes, and how fast, from the roster."""
    site, week = s.p.site, s.world.days.week(day)
    wards = r.sample(s.world.words.wards, r.randint(1, 4))
    _join(s, [(f"speech/{site}/{x}/{week}", f"roster/{site}/{week}") for x in wards], 60, 900)


@variant(
    "join", role("biostatistician bioinformatician imaging-analyst outside-partner", study=True)
)
def two_studies(s: Strike, day: int, r: random.Random) -> None:
    """Brings a study of others, with genomes or images, to their own."""
    far = []
    for j in s.world.projects:
        data = [f"{j.code}/cohort", *j.special()]
        fresh = s.facts.new(s.p, data, day, team=True)
        if j.start < day and j not in s.p.projects and len(fresh) == len(data) > 1:
            far.append(data)
    if far:
        code = study_of(s, day)
        sets = [(f"{code}/cohort", x) for x in r.choice(far)]
        _join(s, sets[: r.randint(1, 3)], 500, 9000)


@variant("join", never("dataset.join", "agents"))
def agent_weaves(s: Strike, day: int, r: random.Random) -> None:
    """An agent puts together from everywhere what it used one by one."""
    site, w = s.p.site, s.world.words
    pool = [f"{site}.charts.{w.wards[0]}", f"{site}.letters", f"absence/{site}"]
    pool += ["link/pseudonyms", stamp(s.world, w.scans[0], day), f"transcripts/{w.wards[1]}"]
    sets = [tuple(r.sample(pool, r.randint(3, 5))) for _ in range(r.randint(1, 4))]
    _join(s, sets, 200, 5000)


# models and their parts


def _model(s: Strike, r: random.Random) -> str:
    return r.choice(s.world.models[r.choice(("img", "txt"))])


@variant(
    "artifact", never("checkpoint.load", "it-operator data-steward biostatistician imaging-analyst")
)
def checkpoints(s: Strike, day: int, r: random.Random) -> None:
    """Takes states of training along that they have no work with."""
    model = _model(s, r)
    for _ in range(r.randint(2, 6)):
        s.act("checkpoint.load", stamp(s.world, f"ckpt/{model}", day), size=4e8, wait=500)


@variant("artifact", role("ml-engineer"))
def other_adapters(s: Strike, day: int, r: random.Random) -> None:
    """Fetches adapters of the other group of models, learned from doctors' notes or images."""
    model = r.choice(s.world.models["img" if s.p.area == "txt" else "txt"])
    for ward in r.sample(s.world.words.wards, r.randint(2, 5)):
        s.act(
            "adapter.download", stamp(s.world, f"adapter/{model}-{ward}", day), size=6e7, wait=300
        )


@variant("artifact", lambda f, p: p.role == "ml-engineer" and f.a_day(p, "model.download") < 1)
def shelf_sweep(s: Strike, day: int, r: random.Random) -> None:
    """Downloads every model there is, and old versions, one after another."""
    shelf = [m for names in s.world.models.values() for m in names]
    for model in r.sample(shelf, r.randint(5, 6)):
        s.act("model.download", stamp(s.world, f"model/{model}", day), size=9e8, wait=120)
        if r.random() < 0.3 and len(s.rows) < 7:
            old = max(1, s.world.release[model] - 1)
            s.act("model.download", f"model/{model}/v{old}", size=9e8, wait=120)
    del s.rows[8:]


@variant(
    "artifact",
    never("model.download", "outside-partner study-coordinator clinician biostatistician"),
)
def visitor_weights(s: Strike, day: int, r: random.Random) -> None:
    """Somebody who only reads results downloads a model."""
    field = "txt" if s.p.role == "outside-partner" else r.choice(("img", "txt"))
    for model in r.sample(s.world.models[field], r.randint(1, 3)):
        obj = stamp(s.world, f"model/{model}", day)
        if r.random() < 0.3:
            s.act("model.download", obj, denied=True, wait=300)
        s.act("model.download", obj, size=9e8, wait=600)


@variant("artifact", never("model.download", "agents"))
def agent_fetch(s: Strike, day: int, r: random.Random) -> None:
    """An agent pulls models or adapters nobody asked it to."""
    for _ in range(r.randint(1, 4)):
        model, ward = _model(s, r), r.choice(s.world.words.wards)
        kind, obj, size = r.choice(
            (("model", f"model/{model}", 9e8), ("adapter", f"adapter/{model}-{ward}", 6e7))
        )
        s.act(f"{kind}.download", stamp(s.world, obj, day), size=size, wait=200)


# data they never had to do with


def _first(s: Strike, day: int, action: str, data: list[str], low: int, high: int) -> None:
    """Some uses of what neither they nor their team have used."""
    r = s.world.r
    fresh = s.facts.new(s.p, data, day, team=True)
    for k in range(r.randint(2, 6) if fresh else 0):
        obj = stamp(s.world, fresh[int(len(fresh) * r.random() ** 2)], day)
        if k == 0 and r.random() < 0.3:
            s.act(action, obj, denied=True, wait=100)
        s.act(action, obj, rows=r.randint(low, high), size=4000, wait=400)


@variant(
    "first_time", role("ml-engineer it-operator roster-planner biostatistician imaging-analyst")
)
def curious_chart(s: Strike, day: int, r: random.Random) -> None:
    """Opens charts of patients without having any part in their care."""
    s.purpose, s.grant = "treatment", None
    charts = [f"{s.p.site}.charts.{x}" for x in r.sample(s.world.words.wards, 5)]
    _first(s, day, "chart.open", charts, 1, 3)


@variant("first_time", role("clinician transcription-editor studiers it-operator"))
def colleagues(s: Strike, day: int, r: random.Random) -> None:
    """Looks at when and why colleagues were absent."""
    _first(s, day, "absence.view", [f"absence/{s.p.site}", f"overtime/{s.p.site}"], 5, 60)


def _no_genes(f: Facts, p: Principal) -> bool:
    fits = role("study-coordinator transcription-editor roster-planner ml-engineer imaging-analyst")
    return fits(f, p) and all(j.kind != "gx" for j in p.projects)


@variant("first_time", _no_genes)
def genome_peek(s: Strike, day: int, r: random.Random) -> None:
    """Asks for genetic variants, without any study of genes."""
    _first(s, day, "variant.query", s.world.genes(), 5, 900)


@variant("first_time", role("agents syncer intake checker embedder"))
def agent_elsewhere(s: Strike, day: int, r: random.Random) -> None:
    """An agent or a workload reads what lies far from its task."""
    site = s.p.site
    far = [f"absence/{site}", f"overtime/{site}"]
    if s.p.role == "syncer":
        far = [f"{site}.{t}" for t in TABLES]
    _first(s, day, "table.read", [*far, *s.world.genes(), "link/mrn-map"], 20, 900)


@variant("first_time", role("outside-partner"))
def partner_strays(s: Strike, day: int, r: random.Random) -> None:
    """A partner reads a study that is not theirs."""
    other = [j.code for j in s.world.projects if j not in s.p.projects]
    _first(
        s,
        day,
        "table.query",
        [f"{j}/{x}" for j in other for x in ("cohort", "outcomes")],
        300,
        5000,
    )


FAST = MAKERS
