"""The tasks of which people's days are made: exploring, building features, training, searching, reporting."""

import random

from tests.access_bed import names
from tests.access_bed.diary import Project
from tests.access_bed.records import Scribe
from tests.access_bed.world import Person


class Task:
    """One task of one person: steps one after another."""

    def __init__(
        self,
        scribe: Scribe,
        rng: random.Random,
        person: Person,
        day: int,
        moment: float,
        segment: str,
        purpose: str,
        project: Project | None,
    ) -> None:
        self.world, self.scribe, self.rng = scribe.world, scribe, rng
        self.person, self.day, self.moment = person, day, moment
        self.segment, self.purpose, self.project = segment, purpose, project

    def step(self, action: str, *things: str, segment: str | None = None, gap: float = 60) -> None:
        """Do one thing, then think for a while."""
        rng, place = self.rng, segment or self.segment
        rows, size = self.scribe.amount(action, things[0], self.person.thirst)
        self.scribe.note(
            *(self.person, self.moment, action, things, place, self.purpose),
            rows=rows,
            size=size,
            grant=self.scribe.book.grant(self.person.name, place),
            done=rng.random() > 0.005,
        )
        self.moment += gap * rng.lognormvariate(0, 0.7) + 2

    def table(self) -> str:
        """A table of the task's segment."""
        return self.scribe.table(self.person.name, self.segment, self.day)

    def run(self, kind: str) -> None:
        """Carry out the task."""
        getattr(self, f"_{kind}")()

    def _explore(self) -> None:
        table = self.table()
        for _ in range(self.rng.randint(0, 2)):
            self.step("catalog.browse", self.table(), gap=30)
        self.step("table.preview", table, gap=40)
        for _ in range(self.rng.randint(2, 6)):
            self.step("query.run", table if self.rng.random() < 0.8 else self.table(), gap=110)

    def _pair(self) -> tuple[str, str] | None:
        """Two tables that are joined as a rule, sometimes two of one's own that were not before."""
        rng, name = self.rng, self.person.name
        known = self.project.recipes if self.project else self.world.recipes[self.person.team]
        mine = [p for p in known if self._reach(p)]
        if mine and rng.random() < 0.96:
            mine.sort(key=lambda p: sum(map(ord, name + p[0] + p[1])) % 97)
            return mine[int(len(mine) * rng.random() ** 2)]
        own = [s for s in self.person.segments if self._owned(s)]
        if not own:
            return None
        tables = {self.scribe.table(name, rng.choice(own), self.day) for _ in range(2)}
        return (min(tables), max(tables)) if len(tables) == 2 else None

    def _owned(self, segment: str) -> bool:
        holds = self.scribe.book.holds(self.person.name, segment, self.moment)
        return holds and self.world.segments[segment].team == self.person.team

    def _reach(self, pair: tuple[str, str]) -> bool:
        """Whether the person may read both sides."""
        book, name = self.scribe.book, self.person.name
        return all(book.holds(name, t.split(".")[0], self.moment) for t in pair)

    def _feature(self) -> None:
        pair = self._pair()
        if pair is None:
            self._explore()
            return
        for table in pair:
            self.step("table.read", table, segment=table.split(".")[0], gap=90)
        place = pair[0].split(".")[0]
        for _ in range(self.rng.randint(1, 3)):
            self.step("table.join", *pair, segment=place, gap=200)
        made = f"features:{self.person.team}/{place}"
        self.step("feature.build", made, pair[0], segment=place, gap=150)

    def _model(self) -> tuple[str, str]:
        """A line of models one works on, and its current version."""
        lines = self.world.models(self.person.team)
        held = [m for m in lines if self._owned(names.MODELS[m])]
        model = self.rng.choice(held or lines)
        return model, self.world.release(model, self.day)

    def _fetch(self, model: str, version: str) -> None:
        self.step("model.download", f"model:{model}/{version}", segment=names.MODELS[model], gap=90)

    def _train(self) -> None:
        model, version = self._model()
        place = names.MODELS[model]
        if not self._owned(place):
            self._notebook()
            return
        self.step("feature.read", f"features:{self.person.team}/{place}", segment=place, gap=60)
        self.step("train.launch", f"model:{model}/{version}-dev", segment=place, gap=400)
        for _ in range(self.rng.randint(1, 4)):
            self.step("train.status", f"model:{model}/{version}-dev", segment=place, gap=600)
        if self.rng.random() < 0.35:
            point = f"checkpoint:{model}/{version}-dev/{self.rng.randint(1, 40) * 500:06d}"
            self.step("checkpoint.download", point, segment=place, gap=120)
        if self.rng.random() < 0.3:
            self._fetch(model, version)
        self.step("eval.run", f"model:{model}/{version}-dev", segment=place, gap=200)

    def _retrieve(self) -> None:
        index = self.world.segments[self.segment].index
        if index is None:
            self._explore()
            return
        if self.person.exporter and self.rng.random() < 0.3 and self._owned(self.segment):
            self.step("embedding.export", index, gap=200)
        for _ in range(self.rng.randint(3, 11)):
            self.step("embedding.search", index, gap=45)

    def _report(self) -> None:
        table = self.table()
        for _ in range(self.rng.randint(1, 3)):
            self.step("dashboard.view", f"dashboard:{self.person.team}/{self.segment}", gap=70)
        for _ in range(self.rng.randint(1, 5)):
            self.step("query.run", table, gap=90)
        if self.rng.random() < 0.2:
            self.step("result.download", table, gap=60)

    def _notebook(self) -> None:
        book = f"notebook:{self.person.name}/{self.rng.choice(('scratch', 'study', 'plots'))}"
        table = self.table()
        self.step("notebook.open", book, gap=40)
        self.step("table.read", table, gap=60)
        lent = [m for m, s in names.MODELS.items() if s == self.segment and not self._owned(s)]
        if lent and not self.project and self.rng.random() < 0.08:
            # a model of another team, under the grant one was given for its segment
            self._fetch(lent[0], self.world.release(lent[0], self.day))
        for _ in range(self.rng.randint(3, 10)):
            self.step("notebook.run", book, table, gap=75)

    def _pipeline(self) -> None:
        table = self.table()
        self.step("table.read", table, gap=80)
        for _ in range(self.rng.randint(1, 3)):
            self.step("pipeline.run", table, gap=200)
            self.step("quality.check", table, gap=60)
        if self.rng.random() < 0.5:
            self.step("table.write", table, gap=100)
