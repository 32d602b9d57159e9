"""Whether a process grows: the slope of what it holds, over lives that were long enough to tell.

A keeper that takes over holds more from then on, and less when it steps down: each term is a life of its own. Memory of a
process that has just begun rises and then levels off, so the first part of a life does not count. What is left is
fitted with the median of all slopes between two samples (Theil and Sen), which a few spikes do not move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from tests.chaos.record import Sample

WARM_S = 60.0  # of each life, which does not count
LEAST_S = 90.0  # of a life after that, which tells anything
POINTS = 80  # of a life that are compared with each other
MOST_MEMORY = 1 << 20  # bytes a minute; a keeper that leaks a MB a minute is full within days
MOST_FILES = 0.5  # a minute
MOST_THREADS = 0.5
FREE = ("database", "store", "queue")  # not ours: told, not judged


@dataclass(frozen=True, slots=True)
class Growth:
    """How a part grew.

    Args:
        part: Its name.
        lives: How many of its processes, or of their terms, lasted long enough.
        minutes: How long together, without the beginnings.
        memory: Bytes a minute, over its lives by their length.
        files: Descriptors a minute.
        threads: Threads a minute.
        most_memory: Bytes at the most.
        most_files: Descriptors at the most.
    """

    part: str
    lives: int
    minutes: float
    memory: float
    files: float
    threads: float
    most_memory: int
    most_files: int


def growth_of(
    samples: Sequence[Sample], *, warm_s: float = WARM_S, least_s: float = LEAST_S
) -> list[Growth]:
    """Return how every part grew; parts whose every life was too short have no slope."""
    lives = _lives(samples)
    found = []
    for part in sorted({one.part for one in samples}):
        mine = [life for life in lives if life[0].part == part]
        steady = [[one for one in life if one.at - life[0].at >= warm_s] for life in mine]
        long = [life for life in steady if life and life[-1].at - life[0].at >= least_s]
        spans = [(life[-1].at - life[0].at) / 60 for life in long]

        def of(name: str, long: list[list[Sample]] = long, spans: list[float] = spans) -> float:
            if not long:
                return 0.0
            slopes = [_slope([(one.at, getattr(one, name)) for one in life]) for life in long]
            return sum(a * b for a, b in zip(slopes, spans, strict=True)) / sum(spans)

        found.append(
            Growth(
                part=part,
                lives=len(long),
                minutes=round(sum(spans), 1),
                memory=of("memory"),
                files=of("files"),
                threads=of("threads"),
                most_memory=max(one.memory for life in mine for one in life),
                most_files=max(one.files for life in mine for one in life),
            )
        )
    return found


def _lives(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Return samples by process, and by whether it led."""
    newest: dict[str, list[Sample]] = {}
    found = []
    for one in samples:
        life = newest.get(one.part)
        if life is None or (life[-1].pid, life[-1].leads) != (one.pid, one.leads):
            life = newest[one.part] = []
            found.append(life)
        life.append(one)
    return found


def grown(found: Sequence[Growth]) -> list[str]:
    """Return what grew more than it may."""
    wrong = []
    for one in found:
        if one.part in FREE:
            continue
        if one.memory > MOST_MEMORY:
            wrong.append(f"{one.part}: memory by {one.memory / 1e6:.1f} MB a minute")
        if one.files > MOST_FILES:
            wrong.append(f"{one.part}: descriptors by {one.files:.1f} a minute")
        if one.threads > MOST_THREADS:
            wrong.append(f"{one.part}: threads by {one.threads:.1f} a minute")
    return wrong


def _slope(points: Sequence[tuple[float, int]]) -> float:
    """Return the median slope of points, a minute."""
    step = max(1, len(points) // POINTS)
    some = points[::step]
    slopes = [(b - a) / (t - s) * 60 for (s, a), (t, b) in combinations(some, 2) if t > s]
    return median(slopes) if slopes else 0.0
