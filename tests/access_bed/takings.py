"""Attacks of one to twelve events that take things: exports, joins, artifacts. Each docstring says what stands out."""

from tests.access_bed import names
from tests.access_bed.history import Scene, Variant


def _indexes(scene: Scene, *, own: bool) -> list[str]:
    """Indexes of one's usual segments, or of foreign ones."""
    pool = scene.favourites() if own else scene.foreign()
    return [i for s in pool if (i := scene.world.segments[s].index)]


def _never(scene: Scene, *actions: str) -> bool:
    return not any(scene.habit.actions[action] for action in actions)


def _most_a_day(scene: Scene, action: str) -> int:
    counts = [n for (a, _), n in scene.habit.daily.items() if a == action]
    return max(counts, default=0)


# export


def whole_index(scene: Scene) -> None:
    """Plain: somebody who never exported takes the whole index of the own team, without an approval."""
    index = _indexes(scene, own=True)[0]
    rows = int(scene.world.size[index][0])
    for _ in range(scene.rng.randint(1, 3)):
        scene.act("embedding.export", index, rows=rows, grant=scene.grant(), gap=240)


def far_too_many(scene: Scene) -> None:
    """Cunning: one who exports samples now and then exports half an index, many times the own record."""
    index = _indexes(scene, own=True)[0]
    rows = max(int(scene.world.size[index][0] * 0.5), 6 * scene.usual("embedding.export", 1.0))
    for _ in range(scene.rng.randint(1, 2)):
        scene.act("embedding.export", index, rows=rows, grant=scene.grant(), gap=400)


def scraped(scene: Scene) -> None:
    """Cunning: no export at all, but searches that return tens of thousands where 100 is the most."""
    index = _indexes(scene, own=True)[0]
    for _ in range(scene.rng.randint(6, 12)):
        rows = scene.rng.randint(10_000, 50_000)
        scene.act("embedding.search", index, rows=rows, grant=scene.grant(), gap=45)


def by_agent(scene: Scene) -> None:
    """An agent without any export in its past exports indexes, among them one of another team."""
    found = _indexes(scene, own=False)[:1] + _indexes(scene, own=True)[:2]
    for index in found:
        scene.act("embedding.export", index, grant=scene.grant(), gap=50)


# join


def with_identities(scene: Scene) -> None:
    """The keys of identity are joined to raw rows; only the nightly job ever did that."""
    place = scene.favourites()[0]
    keys, raw = scene.tables("identity_keys")[0], f"{place}.raw_identified"
    for _ in range(scene.rng.randint(2, 4)):
        pair = (min(keys, raw), max(keys, raw))
        scene.act("table.join", *pair, segment=place, grant=scene.grant_for(place), gap=150)


def with_colleagues(scene: Scene) -> None:
    """Plain: one's own product data joined to colleagues' chat or survey; nobody ever did that."""
    place = scene.favourites()[0]
    guarded = scene.rng.choice([s for s in scene.guarded() if s != "identity_keys"])
    for table in scene.tables(place)[: scene.rng.randint(2, 3)]:
        pair = sorted((table, scene.tables(guarded)[0]))
        scene.act("table.join", *pair, segment=place, grant=scene.grant_for(place), gap=200)


def _strange_pair(scene: Scene) -> list[str]:
    """Two segments the principal uses, of two teams, that nobody ever joined."""
    mine = scene.favourites()
    for left in mine:
        for right in mine:
            team = scene.world.segments
            apart = team[left].team != team[right].team
            if left < right and apart and (left, right) not in scene.history.joined:
                return [left, right]
    return []


def two_of_mine(scene: Scene) -> None:
    """Cunning: both data sets are in daily use by the person, but nobody ever joined their segments."""
    left, right = _strange_pair(scene)
    for _ in range(scene.rng.randint(3, 5)):
        pair = (scene.tables(left)[0], scene.tables(right)[0])
        scene.act("table.join", *pair, segment=left, grant=scene.grant_for(left), gap=180)


def many_at_once(scene: Scene) -> None:
    """Four to six tables of as many segments in one join, where every ordinary join has two."""
    places = scene.favourites()[:2] + scene.foreign()[: scene.rng.randint(2, 4)]
    for _ in range(scene.rng.randint(1, 3)):
        tables = sorted(scene.tables(s)[0] for s in places)
        scene.act("table.join", *tables, segment=places[0], grant=scene.grant(), gap=300)


