"""Rare but honest things: unlike the person's other days, and asked for beforehand or explained by the day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.access_port.company import Actor
from tests.access_port.habits import bytes_of, weight_of
from tests.access_port.log import MINUTE, SECOND

if TYPE_CHECKING:
    from tests.access_port.days import World


def run(world: World, day: int) -> None:
    """On one working day in three somebody has an errand."""
    rng = world.rng
    if world.calendar.weekday(day) > 4 or rng.random() > 0.35:
        return
    errand = rng.choice((_demonstration, _incident, _sample, _deadline, _deadline))
    roles = {
        _demonstration: ("lead", "analyst", "data_scientist"),
        _incident: ("responder",),
        _sample: ("ml_engineer",),
        _deadline: ("data_scientist", "analyst", "evaluator", "ml_engineer"),
    }[errand]
    able = [p for p in world.staff.people if p.role in roles and p.here(day) and not p.first_day]
    if able:
        errand(world, rng.choice(able), day)


def _granted(
    world: World, actor: Actor, day: int, segment: str, purpose: str
) -> tuple[int, str | None]:
    at = world.clock(actor, day, actor.start + world.rng.uniform(0.5, 0.7 * actor.length))
    at = world.desk.ask(actor, segment, purpose, at)
    return at, world.desk.use(actor, segment, purpose, at, old=False)


def _demonstration(world: World, actor: Actor, day: int) -> None:
    """A model is fetched once to be shown to a customer."""
    own, all_ = actor.assistant, world.catalogue
    at, grant = _granted(world, actor, day, f"registry/{own}", "release.demonstration")
    size = weight_of(world.rng, all_, own, "model")
    world.emit(
        at,
        actor,
        "artifact.download",
        (all_.model(own),),
        f"registry/{own}",
        "release.demonstration",
        0,
        size,
        grant,
    )


def _incident(world: World, actor: Actor, day: int) -> None:
    """A responder looks into the very data, for one incident."""
    rng = world.rng
    segment = rng.choice(sorted(world.catalogue.sets))
    at, grant = _granted(world, actor, day, segment, "security.incident")
    for _ in range(rng.randint(2, 8)):
        rows = int(rng.uniform(20, 900))
        name = rng.choice(world.catalogue.sets[segment])
        world.emit(
            at,
            actor,
            "dataset.query",
            (name,),
            segment,
            "security.incident",
            rows,
            bytes_of(rng, segment, rows),
            grant,
        )
        at += int(rng.uniform(40, 400) * SECOND)


def _sample(world: World, actor: Actor, day: int) -> None:
    """A larger sample of vectors for a supplier's trial."""
    rng, segment = world.rng, f"vectors/{actor.assistant}"
    at, grant = _granted(world, actor, day, segment, "release.trial")
    rows = int(rng.uniform(900, 4000))
    name = rng.choice(world.catalogue.vectors[actor.assistant])
    world.emit(
        at,
        actor,
        "embedding.export",
        (name,),
        segment,
        "release.trial",
        rows,
        bytes_of(rng, segment, rows),
        grant,
    )


def _deadline(world: World, actor: Actor, day: int) -> None:
    """Somebody stays longer than they ever do."""
    at = world.clock(
        actor, day, max(18.5, actor.start + actor.length) + world.rng.uniform(0.3, 2.2)
    )
    end = world.sitting(actor, at, day)
    if world.rng.random() < 0.5:
        world.sitting(actor, end + 5 * MINUTE, day)
