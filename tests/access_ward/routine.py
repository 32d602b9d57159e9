"""What people do: small pieces of work, and how they pick data for them."""

from .company import Principal, Project, World

Step = tuple[str, str, int, int, float, float, float, float]

# action, data, at least, at most, rows, bytes a row, seconds between, chance
RECIPES: dict[str, tuple[str, tuple[Step, ...]]] = {
    "round": ("treatment", (("chart.open", "ward", 2, 6, 1.2, 9e3, 200, 1), ("table.read", "site_ehr", 0, 2, 30, 150, 60, 0.6))),
    "image_look": ("treatment", (("image.view", "site_img", 1, 3, 25, 5e5, 150, 1), ("chart.open", "ward", 0, 1, 1, 9e3, 60, 0.4))),
    "dictate": ("documentation", (("speech.record", "sp", 1, 3, 1, 9e5, 280, 1), ("note.sign", "sp", 0, 2, 1, 4e3, 90, 0.7))),
    "own_roster": ("rostering", (("roster.view", "roster", 1, 1, 40, 120, 60, 1),)),
    "study_read": ("study", (("table.query", "study", 1, 4, 2500, 90, 120, 1), ("result.view", "results", 0, 2, 40, 300, 90, 0.5))),
    "chart_review": ("study", (("table.query", "ehr", 1, 3, 300, 160, 120, 1), ("annotation.save", "study", 1, 3, 12, 400, 200, 0.7))),
    "analysis": ("study", (("notebook.open", "study", 1, 1, 0, 0, 60, 1), ("table.query", "study", 2, 6, 14000, 80, 240, 1), ("dataset.join", "study+study", 0, 1, 11000, 140, 120, 0.5), ("result.write", "results", 0, 2, 50, 300, 60, 0.8))),
    "cohort": ("study", (("catalog.browse", "catalog", 0, 2, 0, 0, 60, 0.5), ("table.query", "ehr", 2, 5, 9000, 110, 180, 1), ("dataset.join", "ehr+ehr", 1, 2, 7000, 200, 200, 0.8), ("cohort.write", "study", 1, 1, 4000, 180, 90, 0.8))),
    "enrich": ("study", (("table.query", "study", 1, 2, 3000, 90, 90, 1), ("dataset.join", "study+own", 1, 1, 2500, 220, 200, 0.8), ("result.write", "results", 0, 1, 50, 300, 60, 0.5))),
    "aggregate_out": ("study", (("result.view", "results", 1, 2, 50, 300, 60, 1), ("result.export", "results", 1, 2, 60, 250, 100, 1))),
    "image_read": ("study", (("image.batch_read", "img", 1, 4, 220, 4e5, 240, 1), ("annotation.save", "study", 0, 2, 30, 400, 200, 0.5))),
    "image_qc": ("data-quality", (("image.view", "all_img", 1, 4, 20, 5e5, 180, 1), ("quality.note", "all_img", 0, 2, 4, 300, 60, 0.6))),
    "segmenting": ("study", (("image.view", "img", 2, 5, 12, 5e5, 300, 1), ("annotation.save", "study", 1, 3, 12, 2e4, 200, 0.9))),
    "variant": ("study", (("variant.query", "gx", 2, 6, 1800, 260, 160, 1), ("table.query", "study", 0, 2, 2000, 90, 100, 0.5))),
    "sequence": ("sequencing-service", (("sequence.read", "wes", 1, 4, 6e4, 900, 300, 1), ("quality.note", "wes", 0, 2, 3, 300, 60, 0.6))),
    "train": ("study", (("train.read", "train", 1, 4, 9000, 3000, 200, 1), ("train.start", "ckpt", 1, 1, 0, 0, 60, 0.8))),
    "evaluate": ("model-service", (("checkpoint.load", "ckpt", 1, 2, 1, 4e8, 120, 1), ("model.evaluate", "model", 1, 2, 900, 200, 300, 0.9))),
    "pull": ("model-service", (("model.download", "model", 1, 2, 1, 9e8, 120, 1),)),
    "adapter": ("model-service", (("adapter.download", "adapter", 1, 2, 1, 6e7, 90, 1), ("model.evaluate", "model", 0, 1, 600, 200, 200, 0.6))),
    "search": ("study", (("vector.search", "vec", 2, 6, 20, 3100, 60, 1),)),
    "index": ("model-service", (("vector.search", "vec", 1, 3, 30, 3100, 60, 1), ("vector.upsert", "vec", 1, 2, 1500, 3100, 100, 0.6))),
    "index_copy": ("model-service", (("vector.dump", "vec", 1, 1, 30000, 3100, 100, 1),)),
    "curate": ("data-quality", (("table.read", "all_ehr", 2, 5, 500, 120, 150, 1), ("metadata.edit", "catalog", 0, 2, 3, 300, 90, 0.8), ("quality.note", "all_ehr", 0, 2, 5, 200, 60, 0.5))),
    "links": ("record-linkage", (("link.match", "link+all_ehr", 1, 3, 2500, 120, 200, 1), ("table.read", "link", 0, 1, 300, 90, 60, 0.3))),
    "deliver": ("study", (("table.query", "ehr", 1, 3, 6000, 110, 120, 1), ("extract.export", "out", 1, 1, 5000, 180, 200, 0.8))),
    "speech_care": ("data-quality", (("speech.sample", "sp", 1, 3, 15, 9e5, 200, 1), ("metadata.edit", "catalog", 0, 1, 2, 300, 60, 0.6))),
    "watch": ("platform-operations", (("log.review", "service", 1, 3, 300, 250, 200, 1), ("host.login", "host", 0, 2, 0, 0, 120, 0.6))),
    "restart": ("platform-operations", (("service.restart", "service", 1, 2, 0, 0, 100, 1), ("log.review", "service", 1, 2, 200, 250, 100, 0.9))),
    "deploy": ("platform-operations", (("model.deploy", "any_model", 1, 1, 1, 9e8, 300, 1), ("service.restart", "service", 1, 1, 0, 0, 60, 0.7))),
    "backup": ("platform-operations", (("backup.verify", "backup", 1, 2, 100, 1e5, 200, 1),)),
    "plan": ("rostering", (("roster.view", "roster", 1, 3, 60, 120, 120, 1), ("absence.view", "absence", 0, 2, 25, 150, 80, 0.7), ("roster.edit", "roster", 1, 4, 4, 150, 150, 0.9))),
    "publish": ("rostering", (("roster.publish", "roster", 1, 1, 60, 150, 60, 1), ("report.run", "overtime", 0, 2, 60, 200, 90, 0.6))),
    "hours": ("rostering", (("dataset.join", "roster+overtime", 1, 1, 90, 200, 90, 1), ("report.run", "overtime", 1, 1, 60, 200, 60, 0.8))),
    "correct": ("documentation", (("speech.play", "sp", 1, 4, 1, 9e5, 240, 1), ("note.correct", "sp", 1, 4, 1, 4e3, 150, 0.9))),
    "glossary": ("documentation", (("transcript.search", "tr", 1, 4, 30, 2e3, 90, 1),)),
    "enrol": ("study", (("table.query", "ehr", 1, 3, 150, 140, 120, 1), ("enrolment.edit", "study", 1, 3, 2, 300, 120, 1))),
    "to_partner": ("study", (("result.view", "results", 1, 1, 40, 300, 60, 1), ("share.send", "out", 1, 1, 60, 300, 90, 0.9))),
    "partner_read": ("study", (("table.query", "study", 1, 4, 1500, 90, 150, 1), ("result.view", "results", 0, 2, 40, 300, 90, 0.6))),
    "partner_fetch": ("study", (("share.fetch", "out", 1, 2, 900, 200, 90, 1),)),
    "govern": ("governance", (("protocol.review", "protocol", 1, 3, 1, 5e4, 400, 1), ("access.review", "protocol", 0, 2, 20, 200, 200, 0.7))),
    "audit": ("governance", (("audit.sample", "anything", 2, 5, 15, 200, 200, 1),)),
    "browse": ("catalogue", (("catalog.browse", "catalog", 1, 4, 0, 0, 60, 1),)),
}  # fmt: skip
HABITS: dict[str, dict[str, float]] = {
    "clinician": {"round": 8, "image_look": 3, "dictate": 4, "own_roster": 1, "study_read": 1, "chart_review": 1.2, "browse": 0.05},
    "biostatistician": {"analysis": 6, "cohort": 2.5, "enrich": 1, "aggregate_out": 0.8, "study_read": 2, "search": 0.1, "browse": 0.3},
    "ml-engineer": {"train": 4, "evaluate": 2.5, "pull": 0.5, "adapter": 0.5, "index": 0.8, "study_read": 1.2, "browse": 0.2, "index_copy": 0.02},
    "data-steward": {"curate": 6, "links": 1.2, "deliver": 0.9, "speech_care": 0.8, "browse": 1, "image_qc": 0.3},
    "it-operator": {"watch": 6, "restart": 1, "deploy": 0.3, "backup": 1},
    "bioinformatician": {"variant": 4, "sequence": 4, "study_read": 1, "enrich": 0.6, "aggregate_out": 0.4, "browse": 0.2},
    "imaging-analyst": {"image_read": 2, "image_qc": 3, "segmenting": 4, "study_read": 0.6, "pull": 0.08, "browse": 0.2},
    "study-coordinator": {"enrol": 5, "study_read": 2, "to_partner": 0.6, "aggregate_out": 0.5, "browse": 0.2},
    "roster-planner": {"plan": 6, "publish": 0.8, "hours": 0.7},
    "transcription-editor": {"correct": 7, "glossary": 1.5},
    "outside-partner": {"partner_read": 5, "partner_fetch": 0.8, "study_read": 1},
    "privacy-officer": {"govern": 5, "audit": 0.6, "browse": 1},
}  # fmt: skip
ONE = {"ward", "site_ehr", "site_img", "roster", "overtime", "absence", "sp", "host", "service"}


