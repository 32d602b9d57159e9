"""The ground on which attacks are chosen: who is free, when, and what a line looks like."""

import random
from collections.abc import Callable

from tests.access_mill.history import History
from tests.access_mill.journal import Journal, Line
from tests.access_mill.names import SENSITIVE
from tests.access_mill.place import DAY, HOUR
from tests.access_mill.world import Principal, Table, World


class Draft(Journal):
    """The lines of one attack, with the names that tables had on the day of it."""

    def __init__(self, world: World) -> None:
        super().__init__(world.rng, world.calendar)
        self.world = world

    def title(self, table: Table, when: float) -> str:
        """The name of a table before a migration that is still to come."""
        since, old = self.world.renamed.get(table.name, (0, table))
        while when < since * DAY:
            table = old
            since, old = self.world.renamed.get(table.name, (0, table))
        return super().title(table, when)


class Field:
    """Helps a variant to pick a principal and a moment, and to write lines.

    Attributes:
        journal: The log that attacks go to once they are chosen.
        busy: Windows of attacks by principal, so that two never meet.
    """

    def __init__(self, world: World, journal: Journal, history: History) -> None:
        self.world, self.history, self.calendar = world, history, world.calendar
        self.rng: random.Random = world.rng
        self.journal = journal
        self.busy: dict[str, list[tuple[float, float]]] = {}

    def free(self, who: Principal, start: float, end: float) -> bool:
        """Whether somebody has no attack within 24 hours of a window."""
        return all(
            end + DAY < other or start > until + DAY for other, until in self.busy.get(who.name, [])
        )

    def someone(
        self,
        pool: list[Principal],
        day: int,
        fits: Callable[[Principal], bool],
        *,
        days: int = 1,
        present: bool = True,
    ) -> Principal | None:
        """Somebody who fits, is known well enough, and has no attack near; fresh ones first."""
        start, end = (day - 1) * DAY, (day + days + 1.2) * DAY
        order = sorted(self.rng.sample(pool, len(pool)), key=lambda who: who.name in self.busy)
        for who in order:
            if present and not (who.here(day) and self.moment(who, day)):
                continue
            if self.free(who, start, end) and self.history.known(who) and fits(who):
                return who
        return None

    def moment(self, who: Principal, day: int, reach: float = 900.0) -> float:
        """A moment near an ordinary line of a day, outside the night; 0 where there is none."""
        early = self.calendar.learn * DAY + 6 * HOUR
        late = min((day + 1) * DAY, self.calendar.days * DAY) - 1.5 * HOUR
        times = [
            when
            for when in self.history.times[who.name].get(day, [])
            if early < when < late
            and (who.kind != "human" or 8 < self.calendar.local(when, who.region) < 18)
        ]
        return self.rng.choice(times) + self.rng.uniform(5.0, reach) if times else 0.0

    def start(self) -> Journal:
        """An empty journal for the lines of one attack."""
        return Draft(self.world)

    def pick(self, who: Principal, when: float) -> str:
        """A segment that was somebody's own before a moment, by taste."""
        since = self.history.since
        names = [name for name in who.taste if since.get((who.name, name), when) < when]
        names = names or list(who.taste)
        return self.rng.choices(names, [who.taste[name] for name in names])[0]

    def cover(self, who: Principal) -> str | None:
        """A grant shown where there is none: mostly nothing, at times one for something else."""
        own = list(who.grants.values())
        return self.rng.choice(own) if own and self.rng.random() < 0.35 else None

    def target(self, names: list[str]) -> str:
        """One of some segments, rather one about people."""
        domains = self.world.segments
        weights = [3.0 if domains[name].domain in SENSITIVE else 1.0 for name in names]
        return self.rng.choices(names, weights)[0]

    def big(self, who: Principal, segment: str, rows: int) -> Table:
        """A table of somebody's in a segment that has at least so many rows, or the largest."""
        tables = who.loved.get(segment) or self.world.segments[segment].tables
        enough = [table for table in tables if table.rows >= rows]
        return self.rng.choice(enough) if enough else max(tables, key=lambda table: table.rows)

    def read(
        self,
        note: Journal,
        when: float,
        who: Principal,
        segment: str,
        table: Table,
        rows: int,
        *,
        action: str = "",
        **more: str | None,
    ) -> Line:
        """One read or query of a table."""
        rows = min(rows, table.rows)
        action = action or self.rng.choice(("query.run", "query.run", "table.read"))
        name, size = [note.title(table, when)], int(rows * table.width * 1.1)
        outcome = more.pop("outcome", "ok") or "ok"
        purpose = more.pop("purpose", None) or "-"
        grant = more.pop("grant", "-")
        return note.emit(when, who, action, name, segment, rows, size=size, outcome=outcome,
                         purpose=purpose, grant=grant)  # fmt: skip
