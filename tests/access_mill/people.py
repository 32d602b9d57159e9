"""An ordinary day of a person: sessions of many shapes, mistakes, requests for a grant."""

import math

from tests.access_mill.journal import Journal
from tests.access_mill.place import HOUR
from tests.access_mill.world import Principal, Segment, World, opaque


class People:
    """Makes the sessions of people."""

    def __init__(self, world: World, journal: Journal) -> None:
        self.world, self.journal, self.rng = world, journal, world.rng
        #: grants that somebody has asked for: when they begin, for whom, for which segment
        self.pending: list[tuple[float, Principal, Segment]] = []

    def day(self, who: Principal, day: int, press: float) -> None:
        """All sessions of one person on one day; press is how busy the team is."""
        rng, calendar = self.rng, self.world.calendar
        office = calendar.works(who.region, day)
        mean = who.rate * press * (1.0 if office else who.weekends * min(press, 1.5))
        ramp = min(1.0, 0.3 + 0.1 * (day - who.first)) if who.first else 1.0
        for _ in range(self.poisson(mean * ramp)):
            if rng.random() < who.evenings:
                hour = rng.uniform(who.hours[1], 23.5)
            else:
                peak = rng.gauss(who.hours[0] + 1.6, 1.1), rng.gauss(who.hours[1] - 2.8, 1.4)
                hour = min(max(rng.choice(peak), who.hours[0]), who.hours[1] + 0.5)
            self.session(who, calendar.at(day, hour, who.region))

    def poisson(self, mean: float) -> int:
        """A Poisson number for small means."""
        limit, count, product = math.exp(-min(mean, 30.0)), 0, self.rng.random()
        while product > limit:
            count, product = count + 1, product * self.rng.random()
        return count

    def session(self, who: Principal, when: float, kind: str = "") -> float:
        """One session; gives when it ends."""
        rng = self.rng
        verb = kind or rng.choices(list(who.verbs), list(who.verbs.values()))[0]
        if rng.random() < 0.03:
            when = self.mistake(who, when)
        match verb:
            case "ask" | "report":
                return self._ask(who, when, export=verb == "report")
            case "notebook":
                return self._notebook(who, when)
            case "vector" | "sample":
                return self._vector(who, when, take=verb == "sample")
            case "train":
                return self._train(who, when)
            case "pull":
                return self.pull(who, when)
            case "join":
                return self._join(who, when)
            case "review":
                return self.review(who, when, rng.randint(4, 18))
            case _:
                return self._small(who, when, verb)

    def _gap(self, middle: float) -> float:
        return self.rng.lognormvariate(math.log(middle), 0.9)

    def _ask(self, who: Principal, when: float, *, export: bool) -> float:
        """A query, then ten more on the same tables, and perhaps a result to take away."""
        rng, note = self.rng, self.journal
        segment = self.world.pick(who)
        tables = [self.world.favourite(who, segment) for _ in range(rng.choice((1, 1, 2)))]
        table = tables[0]
        for _ in range(1 + min(40, int(rng.expovariate(1 / 6)))):
            used = tables if rng.random() < 0.25 else [rng.choice(tables)]
            names = list(dict.fromkeys(note.title(one, when) for one in used))
            table = used[0]
            rows = note.rows(who, table, -1.0 if rng.random() < 0.5 else 0.5)
            action = "query.run" if rng.random() < 0.9 else "table.preview"
            size = note.scanned(table, rows)
            note.emit(when, who, action, names, segment, rows, size=size)
            when += self._gap(50.0)
        if export:
            rows = min(table.rows, int(rng.lognormvariate(5.3, 1.0)))
            name = [note.title(table, when)]
            note.emit(when, who, "result.export", name, segment, rows, size=rows * table.width)
        return when

    def _notebook(self, who: Principal, when: float) -> float:
        """The same cells, run again and again."""
        rng, note = self.rng, self.journal
        cells = who.cells[: rng.randint(2, len(who.cells))]
        for _ in range(rng.choice((1, 1, 2, 3))):
            for action, segment, picked in cells:
                loved = who.loved.get(segment)
                if not loved:
                    continue
                tables = [loved[index % len(loved)] for index in picked]
                rows = note.rows(who, tables[0], 1.2)
                names = [note.title(table, when) for table in tables]
                size = note.scanned(tables[0], rows)
                note.emit(when, who, action, names, segment, rows, size=size)
                when += self._gap(6.0)
            when += self._gap(400.0)
        return when

    def _vector(self, who: Principal, when: float, *, take: bool) -> float:
        """Some searches of an index, a look at a vector now and then, seldom a sample to test."""
        rng, note = self.rng, self.journal
        usable = [name for name in who.taste if self.world.segments[name].index]
        if not usable:
            return self._ask(who, when, export=False)
        segment = rng.choices(usable, [who.taste[name] for name in usable])[0]
        index = self.world.segments[segment].index
        for _ in range(1 + int(rng.expovariate(0.2))):
            fetch = rng.random() < 0.08
            rows = rng.randint(1, 30) if fetch else rng.choice((10, 10, 20, 50, 100))
            action = "vector.fetch" if fetch else "vector.search"
            size = rows * (3072 if fetch else 160)
            note.emit(when, who, action, [index.name if index else ""], segment, rows, size=size)
            when += self._gap(25.0)
        if take and index and who.plan.domain == self.world.segments[segment].domain:
            rows = rng.randint(200, 2500)
            note.emit(when, who, "vector.export", [index.name], segment, rows, size=rows * 3072)
        return when

    def _train(self, who: Principal, when: float) -> float:
        """Reads its data, trains, keeps checkpoints, perhaps registers a model."""
        rng, note = self.rng, self.journal
        segment = self.world.pick(who)
        for _ in range(rng.randint(1, 4)):
            table = self.world.favourite(who, segment)
            rows = int(min(table.rows, note.rows(who, table, 4.0)))
            name = [note.title(table, when)]
            note.emit(when, who, "table.read", name, segment, rows, size=rows * table.width)
            when += self._gap(30.0)
        if who.models:
            model = self.world.models[rng.choice(who.models)]
            note.emit(when, who, "train.start", [f"models/{model.family}"], segment)
            for _ in range(rng.randint(1, 4)):
                when += self._gap(1500.0)
                part = [model.part(rng)]
                note.emit(when, who, "checkpoint.save", part, segment, size=rng.randrange(10**9))
        return when

    def pull(self, who: Principal, when: float, family: str = "") -> float:
        """Takes released weights of a model of the team; a checkpoint of an own run at times."""
        rng, note = self.rng, self.journal
        if not (who.models or family):
            return self._small(who, when, "browse")
        model = self.world.models[family or rng.choice(who.models)]
        own = model.domain == who.plan.domain and rng.random() < 0.25 and not family
        name = model.part(rng) if own else model.weights(model.version - (rng.random() < 0.2))
        action = "checkpoint.download" if own else "model.download"
        size = int(rng.lognormvariate(20.5, 0.4))
        for _ in range(rng.choice((1, 1, 1, 2))):
            note.emit(when, who, action, [name], model.segment, 1, size=size)
            when += self._gap(120.0)
        return when

    def _join(self, who: Principal, when: float) -> float:
        """Joins of pairs that are joined each week; at times a new pair of own tables."""
        rng, note, world = self.rng, self.journal, self.world
        left, one, right, two = rng.choice(who.pairs)
        if rng.random() < 0.12:
            left, right = world.pick(who), world.pick(who)
            one, two = world.favourite(who, left), world.favourite(who, right)
        for _ in range(1 + int(rng.expovariate(0.5))):
            rows = note.rows(who, one, 0.8)
            names = [note.title(one, when), note.title(two, when)]
            note.emit(when, who, "query.join", names, left, rows, size=note.scanned(one, rows))
            when += self._gap(80.0)
        return when

    def review(self, who: Principal, when: float, count: int) -> float:
        """A steward looks at many tables, their grants and policies, reading hardly a row."""
        rng, note, world = self.rng, self.journal, self.world
        for _ in range(count):
            segment = rng.choice(list(who.taste))
            action = rng.choice(("table.describe", "grant.review", "policy.read", "table.preview"))
            table = rng.choice(world.segments[segment].tables)
            rows = rng.randint(5, 100) if action == "table.preview" else 0
            name, size = [note.title(table, when)], rows * table.width
            note.emit(when, who, action, name, segment, rows, size=size)
            when += self._gap(35.0)
        return when

    def _small(self, who: Principal, when: float, verb: str) -> float:
        """Dashboards, a look through the catalogue, a table written, an approved shipment."""
        rng, note, world = self.rng, self.journal, self.world
        segment = world.pick(who)
        for _ in range(rng.randint(1, 5)):
            table = world.favourite(who, segment)
            rows, action = rng.randint(5, 60), "dashboard.view"
            if verb == "browse":
                action = rng.choice(("catalog.list", "table.describe", "table.preview"))
                rows = rows if action == "table.preview" else 0
                table = rng.choice(world.segments[segment].tables)
            elif verb == "write":
                action, rows = "table.write", note.rows(who, table, 2.0)
            elif verb == "ship" and who.models:
                model = world.models[rng.choice(who.models)]
                name = f"models/{model.family}/candidate-{rng.randrange(100)}"
                note.emit(when, who, "model.register", [name], model.segment)
                when += self._gap(60.0)
                continue
            title, size = note.title(table, when), rows * table.width
            note.emit(when, who, action, [title], segment, rows, size=size)
            when += self._gap(40.0)
        return when

    def mistake(self, who: Principal, when: float) -> float:
        """A segment without a grant is tried and denied; often a grant is asked for and given."""
        rng, note, world = self.rng, self.journal, self.world
        domain = rng.choice((who.plan.domain, who.plan.domain, *who.plan.friends))
        segment = rng.choice(world.of(domain))
        if segment.name in who.taste and rng.random() < 0.6:
            table = world.favourite(who, segment.name)  # an expired session of one's own
        else:
            table = rng.choice(segment.tables)
        for _ in range(rng.choice((1, 1, 2, 3))):
            name = [note.title(table, when)]
            note.emit(when, who, "query.run", name, segment.name, outcome="denied")
            when += self._gap(20.0)
        if segment.name not in who.taste and rng.random() < 0.5:
            note.emit(when + 200, who, "grant.request", [segment.name], segment.name, grant=None)
            self.pending.append((when + rng.uniform(1, 30) * HOUR, who, segment))
        return when + self._gap(30.0)

    def approve(self, now: float) -> None:
        """Grants that were asked for before a moment begin; a steward's approval is a line."""
        due = [one for one in self.pending if one[0] <= now]
        self.pending = [one for one in self.pending if one[0] > now]
        for when, who, segment in due:
            if segment.name not in who.taste:
                self.give(who, segment, when, 0.25)

    def give(self, who: Principal, segment: Segment, when: float, weight: float) -> None:
        """A steward approves a grant, and the segment becomes one of somebody's own."""
        rng = self.rng
        stewards = [one for one in self.world.people if one.role == "data steward"]
        steward, grant = rng.choice(stewards), opaque(rng, "g-", 10)
        names = [f"{who.name}:{segment.name}"]
        self.journal.emit(when, steward, "grant.approve", names, segment.name, grant=grant)
        if who.plan.grants == "person":
            who.grants[segment.name] = grant
        self.world.settle(who, [segment], weight)
