"""Attacks that are odd by their speed, their hour or their place."""

from tests.access_port.company import Actor
from tests.access_port.plant import READS, Plant


def runaway_rate(plant: Plant, actor: Actor, at: int) -> bool:
    """Its usual doings, but hundreds within minutes: many times its fastest burst."""
    usual = plant.usual(actor, at)[-400:]
    for _ in range(plant.rng.randint(140, 420)):
        plant.again(at, actor, plant.rng.choice(usual))
        at += plant.gap(0.2, 2.4)
    return True


def runaway_breadth(plant: Plant, actor: Actor, at: int) -> bool:
    """It runs through every office and stream within minutes, a third refused: its work has some few segments."""
    sets, like = plant.world.catalogue.sets, plant.usual(actor, at)[-1]
    for _ in range(plant.rng.randint(80, 160)):
        segment = plant.rng.choice(list(sets))
        outcome = "denied" if plant.rng.random() < 0.35 else "ok"
        plant.do(
            at,
            actor,
            "dataset.read",
            (plant.rng.choice(sets[segment]),),
            segment,
            like,
            rows=plant.rng.uniform(200, 2000),
            outcome=outcome,
        )
        at += plant.gap(1.5, 6)
    return True


def runaway_hammer(plant: Plant, actor: Actor, at: int) -> bool:
    """Refused, it tries again and again, dozens of times within minutes; its slips were two or three."""
    sets, like = plant.world.catalogue.sets, plant.usual(actor, at)[-1]
    targets = plant.rng.sample(sorted(sets), plant.rng.randint(2, 4))
    for number in range(plant.rng.randint(60, 180)):
        segment = plant.rng.choice(targets)
        outcome = "ok" if number > 50 and plant.rng.random() < 0.08 else "denied"
        plant.do(
            at,
            actor,
            "dataset.read",
            (sets[segment][0],),
            segment,
            like,
            rows=plant.rng.uniform(200, 3000),
            outcome=outcome,
        )
        at += plant.gap(0.5, 4)
    return True


def runaway_crawl(plant: Plant, actor: Actor, at: int) -> bool:
    """No faster than on a busy day, but never the same data set twice: from one end of the catalogue to the other."""
    sets, like = plant.world.catalogue.sets, plant.usual(actor, at)[-1]
    names = [(s, n) for s in sets for n in sets[s]]
    for segment, name in plant.rng.sample(names, min(len(names), plant.rng.randint(45, 75))):
        outcome = "denied" if plant.rng.random() < 0.15 else "ok"
        plant.do(
            at,
            actor,
            "dataset.read",
            (name,),
            segment,
            like,
            rows=plant.rng.uniform(800, 5000),
            outcome=outcome,
        )
        at += plant.gap(6, 14)
    return True


def _usual_at(plant: Plant, actor: Actor, at: int, count: int, low: float, high: float) -> bool:
    usual = [
        e
        for e in plant.usual(actor, at)[-300:]
        if e.action in READS or e.action.startswith("index")
    ]
    if len(usual) < 10:
        return False
    for _ in range(count):
        plant.again(at, actor, plant.rng.choice(usual), more=1.2)
        at += plant.gap(low, high)
    return True


def hours_night(plant: Plant, actor: Actor, at: int) -> bool:
    """Usual work in the dead of night, by somebody never there after supper, not on call."""
    return _usual_at(plant, actor, at, plant.rng.randint(4, 10), 40, 300)


def hours_sunday(plant: Plant, actor: Actor, at: int) -> bool:
    """Usual work before dawn on a Saturday or Sunday, by somebody who never works at a weekend."""
    return _usual_at(plant, actor, at, plant.rng.randint(5, 10), 40, 300)


def hours_late(plant: Plant, actor: Actor, at: int) -> bool:
    """A few uses towards midnight by somebody whose last use in weeks was before seven."""
    return _usual_at(plant, actor, at, plant.rng.randint(4, 6), 60, 300)


def hours_idle(plant: Plant, actor: Actor, at: int) -> bool:
    """An agent that works only beside its operator is at work while the operator sleeps."""
    return _usual_at(plant, actor, at, plant.rng.randint(6, 12), 4, 40)


def first_knock(plant: Plant, actor: Actor, at: int) -> bool:
    """Refused twice at a segment of a stream their team has nothing to do with; then in, under a grant for another."""
    able = plant.foreign(actor, at)
    if not able:
        return False
    segment, like = plant.rng.choice(able), plant.usual(actor, at)[-1]
    sets = plant.world.catalogue.sets[segment]
    for _ in range(plant.rng.randint(2, 3)):
        plant.do(
            at, actor, "dataset.read", (plant.rng.choice(sets),), segment, like, outcome="denied"
        )
        at += plant.gap(10, 90)
    for _ in range(plant.rng.randint(2, 5)):
        plant.do(
            at,
            actor,
            "dataset.read",
            (plant.rng.choice(sets),),
            segment,
            like,
            rows=plant.rng.uniform(300, 4000),
        )
        at += plant.gap(40, 300)
    return True


def first_borrowed(plant: Plant, actor: Actor, at: int) -> bool:
    """In a foreign segment under a grant that names another holder."""
    able = set(plant.foreign(actor, at))
    others = [p for p in plant.humans() if p is not actor]
    plant.rng.shuffle(others)
    for other in others:
        found = [
            e
            for e in plant.past(other, at, 4)
            if e.segment in able and e.grant and e.action in READS and e.outcome == "ok"
        ]
        if found:
            like, own = found[-1], plant.usual(actor, at)[-1]
            for _ in range(plant.rng.randint(2, 6)):
                plant.do(
                    at,
                    actor,
                    "dataset.read",
                    like.objects[:1],
                    like.segment,
                    own,
                    rows=plant.near(like.rows),
                    grant=like.grant,
                    purpose=like.purpose,
                )
                at += plant.gap(40, 300)
            return True
    return False


def first_drawer(plant: Plant, actor: Actor, at: int) -> bool:
    """Reviews, or the bridge to names, opened by itself: a few analysts may open the first, no person the second."""
    like = plant.usual(actor, at)[-1]
    place = actor.place.code
    name = plant.rng.choice(("performance/reviews", "people/bridge"))
    for _ in range(plant.rng.randint(2, 4)):
        plant.do(
            at,
            actor,
            "dataset.read",
            (f"{place}/{name}",),
            f"{place}/{name.partition('/')[0]}",
            like,
            rows=plant.rng.uniform(100, 1500),
        )
        at += plant.gap(40, 400)
    return True


def first_agent(plant: Plant, actor: Actor, at: int) -> bool:
    """An agent reads where its operator and the operator's team never were, and nobody asked for it."""
    able = plant.foreign(actor, at)
    if not able:
        return False
    segment, like = plant.rng.choice(able), plant.usual(actor, at)[-1]
    for _ in range(plant.rng.randint(3, 8)):
        plant.do(
            at,
            actor,
            "dataset.read",
            (plant.rng.choice(plant.world.catalogue.sets[segment]),),
            segment,
            like,
            rows=plant.rng.uniform(200, 3000),
        )
        at += plant.gap(4, 30)
    return True