def base(world: World, p: Principal, name: str, j: Project | None) -> list[str]:
    """All the data a piece of work may reach, as far as it has no date in its name."""
    w, r = world.words, world.r
    site = p.site if p.site in w.sites else w.sites[0]
    tables = ("encounters", "labs", "vitals", "medication", "letters", "problems")
    if name in ("model", "ckpt", "adapter"):
        field = p.area if p.area in world.models else "img"
        heads = [f"{name}/{m}" for m in world.models[field]]
        return [f"{h}-{d}" for h in heads for d in w.wards[:3]] if name == "adapter" else heads
    if name in ("ehr", "study", "results", "img", "gx", "own", "out", "train"):
        if j is None:
            return [f"catalog/{site}"]
        extra = [x for k, v in j.data.items() if k != "ehr" for x in v]
        return {
            "ehr": j.data["ehr"],
            "study": j.study(),
            "results": [f"{j.code}/results"],
            "img": j.data.get("img", w.scans[:2]),
            "gx": j.data.get("gx", [f"panel/{j.code}"]),
            "own": extra or j.data["ehr"],
            "out": [f"out/{j.code}"],
            "train": [*extra, f"{j.code}/features"],
        }[name]
    seen = {
        "ward": [f"{site}.charts.{x}" for x in [p.ward, *r.sample(w.wards, 3)]],
        "site_ehr": [f"{site}.{t}" for t in tables],
        "site_img": r.sample(w.scans, 4),
        "all_img": list(w.scans),
        "all_ehr": [f"{s}.{t}" for s in w.sites for t in tables],
        "sp": [f"speech/{site}/{x}" for x in (p.ward, *r.sample(w.wards, 2))],
        "tr": [f"transcripts/{x}" for x in w.wards],
        "roster": [f"roster/{site}"],
        "overtime": [f"overtime/{site}"],
        "absence": [f"absence/{site}"],
        "vec": [f"vec/{x}" for x in ("letters", "guidelines", "reports", "transcripts")],
        "link": ["link/mrn-map", "link/pseudonyms"],
        "protocol": [f"protocol/{q.code}" for q in world.projects],
        "host": [f"host/{x}{k}" for x in ("gpu", "db", "app") for k in (1, 2, 3)],
        "service": [
            f"service/{x}" for x in ("loader", "assistant", "registry", "imaging", "search")
        ],
        "backup": [f"backup/{s}" for s in w.sites],
        "catalog": [f"catalog/{x}" for x in (*w.sites, "imaging", "genomics", "speech", "studies")],
        "wes": ["wes/batch"],
        "any_model": [f"model/{m}" for v in world.models.values() for m in v],
    }
    seen["anything"] = seen["all_ehr"] + seen["tr"] + seen["all_img"] + seen["roster"]
    if name == "vec" and p.role in {"clinician", "biostatistician"}:
        return ["vec/guidelines", "vec/letters"]
    return seen[name]


