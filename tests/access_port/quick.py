"""Attacks that are over within the hour.  Each says why somebody who knows the log would stop at it."""

from tests.access_port.company import ASSISTANTS, Actor
from tests.access_port.habits import weight_of
from tests.access_port.log import Event
from tests.access_port.plant import READS, Plant

HANDS_OFF = ("annotator", "analyst", "auditor", "data_engineer")


def _vectors(plant: Plant, actor: Actor) -> list[str]:
    return plant.world.catalogue.vectors[actor.assistant]


def export_stranger(plant: Plant, actor: Actor, at: int) -> bool:
    """Somebody whose role never takes vectors out takes out thousands: no peer does so."""
    like = plant.usual(actor, at)[-1]
    for name in plant.rng.sample(_vectors(plant, actor), plant.rng.randint(1, 3)):
        plant.do(
            at,
            actor,
            "embedding.export",
            (name,),
            f"vectors/{actor.assistant}",
            like,
            rows=plant.rng.uniform(7e3, 6e4),
        )
        at += plant.gap(40, 400)
    return True


def export_whole(plant: Plant, actor: Actor, at: int) -> bool:
    """An engineer who may export samples of a few hundred takes the whole index: some hundred times a sample."""
    like = plant.usual(actor, at)[-1]
    for name in plant.rng.sample(_vectors(plant, actor), plant.rng.randint(2, 3)):
        plant.do(
            at,
            actor,
            "embedding.export",
            (name,),
            f"vectors/{actor.assistant}",
            like,
            rows=plant.rng.uniform(2e4, 8e4),
        )
        at += plant.gap(60, 500)
    return True


def export_samples(plant: Plant, actor: Actor, at: int) -> bool:
    """Samples of a usual size, but eight to twelve within the hour: nobody needs more than one or two a day."""
    like = plant.usual(actor, at)[-1]
    for _ in range(plant.rng.randint(8, 12)):
        name = plant.rng.choice(_vectors(plant, actor))
        plant.do(
            at,
            actor,
            "embedding.export",
            (name,),
            f"vectors/{actor.assistant}",
            like,
            rows=plant.rng.uniform(200, 700),
        )
        at += plant.gap(150, 420)
    return True


def export_search(plant: Plant, actor: Actor, at: int) -> bool:
    """Vectors leave as answers of a search: thousands of neighbours where anybody asks for some forty."""
    able = [e for e in plant.usual(actor, at) if e.action == "index.search"]
    if len(able) < 8:
        return False
    for _ in range(plant.rng.randint(4, 9)):
        like = plant.rng.choice(able)
        plant.do(
            at,
            actor,
            like.action,
            like.objects,
            like.segment,
            able[-1],
            rows=plant.rng.uniform(4e3, 2e4),
        )
        at += plant.gap(30, 240)
    return True


def _base(plant: Plant, actor: Actor, at: int) -> list[Event]:
    """Queries of single raw data sets that they make."""
    raw = plant.world.catalogue.sets
    return [
        e for e in plant.usual(actor, at) if e.segment in raw and e.action in READS and e.objects
    ]


def join_reviews(plant: Plant, actor: Actor, at: int) -> bool:
    """What people wrote or said, beside their reviews: no team may, and none ever did."""
    base = _base(plant, actor, at)
    if not base:
        return False
    place = base[-1].segment.partition("/")[0]
    for _ in range(plant.rng.randint(1, 3)):
        like = plant.rng.choice(base)
        said = plant.rng.choice(("chats/threads", "prompts/turns", "calls/words"))
        objects = (f"{place}/{said}", f"{place}/performance/reviews")
        plant.do(
            at,
            actor,
            "dataset.query",
            objects,
            f"{place}/{said.partition('/')[0]}",
            like,
            rows=plant.rng.uniform(300, 4000),
        )
        at += plant.gap(60, 600)
    return True


def join_names(plant: Plant, actor: Actor, at: int) -> bool:
    """Their own data set beside the bridge from pseudonyms to people: only the job that relabels touches it."""
    base = _base(plant, actor, at)
    if not base:
        return False
    for _ in range(plant.rng.randint(2, 4)):
        like = plant.rng.choice(base)
        bridge = f"{like.segment.partition('/')[0]}/people/bridge"
        plant.do(
            at,
            actor,
            "dataset.query",
            (like.objects[0], bridge),
            like.segment,
            like,
            rows=plant.near(like.rows),
        )
        at += plant.gap(60, 500)
    return True


