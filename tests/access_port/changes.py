"""What does not stay as it was: people come and go, teams are cut anew, offices open, models ship."""

import random
from collections import Counter

from tests.access_port.company import ASSISTANTS, LATE, MOVABLE, STREAMS, Actor, Beat, Place
from tests.access_port.log import Calendar
from tests.access_port.staff import Staff

RENAMED = {"customs": "clearance", "dispatch": "road", "mail": "correspondence", "berth": "quay"}


class Changes:
    """A plan of changes for the whole log, drawn before it begins."""

    def __init__(
        self, rng: random.Random, staff: Staff, calendar: Calendar, learn: int, days: int
    ) -> None:
        self.rng, self.staff, self.calendar = rng, staff, calendar
        self.learn, self.days = learn, days
        self.catalogue = staff.catalogue
        late = learn + days
        self.total = late
        self.holiday: dict[int, str] = {}
        for continent in ("europe", "asia"):
            self.holiday[rng.randrange(2, late - 2)] = continent
        self.busy = {
            rng.randrange(3, late): rng.uniform(1.35, 1.75) for _ in range(max(2, late // 12))
        }
        self.release = {
            a: sorted(rng.sample(range(2, late), max(2, late // 10))) for a in sorted(ASSISTANTS)
        }
        self.reorganised = learn + rng.randint(3, 9)
        self.opening = (
            learn + rng.randint(1, 7) if rng.random() < 0.5 else rng.randint(4, max(5, learn))
        )
        self.rota: dict[int, list[Actor]] = {}
        self.moved: list[Actor] = []
        self._leave()
        self._joiners()
        self._rota()
        self._later()

    def _leave(self) -> None:
        rng = self.rng
        for actor in self.staff.people:
            if rng.random() < 0.3:
                first = rng.randrange(self.total)
                actor.away.update(range(first, first + rng.choice((2, 5, 7, 9))))
            if rng.random() < 0.15:  # a day in bed
                actor.away.add(rng.randrange(self.total))
        others = [
            p
            for p in self.staff.people
            if p.role not in ("lead", "privacy_officer", "release_manager")
        ]
        for actor in rng.sample(others, 2):
            actor.last_day = rng.randint(self.total // 2, self.total)
        traveller = rng.choice(others)
        first = rng.randint(self.learn // 2, self.total - 6)
        far = -7 if traveller.place.continent == "asia" else 7
        traveller.shift = dict.fromkeys(range(first, first + rng.randint(4, 6)), far)

    def _joiners(self) -> None:
        rng, staff = self.rng, self.staff
        for number in range(rng.randint(4, 7)):
            pattern = rng.choice([p for p in staff.people if p.role in MOVABLE and not p.first_day])
            actor = staff.person(
                pattern.team, pattern.role, pattern.place.continent, pattern.assistant
            )
            first = (
                self.learn + rng.randint(1, self.days - 3)
                if number < 2
                else rng.randint(2, self.total - 3)
            )
            actor.first_day = first + (-self.calendar.weekday(first)) % 7  # people start on Mondays
            for beat in actor.beats:
                beat.old = False
                beat.segments = beat.segments[:3]

    def _rota(self) -> None:
        pool = [p for p in self.staff.people if p.on_call]
        self.rng.shuffle(pool)
        for week in range(self.total // 7 + 2):
            self.rota[week] = [pool[(2 * week) % len(pool)], pool[(2 * week + 1) % len(pool)]]

    def _later(self) -> None:
        """Some agents and a job begin after the first day."""
        rng = self.rng
        for agent in rng.sample([a for a in self.staff.agents if a.style == "copilot"], 2):
            agent.first_day = rng.randint(self.learn // 2, self.total - 4)
            for beat in agent.beats:
                beat.old = False

    def factor(self, day: int, continent: str) -> float:
        """How busy a day is."""
        if self.holiday.get(day) == continent:
            return 0.06
        slow = 0.85 if self.calendar.weekday(day) == 4 else 1.0
        return slow * self.busy.get(day, 1.0)

    def apply(self, day: int) -> list[tuple[str, str]]:
        """Make this day's changes; returns what is new in the catalogue, as data set and segment."""
        rng, all_ = self.rng, self.catalogue
        fresh: list[tuple[str, str]] = []
        for name, when in self.release.items():
            all_.run[name] += rng.choice((0, 1, 1, 2))
            if day in when:
                all_.version[name] += 1
        if day == self.opening:
            fresh += self._open()
        if day == self.reorganised:
            self._reorganise(day)
        working = self.calendar.weekday(day) < 5
        if working and rng.random() < 0.22:
            fresh.append(self._new_set(day))
        if working and rng.random() < 0.5:
            self._grow(day)
        if working and rng.random() < 0.15:
            self._new_pair()
        for actor in self.staff.people:
            actor.beats = [b for b in actor.beats if b.until >= day] or actor.beats
        return fresh

    def _open(self) -> list[tuple[str, str]]:
        """An office opens; foundation and one product begin to use what is recorded there."""
        rng, all_ = self.rng, self.catalogue
        all_.open(LATE)
        all_.places.append(Place(LATE, "asia"))
        team = rng.choice([a for a, home in self.staff.home.items() if home == "asia"])
        streams = ASSISTANTS[team][:2]
        able = [p for p in self.staff.people if p.role in MOVABLE]
        hands = [p for p in able if p.assistant == team and p.team in (team, RENAMED[team])]
        for actor in hands[:4] + [p for p in able if p.team == "foundation"][:2]:
            segment = f"{LATE}/{rng.choice(streams)}"
            self._add(actor, segment)
        segments = [f"{LATE}/{s}" for s in STREAMS if s != "people"]
        self.staff.job(f"landing-{LATE}", "intake.land", "mail", segments, "landing")
        return [(name, s) for s in segments for name in all_.sets[s][:1]]

    def _add(self, actor: Actor, segment: str) -> None:
        """More of the same work, in one more segment: asked for first."""
        base = actor.beats[0]
        usual = [s for s in self.catalogue.sets[segment] if not s.endswith(("/reviews", "/bridge"))]
        if segment not in base.segments:
            actor.beats.append(
                Beat(base.purpose, base.assistant, [segment], {segment: usual[:2]}, old=False)
            )

    def _reorganise(self, day: int) -> None:
        """One team gets another name; some of a second move to a third and hand over for some days."""
        rng, people = self.rng, self.staff.people
        renamed, giving, taking = rng.sample(sorted(ASSISTANTS), 3)
        for actor in people + self.staff.agents:
            if actor.team == renamed:
                actor.team = RENAMED[renamed]
        able = [
            p
            for p in people
            if p.team == giving and p.role in ("data_scientist", "ml_engineer") and p.here(day)
        ]
        for actor in rng.sample(able, min(len(able), rng.randint(2, 4))):
            new = self.staff.beats(actor, taking)
            for beat in actor.beats:
                beat.until = day + rng.randint(2, 5)
            for beat in new:
                beat.old = False
            actor.team, actor.assistant = taking, taking
            actor.beats = [*new, *actor.beats]
            self.moved.append(actor)

    def _new_set(self, day: int) -> tuple[str, str]:
        """A data set is registered; those who work in its segment take it up."""
        rng, all_ = self.rng, self.catalogue
        segment = rng.choice([s for s in all_.sets if not s.endswith(("/people", "/performance"))])
        name = f"{segment}/{rng.choice(('weekly', 'pilot', 'merged', 'trimmed'))}_{day:02d}"
        all_.sets[segment].append(name)
        for actor in self.staff.people:
            for beat in actor.beats:
                if segment in beat.sets and rng.random() < 0.4:
                    beat.sets[segment].append(name)
        return name, segment

    def _grow(self, day: int) -> None:
        """Somebody's work comes to need one more segment of a kind that their team uses."""
        able = [
            p
            for p in self.staff.people
            if p.role in MOVABLE and p.here(day) and not p.beats[0].purpose.startswith("oversight")
        ]
        actor = self.rng.choice(able)
        peers = Counter(
            s for p in able if p.team == actor.team for b in p.beats for s in b.segments
        )
        mine = {s for b in actor.beats for s in b.segments}
        open_ = sorted(s for s in peers if s not in mine and s in self.catalogue.sets)
        if open_:
            self._add(actor, self.rng.choice(open_))

    def _new_pair(self) -> None:
        """A team finds a use for putting two of its data sets side by side."""
        team = self.rng.choice(sorted(ASSISTANTS))
        a, b = self.rng.sample(ASSISTANTS[team], 2)
        pair = (f"{a}/{self.rng.choice(STREAMS[a])}", f"{b}/{self.rng.choice(STREAMS[b])}")
        if pair not in self.catalogue.pairs[team]:
            self.catalogue.pairs[team].append(pair)
