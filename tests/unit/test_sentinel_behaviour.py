"""What the sentinel looks at beside each signal's own rarity: whose a thing is, hours of a job, reasons, paces."""

from __future__ import annotations

from math import log

import pytest
from tests.sentinel_desk import HOUR, MINUTE, NOW, raised, signals, use, watched

from safehold.sentinel.nights import Reasons
from safehold.sentinel.pace import Pace
from safehold.sentinel.profile import Profile
from safehold.sentinel.ties import distance
from safehold.sentinel.volume import Usual

MORNING = NOW + 11 * HOUR


def test_a_thing_lies_far_if_those_who_use_it_share_nothing_else():
    sentinel = watched()
    who = sentinel.people["red-3"]
    ring = sentinel.ring(who)
    own = next(key[2:] for key in who.known if key.startswith("o:"))
    foreign = next(
        key[2:] for key in sentinel.people["blue-3"].known
        if key.startswith("o:") and key not in who.known and key[2:].split("/")[0] not in {
            name[2:].split("/")[0] for name in who.known
        }
    )  # fmt: skip
    assert distance(sentinel.people, who, own, ring) == 0.0
    assert distance(sentinel.people, who, foreign, ring) > distance(sentinel.people, who, "x", ring)


def test_many_exports_of_ordinary_size_are_told_and_two_are_not():
    spree = [
        use("red-0", MORNING + number * 4 * MINUTE, action="embedding.export")
        for number in range(25)
    ]
    assert "export" in signals(spree)
    assert "export" not in signals(spree[:2])


def test_a_purpose_that_others_state_at_night_excuses_a_night_and_ones_own_does_not():
    reasons, who = Reasons(), Profile("a", "human", 0)
    for number in range(12):
        other = Profile(f"p{number}", "human", 0)
        reasons.learn(other, {"on_call": 1})
        for _ in range(10):
            reasons.learn(other, {"train": 0})
    assert reasons.excuse(who, "on_call") > 0.5
    assert reasons.excuse(who, "train") == 0.0
    alone = Reasons()
    for _ in range(20):
        alone.learn(who, {"hobby": 1, "train": 0})
    assert alone.excuse(who, "hobby") == 0.0
    kept = Reasons.from_json(reasons.to_json())
    assert kept.excuse(who, "on_call") == reasons.excuse(who, "on_call")


@pytest.mark.parametrize(("uses", "told"), [(25, True), (9, False)])
def test_a_week_of_thrice_the_uses_is_above_and_a_little_more_is_not(uses, told):
    pace = paced(*[uses] * 5)
    score = pace.above(30, log(1.0 + uses), common=0.0, floor=0.5)
    assert (score > 2.4) is told
    assert pace.above(30, log(1.0 + uses), common=0.6, floor=0.5) < score


def test_two_days_are_a_burst_and_no_week_and_one_day_tells_no_week():
    assert paced(8).above(30, log(1.0 + 800), common=0.0, floor=0.5) == 0.0
    once = paced(8, 8, 8, 8).above(30, log(1.0 + 800), common=0.0, floor=0.5)
    assert once < 1.9 < paced(50, 50, 50, 50).above(30, log(1.0 + 50), common=0.0, floor=0.5)


def test_a_week_that_was_told_is_over_and_its_days_are_as_usual_as_they_may_be():
    pace = paced(50, 50, 50)
    before = pace.old.count
    pace.settle()
    assert pace.old.count == before + 3
    assert not pace.week
    assert pace.above(30, log(1.0 + 50), common=0.0, floor=0.5) == 0.0


def paced(*last: int) -> Pace:
    """Return the pace of somebody who does eight or nine a day, and of late as many as these."""
    pace = Pace()
    for day in range(30 - len(last)):
        pace.roll(day, log(1.0 + 8 + day % 2), learn=True)
    pace.week = []
    for day, uses in enumerate(last, 30 - len(last)):
        pace.roll(day, log(1.0 + uses), learn=True)
    return pace


def test_more_bytes_a_row_than_others_of_the_same_thing_is_wider():
    usual = Usual()
    for number in range(30):
        usual.away("read", "t", 100 + number, 100 * (100 + number))
    wide, _ = usual.away("read", "t", 100, 30_000)
    same, _ = usual.away("read", "t", 3_000, 300_000)
    assert (wide or 0.0) > 2.0
    assert abs(9.0 if same is None else same) < 0.5


def test_a_steady_agent_that_goes_on_for_an_hour_is_told_by_the_hour():
    going = [use("bot-red", MORNING + number * 5_000_000) for number in range(500)]
    alerts = [alert for alert in raised(going) if alert.signal == "agent"]
    assert alerts
    assert "in an hour" in alerts[0].sentence
    assert "agent" not in signals(going[:6])
