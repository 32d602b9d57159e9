"""Where odd uses are put: who could do them, when, and what their past is."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random

from tests.access_loom.book import Desk, Row
from tests.access_loom.clock import DAY
from tests.access_loom.firm import Machine, Person, Thing, Who

FAR = 30 * 3600


class NoRoomError(Exception):
    """Nobody could do this, or nobody is free."""


class Stage:
    """What is known of everybody's past, and which days are taken."""

    def __init__(self, desk: Desk, r: Random) -> None:
        self.desk, self.firm, self.r = desk, desk.firm, r
        self.clock = desk.firm.clock
        self.attacks: list[tuple[str, str, int]] = []
        self.now = ("", "")
        self.taken: dict[str, list[tuple[int, int]]] = {}
        self.days: dict[str, dict[int, list[int]]] = {}
        self.used: dict[str, Counter[str]] = {}
        self.acts: dict[str, Counter[str]] = {}
        self.team: dict[str, set[str]] = {}
        self.nights: Counter[str] = Counter()
        self.habit: dict[str, tuple[str, str | None]] = {}
        self.past: dict[str, list[Row]] = {}
        offsets = {p.name: p.office.offset for p in self.firm.people}
        for m in self.firm.machines:
            if m.operator:
                offsets[m.name] = m.operator.office.offset
        for row in desk.rows:
            t, _, who, action, objects = row[:5]
            d = (t - self.clock.zero) // DAY
            self.days.setdefault(who.name, {}).setdefault(d, []).append(t)
            used = self.used.get(who.name)
            if used is None:
                used = self.used[who.name] = Counter()
                self.acts[who.name] = Counter()
            for name in objects:
                used[name] += 1
            self.acts[who.name][action] += 1
            self.team.setdefault(who.team_on(d), set()).update(objects)
            local = ((t - self.clock.zero) / 3600 + offsets.get(who.name, 0.0)) % 24
            if local < 6 or local > 22.9:
                self.nights[who.name] += 1
            if row[10] == "ok" and not action.startswith("grant."):
                self.past.setdefault(who.name, []).append(row)

    def known(self, who: Who) -> bool:
        """Has somebody a past, and are they here until the end?"""
        settled = who.first < self.clock.learn - 14
        here = self.days.get(who.name, {})
        return settled and sum(d < self.clock.learn for d in here) >= 8

    def free(self, who: Who, a: int, b: int) -> bool:
        """No other attack of theirs within a day."""
        return all(b + FAR < x or y + FAR < a for x, y in self.taken.get(who.name, []))

    def book(self, who: Who, a: int, b: int) -> int:
        """Begins an attack of the kind and variant that is on, and gives its mark."""
        kind, variant = self.now
        after = 6 if kind in ("slow", "scope") else 1
        self.taken.setdefault(who.name, []).append((a, b + after * 3600))
        self.attacks.append((kind, variant, after))
        return len(self.attacks)

    def people(self, *roles: str) -> list[Who]:
        """Those in these roles who have a past."""
        return [p for p in self.firm.by_role(*roles) if self.known(p)]

    def machines(self, *roles: str) -> list[Who]:
        """Agents or workloads of these roles or tasks that have a past."""
        return [m for m in self.firm.machines if m.role in roles and self.known(m)]

    def agents(self) -> list[Who]:
        """All agents that have a past."""
        return [m for m in self.firm.machines if m.kind == "agent" and self.known(m)]

    def order(self, cast: Sequence[Who]) -> list[Who]:
        """A cast in any order, those first who have done nothing odd yet."""
        pool = self.r.sample(cast, len(cast))
        return sorted(pool, key=lambda w: len(self.taken.get(w.name, [])))

    def when(
        self, cast: Iterable[Who], fits: Callable[[Who], bool] | None = None
    ) -> tuple[Who, int, int]:
        """Somebody of the cast, and a moment at which they are at work."""
        for who in self.order([w for w in cast if fits is None or fits(w)]):
            here = self.days[who.name]
            days = [
                d
                for d in range(self.clock.learn + 1, self.clock.days - 1)
                if len(here.get(d, [])) >= 3 and d < who.last
            ]
            self.r.shuffle(days)
            for d in days:
                t = self.r.choice(here[d][: max(1, len(here[d]) * 3 // 4)]) + self.r.randint(
                    15, 240
                )
                if self.free(who, t, t + 7_200) and t > self.clock.learned + 3_600:
                    return who, t, self.book(who, t, t + 5_400)
        raise NoRoomError

    def span(
        self, cast: Iterable[Who], least: int, most: int, fits: Callable[[Who], bool] | None = None
    ) -> tuple[Who, list[int], int]:
        """Somebody, and the days of a span on which they are at work."""
        for who in self.order([w for w in cast if fits is None or fits(w)]):
            for _ in range(6):
                n = self.r.randint(least, most)
                a = self.r.randint(self.clock.learn + 1, self.clock.days - n - 1)
                days = [d for d in range(a, a + n) if self.days[who.name].get(d)]
                if len(days) < 5 or days[-1] - days[0] < least - 1:
                    continue
                begin, end = self.clock.zero + days[0] * DAY, self.clock.zero + (days[-1] + 1) * DAY
                if (
                    begin > self.clock.learned
                    and self.free(who, begin, end)
                    and days[-1] < who.last
                ):
                    return who, days, self.book(who, begin, end)
        raise NoRoomError

    def times(self, who: Who, d: int, n: int) -> list[int]:
        """Moments of a day on which they are at work anyway."""
        here = self.days[who.name][d]
        out = [self.r.choice(here) + self.r.randint(5, 400) for _ in range(n)]
        last = self.clock.zero + (d + 1) * DAY - 5
        return sorted(min(t, last) for t in out)

    def usual(self, who: Who) -> tuple[str, str | None]:
        """The purpose they usually give, and a grant they usually show, good for it or not."""
        if who.name not in self.habit:
            why = Counter(row[6] for row in self.past[who.name]).most_common(1)[0][0]
            shown = Counter(row[9] for row in self.past[who.name] if row[9]).most_common(1)
            self.habit[who.name] = (why, shown[0][0] if shown else None)
        return self.habit[who.name]

    def strange(self, who: Who, things: list[Thing]) -> list[Thing]:
        """Things that neither they nor their team have had to do with, nor any work of theirs."""
        mine = {t.name for s in who.strands for ts in s.project.things.values() for t in ts}
        mine |= {t.name for t in getattr(who, "things", [])}
        teams = {who.team} | {to for _, to in who.moves}
        for team in sorted(teams):
            mine |= self.team.get(team, set()) if who.kind != "workload" else set()
        own = self.used[who.name]
        return [t for t in things if t.name not in own and t.name not in mine]

    def own(self, who: Who, *sorts: str) -> list[Thing]:
        """Things of these sorts that they use often, the most used first."""
        out = []
        for name, n in self.used[who.name].most_common():
            thing = self.firm.things.get(name)
            if thing and thing.sort in sorts and n >= 2:
                out.append(thing)
        return out

    def put(
        self,
        mark: int,
        who: Who,
        t: int,
        action: str,
        things: list[Thing],
        rows: int | None = None,
        outcome: str = "ok",
        purpose: str = "",
        grant: str | None = "",
        also: list[str] | None = None,
    ) -> int:
        """One line of an attack."""
        why, shown = self.usual(who)
        grant = shown if grant == "" else grant
        if outcome == "denied" and self.r.random() < 0.5:
            grant = None
        self.desk.put(who, t, action, things, purpose or why, rows, grant, outcome, mark, also)
        return t

    def again(self, mark: int, who: Who, t: int) -> None:
        """Does once more what they have done before, at another hour."""
        row = self.r.choice(self.past[who.name])
        rows = int(row[7] * self.r.lognormvariate(0.3, 0.4))
        size = int(row[8] * rows / row[7]) if row[7] else row[8]
        self.desk.add(t, who, row[3], row[4], row[5], row[6], rows, size, row[9], "ok", mark)

    def offset(self, who: Who, d: int) -> float:
        """Their local time."""
        if isinstance(who, Machine):
            return who.operator.offset(d) if who.operator else 0.0
        return who.offset(d) if isinstance(who, Person) else 0.0
