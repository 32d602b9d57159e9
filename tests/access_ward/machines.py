"""The days of assistants and workloads: questions, nightly loads, training, retries."""

from collections.abc import Callable

from .company import Principal, World
from .routine import stamp
from .words import TABLES

HOURS = (2, 1.5, 1.2, 1, 1, 1.5, 4, 9, 12, 12, 11, 10, 8, 9, 10, 10, 9, 7, 5, 4, 4, 4, 3, 2.5)
OPS, CARE = "platform-operations", "treatment"


class Voice:
    """What a machine writes to the log, now and then with a refusal and another try first."""

    def __init__(self, world: World, p: Principal, purpose: str, grant: str | None = None) -> None:
        self.world, self.p, self.purpose, self.grant = world, p, purpose, grant

    def refused(self, t: float, action: str, *objects: str) -> None:
        """One refusal."""
        self.world.emit(
            t, self.p, action, objects, self.purpose, grant=self.grant, outcome="denied"
        )

    def say(self, t: float, action: str, *objects: str, n: float = 1, size: float = 150) -> None:
        """One event with about n rows."""
        r = self.world.r
        if r.random() < 0.003:
            for k in range(r.randint(1, 4)):
                self.refused(t - 40 + 9 * k, action, *objects)
        rows = max(1, int(n * r.lognormvariate(0, 0.3)))
        total = int(rows * size * r.uniform(0.9, 1.1))
        self.world.emit(
            t, self.p, action, objects, self.purpose, rows=rows, size=total, grant=self.grant
        )


def quiet(world: World, day: int) -> bool:
    """Weekends and holidays."""
    return world.days.weekday(day) > 4 or day in world.days.holidays


def assistant(world: World, p: Principal, day: int) -> None:
    """Answers clinicians, most in the day, some at night."""
    r, wards, voice = world.r, world.words.wards, Voice(world, p, CARE)
    busy = (0.55 if quiet(world, day) else 1.0) * (1 + day * 0.004) * r.uniform(0.75, 1.25)
    for hour in r.choices(range(24), HOURS, k=round(p.tasks * busy)):
        t = world.days.at(day, hour + r.random(), p.zone)
        chart = f"{p.site}.charts.{wards[int(len(wards) * r.random() ** 1.5)]}"
        text = r.choice(("vec/guidelines", "vec/guidelines", "vec/letters"))
        voice.say(t, "retrieve.context", text, n=8, size=3100)
        if r.random() < 0.6:
            voice.say(t + 2, "chart.open", chart, size=9e3)
        if r.random() < 0.3:
            table = r.choice(("labs", "medication", "vitals"))
            voice.say(t + 4, "table.read", f"{p.site}.{table}", n=20)
        if r.random() < 0.12:
            voice.say(t + 6, "answer.ground", chart, "vec/guidelines", n=4, size=4e3)


def batches(world: World, p: Principal, day: int) -> None:
    """Curation, drafting, coding and literature agents: in batches when their people work."""
    r, rest = world.r, quiet(world, day)
    if rest and p.role != "drafting-agent" and r.random() < 0.85:
        return
    for _ in range(max(1, round(p.tasks * (0.4 if rest else 1) * r.uniform(0.7, 1.3) / 4))):
        t = world.days.at(day, min(22.5, max(6.5, r.gauss(13, 3))), p.zone)
        for _ in range(r.randint(2, 6)):
            t += 3 + r.expovariate(1 / 15)
            _item(world, p, day, t)