def join_three(plant: Plant, actor: Actor, at: int) -> bool:
    """A feature built from a usual pair and, as a third, figures of performance: never part of a product's feature."""
    base = [e for e in _base(plant, actor, at) if len(e.objects) > 1]
    if len(base) < 2:
        return False
    like = plant.rng.choice(base)
    place = like.segment.partition("/")[0]
    third = plant.rng.choice(("cycle_times", "errors"))
    made = plant.rng.choice(plant.world.catalogue.features[actor.assistant])
    for _ in range(plant.rng.randint(2, 3)):
        plant.do(
            at,
            actor,
            "feature.build",
            (*like.objects[:2], f"{place}/performance/{third}", made),
            like.segment,
            like,
            rows=plant.near(like.rows),
        )
        at += plant.gap(90, 700)
    return True


def join_continents(plant: Plant, actor: Actor, at: int) -> bool:
    """The same stream of two offices under different law in one query: every other join stays on one continent."""
    base = _base(plant, actor, at)
    if not base:
        return False
    like = plant.rng.choice(base)
    code, _, rest = like.objects[0].partition("/")
    places = plant.world.catalogue.places
    here = next(p.continent for p in places if p.code == code)
    far = [
        p.code
        for p in places
        if p.continent != here
        and f"{p.code}/{rest}"
        in plant.world.catalogue.sets.get(f"{p.code}/{rest.partition('/')[0]}", ())
    ]
    if not far:
        return False
    other = plant.rng.choice(far)
    for _ in range(plant.rng.randint(2, 4)):
        plant.do(
            at,
            actor,
            "dataset.query",
            (like.objects[0], f"{other}/{rest}"),
            like.segment,
            like,
            rows=plant.near(like.rows),
        )
        at += plant.gap(60, 500)
    return True


def _pull(plant: Plant, actor: Actor, at: int, name: str, assistant: str, like: Event) -> None:
    size = weight_of(plant.rng, plant.world.catalogue, assistant, name)
    plant.do(at, actor, "artifact.download", (name,), f"registry/{assistant}", like, size=size)


def artifact_outsider(plant: Plant, actor: Actor, at: int) -> bool:
    """A model is downloaded by somebody whose role has nothing to do with models, and nobody granted the registry to them."""
    like = plant.usual(actor, at)[-1]
    for back in range(plant.rng.randint(1, 3)):
        _pull(
            plant,
            actor,
            at,
            plant.world.catalogue.model(actor.assistant, back),
            actor.assistant,
            like,
        )
        at += plant.gap(60, 500)
    return True


def artifact_collector(plant: Plant, actor: Actor, at: int) -> bool:
    """One who downloads a model now and then takes a whole row of old versions and checkpoints at once."""
    like = plant.usual(actor, at)[-1]
    own, all_ = actor.assistant, plant.world.catalogue
    names = [all_.model(own, back) for back in range(plant.rng.randint(4, 5))]
    names += [
        f"checkpoints/{own}/r{all_.run[own]}/s{step * 500}"
        for step in range(1, plant.rng.randint(6, 8))
    ]
    for name in names:
        _pull(plant, actor, at, name, own, like)
        at += plant.gap(30, 260)
    return True


def artifact_agent(plant: Plant, actor: Actor, at: int) -> bool:
    """An agent that only reads and searches takes checkpoints away: agents never download."""
    like = plant.usual(actor, at)[-1]
    own, all_ = actor.assistant, plant.world.catalogue
    for step in plant.rng.sample(range(1, 12), plant.rng.randint(1, 4)):
        _pull(plant, actor, at, f"checkpoints/{own}/r{all_.run[own]}/s{step * 500}", own, like)
        at += plant.gap(8, 120)
    return True


def artifact_rival(plant: Plant, actor: Actor, at: int) -> bool:
    """An engineer takes models and checkpoints of an assistant that is not theirs: a registry new to them and their team."""
    like = plant.usual(actor, at)[-1]
    seen = plant.segments(actor, at)
    others = [a for a in sorted(ASSISTANTS) if a != actor.assistant and f"registry/{a}" not in seen]
    if not others:
        return False
    other, all_ = plant.rng.choice(others), plant.world.catalogue
    names = [
        all_.model(other),
        all_.model(other, 1),
        f"checkpoints/{other}/r{all_.run[other]}/s{plant.rng.randint(1, 10) * 500}",
    ]
    for name in names[: plant.rng.randint(2, 3)]:
        _pull(plant, actor, at, name, other, like)
        at += plant.gap(60, 500)
    return True
