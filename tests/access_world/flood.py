"""A flood: a million benign lines more around an attack, to hide it."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge

from tests.access_world.almanac import HOUR_US
from tests.access_world.deed import Deed
from tests.access_world.dice import Dice
from tests.access_world.world import World


def around(
    world: World, seed: int, number: int, manner: str, events: int = 1_000_000
) -> Iterator[Deed]:
    """Yield the log with more of what its principals do anyway, in the twelve hours around one attack.

    Args:
        world: A run.
        seed: For the draws.
        number: Which attack, by its place in the truth.
        manner: ``self``: the attacker floods; ``one``: another principal; ``many``: everybody.
        events: How many lines more.
    """
    dice = Dice.of(seed, "flood", number, manner)
    attack = world.attacks[number]
    mine = [deed for deed in world.deeds if deed.attack == number]
    begins, ends = mine[0].t - 6 * HOUR_US, mine[0].t + 6 * HOUR_US
    before = [
        one for one in world.deeds if one.t < begins and one.attack is None and one.outcome == "ok"
    ]
    own = [one for one in before if one.principal == attack.principal]
    others = sorted({one.principal for one in before if one.kind == "agent"} - {attack.principal})
    chosen = dice.choice(others or sorted({one.principal for one in before} - {attack.principal}))
    pool = {"self": own, "one": [one for one in before if one.principal == chosen], "many": before}[
        manner
    ]

    def water() -> Iterator[Deed]:
        step = (ends - begins) / events
        for place in range(events):
            like = pool[int(dice.random() * len(pool))]
            yield Deed(
                begins + int(step * (place + dice.random())), like.principal, like.kind, like.role, like.team,
                like.action, like.objects, like.segment, like.purpose, like.rows, like.bytes, like.grant, "ok",
            )  # fmt: skip

    return merge(world.deeds, water(), key=lambda deed: deed.t)
