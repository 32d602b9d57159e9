"""What a sitting at the platform is made of, by role."""

import random

from tests.access_port.company import WIDTH, Actor, Beat, Catalogue, stream_of

# action, what it touches, how many times, rows in the middle
Step = tuple[str, str, float, float]
SITTINGS: dict[str, tuple[Step, ...]] = {
    "explore": (
        ("catalogue.browse", "none", 0.7, 0),
        ("dataset.read", "set", 2.6, 2600),
        ("dataset.query", "set", 2.8, 700),
        ("dataset.query", "pair", 0.35, 900),
    ),
    "compare": (("dataset.query", "pair", 2.2, 1500), ("dataset.query", "set", 2, 700), ("report.write", "none", 0.4, 0)),
    "prepare": (
        ("dataset.read", "set", 2.4, 5200),
        ("feature.build", "made", 1.3, 14000),
        ("feature.read", "feature", 1.8, 4000),
        ("feature.build", "paired", 0.3, 12000),
    ),
    "embed": (
        ("feature.read", "feature", 1.4, 5000),
        ("embedding.build", "embed", 1.1, 9000),
        ("index.update", "vector", 0.6, 9000),
        ("index.search", "vector", 3.2, 40),
    ),
    "train": (
        ("feature.read", "feature", 2.1, 20000),
        ("run.start", "run", 1, 0),
        ("metric.write", "run", 2.6, 0),
        ("checkpoint.save", "checkpoint", 1.8, 0),
        ("checkpoint.load", "checkpoint", 0.4, 0),
    ),
    "search": (("index.search", "vector", 5, 40), ("dataset.read", "set", 0.8, 300)),
    "sample": (("index.search", "vector", 1.5, 40), ("embedding.export", "vector", 1, 180)),
    "pull": (("artifact.verify", "model", 1, 0), ("artifact.download", "model", 1, 0)),
    "probe": (
        ("model.load", "model", 1, 0),
        ("evalset.read", "evalset", 2.6, 420),
        ("run.evaluate", "model", 2, 420),
        ("report.write", "none", 0.6, 0),
    ),
    "ship": (
        ("artifact.verify", "model", 1.6, 0),
        ("artifact.download", "model", 1.4, 0),
        ("model.promote", "model", 0.6, 0),
        ("report.read", "none", 1.5, 0),
    ),
    "label": (("sample.fetch", "set", 6, 25), ("label.write", "set", 6, 25)),
    "perform": (("dataset.query", "set", 3.4, 260), ("dataset.query", "pair", 0.8, 320), ("report.write", "none", 0.5, 0)),
    "audit": (("ledger.search", "log", 4.4, 260), ("grant.review", "none", 1.8, 0), ("report.write", "none", 0.4, 0)),
    "triage": (("alarm.view", "log", 2.6, 8), ("ledger.search", "log", 3.4, 180), ("session.inspect", "none", 0.7, 0)),
    "keep": (("job.restart", "none", 0.6, 0), ("schema.check", "set", 2.6, 0), ("dataset.compact", "set", 0.9, 30000), ("ledger.search", "log", 0.8, 90)),
    "intake": (("dataset.read", "set", 2, 1500), ("quality.check", "set", 3, 8000), ("dataset.write", "set", 1.3, 9000), ("dataset.query", "pair", 0.3, 1200)),
    "oversee": (("report.read", "none", 1.6, 0), ("metric.read", "run", 2.6, 0), ("dataset.query", "set", 0.7, 200)),
}  # fmt: skip
TASKS: dict[str, tuple[tuple[str, float], ...]] = {
    "data_scientist": (("explore", 5), ("compare", 2), ("prepare", 3), ("search", 1.5), ("train", 1.2), ("embed", 0.8)),
    "ml_engineer": (("explore", 1.5), ("prepare", 2), ("embed", 3), ("train", 4), ("search", 1.5), ("pull", 0.5), ("sample", 0.35), ("probe", 0.8)),
    "lead": (("oversee", 5), ("explore", 0.8)),
    "data_engineer": (("intake", 5), ("prepare", 1), ("explore", 1)),
    "evaluator": (("probe", 5), ("explore", 0.8), ("search", 0.5), ("pull", 0.25)),
    "annotator": (("label", 1),),
    "analyst": (("perform", 5), ("compare", 0.8), ("explore", 0.8)),
    "auditor": (("audit", 1),),
    "privacy_officer": (("audit", 3), ("oversee", 1)),
    "responder": (("triage", 1),),
    "platform_engineer": (("keep", 4), ("triage", 0.5)),
    "release_manager": (("ship", 5), ("probe", 1)),
    "copilot_agent": (("explore", 4), ("search", 2), ("prepare", 1), ("compare", 0.5)),
    "sweeper_agent": (("probe", 5), ("search", 1)),
    "watcher_agent": (("triage", 3), ("keep", 1)),
}  # fmt: skip
EVENTS = {name: tuple(t for t, _ in tasks) for name, tasks in TASKS.items()}
WEIGHTS = {name: tuple(w for _, w in tasks) for name, tasks in TASKS.items()}