def pick(world: World, p: Principal, name: str, j: Project | None, day: int) -> str:
    """One piece of data, as this person's habits have it."""
    r = world.r
    key = f"{name}:{j.code}" if j else name
    order = p.order.get(key)
    if order is None:
        order = base(world, p, name, j).copy()
        if name not in ONE:
            r.shuffle(order)
        p.order[key] = order
    reach = len(order)
    if reach > 3 and r.random() > 0.02:
        reach = max(3, int(reach * 0.6))
    return stamp(world, order[int(reach * r.random() ** 2.2)], day)


def stamp(world: World, obj: str, day: int) -> str:
    """Adds the week, batch, version or step to data that has one."""
    r, days = world.r, world.days
    head, _, tail = obj.partition("/")
    if head in world.words.scans and not tail:
        return f"{obj}/{days.week(max(day - int(r.expovariate(0.12)), -60))}"
    if head == "speech":
        return f"{obj}/{days.week(day - int(r.expovariate(0.5)))}"
    if head == "roster":
        return f"{obj}/{days.week(day + r.choice((0, 0, 0, 7, 7, 14)))}"
    if head == "wes":
        return f"wes/batch-{world.batch + day // 3 - int(r.expovariate(0.5))}"
    if head in {"model", "adapter"}:
        name = tail.split("-", maxsplit=1)[0]
        back = int(r.random() < 0.15)
        return f"{obj}/v{world.release[name] + (day + len(name)) // 16 - back}"
    if head == "ckpt":
        return f"{obj}/{1000 * (1 + day * 3 + r.randint(0, 3))}"
    return obj


