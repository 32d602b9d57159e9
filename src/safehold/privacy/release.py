"""Noise, sampling and the release of sums over people.

Everything random here comes from the operating system (``ids.random_bytes``); nothing takes a
seed. A noise source can be passed as an argument so that tests see what comes before the noise; no
spec reaches it.

Limit: the noise is drawn in double precision and what is released is rounded to a grid, far
coarser than the doubles near it and far finer than the noise. That hides the low bits that give
floating-point noise away (Mironov 2012) but is no proof; an exact discrete sampler would be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from safehold.errors import InvalidError
from safehold.ids import random_bytes

Floats = NDArray[np.float64]
Noise = Callable[[tuple[int, ...], float], Floats]

# Sums are added up in single precision; noise is scaled for a little more than the bound.
SLACK: Final = 1.001
_GRID_BITS: Final = 20  # the grid is 2^-20 of the noise


def draw_gaussian(shape: tuple[int, ...], deviation: float) -> Floats:
    """Return independent normal numbers from operating-system entropy (Box and Muller 1958).

    Args:
        shape: Shape of the result.
        deviation: Standard deviation.
    """
    count = int(np.prod(shape))
    pairs = (count + 1) // 2
    first, second = _uniform(pairs), _uniform(pairs)
    radius = np.sqrt(-2.0 * np.log(first))
    angle = 2.0 * np.pi * second
    both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return (deviation * both[:count]).reshape(shape)


def sample_people(count: int, *, ppm: int) -> NDArray[np.bool_]:
    """Return who is in a round: each person by an own coin (Poisson sampling).

    Args:
        count: Number of people.
        ppm: Chance of each, in millionths; 1,000,000 takes everybody.
    """
    if not 0 <= ppm <= 1_000_000:
        raise InvalidError("a chance lies between 0 and 1,000,000 ppm", rule="privacy.sampling")
    if ppm == 1_000_000:
        return np.ones(count, dtype=np.bool_)
    edge = np.uint64((ppm << 64) // 1_000_000)
    return np.asarray(_words(count) < edge)


def seat_people(drawn: NDArray[np.bool_], *, seats: int) -> NDArray[np.int64]:
    """Return who sits on each seat of a round: places in ``drawn``, and -1 on an empty seat.

    Nobody is chosen among those who were drawn, for the accountant knows no such choice: they all
    have a seat, or, in a round that drew more than there are seats, nobody has.

    Args:
        drawn: Who was drawn.
        seats: Number of seats; see ``account.seats_for`` for how many there must be.
    """
    places = np.flatnonzero(drawn)
    seated = np.full(seats, -1, dtype=np.int64)
    if len(places) <= seats:
        seated[: len(places)] = places
    return seated


def shuffle_people(count: int) -> NDArray[np.int64]:
    """Return 0 .. count-1 in a random order."""
    return np.argsort(_words(count), kind="stable")


def pick_places(lengths: NDArray[np.int64], *, most: int) -> list[NDArray[np.int64]]:
    """Return for each person up to ``most`` different places in 0 .. length-1, in order.

    The choice for one person uses nothing of anybody else.
    """
    return [
        np.sort(np.argsort(_words(int(length)), kind="stable")[:most])
        if length > most
        else np.arange(length, dtype=np.int64)
        for length in lengths
    ]


def clip_people(values: Floats, *, bound: float) -> Floats:
    """Return one row per person, each scaled down to an L2 norm of at most ``bound``.

    A row that is not finite counts as nothing.
    """
    safe = np.where(np.isfinite(values).all(axis=1, keepdims=True), values, 0.0)
    norms = np.linalg.norm(safe, axis=1, keepdims=True)
    return np.asarray(safe * np.minimum(1.0, bound / np.maximum(norms, 1e-300)))


def add_noise(total: Any, *, deviation: float, noise: Noise = draw_gaussian) -> Floats:
    """Return a sum with noise, on the grid of the release.

    Args:
        total: The exact sum.
        deviation: Standard deviation of the noise.
        noise: Where it comes from; only tests pass another one.
    """
    exact = np.asarray(total, dtype=np.float64)
    grid = np.ldexp(1.0, int(np.floor(np.log2(deviation))) - _GRID_BITS)
    return np.asarray(np.round((exact + noise(exact.shape, deviation)) / grid) * grid)


def release_sum(
    values: Floats, *, bound: float, multiplier: float, noise: Noise = draw_gaussian
) -> Floats:
    """Release the sum of one bounded row per person.

    Args:
        values: One row per person.
        bound: Largest L2 norm one person may have.
        multiplier: Noise in units of ``bound``.
        noise: Where the noise comes from; only tests pass another one.
    """
    return add_noise(
        clip_people(values, bound=bound).sum(axis=0),
        deviation=multiplier * bound * SLACK,
        noise=noise,
    )


def _words(count: int) -> NDArray[np.uint64]:
    return np.frombuffer(random_bytes(8 * count), dtype=np.uint64)


def _uniform(count: int) -> Floats:
    """Return numbers in (0, 1), never 0, with 53 random bits."""
    return ((_words(count) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
