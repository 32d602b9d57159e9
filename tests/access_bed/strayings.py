"""Attacks of one to twelve events that stray: runaway, off hours, first time. Each docstring says what stands out."""

from tests.access_bed import names
from tests.access_bed.history import Scene, Variant

# runaway


def loop(scene: Scene) -> None:
    """Plain: a steady agent, fourteen seconds or more between calls as a rule, calls twelve times in seconds."""
    place = scene.favourites()[0]
    table = scene.tables(place)[0]
    for _ in range(12):
        scene.act("query.run", table, grant=scene.grant_for(place), gap=1)


def everywhere(scene: Scene) -> None:
    """An agent of few segments touches ten to twelve others within a minute, some denied."""
    places = (scene.foreign() + sorted(names.SEGMENTS["platform"] + names.SEGMENTS["recs"]))[:30]
    for place in list(dict.fromkeys(places))[: scene.rng.randint(10, 12)]:
        done = scene.rng.random() > 0.35
        scene.act("table.preview", scene.tables(place)[0], grant=scene.grant(), done=done, gap=4)


def hammering(scene: Scene) -> None:
    """Denied again and again on one table, where a denied agent otherwise tries at most twice."""
    table = scene.far()[0]
    for number in range(scene.rng.randint(10, 12)):
        scene.act("query.run", table, grant=scene.grant(), done=number >= 9, gap=2)


def another_way(scene: Scene) -> None:
    """Cunning: on each of three tables a denied query, a denied read, then another door that opens."""
    for table in scene.far()[:3]:
        scene.act("query.run", table, grant=scene.grant(), done=False, gap=5)
        scene.act("table.read", table, grant=scene.grant(), done=False, gap=5)
        scene.act("notebook.run", table, grant=scene.grant(), gap=5)
        scene.act("result.download", table, grant=scene.grant(), gap=5)


# off hours


def _own_work(scene: Scene, count: int, *actions: str) -> None:
    places = scene.favourites()
    for number in range(count):
        place = scene.rng.choice(places[:3])
        table = scene.scribe.table(scene.who.name, place, scene.day)
        action = actions[number % len(actions)]
        scene.act(action, table, grant=scene.grant_for(place), gap=120)


def small_hours(scene: Scene) -> None:
    """Plain: ordinary work at two in the morning by one who never works at night and is not on call."""
    _own_work(scene, scene.rng.randint(6, 12), "table.read", "query.run")


def brief_visit(scene: Scene) -> None:
    """Cunning: only three or four events, but between two and four at night, and a result taken home."""
    _own_work(scene, scene.rng.randint(3, 4), "query.run", "table.read", "result.download")


def weekend_night(scene: Scene) -> None:
    """The night of a weekend, by one who was never seen on a weekend or at night."""
    _own_work(scene, scene.rng.randint(5, 10), "query.run", "table.preview", "table.read")


def agent_alone(scene: Scene) -> None:
    """A steady agent, only ever busy in the hours of its operator, works while the operator sleeps."""
    _own_work(scene, scene.rng.randint(5, 10), "query.run", "table.preview")


# first time


def wandering(scene: Scene) -> None:
    """Plain: tables of a segment that neither the person nor anybody of the team ever used; no approval."""
    grant = scene.grant() if scene.rng.random() < 0.5 else None
    for table in scene.far()[: scene.rng.randint(2, 3)]:
        for action in ("table.preview", "query.run", "query.run")[: scene.rng.randint(2, 3)]:
            scene.act(action, table, grant=grant, gap=80)


def guarded_door(scene: Scene) -> None:
    """Denied once or more at data about colleagues or identities, then let in; only a steward reads those."""
    table = scene.tables(scene.rng.choice(scene.guarded()))[0]
    for _ in range(scene.rng.randint(1, 3)):
        scene.act("query.run", table, grant=scene.grant(), done=False, gap=60)
    for _ in range(scene.rng.randint(2, 4)):
        scene.act("query.run", table, grant=scene.grant(), gap=90)


def raw_rows(scene: Scene) -> None:
    """Cunning: the own segment and a valid grant, but the raw table that only nightly jobs ever read."""
    place = scene.favourites()[0]
    for _ in range(scene.rng.randint(1, 3)):
        thing = f"{place}.raw_identified"
        scene.act("table.read", thing, grant=scene.grant_for(place), gap=120)


def agent_wandering(scene: Scene) -> None:
    """An agent in a segment that neither it nor its operator nor the team ever used."""
    for table in scene.far()[: scene.rng.randint(2, 3)]:
        for action in ("table.preview", "query.run"):
            scene.act(action, table, grant=scene.grant(), gap=25)


STRAYINGS = (
    Variant("runaway", "loop", lambda s: s.assistant, loop),
    Variant("runaway", "everywhere", lambda s: s.agent and len(s.foreign()) > 3, everywhere),
    Variant("runaway", "hammering", lambda s: s.agent and bool(s.foreign()), hammering),
    Variant("runaway", "another_way", lambda s: s.agent and bool(s.foreign()), another_way),
    Variant("off_hours", "small_hours", lambda s: s.human, small_hours, night=True),
    Variant("off_hours", "brief_visit", lambda s: s.human, brief_visit, night=True),
    Variant(
        "off_hours", "weekend_night", lambda s: s.human, weekend_night, night=True, weekend=True
    ),
    Variant("off_hours", "agent_alone", lambda s: s.assistant, agent_alone, night=True),
    Variant("first_time", "wandering", lambda s: s.human and bool(s.foreign()), wandering),
    Variant("first_time", "guarded_door", lambda s: s.human and bool(s.guarded()), guarded_door),
    Variant("first_time", "raw_rows", lambda s: s.human, raw_rows),
    Variant(
        "first_time", "agent_wandering", lambda s: s.agent and bool(s.foreign()), agent_wandering
    ),
)