def _item(world: World, p: Principal, day: int, t: float) -> None:
    r, w = world.r, world.words
    speech = stamp(world, f"speech/{p.site}/{w.wards[int(len(w.wards) * r.random() ** 1.6)]}", day)
    if p.role == "curation-agent":
        heads = [f"{p.site}.{x}" for x in TABLES] if p.area == "ehr" else w.scans
        obj = stamp(world, heads[int(len(heads) * r.random() ** 1.6)], day)
        voice = Voice(world, p, "data-quality")
        action = "table.read" if p.area == "ehr" else "item.read"
        voice.say(t, action, speech if p.area == "sp" else obj, n=200)
        if r.random() < 0.5:
            voice.say(t + 2, "metadata.edit", f"catalog/{p.site}", n=3, size=300)
    elif p.role == "drafting-agent":
        voice = Voice(world, p, "documentation")
        voice.say(t, "speech.transcribe", speech, size=9e5)
        voice.say(t + 8, "note.draft", speech, size=4e3)
    elif p.role == "coding-agent":
        model = stamp(world, f"model/{r.choice(world.models[p.area])}", day)
        does = (("model.evaluate", model), ("log.review", "service/registry"))
        voice = Voice(world, p, "model-service")
        voice.say(t, *r.choice((*does, ("train.sample", "service/registry"))), n=60, size=200)
    else:
        voice, text = Voice(world, p, "evidence"), r.choice(("vec/guidelines", "vec/reports"))
        voice.say(t, "vector.search", text, n=15, size=3100)
        if r.random() < 0.3:
            code = r.choice(world.projects[:6]).code
            voice.say(t + 3, "result.view", f"{code}/results", n=30, size=300)


def load(world: World, p: Principal, day: int, *, back: int = 0, hour: float = -1.0) -> None:
    """The nightly load of one hospital; `back` loads older weeks again."""
    r, voice = world.r, Voice(world, p, "loading")
    t = world.days.at(day, p.start if hour < 0 else hour, p.zone) + r.expovariate(1 / 300)
    if hour < 0 and r.random() < 0.06:
        t += r.uniform(0.7, 4.5) * 3600
    rows = 9000 * (0.6 if world.days.weekday(day) in (6, 0) else 1)
    for table in TABLES:
        for k in range(back or r.choice((2, 3, 3, 4))):
            t += 20 + r.expovariate(1 / 120)
            if k == 0 and r.random() < 0.012:
                for n in range(r.randint(2, 7)):
                    voice.refused(t + 60 * n, "table.load", f"{p.site}.{table}")
                t += 600
            voice.say(t, "table.load", f"{p.site}.{table}", n=rows)
    voice.say(t + 60, "index.build", f"{p.site}.charts.{p.ward}", n=400, size=900)


def link(world: World, p: Principal, day: int, t: float) -> None:
    """Links the records of all hospitals, on Saturdays."""
    voice = Voice(world, p, "record-linkage")
    for s in world.words.sites if world.days.weekday(day) == 5 else []:
        for table in ("encounters", "labs", "medication", "letters"):
            t += world.r.uniform(60, 600)
            voice.say(t, "link.match", "link/mrn-map", f"{s}.{table}", n=60000)
        voice.say(t + 90, "link.write", "link/pseudonyms", n=30000)


def embed(world: World, p: Principal, day: int, t: float) -> None:
    """Brings the vectors up to date, and copies an index at the turn of the month."""
    r, voice = world.r, Voice(world, p, "model-service")
    for x in ("letters", "guidelines", "reports", "transcripts"):
        for _ in range(r.randint(1, 4)):
            t += r.uniform(30, 400)
            voice.say(t, "vector.upsert", f"vec/{x}", n=5000, size=3100)
    if world.days.date(day).day in (1, 2) and r.random() < 0.7:
        voice.say(t + 99, "vector.dump", "vec/reports", n=90000, size=3100)


def check(world: World, p: Principal, day: int, t: float) -> None:
    """Checks some tables every hour."""
    r, voice = world.r, Voice(world, p, "data-quality")
    for hour in range(24):
        t = world.days.at(day, hour + 0.2 + r.random() * 0.1, p.zone)
        for _ in range(r.randint(2, 4)):
            obj = f"{r.choice(world.words.sites)}.{r.choice(TABLES)}"
            voice.say(t + r.random() * 200, "quality.check", obj, n=900)


