"""Runs of machines: how fast uses come in a row, against the machine's own runs and those of its kind."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import log
from random import Random

import pytest
from tests.sentinel_desk import (
    DAYS,
    HOUR,
    MINUTE,
    NOW,
    SETTINGS,
    numbered,
    raised,
    routine,
    use,
    watched,
)

from safehold.clock import DAY_US, SECOND_US
from safehold.sentinel import Event, Sentinel
from safehold.sentinel.profile import Profile
from safehold.sentinel.runs import (
    GAP_US,
    LEAST_KIND,
    LEAST_OWN,
    LENGTHS,
    MOST_OF_DAY,
    SLOW,
    STEP,
    quick,
    settle,
)

OWN_S, HASTY_S = 3.6, 1.6  # seconds between uses: as ever, and more than twice as fast


def bot(kind: str = "agent") -> Profile:
    return Profile("bot", kind, 0)


def teach(sentinel: Sentinel, who: Profile, days: int = 30, apart_s: float = OWN_S) -> None:
    """Let days with a run of 32 uses become habit."""
    for day in range(days):
        times = [(length - 1) * apart_s * (1.0 + 0.03 * (day % 3)) for length in (16, 16, 32)]
        settle(
            sentinel,
            who,
            [[length, log(took)] for length, took in zip((16, 16, 32), times, strict=True)],
        )


def go(
    sentinel: Sentinel, who: Profile, apart_s: float, count: int = 32, at_us: int = HOUR
) -> list[float]:
    """Return the score of each use of a run."""
    return [
        quick(sentinel, who, at_us + int(number * apart_s * SECOND_US)).score
        for number in range(count)
    ]


def taught() -> tuple[Sentinel, Profile]:
    sentinel, who = Sentinel(), bot()
    teach(sentinel, who)
    return sentinel, who


def test_a_machine_that_is_twice_as_fast_as_its_own_runs_is_seen_within_their_length():
    sentinel, who = taught()
    assert max(go(sentinel, who, OWN_S)) < 1.5
    hasty = go(sentinel, who, HASTY_S, at_us=2 * HOUR)
    assert max(hasty[: STEP - 1]) == 0.0, "fewer than sixteen are no run"
    assert hasty[STEP - 1] > 3.0


def test_it_is_told_how_many_in_how_long_and_what_is_usual():
    sentinel, who = taught()
    swift = SLOW
    for number in range(STEP):
        swift = quick(sentinel, who, HOUR + int(number * HASTY_S * SECOND_US))
    assert swift.uses == STEP
    assert swift.took_s == pytest.approx((STEP - 1) * HASTY_S)
    assert swift.usual_s == pytest.approx((STEP - 1) * OWN_S, rel=0.1)


def test_a_pause_ends_a_run():
    sentinel, who = taught()
    go(sentinel, who, HASTY_S, STEP - 1)
    late = HOUR + int((STEP - 2) * HASTY_S * SECOND_US) + GAP_US + 1
    assert quick(sentinel, who, late) == SLOW
    assert who.run == [late]
    assert who.run_uses == 1


def test_more_in_a_row_than_ever_is_rarer_than_as_many_as_usual_at_the_same_speed():
    sentinel, who = Sentinel(), bot()
    random = Random(3)
    for _ in range(60):
        took = log((STEP - 1) * OWN_S * random.uniform(0.7, 1.4))
        settle(sentinel, who, [[STEP, took], [2 * STEP, took + log(2)]])
    scores = go(sentinel, who, OWN_S / 1.6, LENGTHS[-1])
    assert 0.0 < max(scores[: 2 * STEP]) < max(scores[3 * STEP - 1 :]) - 0.5


def test_the_same_run_is_rarer_for_whoever_never_has_so_many_in_a_row():
    scores = []
    for lengths in ((STEP,), LENGTHS):
        sentinel, who = Sentinel(), bot()
        random = Random(3)
        for _ in range(60):
            took = log((STEP - 1) * OWN_S * random.uniform(0.7, 1.4))
            settle(sentinel, who, [[one, took + log(one / STEP)] for one in lengths])
        who.run_pace.spread = 0.3  # a machine of many paces, so that the speed alone is no matter
        scores.append(go(sentinel, who, OWN_S / 1.6, LENGTHS[-1])[-1])
    never, always = scores
    assert never > always + 1.0


def test_a_little_faster_is_not_told_however_even_the_runs_are():
    """A better network makes a machine as much faster, for good."""
    sentinel, who = taught()
    assert max(go(sentinel, who, OWN_S / 1.2, LENGTHS[-1])) == 0.0
    assert max(go(sentinel, who, OWN_S / 1.5, LENGTHS[-1], 2 * HOUR)) > 3.0


def test_a_machine_without_runs_is_held_against_its_kind_once_there_are_some():
    sentinel = Sentinel()
    assert max(go(sentinel, bot(), 0.1)) == 0.0, "nothing is known of anybody"
    teach(sentinel, Profile("other", "agent", 0), days=(LEAST_KIND - 1) // 2)
    assert max(go(sentinel, bot(), 0.1)) == 0.0, "too little is known of the kind"
    teach(sentinel, Profile("other", "agent", 0))
    assert max(go(sentinel, bot(), HASTY_S)) > 3.0
    assert max(go(sentinel, bot("workload"), HASTY_S)) == 0.0, "of another kind"


def test_own_runs_count_and_not_those_of_the_kind():
    sentinel = Sentinel()
    teach(sentinel, Profile("other", "agent", 0))
    who = bot()
    for _ in range(LEAST_OWN):
        settle(sentinel, who, [[STEP, log((STEP - 1) * HASTY_S)]])
    assert max(go(sentinel, who, HASTY_S)) < 1.5


def test_what_is_kept_of_runs_is_bounded_however_many_uses_there_are():
    sentinel, who = taught()
    seen = set(sentinel.habits)
    for number in range(5_000):
        quick(sentinel, who, HOUR + number * SECOND_US)
    assert len(who.run) == LENGTHS[-1]
    assert len(who.today.runs) == MOST_OF_DAY
    settle(sentinel, who, who.today.runs)
    assert len(who.run_seen) == len(LENGTHS)
    assert set(sentinel.habits) - seen <= {f"run{length}/agent" for length in LENGTHS}


def bursts(day: int, apart_s: float, random: Random, count: int = 32) -> list[Event]:
    """Return five bursts of an agent on a day."""
    begin = NOW + day * DAY_US + 9 * HOUR
    return [
        use("bot-red", begin + burst * HOUR
            + int(number * apart_s * SECOND_US * random.uniform(0.95, 1.05)),
            objects=(f"us.mail/t{number % 3}",))
        for burst in range(5) for number in range(count)
    ]  # fmt: skip


@lru_cache(maxsize=1)
def routine_with_bursts() -> bytes:
    """Watch the usual company, in which one agent has bursts of 32 uses on every day; return the snapshot."""
    random, sentinel = Random(5), Sentinel(SETTINGS)
    days = [event for day in range(-DAYS, 0) for event in bursts(day, OWN_S, random)]
    for event in numbered([*routine(), *days]):
        sentinel.observe(event)
    assert sentinel.people["bot-red"].run_pace.count > 100
    return sentinel.snapshot()


def bursting() -> Sentinel:
    """Return a sentinel that knows the bursts; it is Tuesday, midnight."""
    return Sentinel.restore(routine_with_bursts(), SETTINGS)


def hasty(day: int) -> list[Event]:
    """Return one burst no longer than those of every day, and more than twice as fast."""
    return bursts(day, HASTY_S, Random(6))[:32]


def told_of(sentinel: Sentinel, events: list[Event], first: int = 100_000) -> list[tuple[int, str]]:
    return [
        (alert.t_us, alert.sentence)
        for event in numbered(events, first)
        for alert in sentinel.observe(event)
        if alert.signal == "agent"
    ]


def test_a_burst_as_long_as_ever_and_twice_as_fast_is_told_and_says_so():
    usual = bursting()
    assert told_of(usual, bursts(0, OWN_S, Random(7))) == []
    ((told_us, sentence),) = told_of(bursting(), hasty(0))
    assert told_us - (NOW + 9 * HOUR) < MINUTE
    assert "events in a row within" in sentence
    assert "usual for so many in a row" in sentence


def test_a_day_that_was_told_teaches_no_pace():
    sentinel = bursting()
    before = sentinel.people["bot-red"].run_pace.count
    raised(hasty(0), sentinel)
    assert sentinel.people["bot-red"].run_pace.count > before, "the day before it was learned"
    learned = sentinel.people["bot-red"].run_pace.to_json()
    raised(bursts(1, OWN_S, Random(8))[:1], sentinel)
    assert sentinel.people["bot-red"].run_pace.to_json() == learned


@pytest.mark.parametrize("cut", [0, 7, 15, 16, 20, 31, 32, 40])
def test_a_restart_within_a_run_changes_nothing(cut):
    events = hasty(0) + bursts(1, OWN_S, Random(8))[:40]
    whole = bursting()
    told = told_of(whole, events)
    first = bursting()
    again = told_of(first, events[:cut])
    second = Sentinel.restore(first.snapshot(), SETTINGS)
    assert second.snapshot() == first.snapshot()
    again += told_of(second, events[cut:], 100_000 + cut)
    assert told
    assert again == told
    assert second.snapshot() == whole.snapshot()


def test_a_machine_that_makes_the_same_call_again_and_again_is_in_a_loop():
    sentinel = watched()
    calls = [
        use(
            "bot-red",
            NOW + 11 * HOUR + number * SECOND_US,
            objects=("us.mail/t0",),
            segment="us.mail",
        )
        for number in range(14)
    ]
    others = [replace(one, objects=(f"us.mail/t{number % 2}",)) for number, one in enumerate(calls)]
    slower = [
        replace(one, t_us=NOW + 11 * HOUR + number * 5 * SECOND_US)
        for number, one in enumerate(calls)
    ]
    told = raised(calls, watched())
    assert any("the same call in a row" in one.sentence for one in told)
    for fine in (others, slower):
        assert not any("the same call" in one.sentence for one in raised(fine, sentinel))
        sentinel = watched()
