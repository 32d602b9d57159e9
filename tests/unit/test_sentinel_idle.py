"""For how long nothing gave a reason to fetch an artifact, and two of them in a row: each guard by itself."""

from __future__ import annotations

from dataclasses import replace

import orjson
from tests.sentinel_desk import HOUR, MINUTE, NOW, SETTINGS, raised, use, watched

from safehold.clock import DAY_US
from safehold.sentinel import Alert, Event, Sentinel
from safehold.sentinel.detector import HELD
from safehold.sentinel.idle import FEW, LONGER, MOST_OF_DAY, Idle, paired
from safehold.sentinel.measure import Running
from safehold.sentinel.profile import Profile

MORNING = NOW + 11 * HOUR
THINGS = ("m/a@1", "m/a@2", "m/a@3")


def somebody() -> Profile:
    who = Profile("red-0", "human", 1)
    who.active = 12.0
    return who


def fetch(name: str, minutes: float = 0, who: str = "red-0", **more: object) -> Event:
    return use(who, int(MORNING + minutes * MINUTE), action="artifact.download", segment="", rows=0,
               bytes=4_000_000, **{"objects": (name,), **more})  # fmt: skip


def lain(days: int = 10) -> Sentinel:
    """A sentinel that knows three of a family, which somebody else fetched so many days ago, and that days are usual."""
    sentinel = watched()
    for name in THINGS:
        sentinel.idle.note(name, "red-4", MORNING - days * DAY_US)
    sentinel.idle.usual["human"] = Running(100, 0.0, 0.0)
    known = {f"o:{name}": 6.0 for name in THINGS} | {"f:m/a": 9.0}
    sentinel.people["red-0"].known |= known
    return sentinel


def told(sentinel: Sentinel, *events: Event) -> list[Alert]:
    found = raised(list(events), sentinel)
    return [one for one in found if (one.signal, one.principal) == ("artifact", "red-0")]


def test_what_others_fetch_is_a_reason_and_what_one_fetches_oneself_is_none():
    idle = Idle()
    assert idle.since("m/a@1", "me", 50) == 0, "what is new to all is new"
    idle.note("m/a@1", "me", 100)
    assert idle.since("m/a@1", "me", 150) == 50, "since the first time that anybody did"
    idle.note("m/a@1", "me", 200)
    assert idle.since("m/a@1", "me", 250) == 150
    assert idle.since("m/a@1", "you", 250) == 50
    idle.note("m/a@1", "you", 300)
    idle.note("m/a@1", "me", 400)
    assert idle.since("m/a@1", "me", 450) == 150, "the last time that somebody else did"


def test_what_is_new_of_the_family_is_a_reason_unless_one_was_the_first_to_fetch_it():
    idle = Idle()
    idle.note("m/a@1", "you", 100)
    idle.note("m/a@2", "me", 500)
    assert idle.since("m/a@1", "me", 600) == 500, "nobody makes a release for themselves"
    assert idle.since("m/a@1", "her", 600) == 100
    idle.note("m/a@2", "you", 550)
    assert idle.since("m/a@1", "me", 600) == 500, "a second fetch of it is no new release"
    idle.note("m/b@1", "you", 590)
    assert idle.since("m/a@1", "me", 600) == 500, "of another family"
    idle.note("m/a@3", "you", 590)
    assert idle.since("m/a@1", "me", 600) == 10


def test_how_much_longer_than_usual_is_not_known_before_some_were_fetched():
    idle = Idle()
    idle.learn("human", [60 * HOUR] * (FEW - 1))
    assert idle.longer("human", 600 * HOUR) == 0.0
    idle.learn("human", [60 * HOUR])
    assert abs(idle.longer("human", 600 * HOUR) - 1.0) < 1e-9
    assert idle.longer("human", 0) == idle.longer("human", 6 * HOUR) == -1.0
    assert idle.longer("agent", 600 * HOUR) == 0.0
    idle.learn("human", [60 * HOUR] * 180)
    idle.learn("human", [600 * HOUR])
    assert abs(idle.longer("human", 600 * HOUR) - 0.995) < 1e-9, "one is a two-hundredth of it"


