"""When the scheduled jobs run, and what each run does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.access_port.company import Actor
from tests.access_port.habits import bytes_of, rows_of, weight_of
from tests.access_port.log import HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from tests.access_port.days import World

HOURS: dict[str, tuple[float, ...]] = {
    "landing": tuple(h + 0.05 for h in range(24)),
    "pseudonyms": (2.2, 10.2, 18.2),
    "features": (1.5,),
    "vectors": (3.2,),
    "trainer": (20.5,),
    "retention": (0.3,),
    "backup": (23.0,),
    "publish": (4.5,),
    "serve": (5.5, 17.5),
    "consent": tuple(h + 0.5 for h in range(0, 24, 3)),
}
NIGHTS = {"trainer": (1, 4, 6), "publish": (0, 2, 4)}


def run(world: World, job: Actor, day: int, weekday: int) -> None:
    """All of a job's runs of one day."""
    if weekday not in NIGHTS.get(job.style, range(7)):
        return
    for hour in HOURS[job.style]:
        at = int((day * 24 + hour) * HOUR + world.rng.uniform(0, 180) * SECOND)
        _once(world, job, at, day)


def _once(world: World, job: Actor, at: int, day: int) -> None:
    rng, all_ = world.rng, world.catalogue
    beat = job.beats[0]
    for segment in beat.segments:
        names = all_.sets.get(segment, [])
        some = (rng.choice(names),) if names else ()
        style, name = job.style, beat.assistant
        if style == "landing":
            daily = 1.0 if 6 <= (at // HOUR) % 24 <= 18 else 0.4
            at = _do(world, job, at, "dataset.append", some, segment, 24000 * daily)
        elif style == "pseudonyms":
            bridge = f"{segment.partition('/')[0]}/people/bridge"
            at = _do(world, job, at, "dataset.relabel", (bridge, names[0]), segment, 16000)
        elif style == "features":
            at = _do(
                world, job, at, "feature.build", (names[0], all_.features[name][0]), segment, 90000
            )
        elif style == "vectors":
            at = _do(
                world, job, at, "embedding.build", (names[0], all_.vectors[name][0]), segment, 30000
            )
        elif style == "trainer":
            at = _train(world, job, at, segment, name)
        elif style == "retention":
            at = _do(world, job, at, "dataset.expire", some, segment, 7000)
        elif style == "backup":
            at = _do(world, job, at, "block.copy", tuple(names[:1]), segment, 150000)
        elif style == "publish":
            at = _do(
                world,
                job,
                at,
                "embedding.export",
                (rng.choice(all_.vectors[segment.partition("/")[2]]),),
                segment,
                45000,
            )
        elif style == "serve":
            other = segment.partition("/")[2]
            size = weight_of(rng, all_, other, "model")
            at = _do(world, job, at, "artifact.download", (all_.model(other),), segment, 0, size)
        else:
            at = _do(world, job, at, "consent.sync", (f"{segment}/rota",), segment, 300)
        at += int(rng.uniform(2, 30) * SECOND)


def _train(world: World, job: Actor, at: int, segment: str, name: str) -> int:
    """A night of training: checkpoints, and now and then a model for the registry."""
    rng, all_ = world.rng, world.catalogue
    all_.run[name] += 1
    run_name = f"r{all_.run[name]}"
    at = _do(world, job, at, "run.start", (f"runs/{name}/{run_name}",), segment, 0)
    for step in range(1, rng.randint(10, 16)):
        at += int(rng.uniform(8, 14) * MINUTE)
        size = weight_of(rng, all_, name, "checkpoint")
        at = _do(
            world,
            job,
            at,
            "checkpoint.save",
            (f"checkpoints/{name}/{run_name}/s{step * 500}",),
            segment,
            0,
            size,
        )
    return _do(world, job, at, "model.register", (all_.model(name),), segment, 0)


def _do(
    world: World,
    job: Actor,
    at: int,
    action: str,
    objects: tuple[str, ...],
    segment: str,
    middle: float,
    size: int = 0,
) -> int:
    """One use by a job; with a grant that ran out it is refused, tried again, and given up till renewed."""
    rng, purpose = world.rng, job.beats[0].purpose
    grant = world.desk.use(job, segment, purpose, at, old=True)
    if grant is None:
        for _ in range(rng.choice((1, 2, 3))):
            world.emit(at, job, action, objects, segment, purpose, outcome="denied")
            at += int(rng.uniform(20, 90) * SECOND)
        return at
    rows = rows_of(rng, job, middle)
    world.emit(
        at,
        job,
        action,
        objects,
        segment,
        purpose,
        rows,
        size or bytes_of(rng, segment, rows),
        grant,
    )
    return at
