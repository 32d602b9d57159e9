"""How fast a machine goes while it goes: the time that its last uses in a row took, against its other runs.

A count in a window mixes two things: how long a burst is, and how fast. How long varies much, how fast hardly. So a
machine that is twice as fast as its own bursts is seen while it is still within their length.
"""

from __future__ import annotations

from functools import lru_cache
from math import erfc, exp, log, sqrt
from typing import TYPE_CHECKING, Final, NamedTuple

from safehold.clock import SECOND_US
from safehold.sentinel.measure import Running, rarity
from safehold.sentinel.profile import Profile

if TYPE_CHECKING:
    from safehold.sentinel.detector import Sentinel

GAP_US: Final = 60 * SECOND_US  # a longer pause ends a run
STEP: Final = 16
LENGTHS: Final = (16, 32, 48, 60)  # uses in a row whose time is taken
MOST_OF_DAY: Final = 64  # times of one day that become habit
LEAST_OWN: Final = 3  # own times before they count and not those of the kind
LEAST_KIND: Final = 8
PULL: Final = 4.0  # runs that the kind counts as beside own ones
SPREAD: Final = 0.12  # least deviation of the logarithm of a time
FASTER: Final = 1.25  # least times the usual speed that is told: a better network makes as much
ROOT: Final = sqrt(2.0)
LEAST_SPREAD: Final = 0.3  # least deviation of a run, in those of sixteen uses


class Swift(NamedTuple):
    """So many uses in a row, and how fast they came.

    Args:
        score: How rare it is that so many come in a row, times that they come so fast, as ``rarity`` says it.
        uses: How many.
        took_s: How many seconds they took.
        usual_s: How many seconds so many take as a rule.
    """

    score: float
    uses: int
    took_s: float
    usual_s: float


SLOW: Final = Swift(0.0, 0, 0.0, 0.0)  # nothing in it is faster than usual


def quick(sentinel: Sentinel, who: Profile, t_us: int) -> Swift:
    """Note a use of a machine; return the rarest of the runs that end with it.

    Args:
        sentinel: Who knows the kind.
        who: The machine.
        t_us: When.
    """
    run = who.run
    if run and t_us - run[-1] > GAP_US:
        run.clear()
        who.run_uses = 0
    run.append(t_us)
    who.run_uses += 1
    if len(run) < STEP:
        return SLOW
    if len(run) > LENGTHS[-1]:
        del run[0]
    habits = sentinel.habits
    names = _names(who.kind)
    own = who.run_pace.count >= LEAST_OWN
    pace = who.run_pace if own else habits.get(names[-1])
    if pace is not None and not own and pace.count < LEAST_KIND:
        pace = None
    usual = 0.0 if pace is None else exp(pace.mean) / STEP * SECOND_US
    best = SLOW
    for place, length in enumerate(LENGTHS):
        if length > len(run):
            break
        took_us = t_us - run[-length]
        if not who.run_uses % length and len(who.today.runs) < MOST_OF_DAY:
            who.today.runs.append([length, log(max(1, took_us) / SECOND_US)])
        if pace is not None and took_us * FASTER < usual * length:
            score = _rare(sentinel, who, pace, place, max(1, took_us))
            if score > best.score:
                best = Swift(score, length, took_us / SECOND_US, usual * length / SECOND_US)
    return best


@lru_cache(maxsize=8)
def _names(kind: str) -> tuple[str, ...]:
    return (*(f"run{length}/{kind}" for length in LENGTHS), f"run/{kind}")


def _rare(sentinel: Sentinel, who: Profile, pace: Running, place: int, took_us: int) -> float:
    """Return how rare a run of a length is that took so long, by the pace of sixteen uses."""
    habits, names, length = sentinel.habits, _names(who.kind), LENGTHS[place]
    of_kind, others = habits.get(names[0]), habits.get(names[place])
    seen, mean, spread = 0, 0.0, 0.0
    if others is not None:
        seen, mean, spread = others.count, others.mean, others.spread
    faster = (pace.mean + log(length / STEP * SECOND_US / took_us)) / deviation(pace)
    # a longer run is steadier than a short one: as chance has it, or as all of the kind tell
    mean *= seen / (seen + PULL)
    spread = (spread * seen + PULL * STEP / length) / (seen + PULL)
    faster = (faster - mean) / sqrt(spread + LEAST_SPREAD * LEAST_SPREAD)
    share = min(1.0, (seen + 0.5) / ((of_kind.count if of_kind is not None else 0) + 1.0))
    share = (who.run_seen[place] + PULL * share) / (who.run_seen[0] + PULL)
    return rarity(0.5 * erfc(faster / ROOT)) + rarity(min(1.0, share))


def deviation(pace: Running) -> float:
    """Return the deviation of the logarithm of the time that sixteen uses in a row take.

    Args:
        pace: What is known of it.
    """
    return sqrt(pace.spread * (1.0 + 1.0 / max(1, pace.count)) + SPREAD * SPREAD)


def settle(sentinel: Sentinel, who: Profile, runs: list[list[float]]) -> None:
    """Let the runs of a day become habit.

    Args:
        sentinel: Who knows the kind.
        who: Whose.
        runs: Of each how many uses, and the logarithm of the seconds that they took.
    """
    before = Running.from_json(who.run_pace.to_json())
    for length, took in runs:
        who.run_seen[LENGTHS.index(int(length))] += 1.0
        if before.count >= LEAST_OWN:
            faster = (before.mean + log(length / STEP) - took) / deviation(before)
            sentinel.habit(f"run{int(length)}/{who.kind}").learn(faster, 0.02)
        if length == STEP:
            who.run_pace.learn(took, 0.04)
            sentinel.habit(f"run/{who.kind}").learn(took, 0.02)