def test_the_least_fetched_go_first_and_their_families_with_them():
    idle = Idle(most=8)
    for number in range(9):
        idle.note(f"m/{number}@1", "you", 100 + number)
    assert set(idle.things) == {f"m/{number}@1" for number in range(2, 9)}
    assert set(idle.families) == {f"m/{number}" for number in range(2, 9)}


def test_two_that_nobody_needed_are_told_at_the_second_and_the_day_is_learned():
    sentinel = lain()
    (one,) = told(sentinel, fetch(THINGS[2]), fetch(THINGS[1], 12))
    assert one.events[-1] == 100_001
    assert one.severity == 1 < HELD
    assert "2 different ones within a quarter of an hour (usual: on 0 of their" in one.sentence
    assert "came out for 10 days, usual: 6 hours" in one.sentence
    assert not sentinel.people["red-0"].today.anomalous


def test_two_that_somebody_else_fetches_too_or_after_a_release_are_not_told():
    pair = (fetch(THINGS[2]), fetch(THINGS[1], 12))
    assert told(lain(), *pair)
    both = [fetch(name, -60, "red-4") for name in THINGS[1:]]
    assert told(lain(), *both, *pair) == []
    assert told(lain(), fetch("m/a@4", -60, "red-4"), *pair) == []
    assert told(lain(), fetch("m/a@4", -60), *pair), "to be the first at something new is no excuse"


def test_two_that_come_apart_or_are_the_same_or_only_a_little_idle_are_not_told():
    assert told(lain(), fetch(THINGS[2]), fetch(THINGS[1], 16)) == []
    assert told(lain(), fetch(THINGS[2]), fetch(THINGS[2], 12)) == []
    sentinel, who = lain(), somebody()
    sentinel.idle.usual["human"] = Running(100, 1.61 - LONGER, 0.0)
    assert paired(sentinel, who, fetch(THINGS[2]), MORNING) is None, "one is no pair"
    assert paired(sentinel, who, fetch(THINGS[1]), MORNING) is None, "less than three times as long"
    sentinel.idle.usual["human"] = Running(100, 1.60 - LONGER, 0.0)
    assert paired(sentinel, who, fetch(THINGS[0]), MORNING) is not None


def test_the_third_is_told_again_and_more_severe():
    minutes = (0, 11, 13)
    found = told(lain(), *map(fetch, reversed(THINGS), minutes))
    assert [(one.severity, one.events[-1] - 100_000) for one in found] == [(1, 1), (3, 2)]


def test_an_earlier_pair_of_the_day_does_not_hide_a_later_one():
    sentinel = lain()
    pair = (fetch(THINGS[2]), fetch(THINGS[1], 12))
    later = [replace(one, t_us=one.t_us + 2 * HOUR) for one in pair]
    assert len(told(sentinel, *pair, *later)) == 2


def test_one_use_that_names_several_is_as_idle_as_the_most_idle_of_them():
    sentinel = lain()
    sentinel.idle.note("m/b@1", "red-4", MORNING)
    found = paired(sentinel, somebody(), fetch("", objects=("m/b@1", THINGS[0])), MORNING)
    assert found is not None
    assert (found.different, found.idle_us) == (2, 10 * DAY_US)


def test_of_one_use_no_more_than_five_things_are_told_apart_or_kept():
    sentinel, before = lain(), set(lain().idle.things)
    many = tuple(f"m/{number}@1" for number in range(1_000))
    paired(sentinel, somebody(), fetch("", objects=many), MORNING)
    assert set(sentinel.idle.things) - before == set(many[:5])


def test_what_was_refused_is_no_reason_and_teaches_nothing():
    sentinel, who = lain(), somebody()
    paired(sentinel, who, fetch("m/a@9", outcome="denied"), MORNING)
    assert "m/a@9" not in sentinel.idle.things
    assert who.today.idle == []
    for number in range(MOST_OF_DAY + 5):
        sentinel.idle.note(f"m/{number}@1", "red-4", MORNING - 10 * DAY_US)
        paired(sentinel, who, fetch(f"m/{number}@1"), MORNING)
    assert who.today.idle == [10 * DAY_US] * MOST_OF_DAY
    assert paired(sentinel, who, fetch(THINGS[0], objects=()), MORNING) is None


