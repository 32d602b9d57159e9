"""Attacks that take days. The docstring of each says what makes it stand out."""

from tests.access_bed import names
from tests.access_bed.history import Scene, Variant


def _median_a_day(scene: Scene, action: str) -> float:
    """The usual number a day, over the days on which the principal worked."""
    days = sorted(scene.habit.daily[action, day] for day in scene.habit.days)
    return days[len(days) // 2] if days else 0.0


# slow


def larger_reads(scene: Scene) -> None:
    """Own tables, own hours, but each day several reads above nearly all that the person usually reads."""
    for day in scene.days:
        for _ in range(scene.rng.randint(8, 12)):
            scene.at_work(day)
            place = scene.rng.choice(scene.favourites()[:3])
            table = scene.scribe.table(scene.who.name, place, day)
            action = scene.rng.choice(("query.run", "query.run", "table.read"))
            usual = max(
                scene.usual(action, 0.5) * scene.rng.uniform(3, 7), scene.usual(action, 0.92)
            )
            scene.act(
                action,
                table,
                rows=int(usual * scene.rng.uniform(1, 1.4)),
                grant=scene.grant_for(place),
            )


def more_searches(scene: Scene) -> None:
    """Searches of the usual size, but on every day several times as many as on the person's usual days."""
    index = next(i for s in scene.favourites() if (i := scene.world.segments[s].index))
    place = index.split(":")[1].split("/")[0]
    for day in scene.days:
        for _ in range(3):
            scene.at_work(day)
            for _ in range(scene.rng.randint(7, 10)):
                scene.act("embedding.search", index, grant=scene.grant_for(place), gap=25)


def drip(scene: Scene) -> None:
    """Every day some results carried out, by one who does so once or less a day and less at a time."""
    for day in scene.days:
        for _ in range(scene.rng.randint(4, 8)):
            scene.at_work(day)
            place = scene.rng.choice(scene.favourites()[:2])
            table = scene.scribe.table(scene.who.name, place, day)
            rows = int(scene.rng.uniform(900, 4000) + scene.usual("result.download", 0.8))
            scene.act("result.download", table, rows=rows, grant=scene.grant_for(place))


def agent_appetite(scene: Scene) -> None:
    """A steady agent adds, each day, many queries three to six times its usual size."""
    for day in scene.days:
        for _ in range(scene.rng.randint(12, 18)):
            scene.at_work(day)
            place = scene.favourites()[0]
            table = scene.scribe.table(scene.who.name, place, day)
            usual = scene.usual("query.run", 0.6) * scene.rng.uniform(3, 6)
            rows = int(max(usual, scene.usual("query.run", 0.93)) * scene.rng.uniform(1, 1.4))
            scene.act("query.run", table, rows=rows, grant=scene.grant_for(place))


# scope


def _look(scene: Scene, places: list[str], grant: str | None, count: int) -> None:
    for place in places:
        for table in scene.tables(place)[:count]:
            scene.act(scene.rng.choice(("table.preview", "query.run")), table, grant=grant, gap=70)


def neighbours(scene: Scene) -> None:
    """Each day one or two segments more that nobody of the team uses, all under an old grant for another."""
    places = scene.foreign()
    reached = 0
    for day in scene.days:
        scene.at_work(day)
        more = scene.rng.randint(1, 2)
        _look(scene, places[reached : reached + more], scene.grant(), 2)
        _look(scene, places[:reached][-2:], scene.grant(), 1)
        reached = min(len(places), reached + more)


def purposes(scene: Scene) -> None:
    """Each day a purpose that belongs to another team and was never this person's, on own data."""
    known = scene.habit.purposes
    others = [p for own in names.PURPOSES.values() for p in own if p not in known]
    strange = scene.rng.sample(others, len(others))
    for number, day in enumerate(scene.days):
        scene.at_work(day)
        place = scene.favourites()[number % 2]
        for table in scene.tables(place)[: scene.rng.randint(3, 6)]:
            said = strange[number * 2 % len(strange)]
            said = scene.rng.choice((said, strange[(number * 2 + 1) % len(strange)]))
            scene.act("query.run", table, purpose=said, grant=scene.grant_for(place), gap=70)


def pile_of_grants(scene: Scene) -> None:
    """Each day one or two grants asked for and got, where one a month is usual; each is used at once."""
    places = scene.foreign()
    for day in scene.days:
        scene.at_work(day)
        for _ in range(scene.rng.randint(1, 2)):
            if not places:
                return
            place = places.pop()
            scene.act("grant.request", place, rows=0, segment=place, gap=400)
            grant = f"gr-{scene.rng.randrange(16**7):07x}"
            lead, agreed = scene.diary.approver(scene.world.segments[place].team, scene.moment)
            if agreed == scene.moment:  # somebody is at work; else a standing approval is used
                things = (f"grant:{grant}", place)
                said = (things, place, scene.purpose())
                scene.scribe.note(lead, scene.moment - 20, "grant.approve", *said)
            _look(scene, [place], grant, scene.rng.randint(2, 3))


def agent_creep(scene: Scene) -> None:
    """An agent goes, day by day, to one segment more that neither it, its operator nor the team uses."""
    places = scene.foreign()
    for number, day in enumerate(scene.days):
        scene.at_work(day)
        _look(scene, places[number : number + 1], scene.grant(), 3)
        _look(scene, places[:number][-2:], scene.grant(), 1)


def _searcher(scene: Scene) -> bool:
    index = any(scene.world.segments[s].index for s in scene.favourites())
    known = scene.habit.actions["embedding.search"] >= 20
    return scene.human and known and index and _median_a_day(scene, "embedding.search") <= 6


def _dripless(scene: Scene) -> bool:
    known = scene.habit.actions["result.download"] >= 3
    return scene.human and known and _median_a_day(scene, "result.download") <= 1


def _reader(scene: Scene) -> bool:
    return scene.human and scene.habit.actions["query.run"] > 100


PATIENT = (
    Variant("slow", "larger_reads", _reader, larger_reads, (7, 10)),
    Variant("slow", "more_searches", _searcher, more_searches, (7, 9)),
    Variant("slow", "drip", _dripless, drip, (7, 10)),
    Variant("slow", "agent_appetite", lambda s: s.assistant, agent_appetite, (7, 9)),
    Variant("scope", "neighbours", lambda s: s.human and len(s.foreign()) > 5, neighbours, (5, 7)),
    Variant("scope", "purposes", lambda s: s.human and len(s.favourites()) > 1, purposes, (5, 7)),
    Variant(
        "scope",
        "pile_of_grants",
        lambda s: s.human and len(s.foreign()) > 5,
        pile_of_grants,
        (5, 7),
    ),
    Variant(
        "scope", "agent_creep", lambda s: s.agent and len(s.foreign()) > 4, agent_creep, (5, 7)
    ),
)
