"""Ordinary life, day after day."""

from .company import World
from .happenings import plan
from .machines import machines_day
from .people import people_day
from .staff import populate


def ordinary(seed: int, learn: int) -> World:
    """A company and its log without attacks."""
    world = World(seed, learn)
    populate(world)
    planned = plan(world)
    for day in range(world.days.count):
        people_day(world, day)
        machines_day(world, day)
        for what, about in planned.get(day, []):
            what(world, day, *about)
    end = world.days.count * 86400
    world.log = [row for row in world.log if 0 <= row[0] < end]
    return world