def sync(world: World, p: Principal, day: int, t: float) -> None:
    """Takes over the rosters three times a day, at the change of shifts."""
    voice = Voice(world, p, "rostering")
    for hour in (5, 13, 21):
        for s in world.words.sites:
            t = world.days.at(day, hour + world.r.random() * 0.2, p.zone)
            voice.say(t, "roster.sync", f"roster/{s}/{world.days.week(day)}", n=200)
            voice.say(t + 30, "roster.sync", f"absence/{s}", n=60)


def call(world: World, p: Principal, day: int, t: float) -> None:
    """Calls the variants of a new batch, every third night."""
    voice = Voice(world, p, "sequencing-service")
    for k in range(world.r.randint(14, 40) if day % 3 == 0 else 0):
        t += world.r.uniform(60, 500)
        action = "variant.call" if k % 2 else "sequence.read"
        voice.say(t, action, f"wes/batch-{world.batch + day // 3}", n=9e4, size=900)


def mask(world: World, p: Principal, day: int, t: float) -> None:
    """Takes names out of letters and notes."""
    r, voice = world.r, Voice(world, p, "deidentification")
    for k in range(r.randint(35, 70)):
        t += r.uniform(20, 200)
        site = r.choice(world.words.sites)
        speech = f"speech/{site}/{r.choice(world.words.wards)}/{world.days.week(day)}"
        voice.say(t, "text.mask", f"{site}.letters" if k % 3 else speech, n=700, size=4e3)


def keep(world: World, p: Principal, day: int, t: float) -> None:
    """Writes the backups."""
    voice = Voice(world, p, OPS)
    for s in world.words.sites:
        t += world.r.uniform(200, 900)
        voice.say(t, "backup.write", f"backup/{s}", size=4e11)


def intake(world: World, p: Principal, day: int, t: float) -> None:
    """Takes in images as they are made."""
    r, voice = world.r, Voice(world, p, "loading")
    for hour in r.choices(range(24), HOURS, k=r.randint(30, 60)):
        t = world.days.at(day, hour + r.random(), p.zone)
        obj = f"{r.choice(world.words.scans)}/{world.days.week(day)}"
        voice.say(t, "image.ingest", obj, n=40, size=5e5)


def train(world: World, p: Principal, day: int, t: float) -> None:
    """Runs of training that begin when somebody starts them and may last days."""
    r = world.r
    studies = [j for j in world.projects if j.kind == p.area and j.start <= day < j.end]
    if not studies:
        return
    if p.offset <= day:
        if r.random() < 0.45:
            return
        p.offset, p.start = day + r.choice((1, 1, 2, 3)), r.uniform(8, 19)
        p.projects = [r.choice(studies)]
    j = p.projects[0]
    voice = Voice(world, p, j.purpose, j.grant(p.name))
    t = world.days.at(day, p.start, p.zone)
    for k in range(r.randint(24, 44)):
        t += r.uniform(250, 1700)
        obj = stamp(world, r.choice(j.special()), day) if k % 3 else f"{j.code}/features"
        voice.say(t, "train.read", obj, n=20000, size=3000)
        if k % 6 == 5:
            step = 1000 * (day * 3 + k // 6)
            voice.say(t + 20, "checkpoint.save", f"ckpt/{p.ward}/{step}", size=4e8)


JOBS: dict[str, Callable[[World, Principal, int, float], None]] = {
    "linker": link, "embedder": embed, "checker": check, "syncer": sync, "caller": call,
    "masker": mask, "keeper": keep, "intake": intake, "trainer": train,
}  # fmt: skip


def machines_day(world: World, day: int) -> None:
    """One day of all machines."""
    r = world.r
    for p in list(world.people.values()):
        if p.role == "clinic-assistant":
            assistant(world, p, day)
        elif p.kind == "agent":
            batches(world, p, day)
        elif p.role == "loader":
            load(world, p, day)
        elif p.kind == "workload":
            late = r.uniform(0.5, 3) * 3600 if r.random() < 0.05 else 0.0
            t = world.days.at(day, p.start, p.zone) + r.expovariate(1 / 400) + late
            JOBS[p.role](world, p, day, t)
