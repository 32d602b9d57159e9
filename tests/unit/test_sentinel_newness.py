"""What is new: to all, to somebody who did not ask, too many grants, sizes; and what past days say of how much is much."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import orjson
import pytest
from tests.sentinel_desk import HOUR, MINUTE, NOW, SETTINGS, raised, signals, use, watched

from safehold.clock import DAY_US
from safehold.sentinel import Event, Sentinel, Settings
from safehold.sentinel.evidence import (
    FROM_THE_BEGINNING,
    MOST_REASONS,
    NEW,
    Held,
    hold,
    surprise,
)
from safehold.sentinel.idle import Idle, version_of
from safehold.sentinel.measure import Running
from safehold.sentinel.newness import MOST_DEEDS
from safehold.sentinel.signals import larger
from safehold.sentinel.threshold import ENOUGH_DAYS, JUST, LEAST_DAYS, Thresholds
from safehold.sentinel.volume import KNOWN

MORNING = NOW + 11 * HOUR


def held_of(sentinel: Sentinel, event: Event) -> Held:
    """Hold an event against its principal on a day that they have begun as usual."""
    sentinel.observe(use(event.principal, MORNING - HOUR))
    who = sentinel.people[event.principal]
    return hold(sentinel, event, who, event.t_us, event.t_us // DAY_US)


@pytest.mark.parametrize("key", ["o:nobodys", "s:nobodys", "f:nobodys"])
def test_where_much_is_new_to_all_that_something_is_says_less(key):
    sentinel = watched()
    who = sentinel.people["red-3"]
    habit = sentinel.habits[NEW[key[0]]] = Running(50, 0.0, 0.0)
    rare = surprise(sentinel, who, key, sentinel.ring(who))
    habit.mean = 1.0
    assert surprise(sentinel, who, key, sentinel.ring(who)) < rare - 0.5
    foreign = key[:2] + ("jp.screen/t0" if key[0] == "o" else "jp.screen")
    odd = surprise(sentinel, who, foreign, sentinel.ring(who))
    habit.mean = 0.0
    assert surprise(sentinel, who, foreign, sentinel.ring(who)) == odd, "others use this one"


@pytest.mark.parametrize(("segment", "mean"), [("fr.mail", 1.0), ("jp.screen", 0.0)])
def test_first_uses_teach_how_much_is_new_to_all(segment, mean):
    sentinel = watched()
    before = {name: sentinel.habit(name).count for name in NEW.values()}
    for name in NEW.values():
        sentinel.habit(name).mean = 0.5
    raised([use("red-3", MORNING, segment=segment)] * 3, sentinel)
    for name, count in before.items():
        habit = sentinel.habit(name)
        assert habit.count == count + 1, "once, when it is new"
        assert (habit.mean > 0.5) is (mean > 0.5)


def asking(share: float) -> Sentinel:
    """A company in which such a part of new segments was asked for."""
    sentinel = watched()
    sentinel.habits["asked/human"] = Running(96, share, 0.0)
    return sentinel


def first(**more: object) -> Event:
    return use("red-3", MORNING, **{"segment": "jp.screen", "grant": "g-red-3", **more})


ASK = replace(
    first(action="grant.request", objects=(), grant=None, rows=0, bytes=0), t_us=MORNING - HOUR
)


def test_a_new_segment_that_nobody_asked_for_is_odd_where_others_ask():
    assert held_of(asking(0.0), first()).unasked == pytest.approx(0.0)
    assert held_of(asking(1.0), first()).unasked == pytest.approx(1.4, abs=0.01)
    asked = asking(1.0)
    asked.observe(ASK)
    assert held_of(asked, first()).unasked == 0.0
    other = asking(1.0)
    other.observe(replace(ASK, segment="de.key"))
    assert held_of(other, first()).unasked > 1.0, "they asked for something else"
    assert held_of(asking(1.0), first(segment="us.chat")).unasked == 0.0, "it is not new to them"


@pytest.mark.parametrize("no", [{"action": "catalog.browse"}, {"outcome": "denied"}])
def test_to_look_up_and_to_be_refused_is_not_to_have_asked(no):
    sentinel = asking(1.0)
    sentinel.observe(replace(ASK, **no))
    assert held_of(sentinel, first()).unasked > 1.0


def test_that_nobody_asked_can_be_what_tells_a_first_use():
    """With a new grant of its own a first use is not told where nobody ever asks, and is where all do."""
    new = first(grant="g-new")
    assert "first-time" not in signals([new], asking(0.0))
    assert "first-time" in signals([new], asking(1.0))
    assert "first-time" not in signals([ASK, new], asking(1.0))


def test_the_first_use_of_a_segment_teaches_once_whether_it_was_asked_for():
    sentinel = asking(0.5)
    raised([ASK, first(), replace(first(), t_us=MORNING + MINUTE)], sentinel)
    habit = sentinel.habit("asked/human")
    assert habit.count == 97
    assert habit.mean == pytest.approx(0.51)
    sentinel.observe(replace(first(), principal="red-new", t_us=MORNING + HOUR))
    assert habit.count == 97, "to a newcomer everything is new"


def test_what_somebody_asked_for_is_bounded():
    sentinel = watched()
    for number in range(3 * MOST_REASONS):
        sentinel.observe(replace(ASK, segment=f"s{number}", t_us=MORNING + number * HOUR))
    assert len(sentinel.people["red-3"].asked) == MOST_REASONS
    assert f"s{3 * MOST_REASONS - 1}" in sentinel.people["red-3"].asked


def under(*grants: str) -> list[Event]:
    return [use("red-3", MORNING + n * HOUR // 2, grant=name) for n, name in enumerate(grants)]


def test_one_new_grant_after_another_is_scope_and_one_is_not():
    many = raised(under(*(f"g{number}" for number in range(8))))
    (alert,) = [one for one in many if one.signal == "scope"]
    assert len(alert.events) > 2, "those before it are named"
    assert signals(under("g0", *["g-red-3", "g0"] * 6)) == set(), "what they hold is not new"


def test_grants_that_they_used_on_an_earlier_day_are_not_new():
    sentinel, grants = watched(), [f"g{number}" for number in range(8)]
    sentinel.people["red-3"].deeds |= dict.fromkeys(grants, MORNING // DAY_US - 3)
    assert "scope" not in signals(under(*grants), sentinel)


def test_whoever_always_has_many_new_grants_has_no_scope_by_them():
    sentinel = watched()
    who = sentinel.people["red-3"]
    who.came = [0.0, 0.0, 0.0, 30.0, 20.0]
    assert "scope" not in signals(under(*(f"g{number}" for number in range(8))), sentinel)


def test_new_grants_of_more_than_a_week_ago_count_no_more():
    spread = [
        replace(one, t_us=one.t_us + n * 8 * DAY_US) for n, one in enumerate(under(*"abcdefgh"))
    ]
    assert "scope" not in signals(spread)


def test_grants_that_somebody_used_are_bounded():
    sentinel = watched()
    raised(under(*(f"g{number}" for number in range(MOST_DEEDS + 90))), sentinel)
    assert len(sentinel.people["red-3"].deeds) == MOST_DEEDS


def sized(sentinel: Sentinel, rows: int, times: int = 1, **more: Any) -> list[float]:
    """Return by how much exports of red-3 are larger than is usual, one after another, each the first of its day."""
    event = use(
        "red-3", MORNING, **{"action": "dataset.export", "rows": rows, "bytes": rows * 150, **more}
    )
    found = []
    for _ in range(times):
        held = held_of(sentinel, event)
        found.append(larger(sentinel, held, held.meaning, 1))
    return found


def test_what_is_large_is_so_beside_the_same_action():
    sentinel = watched()
    sized(sentinel, 100, 30)
    sized(sentinel, 4_000_000, 30, action="archive.dump")
    assert sized(sentinel, 4_000_000, action="archive.dump")[0] < 1.0
    assert sized(sentinel, 4_000_000)[0] > 5.0


def test_one_use_out_of_line_hides_no_other_and_many_are_the_usual_size():
    sentinel = watched()
    sized(sentinel, 100, 30)
    told = sized(sentinel, 4_000_000, 80)
    assert told[0] > 5.0
    assert told[1] > 0.8 * told[0], "one teaches only that there is more"
    assert told[-1] < 1.0, "a new usual size stops being told"
    assert all(later <= sooner for sooner, later in pairwise(told))


def test_after_an_alert_of_the_day_no_size_is_learned():
    sentinel = watched()
    sized(sentinel, 100, 30)
    sentinel.people["red-3"].today.anomalous = True
    event = use("red-3", MORNING, action="dataset.export", rows=4_000_000, bytes=600_000_000)
    held = hold(sentinel, event, sentinel.people["red-3"], MORNING, MORNING // DAY_US)
    assert larger(sentinel, held, held.meaning, 1) == larger(sentinel, held, held.meaning, 2)


def test_a_model_is_large_only_beside_the_same_model():
    sentinel = watched()
    taken: dict[str, Any] = {"action": "artifact.download", "segment": ""}
    sized(sentinel, 100, 30, objects=("small",), **taken)
    assert sized(sentinel, 4_000_000, objects=("big",), **taken)[0] == 0.0, (
        "it is as large as it is"
    )
    for _ in range(int(KNOWN) + 1):
        sentinel.usual.away("artifact.download", "small", 100, 15_000)
        sentinel.usual.away("artifact.download", "big", 4_000_000, 600_000_000)
    assert sized(sentinel, 4_000_000, objects=("big",), **taken)[0] < 0.5
    assert sized(sentinel, 4_000_000, objects=("small",), **taken)[0] > 2.0


@pytest.mark.parametrize(
    ("name", "version"),
    [("m/a@3", (3,)), ("m/a@v1.12", (1, 12)), ("m/a/r2-1", (2, 1)), ("m:10", (10,)), ("m/a", ()), ("m/a@new", ()),
     ("m/a@3b", ()), ("plain", ()), ("", ())],
)  # fmt: skip
def test_versions_are_read_from_names(name, version):
    assert version_of(name) == version


def test_an_older_version_that_nobody_fetched_is_idle_and_a_newer_one_is_a_release():
    idle = Idle()
    idle.note("m/a@9", "you", 100)
    assert idle.since("m/a@8", "me", 600) == 500
    assert idle.since("m/a@10", "me", 600) == 0, "numbers, not letters"
    assert idle.since("m/b@8", "me", 600) == 0, "of another family"
    assert idle.since("m/a@other", "me", 600) == 0, "its name tells no version"
    idle.note("m/a@8", "you", 700)
    assert idle.since("m/a@9", "me", 800) == 700, "an older one is no release"


def noted(settings: Settings, *scores: tuple[int, float]) -> Thresholds:
    """Thresholds that were set when learning ended, after 50 principals had about such scores on such days."""
    thresholds = Thresholds(settings)
    for day, score in scores:
        for number in range(50):
            thresholds.note("export", f"p{number}", day, score + number / 1_000 + day / 1e6)
    thresholds.turn(settings.learn_days, 0, 50.0)
    return thresholds


def test_few_days_bear_less_than_enough_of_them():
    settings = Settings(budget=20.0, learn_days=14)
    rare = sorted(
        (4.0 + n / 1_000 + day / 1e6 for day in range(7, 14) for n in range(50)), reverse=True
    )
    each = settings.budget * settings.margin * settings.channels["export"].share * 50.0 / 100.0
    found = noted(settings, *((day, 4.0) for day in range(14))).now["export"]
    assert found == rare[int(each * 7 * 7 / ENOUGH_DAYS)] + JUST
    assert found > rare[int(each * 7)] + JUST


def test_thresholds_come_from_the_last_days_of_learning():
    late = tuple((day, 3.0) for day in range(20, 30))
    settings = Settings(learn_days=30)
    assert ENOUGH_DAYS == 10
    assert noted(settings, (18, 8.0), *late).now["export"] < 4.0, "the days before teach habits"
    assert noted(settings, *late, (21, 8.0)).now["export"] > 4.0


@pytest.mark.parametrize(("days", "told"), [(LEAST_DAYS, False), (2 * LEAST_DAYS, True)])
def test_too_few_days_set_no_threshold(days, told):
    thresholds = noted(Settings(learn_days=days), *((day, 4.0) for day in range(days)))
    assert ("export" in thresholds.set) is told


@pytest.mark.parametrize("budget", [0.5, 2.0, 8.0])
def test_what_all_of_the_past_days_had_is_not_told_however_rare_it_looks(budget):
    """No cap is near what an ordinary company comes to: there the cap, not the budget, would set what is told."""
    thresholds = noted(Settings(budget=budget), *((day, 6.5) for day in range(14)))
    assert 6.5 < thresholds.now["export"] < Settings().channels["export"].cap
    sentinel = watched()
    sentinel.thresholds.now["export"] = thresholds.now["export"]
    odd = use(
        "red-3",
        MORNING,
        action="embedding.export",
        objects=("secret",),
        segment="jp.screen",
        grant="g-red-3",
    )
    assert "export" in signals([odd])
    assert "export" not in signals([odd], sentinel)


@pytest.mark.parametrize(
    ("late", "extra"), [(0, 0.0), (FROM_THE_BEGINNING, 0.0), (FROM_THE_BEGINNING + 1, -0.64)]
)
def test_whoever_was_there_from_the_beginning_is_no_newcomer(late, extra):
    sentinel = watched()
    held_of(sentinel, use("red-3", MORNING))
    who = sentinel.people["red-3"]
    who.first, who.active = sentinel.begun + late, 2.0
    assert held_of(sentinel, use("red-3", MORNING)).extra == pytest.approx(extra)


def test_a_snapshot_holds_all_that_newness_is_judged_by():
    """Each of these, forgotten by a restart, would tell something else after it."""
    sentinel = watched()
    again = [use("bot-red", MORNING + number * 500_000) for number in range(5)]
    raised([ASK, *under("g0", "g1"), *again], sentinel)
    kept = orjson.loads(sentinel.snapshot())
    restored = Sentinel.restore(sentinel.snapshot(), SETTINGS)
    assert restored.homes.kept == sentinel.homes.kept == kept["homes"] != {}
    often = {name: circle.often for name, circle in sentinel.circles.items()}
    assert often["*"]
    assert {name: circle.often for name, circle in restored.circles.items()} == often
    for name in ("asked", "deeds", "width", "came"):
        assert getattr(sentinel.people["red-3"], name), name
    assert sentinel.people["bot-red"].same[2] == 5
    for who in sentinel.people.values():
        other = restored.people[who.name]
        for name in ("asked", "deeds", "width", "same", "came", "lagged", "new"):
            assert getattr(other, name) == getattr(who, name) == kept["people"][who.name][name]
    assert restored.snapshot() == sentinel.snapshot()
