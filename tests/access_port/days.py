"""Ordinary days: everything in the log that is not an attack."""

import random
from collections.abc import Iterator
from datetime import date, timedelta

from tests.access_port import errands, timetable
from tests.access_port.changes import Changes
from tests.access_port.company import Actor, Beat, Catalogue
from tests.access_port.desk import Desk
from tests.access_port.habits import (
    EVENTS,
    SITTINGS,
    WEIGHTS,
    Touch,
    bytes_of,
    rows_of,
    times,
    weight_of,
)
from tests.access_port.log import DAY, HOUR, MINUTE, SECOND, Calendar, Event
from tests.access_port.staff import Staff


class World:
    """One firm over some days, with all that is ordinary in it."""

    def __init__(self, seed: int, learn: int, days: int) -> None:
        rng = self.rng = random.Random(f"veldkamp-tan-{seed}")
        self.learn, self.days, self.total = learn, days, learn + days
        self.calendar = Calendar(date(2026, 2, 2) + timedelta(weeks=rng.randrange(30)))
        self.catalogue = Catalogue(rng)
        self.staff = Staff(rng, self.catalogue)
        self.changes = Changes(rng, self.staff, self.calendar, learn, days)
        self.events: list[Event] = []
        self.desk = Desk(rng, self.staff.people, self.emit)
        self.touch = Touch(rng, self.catalogue)
        for day in range(self.total):
            self._day(day)
        self.events = [e for e in self.events if e.at < self.total * DAY]

    def emit(
        self, at: int, actor: Actor, action: str, objects: tuple[str, ...], segment: str, purpose: str,
        rows: int = 0, size: int = 0, grant: str | None = None, outcome: str = "ok",
    ) -> Event:  # fmt: skip
        """Write one event."""
        event = Event(
            at,
            actor.name,
            actor.kind,
            actor.role,
            actor.team,
            action,
            objects,
            segment,
            purpose,
            rows,
            size,
            grant,
            outcome,
        )
        self.events.append(event)
        return event

    def clock(self, actor: Actor, day: int, hour: float) -> int:
        """That hour on the wall of somebody's office, on that day, in milliseconds of the log."""
        ahead = self.calendar.offset(actor.place.continent, day) + actor.shift.get(day, 0)
        return max(0, int(day * DAY + (hour - ahead) * HOUR) + self.rng.randrange(SECOND))

    def _day(self, day: int) -> None:
        rng, weekday = self.rng, self.calendar.weekday(day)
        for name, segment in self.changes.apply(day):
            actor = rng.choice([p for p in self.staff.people if p.role == "data_engineer"])
            self.emit(
                self.clock(actor, day, rng.uniform(9.2, 12)),
                actor,
                "dataset.register",
                (name,),
                segment,
                "curate.intake",
            )
        self.desk.renewals(day, weekday, self.clock)
        for actor in self.staff.people:
            if actor.last_day == day:
                self.desk.drop(actor.name)
            elif actor.here(day):
                self._person(actor, day, weekday)
        for actor in self.staff.agents:
            owner = actor.owner
            if actor.here(day) and owner is not None and owner.last_day > day:
                self._agent(actor, owner, day, weekday)
        for actor in self.staff.jobs:
            timetable.run(self, actor, day, weekday)
        self._nights(day)
        self._releases(day)
        errands.run(self, day)

    def _person(self, actor: Actor, day: int, weekday: int) -> None:
        rng = self.rng
        if weekday > 4:
            count = times(rng, 1.5) if rng.random() < actor.weekend else 0
        else:
            busy = self.changes.factor(day, actor.place.continent)
            count = max(0, round(rng.gauss(actor.pace, 0.28 * actor.pace) * busy))
            if day - actor.first_day < 3 and actor.first_day:
                count = min(count, 2)
        begin = actor.start + rng.gauss(0, 0.3)
        hours = sorted(begin + rng.random() ** 0.9 * (actor.length - 0.6) for _ in range(count))
        if weekday < 5 and count and rng.random() < actor.evening:
            hours.append(rng.uniform(19.5, 22.5))
        free = 0
        for hour in hours:
            if 12.2 < hour % 24 < 13 and rng.random() < 0.7:
                hour += 0.9  # noqa: PLW2901 - lunch
            at = max(free, self.clock(actor, day, hour))
            free = self.sitting(actor, at, day) + 3 * MINUTE

    def choose(self, actor: Actor) -> tuple[Beat, str]:
        """What somebody works on now: first beats and first segments more often."""
        rng = self.rng
        beat = actor.beats[min(int(rng.expovariate(1.1)), len(actor.beats) - 1)]
        return beat, beat.segments[int(rng.random() ** 1.6 * len(beat.segments))]

    def sitting(
        self,
        actor: Actor,
        at: int,
        day: int,
        *,
        task: str = "",
        pause: float = 70.0,
        rounds: int = 1,
    ) -> int:
        """One sitting; returns when it ended."""
        rng = self.rng
        beat, home = self.choose(actor)
        if rng.random() < 0.02:
            at = self._mistake(actor, beat, home, at)
        for _ in range(rounds):
            name = task or rng.choices(EVENTS[actor.role], WEIGHTS[actor.role])[0]
            for action, what, mean, middle in SITTINGS[name]:
                for _ in range(times(rng, mean)):
                    at = self._step(actor, beat, home, at, action, what, middle)
                    at += int(rng.expovariate(1 / pause) * SECOND) + 300
        return at

    def _step(
        self, actor: Actor, beat: Beat, home: str, at: int, action: str, what: str, middle: float
    ) -> int:
        rng = self.rng
        objects, segment = self.touch(actor, beat, home, what)
        grant = self.desk.use(actor, segment, beat.purpose, at, old=beat.old)
        if grant is None:
            if rng.random() < 0.5:
                self.emit(at, actor, action, objects, segment, beat.purpose, outcome="denied")
                at += int(rng.uniform(20, 200) * SECOND)
            if actor.kind == "agent" and actor.style != "copilot":
                return at  # nobody is there to ask; the owner renews it in the morning
            key = (actor.name, segment, beat.purpose)
            at = self.desk.ask(actor, segment, beat.purpose, at, renewal=key in self.desk.held)
            grant = self.desk.use(actor, segment, beat.purpose, at, old=False)
        rows = rows_of(rng, actor, middle)
        if what in ("model", "checkpoint"):
            size = (
                weight_of(rng, self.catalogue, beat.assistant, action)
                if action not in ("artifact.verify", "model.promote")
                else 0
            )
        else:
            size = bytes_of(rng, segment, rows)
        self.emit(at, actor, action, objects, segment, beat.purpose, rows, size, grant)
        return at

    def _mistake(self, actor: Actor, beat: Beat, home: str, at: int) -> int:
        """The wrong office or the wrong purpose, by a slip of the hand; refused."""
        rng = self.rng
        stream = home.partition("/")[2]
        wrong = f"{rng.choice(self.catalogue.places).code}/{stream}"
        purpose = beat.purpose
        if wrong not in self.catalogue.sets or wrong == home or rng.random() < 0.4:
            wrong, purpose = (
                home,
                rng.choice(("study.mail", "label.quality", "insight.throughput", "train.berth")),
            )
        names = self.catalogue.sets.get(wrong, [])
        objects = (rng.choice(names),) if names else ()
        for _ in range(
            rng.choice((1, 1, 2, 3)) + (rng.choice((0, 2)) if actor.kind == "agent" else 0)
        ):
            self.emit(at, actor, "dataset.read", objects, wrong, purpose, outcome="denied")
            at += int(rng.uniform(4, 60) * SECOND)
        return at

    def _agent(self, actor: Actor, owner: Actor, day: int, weekday: int) -> None:
        rng = self.rng
        if actor.style == "copilot":
            busy = self.changes.factor(day, owner.place.continent)
            if weekday > 4 or not owner.here(day) or busy < 0.5:
                return
            for _ in range(times(rng, actor.pace * busy)):
                at = self.clock(owner, day, owner.start + rng.random() * (owner.length - 0.5))
                self.sitting(
                    actor,
                    at,
                    day,
                    pause=rng.uniform(2, 14),
                    rounds=rng.choice((1, 2, 2, 3, 5)) if rng.random() < 0.97 else 9,
                )
        elif actor.style == "sweeper":
            shipped = any(
                day - 1 <= d <= day for b in actor.beats for d in self.changes.release[b.assistant]
            )
            at = self.clock(actor, day, 19.5 + rng.gauss(0, 0.2))
            for _ in range(round(rng.uniform(9, 14) * actor.pace * (2 if shipped else 1))):
                at = self.sitting(actor, at, day, pause=rng.uniform(9, 18)) + 30 * SECOND
        else:
            for number in range(24):
                at = int((day * 24 + number) * HOUR + rng.uniform(0, 240) * SECOND)
                self.sitting(actor, at, day, pause=6)

    def _nights(self, day: int) -> None:
        """Whoever is on call is woken now and then, at any hour."""
        rng = self.rng
        for actor in self.changes.rota[day // 7]:
            if rng.random() < 0.3 and actor.here(day):
                at = self.clock(actor, day, rng.choice((rng.uniform(19, 24), rng.uniform(24, 30))))
                task = "triage" if actor.role == "responder" else "keep"
                if actor.role == "ml_engineer":
                    task = "probe"
                self.sitting(actor, at, day, task=task, pause=50, rounds=rng.choice((1, 1, 2)))

    def _releases(self, day: int) -> None:
        """A release keeps its people late, and moves models about."""
        rng = self.rng
        for name, when in self.changes.release.items():
            if day not in when:
                continue
            for actor in self.hands(name, day):
                task = (
                    "ship"
                    if actor.role == "release_manager"
                    else rng.choice(("pull", "probe", "train"))
                )
                at = self.clock(
                    actor,
                    day,
                    actor.start + rng.uniform(4, actor.length + (2.0 if rng.random() < 0.5 else 0)),
                )
                if self.calendar.weekday(day) < 5:
                    self.sitting(actor, at, day, task=task, rounds=rng.choice((1, 2)))

    def hands(self, assistant: str, day: int) -> Iterator[Actor]:
        """Who takes part in a release."""
        for actor in self.staff.people:
            if actor.here(day) and not actor.shift.get(day) and actor.first_day == 0:
                own = actor.role == "ml_engineer" and actor.assistant == assistant
                if own or actor.role == "release_manager":
                    yield actor
