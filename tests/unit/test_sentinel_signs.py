"""Exports, artifacts and first uses as sums of signs, and one use that is far larger than anybody's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.sentinel_desk import DAY_US, HOUR, MINUTE, NOW, raised, score_of, signals, use, watched

from safehold.sentinel import Event, Sentinel, Settings
from safehold.sentinel.settings import CHANNELS
from safehold.sentinel.threshold import UNSET

MORNING = NOW + 11 * HOUR


def fetch(who: str, **more: object) -> Event:
    base = {
        "action": "artifact.download",
        "objects": ("model-red",),
        "segment": "",
        "rows": 0,
        "bytes": 4_000_000,
    }
    return use(who, MORNING, **base | more)


def export(who: str, **more: object) -> Event:
    return use(who, MORNING, **{"action": "embedding.export", **more})


@pytest.mark.parametrize(("make", "channel"), [(fetch, "artifact"), (export, "export")])
def test_whoever_never_does_it_is_told_and_whoever_always_does_is_not(make, channel):
    sentinel = watched()
    floor = CHANNELS[channel].floor
    assert score_of(sentinel, make("red-0"), channel) < floor, "a scientist's work"
    assert score_of(sentinel, make("red-3"), channel) > floor + 0.3, "no auditor does"
    assert channel in signals([make("red-3")])


@pytest.mark.parametrize(
    ("make", "channel", "least"), [(fetch, "artifact", 1.0), (export, "export", 0.4)]
)
def test_a_grant_of_something_else_is_a_sign_of_an_odd_use(make, channel, least):
    """Its grant has been used by one for one segment; then by another, or elsewhere."""
    sentinel = watched()
    own = score_of(sentinel, make("red-0"), channel)
    other = score_of(sentinel, make("red-0", grant="g-green-0"), channel)
    assert other > own + least


@pytest.mark.parametrize(("make", "channel"), [(fetch, "artifact"), (export, "export")])
def test_a_segment_that_nobody_asked_for_is_a_sign_where_others_ask(make, channel):
    sentinel = watched()
    sentinel.habits["asked/human"].learn(1.0)
    sentinel.habits["asked/human"].count, sentinel.habits["asked/human"].mean = 200, 0.98
    event = make("red-0", segment="jp.screen")
    bare = score_of(sentinel, event, channel)
    sentinel.people["red-0"].asked["jp.screen"] = sentinel.people["red-0"].day
    assert bare > score_of(sentinel, event, channel) + 0.5


def test_a_new_grant_of_its_own_takes_off_from_a_new_place():
    sentinel = watched()
    event = export("red-0", segment="jp.screen", grant="g-red-0")
    told = score_of(sentinel, event, "export")
    # a new grant that is backed explains; one that is old and of another segment does not
    sentinel.grants.approve("g-new", "green-0", "jp.screen", "train", event.t_us // DAY_US)
    assert score_of(sentinel, replace(event, grant="g-new"), "export") < told


def test_a_row_of_artifacts_is_no_sign_of_a_single_one():
    """Ordinary rows are what is most often out of line: they have statistics of their own."""
    sentinel = watched()
    alone = score_of(sentinel, fetch("red-0"), "artifact")
    for number in range(4):
        sentinel.observe(
            replace(
                fetch("red-0", objects=(f"model-red-{number}",)),
                t_us=MORNING - (5 - number) * MINUTE,
            )
        )
    last = fetch("red-0")
    rows = [one for one in raised([last], sentinel) if "number 5 of the day" in one.sentence]
    assert score_of(sentinel, last, "artifact") == pytest.approx(alone, abs=0.3)
    assert rows == [] or rows[0].signal == "artifact"


def test_a_large_export_is_odder_but_no_size_tells_more_than_so_much():
    sentinel = watched()
    usual, large, vast = (
        score_of(sentinel, export("red-0", rows=rows, bytes=150 * rows), "export")
        for rows in (2_000, 200_000, 2 * 10**12)
    )
    assert usual + 0.5 < large <= vast <= usual + 1.3


def test_one_use_far_larger_than_anybodys_of_the_same_thing_is_told():
    """Such a search of an index, that gives back most of it, is called what every search is called."""
    event = use("red-3", MORNING, rows=1_500_000, bytes=225_000_000)
    told = raised([event])
    assert [one.signal for one in told] == ["export"]
    assert "larger than such uses of the same thing are" in told[0].sentence
    assert signals([replace(event, rows=9_000, bytes=1_350_000)]) == set(), "that happens"
    assert signals([replace(event, objects=("us.key/new",))]) == set(), (
        "of what is new nobody knows a size"
    )


def test_a_large_model_is_no_large_use():
    sentinel = watched()
    assert score_of(sentinel, fetch("red-0", bytes=4 * 10**12), "bulk") == 0.0


def test_one_vast_use_is_no_week_of_large_ones():
    """What is summed over days is bounded for each use, as before."""
    sentinel = watched()
    sentinel.observe(use("red-3", MORNING, rows=10**12, bytes=10**14))
    who = sentinel.people["red-3"]
    assert 0.0 < who.today.sums["same"][0] < 5.0


def test_who_was_refused_has_used_nothing_and_a_machine_has_no_reason_to_look_about():
    sentinel = watched()
    new = use("red-3", MORNING, segment="jp.screen")
    bot = use("bot-red", MORNING, segment="jp.screen")
    refused = score_of(sentinel, replace(new, outcome="denied", rows=0, bytes=0), "segment")
    assert score_of(sentinel, new, "segment") == pytest.approx(refused + 0.1, abs=0.01)
    as_human = score_of(sentinel, replace(bot, kind="human"), "segment")
    assert score_of(sentinel, bot, "segment") > as_human + 0.1


def test_a_night_of_an_agent_counts_for_more_than_one_of_its_operator():
    sentinel = watched()
    night = NOW + 27 * HOUR
    bot = use("bot-red", night)
    assert (
        score_of(sentinel, bot, "hour")
        > 1.3 * score_of(sentinel, replace(bot, kind="human"), "hour")
        > 0.0
    )


def test_before_it_is_set_a_threshold_lies_near_its_floor():
    """A cap that lies far away for the sake of other companies must not make the first days deaf."""
    now = Sentinel(Settings()).thresholds.now
    for name, channel in CHANNELS.items():
        assert channel.floor < now[name] <= UNSET * channel.floor