def test_the_same_again_on_a_day_teaches_nothing_so_that_nobody_alone_makes_idle_usual():
    sentinel, who = lain(), somebody()
    for minutes in range(0, 600, 30):
        event = fetch(THINGS[0], minutes)
        paired(sentinel, who, event, event.t_us)
    assert who.today.idle == [10 * DAY_US]
    paired(sentinel, who, fetch("", objects=THINGS[:2]), MORNING + 10 * HOUR)
    assert len(who.today.idle) == 2, "one of them is new today"
    sentinel.idle.note(THINGS[0], "red-4", MORNING + 11 * HOUR)
    paired(sentinel, who, fetch(THINGS[0]), MORNING + 11 * HOUR)
    assert who.today.idle[2:] == [0], "since somebody else did"
    paired(sentinel, who, fetch(THINGS[0]), MORNING + 24 * HOUR)
    assert len(who.today.idle) == 4, "another day"


def test_an_attempt_that_was_refused_at_the_door_is_no_artifact_of_a_pair():
    sentinel, who = lain(), somebody()
    refused = fetch("artifact.download", outcome="denied")  # the keeper names no other thing
    assert paired(sentinel, who, refused, MORNING) is None
    assert paired(sentinel, who, fetch(THINGS[2]), MORNING + MINUTE) is None, "one that has a name"
    assert paired(sentinel, who, fetch(THINGS[1]), MORNING + MINUTE) is not None


def test_however_long_it_was_idle_a_row_that_is_usual_for_somebody_is_not_told():
    sentinel = lain(days=2_000)
    sentinel.thresholds.now["pair"] = sentinel.settings.channels["pair"].floor
    who = sentinel.people["red-0"]
    who.bursts["artifact/pair"] = [100.0, 95.0] + [0.0] * 6
    pair = (fetch(THINGS[2]), fetch(THINGS[1], 12))
    assert told(sentinel, *pair) == []
    who.bursts["artifact/pair"] = [100.0, 40.0] + [0.0] * 6
    (one,) = told(sentinel, *(replace(event, t_us=event.t_us + HOUR) for event in pair))
    assert "came out for 2000 days" in one.sentence


def test_a_pair_ends_no_episode_of_what_is_graver_and_lasts_an_hour_beside_one():
    row = [fetch(f"m/c@{number}", number) for number in range(4)]
    pair = (fetch(THINGS[2], 120), fetch(THINGS[1], 125))
    more = [fetch(f"m/c@{number}", 190 + number) for number in range(4)]
    found = told(lain(), *row)
    assert max(one.severity for one in found) == 3
    again = told(lain(), *row, *more)
    assert len(again) == len(found), "the same of a day is told once"
    soon = (fetch(THINGS[2], 30), fetch(THINGS[1], 35))
    assert len(told(lain(), *row, *soon)) == len(found), "what is graver stands for it too"
    with_pair = told(lain(), *row, *pair, fetch(THINGS[2], 128), *more)
    assert sum(one.severity == 3 for one in with_pair) == sum(one.severity == 3 for one in found)
    assert sum(one.severity == 1 for one in with_pair) == 1


def test_a_day_teaches_how_long_is_usual_when_it_is_over():
    sentinel = lain()
    raised([fetch(THINGS[0])], sentinel)
    assert sentinel.idle.usual["human"].count == 100
    raised([fetch(THINGS[0], 24 * 60)], sentinel)
    assert sentinel.idle.usual["human"].count == 101


def test_it_goes_on_after_a_restart():
    sentinel = lain()
    first, second = fetch(THINGS[2]), fetch(THINGS[1], 12)
    raised([first], sentinel)
    again = Sentinel.restore(sentinel.snapshot(), SETTINGS)
    assert again.snapshot() == sentinel.snapshot()
    assert told(again, second) == told(sentinel, second) != []
    assert orjson.loads(again.snapshot())["idle"] == orjson.loads(sentinel.snapshot())["idle"]
