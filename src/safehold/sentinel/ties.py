"""Whose a thing is: how far it lies from what somebody works with, by who else uses it; names help, but need not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from safehold.sentinel.crowd import Circle, share_of
from safehold.sentinel.measure import rarity
from safehold.sentinel.profile import Profile
from safehold.sentinel.words import family_of

LATEST: Final = 16  # users of a thing that are asked
NOBODY: Final = 0.2
UNKNOWN: Final = 0.3  # how far a thing lies that nobody has used, nor any of its family
MOST_KEYS: Final = 400  # things of one principal that are compared with another's
FEW: Final = 8.0  # objects more or less that make nobody a generalist
COMMON: Final = 0.3  # what more than this part of all uses ties nobody together


def distance(
    people: Mapping[str, Profile], who: Profile, name: str, ring: Sequence[Circle]
) -> float:
    """Return how rare it is that whoever works with somebody's things also works with this one; 0 for their own.

    Projects are not told, but they show: those who use a table also use the others of its project. A thing lies far
    from somebody if those who use it share nothing else with them, and near if they do, new as it may be.

    Args:
        people: All profiles.
        who: Somebody.
        name: An object.
        ring: Their circles, widest first.
    """
    key = "o:" + name
    family = "f:" + family_of(name)
    if key in who.known or (len(family) > 2 and family in who.known):
        return 0.0
    wide = ring[0].who
    users = dict(wide.get(key, ()))
    if len(family) > 2:
        users |= wide.get(family, {})
    users.pop(who.name, None)
    if not users:
        return UNKNOWN
    latest = sorted(users, key=lambda one: (-users[one], one))[:LATEST]
    mine = _own_of(who, ring[0])
    tied = sum(_likeness(people[one], who, mine) for one in latest if one in people)
    share = (tied + NOBODY) / (len(latest) + 1.0)
    return rarity(min(1.0, max(share, share_of(ring, who.name, key))))


def _own_of(who: Profile, all_of: Circle) -> list[tuple[str, float]]:
    """Return the things of somebody by which others can be tied to them; what nearly everybody uses ties nobody."""
    most = max(4.0, COMMON * len(all_of.members))
    mine, users = who.known, all_of.who
    keys = sorted(key for key in mine if key[0] == "o")  # a sum is the same after a restart
    if len(keys) > MOST_KEYS:
        keys = sorted(keys, key=lambda key: (-mine[key], key))[:MOST_KEYS]
    return [(key, mine[key]) for key in keys if len(users.get(key, ())) <= most]


def _likeness(other: Profile, who: Profile, mine: Sequence[tuple[str, float]]) -> float:
    """Return which part of what somebody uses another uses too."""
    theirs = other.known
    total = both = 0.0
    for key, weight in mine:
        total += weight
        if key in theirs:
            both += weight
    if not total:
        return 0.0
    # whoever uses nearly everything, as a job may, is tied to nobody by it
    return both / total * min(1.0, (who.width + FEW) / (other.width + FEW))
