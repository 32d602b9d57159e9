"""Rare but legitimate: nights on call, an approved export, a release day, and the leads' own chores."""

import random

from tests.access_bed import names
from tests.access_bed.diary import DAY, EPOCH, Diary
from tests.access_bed.records import Scribe
from tests.access_bed.world import Person, World


class Rare:
    """What does not happen every day to one person, but happens to somebody."""

    def __init__(self, world: World, diary: Diary, scribe: Scribe, seed: int) -> None:
        self.world, self.diary, self.scribe = world, diary, scribe
        self.rng = random.Random(f"bed-{seed}-rare")

    def happen(self, day: int) -> None:
        """The rare events of one day."""
        for team in names.SEGMENTS:
            person = self.world.people[self.diary.on_duty(team, day)]
            present = person.team == team and person.joined <= day < person.left
            if present and (person.name, day) not in self.diary.absent:
                if self.rng.random() < 0.13:
                    self._page(person, day, self.rng.uniform(22, 30))
                if self.rng.random() < 0.2:
                    self._page(person, day, self.rng.uniform(9, 19))
        if self.rng.random() < 0.12:
            self._export(day)
        for model, releases in self.world.releases.items():
            if any(born == day for born, _ in releases):
                self._release(model, day)

    def _page(self, person: Person, day: int, hour: float) -> None:
        """An alarm: acknowledge, look at the logs of jobs and one's own tables, run again."""
        moment = EPOCH + day * DAY + (hour - self.diary.hours_off(person, day)) * 3600
        incident = f"incident:{self.rng.randint(1000, 9999)}"
        purpose = "incident-response"
        note, rng = self.scribe.note, self.rng
        own = [s for s in person.segments if self.world.segments[s].team == person.team]
        place = rng.choice(own) if own else person.segments[0]
        note(person, moment, "incident.acknowledge", (incident,), "job_logs", purpose)
        for _ in range(rng.randint(3, 9)):
            moment += rng.lognormvariate(4.4, 0.7)
            segment = "job_logs" if rng.random() < 0.55 else place
            table = self.scribe.table(person.name, segment, day)
            rows, size = self.scribe.amount("query.run", table, person.thirst)
            grant = self.scribe.book.grant(person.name, segment)
            if segment == "job_logs":
                grant = f"gr-oncall-{person.team}"
            note(
                *(person, moment, "query.run", (table,), segment, purpose),
                rows=rows,
                size=size,
                grant=grant,
            )
        if rng.random() < 0.6:
            table = self.scribe.table(person.name, place, day)
            grant = self.scribe.book.grant(person.name, place)
            note(person, moment + 90, "pipeline.run", (table,), place, purpose, grant=grant)
        note(person, moment + 300, "incident.resolve", (incident,), "job_logs", purpose)

    def _export(self, day: int) -> None:
        """Somebody who never exports asks for it, is allowed, and exports a sample once."""
        able = []
        for person in self.world.people.values():
            own = [s for s in person.segments if self.world.segments[s].index]
            own = [s for s in own if self.world.segments[s].team == person.team]
            if own and not person.exporter and (person.name, day) in self.diary.windows:
                able.append((person, own[0]))
        if not able:
            return
        person, segment = self.rng.choice(able)
        start, end = self.diary.windows[person.name, day]
        moment = self.rng.uniform(start, max(start + 60, end - 9000))
        index = self.world.segments[segment].index or ""
        note, purpose = self.scribe.note, "conference-demo"
        note(person, moment, "grant.request", (index,), segment, purpose)
        grant = f"gr-x{self.rng.randrange(16**6):06x}"
        lead, moment = self.diary.approver(person.team, moment + self.rng.uniform(600, 5000))
        if moment > end:
            return
        note(lead, moment, "grant.approve", (f"grant:{grant}", index), segment, purpose)
        rows, size = self.scribe.amount("embedding.export", index, 1.0)
        moment += self.rng.uniform(120, 2400)
        things = (index,)
        note(
            *(person, moment, "embedding.export", things, segment, purpose),
            rows=rows,
            size=size,
            grant=grant,
        )

    def _release(self, model: str, day: int) -> None:
        """A new version: half of the team's engineers fetch it within the day and try it."""
        segment = names.MODELS[model]
        team = self.world.segments[segment].team
        thing = (f"model:{model}/{self.world.release(model, day)}",)
        for person in self.world.people.values():
            window = self.diary.windows.get((person.name, day))
            keen = person.team == team and person.role in {"ml_engineer", "researcher"}
            if not keen or window is None or self.rng.random() < 0.5:
                continue
            moment = self.rng.uniform(*window)
            grant = self.scribe.book.grant(person.name, segment)
            if grant is None or not self.scribe.book.holds(person.name, segment, moment):
                continue
            for action in ("model.download", "eval.run"):
                rows, size = self.scribe.amount(action, thing[0], 1.0)
                said = (person, moment, action, thing, segment, f"release-{model}")
                self.scribe.note(*said, rows=rows, size=size, grant=grant)
                moment += self.rng.uniform(60, 600)