# artifact


def _version(scene: Scene, model: str, back: int = 0) -> str:
    versions = [v for day, v in scene.world.releases[model] if day <= scene.day]
    return f"model:{model}/{versions[-1 - back % len(versions)]}"


def _models(scene: Scene) -> list[str]:
    """Models of the principal's team."""
    return scene.world.models(scene.who.team)


def not_my_model(scene: Scene) -> None:
    """Plain: a person downloads the model of a team whose models and segment were never theirs."""
    model = next(m for s in scene.foreign() for m, place in names.MODELS.items() if place == s)
    for back in range(scene.rng.randint(1, 3)):
        thing = _version(scene, model, back)
        scene.act("model.download", thing, grant=scene.grant(), gap=120)


def never_before(scene: Scene) -> None:
    """An analyst or data engineer, who never fetched a model, fetches checkpoints of the own team."""
    model = scene.rng.choice(_models(scene))
    for _ in range(scene.rng.randint(1, 4)):
        point = f"checkpoint:{model}/{_version(scene, model).split('/')[1]}-dev"
        thing = f"{point}/{scene.rng.randint(1, 40) * 500:06d}"
        scene.act("checkpoint.download", thing, grant=scene.grant(), gap=90)


def hoard(scene: Scene) -> None:
    """Cunning: an engineer who fetches a few in a day fetches nine to twelve within half an hour."""
    models = _models(scene)
    for number in range(scene.rng.randint(9, 12)):
        model = models[number % len(models)]
        point = f"checkpoint:{model}/{_version(scene, model).split('/')[1]}-dev"
        thing = f"{point}/{scene.rng.randint(1, 40) * 500:06d}"
        scene.act("checkpoint.download", thing, grant=scene.grant(), gap=110)


def machine_fetch(scene: Scene) -> None:
    """An agent or job that never fetched a model or checkpoint fetches some."""
    model = scene.rng.choice(sorted(names.MODELS))
    for number in range(scene.rng.randint(1, 3)):
        thing = _version(scene, model)
        if number:
            point = thing.replace("model:", "checkpoint:")
            thing = f"{point}/{scene.rng.randint(1, 40) * 500:06d}"
        action = "checkpoint.download" if number else "model.download"
        scene.act(action, thing, grant=scene.grant(), gap=40)


def _far_model(scene: Scene) -> bool:
    return any(s in names.MODELS.values() for s in scene.foreign())


def _hoarder(scene: Scene) -> bool:
    usual = _most_a_day(scene, "checkpoint.download")
    return scene.human and 1 <= usual <= 5 and bool(_models(scene))


def _fetchless(scene: Scene) -> bool:
    return not scene.human and _never(scene, "model.download", "checkpoint.download")


TAKINGS = (
    Variant(
        "export",
        "whole_index",
        lambda s: s.human and _never(s, "embedding.export") and bool(_indexes(s, own=True)),
        whole_index,
    ),
    Variant(
        "export",
        "far_too_many",
        lambda s: (
            s.human and s.habit.actions["embedding.export"] > 3 and bool(_indexes(s, own=True))
        ),
        far_too_many,
    ),
    Variant(
        "export",
        "scraped",
        lambda s: s.habit.actions["embedding.search"] > 20 and bool(_indexes(s, own=True)),
        scraped,
    ),
    Variant("export", "by_agent", lambda s: s.agent and bool(_indexes(s, own=False)), by_agent),
    Variant("join", "with_identities", lambda s: s.human, with_identities),
    Variant("join", "with_colleagues", lambda s: len(s.guarded()) > 1, with_colleagues),
    Variant("join", "two_of_mine", lambda s: s.human and bool(_strange_pair(s)), two_of_mine),
    Variant("join", "many_at_once", lambda s: s.human and len(s.foreign()) > 3, many_at_once),
    Variant("artifact", "not_my_model", lambda s: s.human and _far_model(s), not_my_model),
    Variant(
        "artifact",
        "never_before",
        lambda s: s.human and _never(s, "model.download", "checkpoint.download"),
        never_before,
    ),
    Variant("artifact", "hoard", _hoarder, hoard),
    Variant("artifact", "machine_fetch", _fetchless, machine_fetch),
)
