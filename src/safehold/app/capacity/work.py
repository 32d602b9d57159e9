"""What one file of events takes, from measured costs; and what the rest of the day takes beside the way in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from safehold.app.capacity.costs import Costs

CHUNK: Final = 100_000  # events that are committed at once


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What a gateway hands over at once: one stream of some people, some minutes long.

    Args:
        stream: Its stream.
        people: In it.
        events: In it.
    """

    stream: str
    people: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a file takes.

    Args:
        chunks: In how many parts it is committed.
        blocks: That are sealed: one a person in each chunk.
        sandbox_s: CPU-seconds of sandboxes.
        keeper_s: CPU-seconds of the keeper.
        sealed: Bytes at rest.
        entries: Of the ledger.
    """

    chunks: int
    blocks: float
    sandbox_s: float
    keeper_s: float
    sealed: float
    entries: float


def work_of(costs: Costs, file: File) -> Work:
    """Return what a file takes."""
    chunks = max(1, math.ceil(file.events / CHUNK))
    blocks = file.people + chunks - 1  # somebody at the border of two chunks has a block in both

    def spent(role: str) -> float:
        return (
            costs[f"{role}.file_s"]
            + chunks * costs[f"{role}.chunk_s"]
            + blocks * costs[f"{role}.block_s"]
            + file.events * costs[f"{role}.event_s.{file.stream}"]
        )

    return Work(
        chunks=chunks,
        blocks=blocks,
        sandbox_s=spent("sandbox"),
        keeper_s=spent("keeper"),
        sealed=blocks * rest_of(costs, file.stream, file.events / blocks),
        entries=costs["ledger.file_entries"] + chunks * costs["ledger.chunk_entries"],
    )


def rest_of(costs: Costs, stream: str, events: float) -> float:
    """Return bytes at rest of a block that holds what is left of so many events.

    Between the sizes that were measured it is drawn through them, both in logarithms: a block has a least size, and the
    more of one person is in it the better it packs.
    """
    points = costs.points(f"rest.bytes.{stream}")
    sizes = np.log([at for at, _ in points])
    # sizes are rounded up to steps, so one that was measured may lie below a smaller one's
    told = np.log(np.maximum.accumulate([value for _, value in points]))
    most = points[-1][0]
    inside = float(np.exp(np.interp(np.log(max(events, 1.0)), sizes, told)))
    return inside * max(1.0, events / most)


def calls_of(rate: float, *, every_s: float, most: int) -> float:
    """Return how many calls a second bring so many requests a second that come by chance.

    A call takes everybody who came since the one before, which began so long ago at least; who comes when nobody did
    is brought at once. So from one to the next passes that time, and where nobody came in it the time until somebody
    does.

    Args:
        rate: Requests a second.
        every_s: Seconds from one call to the next, at least.
        most: Requests in one call.
    """
    if rate <= 0:
        return 0.0
    return max(1 / (every_s + math.exp(-rate * every_s) / rate), rate / most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What people and machines do on a day beside making events.

    Args:
        leases: Of one device at work, an hour.
        pages: Of the portal, of one person a day.
        questions: Queries under grants, of the whole company a day.
        trainings: Over everybody, a day.
        features: Times a day that features of everybody are made.
        erasures: People erased, a day, for each 10,000; batched once a day in each segment.
        segment: People in a segment.
    """

    leases: float = 4.0
    pages: float = 4.0
    questions: float = 200.0
    trainings: float = 1.0
    features: float = 1.0
    erasures: float = 1.0
    segment: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Nightly:
    """CPU-seconds a day of what has no hurry, by what it is.

    Args:
        sandbox: By what.
        keeper: By what.
    """

    sandbox: dict[str, float]
    keeper: dict[str, float]


def nightly_of(
    costs: Costs, habits: Habits, *, people: int, sealed: float, entries: float
) -> Nightly:
    """Return what a day's work takes that is not the way in.

    Args:
        costs: What things cost.
        habits: What is done.
        people: Of the company.
        sealed: Bytes that came to rest that day.
        entries: Of the ledger that day.
    """
    segments = math.ceil(people / habits.segment)
    erased = habits.erasures * people / 10_000
    release = costs["keeper.release_person_s"] * people
    return Nightly(
        sandbox={
            "features": habits.features * people * costs["compute.feature_person_s"],
            "training": habits.trainings * people * costs["compute.train_person_s"],
            "queries": habits.questions * costs["compute.query_s"],
            "compaction": sealed * costs["compute.compact_byte_s"],
        },
        keeper={
            "keys released": (habits.features + habits.trainings) * release
            + habits.questions * release * 0.1,  # a question is about a tenth of the people
            "erasures": min(erased, segments)
            * costs["keeper.erase_segment_s"]
            * habits.segment
            / 10_000,
            "retention": people * costs["keeper.expire_person_s"],
            "audit": entries * costs["keeper.audit_entry_s"],
        },
    )