def choose_study(world: World, p: Principal, day: int) -> Project | None:
    """The study somebody works on now: near its deadline more often."""
    live = [j for j in p.projects if j.start <= day < j.end]
    if not live:
        return None
    if len(live) == 1:
        return live[0]
    weights = [(3.0 if 0 <= j.deadline - day < 8 else 1.0) / (k + 1) for k, j in enumerate(live)]
    return world.r.choices(live, weights)[0]


def grant_for(world: World, p: Principal, purpose: str, j: Project | None) -> str | None:
    """The approval under which work is done; care and operations often need none."""
    if j is not None:
        return j.grant(p.name)
    if purpose in {"treatment", "catalogue", "platform-operations"} or not world.standing:
        return None
    return f"STD-{purpose}"


def work(
    world: World, p: Principal, name: str, t: float, day: int, study: Project | None = None
) -> float:
    """Do one piece of work; the time at which it ends."""
    r = world.r
    purpose, steps = RECIPES[name]
    j = study
    if purpose == "study":
        j = j or choose_study(world, p, day)
        if j is None:
            purpose, steps = RECIPES["browse"]
        else:
            purpose = j.purpose
    grant = grant_for(world, p, purpose, j)
    slip = 0.006 * p.clumsy * (6 if 0 < p.joined <= day < p.joined + 4 else 1)
    for action, pools, low, high, rows, size, gap, chance in steps:
        if chance < 1 and r.random() > chance:
            continue
        for _ in range(r.randint(low, high)):
            t += 5 + r.expovariate(1 / gap)
            found: list[str] = []
            for part in pools.split("+"):
                one = pick(world, p, part, j, day)
                if one not in found:
                    found.append(one)
            objects = tuple(found)
            if r.random() < slip:
                _mistake(world, p, action, objects, purpose, grant, t)
                t += r.uniform(15, 240)
            n = max(1, int(rows * p.scale * r.lognormvariate(0, 0.7))) if rows >= 1.1 else int(rows)
            total = int(n * size * r.uniform(0.8, 1.2))
            world.emit(t, p, action, objects, purpose, rows=n, size=total, grant=grant)
    return t


def _mistake(
    world: World,
    p: Principal,
    action: str,
    objects: tuple[str, ...],
    purpose: str,
    grant: str | None,
    t: float,
) -> None:
    r = world.r
    site = p.site
    if objects[0].startswith(f"{site}.") and r.random() < 0.5:
        wrong = objects[0].replace(site, r.choice(world.words.sites), 1)
        world.emit(t, p, action, (wrong, *objects[1:]), purpose, outcome="denied", grant=grant)
        return
    for k in range(r.choice((1, 1, 1, 2, 3))):
        world.emit(
            t + 9 * k, p, action, objects, purpose, outcome="denied", grant=r.choice((None, grant))
        )