def times(rng: random.Random, mean: float) -> int:
    """How often a step is done in one sitting."""
    if mean < 1:
        return int(rng.random() < mean)
    return max(1, round(rng.gauss(mean, 0.45 * mean)))


def rows_of(rng: random.Random, actor: Actor, middle: float) -> int:
    """How many rows; one in a hundred is far larger, for an honest reason."""
    if not middle:
        return 0
    rows = middle * actor.size * rng.lognormvariate(0, 0.6)
    if rng.random() < 0.008:
        rows *= rng.uniform(4, 20)
    return max(1, int(rows))


def bytes_of(rng: random.Random, segment: str, rows: int) -> int:
    """How many bytes those rows are."""
    return int(rows * WIDTH.get(stream_of(segment), 200) * rng.uniform(0.85, 1.2))


def weight_of(rng: random.Random, catalogue: Catalogue, assistant: str, action: str) -> int:
    """The size of a model, or of a checkpoint with its optimiser."""
    size = catalogue.weight[assistant] * rng.uniform(0.98, 1.02)
    return int(size * (2.9 if action.startswith("checkpoint") else 1))


class Touch:
    """Finds what a step touches: its objects and the segment that is asked for."""

    def __init__(self, rng: random.Random, catalogue: Catalogue) -> None:
        self.rng = rng
        self.catalogue = catalogue

    def __call__(
        self, actor: Actor, beat: Beat, home: str, what: str
    ) -> tuple[tuple[str, ...], str]:
        """Objects and segment."""
        rng, all_, name = self.rng, self.catalogue, beat.assistant
        if what == "none":
            return (), home
        if what == "log":
            return (
                rng.choice(("audit/ledger/uses", "audit/ledger/alarms", "audit/ledger/sessions")),
            ), "audit/ledger"
        if what == "set":
            return (rng.choice(beat.sets[home]),), home
        if what in ("pair", "paired"):
            pair = self.pair(actor, home)
            if pair is None:
                return (rng.choice(beat.sets[home]),), home
            return (
                (pair, home)
                if what == "pair"
                else ((*pair, all_.features[name][len(stream_of(home)) % 4]), home)
            )
        if what == "made":
            return (
                rng.choice(beat.sets[home]),
                all_.features[name][len(stream_of(home)) % 4],
            ), home
        if what == "embed":
            return (rng.choice(beat.sets[home]), all_.vectors[name][len(stream_of(home)) % 3]), home
        if what == "feature":
            return (rng.choice(all_.features[name]),), f"features/{name}"
        if what == "vector":
            return (rng.choice(all_.vectors[name]),), f"vectors/{name}"
        if what == "evalset":
            return (rng.choice(all_.evals[name]),), f"evals/{name}"
        if what == "model":
            return (all_.model(name, rng.choice((0, 0, 0, 1))),), f"registry/{name}"
        run = f"r{all_.run[name]}"
        if what == "run":
            return (f"runs/{name}/{run}",), f"registry/{name}"
        return (f"checkpoints/{name}/{run}/s{rng.randint(1, 12) * 500}",), f"registry/{name}"

    def pair(self, actor: Actor, home: str) -> tuple[str, str] | None:
        """A pair that is usual in the team and starts in this segment."""
        place, _, stream = home.partition("/")
        team = (
            actor.assistant
            if actor.role in ("data_scientist", "ml_engineer", "lead", "copilot_agent")
            else actor.team
        )
        if (
            actor.role == "copilot_agent"
            and actor.owner is not None
            and actor.owner.role in ("analyst", "data_engineer")
        ):
            team = actor.owner.team
        able = [p for p in self.catalogue.pairs.get(team, ()) if p[0].startswith(stream + "/")]
        if not able:
            return None
        first, second = self.rng.choice(able)
        if (
            self.rng.random() < 0.1 and actor.kind == "human"
        ):  # the same data set of a second office nearby
            here = next((p for p in self.catalogue.places if p.code == place), actor.place)
            near = [
                p.code
                for p in self.catalogue.places
                if p.continent == here.continent and p is not here
            ]
            if near:
                return f"{place}/{first}", f"{self.rng.choice(near)}/{first}"
        return f"{place}/{first}", f"{place}/{second}"
