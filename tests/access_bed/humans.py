"""People's ordinary work: tasks made of steps, within the hours of their day, under grants."""

import random

from tests.access_bed import names
from tests.access_bed.diary import DAY, EPOCH, Diary, Project
from tests.access_bed.records import Scribe
from tests.access_bed.tasks import Task
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
        dawn = EPOCH + day * DAY
        for project in self.diary.projects:
            if project.first == day:
                team = self.world.people[project.lead].team
                lead, noon = self.diary.approver(team, dawn + self.rng.uniform(0, 3) * 3600)
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
                self._admit(person, gained, dawn, "reorganisation")
                person.segments = gained + person.segments[:2]
            if person.moves and person.moves[0] + 5 == day:
                person.segments = person.segments[:3]
            if person.joined == day:
                self._admit(person, person.segments, dawn, "onboarding")
        for new in self.world.segments.values():
            if new.born == day > 0:
                team_mates = [p for p in self.world.people.values() if p.team == new.team]
                for person in self.rng.sample(team_mates, 6):
                    person.segments.insert(self.rng.randint(0, 1), new.name)
                    self._admit(person, [new.name], dawn, "new-source")

    def _admit(self, person: Person, segments: list[str], moment: float, purpose: str) -> None:
        """The lead of the person's team approves grants for segments."""
        lead, moment = self.diary.approver(person.team, moment + self.rng.uniform(0, 4) * 3600)
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
        delay = self.rng.lognormvariate(7.3, 0.8)
        lead, agreed = self.diary.approver(self.world.segments[segment].team, moment + delay)
        self._grant(person.name, segment, agreed, self.rng.uniform(14, 30))
        things = (f"grant:{self.scribe.book.grant(person.name, segment)}", segment)
        note(lead, agreed, "grant.approve", things, segment, purpose)
        person.segments.append(segment)
        window = self.diary.windows[person.name, day]
        if agreed + 1200 < window[1]:
            self._task(person, day, agreed + 600, segment)

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
        Task(self.scribe, self.rng, person, day, moment, segment, purpose, project).run(kind)

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
