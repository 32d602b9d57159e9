"""Who attacks, when, and in which way: five attacks of each kind, one at a time for each principal."""

import random
from dataclasses import dataclass

from tests.access_bed.diary import DAY, Diary
from tests.access_bed.history import History, Scene, Variant
from tests.access_bed.patient import PATIENT
from tests.access_bed.records import Scribe, day_of
from tests.access_bed.strayings import STRAYINGS
from tests.access_bed.takings import TAKINGS
from tests.access_bed.world import Actor, Person, World

EACH = 5


@dataclass(frozen=True, slots=True)
class Planted:
    """One attack as planted: what, by whom, and how long its window stays open after its last event."""

    kind: str
    variant: str
    principal: str
    after: float


class Planter:
    """Plants attacks into a log that has been lived already."""

    def __init__(self, world: World, diary: Diary, scribe: Scribe, seed: int) -> None:
        self.world, self.diary, self.scribe = world, diary, scribe
        self.rng = random.Random(f"bed-{seed}-attacks")
        self.history = History(scribe.events)
        self.taken: dict[str, list[tuple[float, float]]] = {}
        self.planted: list[Planted] = []
        self.done: set[tuple[str, str]] = set()

    def plant(self) -> list[Planted]:
        """Plant all of them, the long ones first."""
        for kinds in (PATIENT, (*TAKINGS, *STRAYINGS)):
            wanted = self._wanted(kinds)
            for number, variant in enumerate(wanted):
                share = (number + self.rng.random()) / len(wanted)
                others = [v for v in kinds if v.kind == variant.kind and v is not variant]
                ways = [variant, *self.rng.sample(others, len(others))]
                if not any(self._place(way, share) for way in ways):
                    raise RuntimeError(f"nobody fits {variant.kind}")
        return self.planted

    def _wanted(self, variants: tuple[Variant, ...]) -> list[Variant]:
        """Five of each kind, every variant at least once, in random order."""
        found: list[Variant] = []
        for kind in dict.fromkeys(v.kind for v in variants):
            ways = [v for v in variants if v.kind == kind]
            more = self.rng.sample(ways, EACH - len(ways))
            found += ways + more
        return self.rng.sample(found, len(found))

    def _place(self, variant: Variant, share: float) -> bool:
        """Find a day near the share of the time left, and a principal whom the attack fits."""
        tail = self.world.days - self.world.learn
        span = self.rng.randint(*variant.span)
        room = tail - span - (1 if variant.span[1] > 1 else 0)
        wish = self.world.learn + int(share * room)
        days = sorted(
            range(self.world.learn, self.world.learn + room + 1), key=lambda d: abs(d - wish)
        )
        actors: list[Actor] = [*self.world.people.values(), *self.world.agents.values()]
        actors += self.world.jobs.values()
        # those who attacked least come first, and nobody attacks twice in one kind of way
        actors = [a for a in actors if (variant.kind, a.name) not in self.done]
        for day in days:
            if variant.weekend and day % 7 < 5:
                continue
            mixed = self.rng.sample(actors, len(actors))
            mixed.sort(key=lambda a: len(self.taken.get(a.name, ())))
            for actor in mixed:
                if self._try(variant, actor, day, span):
                    return True
        return False

    def _try(self, variant: Variant, actor: Actor, day: int, span: int) -> bool:
        """Play the attack if the principal is free, known for long, at work, and the attack fits."""
        long = variant.span[1] > 1
        known = self.history.of[actor.name]
        if isinstance(actor, Person) and actor.moves and day <= actor.moves[0]:
            return False
        days = [d for d in range(day, day + span) if known.days[d] >= 6]
        if not variant.night and (not days or days[0] != day):
            return False
        if long and len(days) < min(5, span - 2):
            return False
        if sum(1 for d in known.days if d < self.world.learn) < self.world.learn * 0.4:
            return False
        start = Scene.moment_of(day) - DAY / 2
        end = start + (span + 1.5) * DAY + (DAY if long else 0)
        for begun, ended in self.taken.get(actor.name, ()):
            if start < ended + DAY and begun - DAY < end:
                return False
        stage = (self.world, self.diary, self.scribe, self.history, self.rng)
        scene = Scene(*stage, actor, days or [day])
        if not scene.favourites() or not variant.fits(scene):
            return False
        if variant.night:
            if not self._night(scene, variant, day):
                return False
        elif not long:
            scene.at_work(day)
        scene.number = len(self.planted)
        variant.play(scene)
        self.taken.setdefault(actor.name, []).append((start, end))
        self.done.add((variant.kind, actor.name))
        after = 24 * 3600 if long else 3600
        self.planted.append(Planted(variant.kind, variant.name, actor.name, float(after)))
        return True

    def _night(self, scene: Scene, variant: Variant, day: int) -> bool:
        """Go to an hour of the night at which the principal never works and is not on call."""
        person = scene.clock()
        first = self.world.learn
        if not scene.night_free() or person.moves or (person.name, day) in self.diary.travel:
            return False
        if self.diary.on_duty(person.team, day) == person.name:
            return False
        if (
            isinstance(scene.who, Person)
            and variant.weekend
            and any(d % 7 > 4 for d in scene.habit.days)
        ):
            return False
        scene.go_to(day, self.rng.uniform(1.5, 3.6))
        if day_of(scene.moment) < first:
            return False
        return scene.quiet(scene.moment - 3 * 3600, scene.moment + 3 * 3600)
