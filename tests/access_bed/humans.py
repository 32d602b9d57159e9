"""People's ordinary work: tasks made of steps, within the hours of their day, under grants."""

import random

from tests.access_bed import names
from tests.access_bed.diary import DAY, EPOCH, Diary, Project
from tests.access_bed.records import Scribe
from tests.access_bed.world import TASKS, Person, World


class Office:
    """Lets every person work for one day after another."""

    def __init__(self, world: World, diary: Diary, scribe: Scribe, seed: int) -> None:
        self.world, self.diary, self.scribe = world, diary, scribe
        self.rng = random.Random(f"bed-{seed}-humans")
        self.fresh: dict[str, list[str]] = {}
        for person in world.people.values():
            if person.joined < 0:
                for segment in person.segments:
                    self._grant(person.name, segment, EPOCH - DAY, self.rng.uniform(1, 30))
        for project in diary.projects:
            if project.first < 0:
                self._start(project, EPOCH - DAY)

    def _grant(self, name: str, segment: str, start: float, days: float) -> None:
        if segment not in names.OPEN:
            self.scribe.book.give(name, segment, start, days)

    def _start(self, project: Project, start: float) -> None:
        """One grant of the project covers its segments for all its members."""
        for name in project.members:
            for segment in project.segments:
                if not self.scribe.book.holds(name, segment, start):
                    held = (project.grant, start, EPOCH + (project.last + 1) * DAY)
                    self.scribe.book.held[name, segment] = held

    def morning(self, day: int) -> None:
        """What changes on a day before work begins: projects, moves, joiners, new segments."""
        noon = EPOCH + day * DAY + 8 * 3600
        for project in self.diary.projects:
            if project.first == day:
                lead = self.world.people[project.lead]
                for number, segment in enumerate(project.segments):
                    things = (f"grant:{project.grant}", segment)
                    moment = noon + 40 * number
                    self.scribe.note(lead, moment, "grant.approve", things, segment, project.name)
                self._start(project, noon + 300)
        for person in self.world.people.values():
            if person.moves and person.moves[0] == day:
                person.team = person.moves[1]
                own = self.world.team_segments(person.team, day)
                gained = self.rng.sample(own, min(3, len(own)))
                self._admit(person, gained, noon, "reorganisation")
                person.segments = gained + person.segments[:2]
            if person.moves and person.moves[0] + 5 == day:
                person.segments = person.segments[:3]
            if person.joined == day:
                self._admit(person, person.segments, noon, "onboarding")
        for segment in self.world.segments.values():
            if segment.born == day > 0:
                team = [p for p in self.world.people.values() if p.team == segment.team]
                for person in self.rng.sample(team, 6):
                    person.segments.insert(self.rng.randint(0, 1), segment.name)
                    self._admit(person, [segment.name], noon, "new-source")

    def _admit(self, person: Person, segments: list[str], moment: float, purpose: str) -> None:
        """The lead of the person's team approves grants for segments."""
        lead = self.world.lead(person.team)
        for number, segment in enumerate(s for s in segments if s not in names.OPEN):
            at = moment + 60 * number + self.rng.uniform(0, 50)
            self._grant(person.name, segment, at, self.rng.uniform(20, 30))
            grant = self.scribe.book.grant(person.name, segment)
            things = (f"grant:{grant}", segment)
            self.scribe.note(lead, at, "grant.approve", things, segment, purpose)

    def work(self, person: Person, day: int) -> None:
        """One person's day."""
        window = self.diary.windows.get((person.name, day))
        if window is None:
            return
        rng = self.rng
        start, end = window
        spirit = rng.lognormvariate(-0.05, 0.3)
        spirit *= 1.8 if day in self.diary.busy else 1.0
        spirit *= 1.5 if self.diary.rush(person.name, day) else 1.0
        share = min(1.0, (end - start) / 28_000)
        count = max(1, round(person.pace * spirit * share + rng.gauss(0, 1)))
        lunch = start + rng.uniform(3, 4) * 3600
        for _ in range(count):
            moment = rng.uniform(start, end - 900)
            if lunch < moment < lunch + 2400:
                moment += 2700
            self._task(person, day, moment)
        if rng.random() < person.evening:
            hour = rng.uniform(20.3, 22.6) - self.diary.hours_off(person, day)
            self._task(person, day, EPOCH + day * DAY + hour * 3600)
        if rng.random() < 0.03 and len(person.segments) < 9:
            self._curious(person, day, rng.uniform(start, end - 1800))

    def _curious(self, person: Person, day: int, moment: float) -> None:
        """Ask for one more segment; the lead of its team agrees, and it is used from then on."""
        own = self.world.team_segments(person.team, day)
        wide = [s.name for s in self.world.segments.values() if s.born <= day]
        pool = own if self.rng.random() < 0.65 else wide
        pool = [s for s in pool if s not in (*person.segments, *names.OPEN, *names.GUARDED)]
        if not pool:
            return
        segment = self.rng.choice(pool)
        note = self.scribe.note
        purpose = self._purpose(person, segment)
        note(person, moment, "grant.request", (segment,), segment, purpose)
        lead = self.world.lead(self.world.segments[segment].team)
        delay = self.rng.lognormvariate(7.3, 0.8)
        when = next((d for d in range(day, day + 9) if (lead.name, d) in self.diary.windows), None)
        if when is None:
            return
        begin, end = self.diary.windows[lead.name, when]
        if when == day and not begin < moment + delay < end:
            begin = begin if moment < begin else begin + DAY
        agreed = moment + delay if begin < moment + delay < end else begin + delay
        self._grant(person.name, segment, agreed, self.rng.uniform(14, 30))
        things = (f"grant:{self.scribe.book.grant(person.name, segment)}", segment)
        note(lead, agreed, "grant.approve", things, segment, purpose)
        person.segments.append(segment)
        self._task(person, day + int((agreed - moment) // DAY), agreed + 600, segment)

    def _purpose(self, person: Person, segment: str) -> str:
        """The purpose one gives for a segment: each person and segment has a usual one."""
        usual = names.PURPOSES[person.team]
        habit = sum(map(ord, person.name + segment)) % len(usual)
        return usual[habit] if self.rng.random() < 0.85 else self.rng.choice(usual)

    def _task(self, person: Person, day: int, moment: float, segment: str | None = None) -> None:
        """One task: on a project or one's own, of a kind after one's taste."""
        rng, diary = self.rng, self.diary
        projects = diary.running(person.name, day)
        project = rng.choice(projects) if projects and rng.random() < 0.45 else None
        if segment:
            project = None
        elif project:
            segment = rng.choice(project.segments)
        else:
            place = int(len(person.segments) * rng.random() ** 1.7)
            segment = person.segments[place]
        if not self.scribe.book.holds(person.name, segment, moment):
            return
        purpose = project.name if project else self._purpose(person, segment)
        if not project and 0 <= day - person.joined < 4 and person.joined >= 0:
            purpose = "onboarding"
        kind = rng.choices(TASKS, person.taste)[0]
        moment = self._papers(person, segment, moment, purpose)
        if rng.random() < 0.025:
            moment = self._slip(person, day, moment, purpose)
        Task(self, person, day, moment, segment, purpose, project).run(kind)

    def _papers(self, person: Person, segment: str, moment: float, purpose: str) -> float:
        """Renew a grant that has run out: in good time, or after being denied."""
        held = self.scribe.book.held.get((person.name, segment))
        if held is None or held[2] > moment + 0.5 * DAY or held[0].startswith("gr-p"):
            return moment
        note = self.scribe.note
        if held[2] < moment:
            thing = (self.scribe.table(person.name, segment, 0),)
            note(person, moment, "query.run", thing, segment, purpose, grant=held[0], done=False)
            moment += self.rng.uniform(20, 90)
        grant = self.scribe.book.give(person.name, segment, moment, self.rng.uniform(18, 30))
        note(person, moment, "grant.renew", (f"grant:{grant}", segment), segment, purpose)
        return moment + self.rng.uniform(20, 120)

    def _slip(self, person: Person, day: int, moment: float, purpose: str) -> float:
        """Ask for a table one has no right to, are denied once or twice, and let it be."""
        wide = [s.name for s in self.world.segments.values() if s.born <= day]
        near = self.world.team_segments(person.team, day)
        segment = self.rng.choice(near if self.rng.random() < 0.8 else wide)
        if self.scribe.book.holds(person.name, segment, moment):
            return moment
        thing = (self.scribe.table(person.name, segment, day),)
        for _ in range(self.rng.choice((1, 1, 2))):
            self.scribe.note(person, moment, "query.run", thing, segment, purpose, done=False)
            moment += self.rng.uniform(15, 80)
        return moment


class Task:
    """One task of one person: steps one after another."""

    def __init__(
        self,
        office: Office,
        person: Person,
        day: int,
        moment: float,
        segment: str,
        purpose: str,
        project: Project | None,
    ) -> None:
        self.world, self.scribe, self.rng = office.world, office.scribe, office.rng
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
