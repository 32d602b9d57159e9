"""What changes while nothing is wrong: people, teams, tables, releases, nights on call."""

import random

from tests.access_mill.journal import Journal
from tests.access_mill.machines import Machines
from tests.access_mill.names import TEAMS
from tests.access_mill.people import People
from tests.access_mill.place import DAY, HOUR
from tests.access_mill.staff import habits, person, place
from tests.access_mill.world import Principal, Table, World, opaque


class Drift:
    """A plan of changes for all days of a log, carried out each morning and each evening."""

    def __init__(self, world: World, journal: Journal, people: People, machines: Machines) -> None:
        self.world, self.journal = world, journal
        self.people, self.machines, self.rng = people, machines, world.rng
        rng, days, learn = world.rng, world.calendar.days, world.calendar.learn
        middle = learn + (days - learn) // 2

        def late(count: int) -> set[int]:
            """Some days, at least one of them after the days to learn."""
            chosen = {rng.randrange(2, days - 2) for _ in range(count - 1)}
            return chosen | {rng.randrange(learn, days - 2)}

        self.releases = late(4)
        self.backfills = late(7)
        self.audits = late(2)
        self.errands = late(9)
        self.expiries = late(6)
        self.deploys = late(5)
        self.tools = late(2)
        self.copies = late(2)
        self.moves = {rng.randrange(2, learn), rng.randrange(learn + 1, middle + 1)}
        self.reorganisation = rng.randrange(learn + 2, middle + 3)
        self.projects = late(5)
        self.crunch: dict[str, range] = {}
        for plan in rng.sample(TEAMS, 3):
            start = rng.randrange(2, days)
            self.crunch[plan.name] = range(start, start + rng.randint(4, 8))
        #: weeks in which somebody alone is busier than usual: a paper, a launch, a case
        self.busy = {
            who.name: range(start, start + rng.randint(3, 7))
            for who in rng.sample(world.people, len(world.people) // 5)
            for start in (rng.randrange(2, days),)
        }
        self.on_call = [plan.name for plan in TEAMS if "site reliability" in plan.roles]
        self._hire()

    def _hire(self) -> None:
        """New joiners, leavers, consultants for some weeks, and agents that are switched on."""
        rng, world = self.rng, self.world
        days = world.calendar.days
        for number in range(rng.randint(7, 11)):
            plan = rng.choice(TEAMS)
            first = rng.randrange(3, days - 3)
            if number < 4:
                last = first + rng.randint(8, 25)
                who = person(world, plan, "consultant", rng.choice(plan.places), first, last)
            else:
                who = person(world, plan, rng.choice(plan.roles), plan.places[0], first)
            who.moving = first > world.calendar.learn - 8
            world.people.append(who)
        for who in rng.sample(world.people, 3):
            who.last = max(who.first + 5, rng.randrange(5, days))
        for who in rng.sample(world.agents, 2):
            who.first = rng.randrange(3, days - 4)
            who.moving = who.first > world.calendar.learn - 8

    def press(self, who: Principal, day: int) -> float:
        """How busy a team is: month end for those who count, and weeks before a deadline."""
        factor = 1.0
        if who.plan.domain in {"finance", "risk"} and self.world.calendar.month_end(day):
            factor *= 2.4 if who.plan.domain == "finance" else 1.3
        if day in self.crunch.get(who.team, range(0)):
            factor *= 1.8
        if day in self.busy.get(who.name, range(0)):
            factor *= 1.6
        return factor

    def weekend_press(self, who: Principal, day: int) -> bool:
        """Whether somebody whose team is in a crunch comes in on a day off."""
        return day in self.crunch.get(who.team, range(0)) and self.rng.random() < 0.25

    def morning(self, day: int) -> None:
        """Changes that hold from a day on."""
        self.people.approve(day * DAY)
        if day == self.reorganisation:
            self._reorganise()
        if day in self.moves:
            self._migrate(day)
        if day in self.projects:
            self._project(day)
        if day in self.releases:
            model = self.rng.choice(list(self.world.models.values()))
            model.version += 1
            model.releases.append(day)
            self._release(day, model.family)

        if day in self.deploys:
            self._deploy()
        if day in self.tools:
            tool = self.rng.choice(("table.preview", "result.export", "catalog.list"))
            self.rng.choice(self.world.agents).verbs = {tool: 1.0}

    def evening(self, day: int) -> None:
        """What happens on a day beside everybody's habits."""
        if day in self.backfills:
            self._backfill(day)
        if day in self.audits:
            for who in self.world.people:
                if who.role == "data steward" and who.here(day):
                    when = self.world.calendar.at(day, 10.0, who.region)
                    self.people.review(who, when, self.rng.randint(50, 120))
        if day in self.errands:
            who = self.rng.choice(self.world.agents)
            if who.here(day):
                self.machines.burst(who, self.world.calendar.at(day, 14.0, who.region), 3.0)
        if day in self.copies:
            self._copy(day)
        if day in self.expiries:
            machine = self.rng.random() < 0.5
            who = self.rng.choice(self.world.jobs if machine else self.world.agents)
            tries = self.rng.randint(8, 30) if machine else self.rng.randint(3, 5)
            if who.here(day):
                hour = self.rng.uniform(8, 16)
                self.machines.expired(who, self.world.calendar.at(day, hour), tries)
        for team in self.on_call:
            if self.rng.random() < 0.16:
                self._night(team, day)

    def _here(self, team: str, day: int) -> list[Principal]:
        return [who for who in self.world.people if who.team == team and who.here(day)]

    def _night(self, team: str, day: int) -> None:
        """A pager goes at night; the one on call this week, perhaps a colleague, looks into it."""
        rng, calendar = self.rng, self.world.calendar
        crew = [who for who in self._here(team, day) if who.role not in {"manager", "consultant"}]
        if not crew:
            return
        called = [crew[(day // 7) % len(crew)]]
        if rng.random() < 0.25:
            called.append(rng.choice(crew))
        hour = rng.choice((0.3, 1.5, 2.6, 3.7, 4.8, 5.5)) + rng.random()
        for who in called:
            when = calendar.at(day, hour, who.region)
            for _ in range(rng.randint(1, 3)):
                when = self.people.session(who, when, "ask") + rng.uniform(60, 900)
            if rng.random() < 0.3:  # a table that one looks at only when it burns
                segment = rng.choice(self.world.of(who.plan.domain))
                table = rng.choice(segment.tables)
                for _ in range(rng.randint(2, 6)):
                    when += rng.uniform(15, 90)
                    rows, name = rng.randint(1, 500), [self.journal.title(table, when)]
                    self.journal.emit(when, who, "query.run", name, segment.name, rows,
                                      size=rows * table.width, purpose="incident")  # fmt: skip

    def _reorganise(self) -> None:
        """Some people of one team go to another; old work is seen to the end for some days."""
        rng, world = self.rng, self.world
        source, goal = rng.sample([plan for plan in TEAMS if plan.size[1] > 6], 2)
        staff = [who for who in world.people if who.team == source.name]
        for who in rng.sample(staff, min(len(staff), rng.randint(4, 6))):
            old = {name: weight * 0.3 for name, weight in who.taste.items()}
            loved, grants = dict(who.loved), dict(who.grants)
            who.plan, who.team, who.moving = goal, goal.name, True
            who.purposes = rng.sample(goal.purposes, 2)
            who.taste, who.loved, who.grants = {}, {}, {}
            place(world, who)
            who.taste, who.loved = {**old, **who.taste}, {**loved, **who.loved}
            who.grants = {**grants, **who.grants}

    def _migrate(self, day: int) -> None:
        """A segment is laid out anew: other names for its tables, the same people."""
        rng, world = self.rng, self.world
        segment = rng.choice([one for one in world.segments.values() if one.domain != "shared"])
        new = {}
        for table in segment.tables:
            stem = table.name.rsplit("/", 1)
            title = f"{stem[0]}/v2/{stem[1]}" if len(stem) > 1 else f"{table.name}_v2"
            title = opaque(rng, "tb_", 10) if table.name.startswith("tb_") else title
            new[table.name] = Table(title, table.rows, table.width, table.dated)
        for table in segment.tables:
            world.renamed[new[table.name].name] = (day, table)
        segment.tables = list(new.values())
        for who in world.everybody():
            if segment.name in who.loved:
                who.loved[segment.name] = [
                    new.get(table.name, table) for table in who.loved[segment.name]
                ]
        for who in world.people:
            for number, (left, one, right, two) in enumerate(who.pairs):
                one, two = new.get(one.name, one), new.get(two.name, two)  # noqa: PLW2901
                who.pairs[number] = (left, one, right, two)

    def _project(self, day: int) -> None:
        """People of a team are given a segment that is new to it, each after a request."""
        rng, world = self.rng, self.world
        plan = rng.choice(TEAMS)
        segment = rng.choice(list(world.segments.values()))
        crew = [who for who in self._here(plan.name, day) if who.role != "manager"]
        for who in rng.sample(crew, min(len(crew), rng.randint(2, 5))):
            if segment.name in who.taste:
                continue
            when = world.calendar.at(day, who.hours[0] + rng.random(), who.region)
            names = [segment.name]
            self.journal.emit(when, who, "grant.request", names, segment.name, grant=None)
            self.people.give(who, segment, when + rng.uniform(0.3, 2.0) * HOUR, 0.7)
            who.pairs.append((segment.name, world.favourite(who, segment.name),
                              *self._home(who)))  # fmt: skip
            if rng.random() < 0.3:
                habits(world, who)

    def _home(self, who: Principal) -> tuple[str, Table]:
        name = next(iter(who.taste))
        return name, self.world.favourite(who, name)

    def _deploy(self) -> None:
        """A job is changed: a further input of its own domain, or another hour."""
        rng, world = self.rng, self.world
        who = rng.choice([one for one in world.jobs if len(one.cells) > 2])
        if who.rate <= 1 and rng.random() < 0.4:
            who.phase += rng.uniform(0.5, 2.5)
            return
        segment = rng.choice(world.of(who.plan.domain))
        if segment.name not in who.taste:
            world.settle(who, [segment], 0.2)
        count = min(len(who.loved[segment.name]), 2)
        picked = rng.sample(range(len(who.loved[segment.name])), count)
        who.cells.append((rng.choice(("query.run", "query.join")), segment.name, picked))

    def _copy(self, day: int) -> None:
        """An index is copied to a new store by one of its team, with a grant for just that."""
        rng, world = self.rng, self.world
        able = [
            (who, segment, segment.index)
            for who in world.people
            if who.here(day) and "engineer" in who.role and world.calendar.works(who.region, day)
            for segment in world.of(who.plan.domain)
            if segment.index and segment.name in who.taste
        ]
        stewards = [who for who in world.people if who.role == "data steward"]
        if not able:
            return
        who, segment, index = rng.choice(able)
        when = world.calendar.at(day, who.hours[0] + rng.random(), who.region)
        grant, note = opaque(rng, "g-", 10), self.journal
        note.emit(when, who, "grant.request", [index.name], segment.name, grant=None)
        when += rng.uniform(600, 6000)
        names = [f"{who.name}:{index.name}"]
        note.emit(when, rng.choice(stewards), "grant.approve", names, segment.name, grant=grant)
        for _ in range(rng.randint(1, 3)):
            when += rng.uniform(300, 1500)
            note.emit(when, who, "vector.export", [index.name], segment.name, index.rows,
                      size=index.rows * 3072, purpose="migration", grant=grant)  # fmt: skip

    def _release(self, day: int, family: str) -> None:
        """A model comes out and many take it, for two days; some see it for the first time."""
        rng, world = self.rng, self.world
        keen = [who for who in world.people if who.here(day) and "pull" in who.verbs]
        for who in rng.sample(keen, min(len(keen), rng.randint(10, 24))):
            own = family in who.models or rng.random() < 0.5
            if own and world.calendar.works(who.region, day):
                hour = rng.uniform(who.hours[0], who.hours[1])
                self.people.pull(who, world.calendar.at(day, hour, who.region), family)

    def _backfill(self, day: int) -> None:
        """A job works through its past, run after run, a day at a time."""
        rng: random.Random = self.rng
        jobs = [who for who in self.world.jobs if who.cells and len(who.cells) > 3]
        who, when = rng.choice(jobs), day * DAY + rng.uniform(6, 15) * HOUR
        for back in range(rng.randint(10, 30)):
            self.machines.run(who, when, back)
            when += rng.uniform(20, 200)
