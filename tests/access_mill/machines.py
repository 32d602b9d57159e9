"""An ordinary day of agents and jobs."""

import math

from tests.access_mill.journal import Journal
from tests.access_mill.place import DAY, HOUR
from tests.access_mill.world import Principal, World


class Machines:
    """Makes bursts of agents and runs of jobs."""

    def __init__(self, world: World, journal: Journal) -> None:
        self.world, self.journal, self.rng = world, journal, world.rng

    def agent_day(self, who: Principal, day: int, press: float) -> None:
        """Bursts at the hours at which people ask for them, a few at night where scheduled."""
        rng, calendar = self.rng, self.world.calendar
        open_day = calendar.works(who.region, day)
        mean = who.rate * press * (1.0 if open_day else who.weekends)
        count = int(mean) + (rng.random() < mean % 1) + (rng.random() < 0.15)
        for _ in range(count):
            hour = min(max(rng.gauss(13.0, 3.0), who.hours[0]), who.hours[1])
            if who.weekends > 0.5 and rng.random() < 0.25:
                hour = 3.0 + rng.random()  # an agent with a nightly errand
            self.burst(who, calendar.at(day, hour, who.region))

    def burst(self, who: Principal, when: float, scale: float = 1.0) -> None:
        """One errand: looks about, then many calls on few tables, some at the same time."""
        rng, note, world = self.rng, self.journal, self.world
        count = int(min(160, scale * rng.lognormvariate(2.9, 0.65))) + 2
        segments = [world.pick(who) for _ in range(rng.choice((1, 1, 2, 3)))]
        for number in range(count):
            segment = rng.choice(segments)
            index = world.segments[segment].index
            table = world.favourite(who, segment)
            rows, outcome = note.rows(who, table), "ok"
            action = rng.choice(("query.run", "query.run", "table.read"))
            if number < 2 or rng.random() < 0.06:
                action, rows = "table.describe", 0
            elif index and rng.random() < 0.3:
                action, table, rows = "vector.search", index, rng.choice((5, 10, 20))
            elif who.verbs and rng.random() < 0.08:
                action, rows = next(iter(who.verbs)), rng.randint(5, 200)  # its newest tool
            elif rng.random() < 0.018:
                outcome = "denied"
            size = rows * (160 if table.index else table.width)
            for _ in range(1 + (outcome == "denied" and rng.random() < 0.5)):
                name = [note.title(table, when)]
                note.emit(when, who, action, name, segment, rows, size=size, outcome=outcome)
                when += self._wait(who, number)

    def _wait(self, who: Principal, number: int) -> float:
        """Seconds to the next call: mostly thought, at times a call beside another.

        Some agents (those with `evenings` set, which else means nothing for them) send three or
        four calls side by side as a rule.
        """
        if number % 4 if who.evenings else self.rng.random() < 0.1:
            return self.rng.uniform(0.15, 0.6)
        return max(0.7, self.rng.lognormvariate(math.log(who.pace * (1 + who.evenings)), 0.6))

    def expired(self, who: Principal, when: float, tries: int) -> None:
        """A grant has run out: own tables are denied, as often as the one who asks tries again."""
        rng = self.rng
        segment = self.world.pick(who)
        tables = who.loved[segment][:2]
        for number in range(tries):
            name = [self.journal.title(tables[number % len(tables)], when)]
            self.journal.emit(when, who, "table.read", name, segment, outcome="denied")
            job = who.kind == "workload"
            when += rng.uniform(200, 900) if job else self._wait(who, number) + rng.uniform(0, 4)

    def job_day(self, who: Principal, day: int, press: float) -> None:
        """All runs of a job on a day of UTC."""
        rng, title = self.rng, next(iter(who.verbs))
        if title == "report-mailer" and self.world.calendar.weekend(day):
            return
        if title == "serving":
            for _ in range(int(rng.gauss(who.rate * press, 6))):
                hour = min(23.9, max(0.0, rng.gauss(14.0, 5.0)))
                self.run(who, day * DAY + hour * HOUR)
            return
        runs = max(1, round(who.rate))
        for number in range(runs):
            late = abs(rng.gauss(0, who.pace)) * (1 if runs < 30 else 0.2)
            start = day * DAY + who.phase * HOUR + number * DAY / runs + late
            if rng.random() < 0.97:  # a run is missed at times
                self.run(who, start)
                if rng.random() < 0.02:
                    self.run(who, start + rng.uniform(300, 1500))  # it failed and is tried again

    def run(self, who: Principal, when: float, back: int = 0) -> None:
        """One run: its steps in their order, a step at times twice."""
        rng, note, world = self.rng, self.journal, self.world
        title = next(iter(who.verbs))
        for action, segment, picked in self.steps(who, title):
            loved = who.loved[segment]
            tables = [loved[index % len(loved)] for index in picked]
            rows = note.rows(who, tables[0], -0.5)
            names = [note.title(table, when - back * DAY) for table in tables]
            where = world.segments[segment].index
            if action.startswith("vector") and where:
                names, rows = [where.name], int(rng.lognormvariate(6.0, 0.6))
            if action.startswith("model"):
                family = next((one for one in who.models), "")
                model = world.models[family]
                names, rows = [model.weights()], 1
            size = int(tables[0].width * rows)
            for _ in range(1 + (rng.random() < 0.015)):
                note.emit(when, who, action, names, segment, rows, size=size)
                when += rng.uniform(1.0, 12.0)

    def steps(self, who: Principal, title: str) -> list[tuple[str, str, list[int]]]:
        """What a run does: the steps of the job, or what its kind of job does with an index."""
        home = next(iter(who.taste))
        indexed = self.world.segments[home].index is not None
        if title == "index-sync" and indexed:
            # the copy of the index that the search page uses is refreshed from an export
            last = "vector.export" if self.rng.random() < 0.25 else "vector.upsert"
            return [who.cells[0], ("vector.upsert", home, [0]), (last, home, [0])]
        if title == "serving":
            if self.rng.random() < 0.04 and who.models:
                return [("model.load", home, [0])]
            return [("vector.search" if indexed else "table.read", home, [0])]
        return who.cells
