"""Ways to break the sentinel from inside its own input: odd names, floods, and what must not teach it anything."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.sentinel_desk import HOUR, NOW, SETTINGS, use, watched

from safehold.clock import DAY_US
from safehold.sentinel import Alert, Event, Sentinel
from safehold.sentinel.crowd import Circle
from safehold.sentinel.evidence import hold
from safehold.sentinel.nights import MOST_PURPOSES, Reasons
from safehold.sentinel.profile import Profile
from safehold.sentinel.signals import MOST_USES, larger
from safehold.sentinel.words import EXPORT

MORNING = NOW + 11 * HOUR
EARLY = NOW + 9 * HOUR


def told(sentinel: Sentinel, events: list[Event]) -> list[Alert]:
    return [alert for event in events for alert in sentinel.observe(event)]


def test_a_separator_in_the_name_of_a_segment_breaks_nothing():
    sentinel = watched()
    alone = [
        use("red-1", EARLY + number, segment=f"us\x1f{name}", objects=(name,))
        for number, name in enumerate("ab")
    ]
    told(sentinel, alone)
    joined = use("red-1", MORNING, action="dataset.join", objects=("a", "b"))
    assert "join" in {alert.signal for alert in told(sentinel, [joined])}


def strangers(outcome: str) -> list[Event]:
    return [
        use(
            "red-1",
            EARLY + number,
            segment=f"z{number}",
            objects=(f"z{number}/t",),
            outcome=outcome,
        )
        for number in range(400)
    ]


def test_refused_uses_teach_nothing_of_what_is_asked_for():
    sentinel = watched()
    told(sentinel, strangers("denied"))
    assert not sentinel.habits["asked/human"].count


def test_nobody_alone_teaches_what_is_asked_for():
    sentinel = watched()
    told(sentinel, strangers("ok"))
    assert sentinel.habits["asked/human"].count <= 20


def test_a_newcomer_does_not_teach_for_all_what_is_new():
    sentinel = watched()
    before = {name: sentinel.habits[name].count for name in ("new", "new/s", "new/f")}
    told(sentinel, [replace(one, principal="guest") for one in strangers("ok")])
    for name, count in before.items():
        assert sentinel.habits[name].count <= count + 60, name


@pytest.mark.parametrize(("outcome", "asked"), [("ok", {"de.key"}), ("denied", set())])
def test_a_request_that_was_refused_is_no_asking(outcome, asked):
    sentinel = watched()
    told(sentinel, [use("red-1", EARLY, action="grant.request", segment="de.key", outcome=outcome)])
    assert sentinel.people["red-1"].asked.keys() == asked


def test_invented_actions_hide_no_usual_one():
    sentinel = watched()
    letters = "abcdefgh"
    invented = [f"note{one}{other}" for one in letters for other in letters]
    told(sentinel, [use("red-1", EARLY + n, action=name) for n, name in enumerate(invented)])
    told(sentinel, [use("red-1", MORNING + number) for number in range(50)])
    today = sentinel.people["red-1"].today
    assert today.sums["n:dataset.read"][1] == 50
    assert sum(today.sizes["dataset.read"].values()) == 50
    assert len(today.sums) <= 80
    assert len(today.sizes) <= 64


def test_invented_exports_hide_no_size_of_a_usual_one():
    sentinel = watched()
    told(sentinel, [use("red-3", EARLY + n, action=f"pair.join{chr(97 + n)}") for n in range(24)])
    who = sentinel.people["red-3"]
    big = use("red-3", MORNING, action="embedding.export", rows=80_000_000, bytes=12_000_000_000)
    held = hold(sentinel, big, who, MORNING, MORNING // DAY_US)
    assert len(who.of_use) >= MOST_USES
    assert larger(sentinel, held, EXPORT, 1) > 2.5


def test_what_rose_for_all_is_dropped_when_its_week_is_over():
    sentinel = watched()
    assert sentinel.shift
    told(sentinel, [use("red-1", NOW + 30 * DAY_US), use("red-1", NOW + 31 * DAY_US)])
    assert all(kept for kept in sentinel.shift.values())


def test_a_restart_changes_nothing_where_purposes_are_too_many():
    told_of = []
    for purposes in (("b", "a"), ("a", "b")):  # as they came, and as a snapshot sorts them
        reasons = Reasons()
        who = Profile("p", "human", 1)
        reasons.learn(who, {f"p{number}": 0 for number in range(MOST_PURPOSES - 1)})
        reasons.learn(who, dict.fromkeys(purposes, 0))
        told_of.append(sorted(reasons.seen))
    assert told_of[0] == told_of[1]


def test_whose_thing_something_is_is_asked_once_a_day(monkeypatch):
    sentinel, asked = watched(), []
    plain = Circle.apart_from
    monkeypatch.setattr(
        Circle, "apart_from", lambda self, *more: asked.append(more[-1]) or plain(self, *more)
    )
    told(sentinel, [use("bot-red", EARLY + n, segment="de.key", action="odd") for n in range(200)])
    assert sorted(asked) == ["o:de.key/t0", "s:de.key"], "to ask costs a step for each of its users"
    assert Sentinel.restore(sentinel.snapshot(), SETTINGS).snapshot() == sentinel.snapshot()


def test_nobody_alone_moves_a_thing_into_another_segment_in_a_day():
    sentinel = watched()
    moved = {"segment": "us.key", "objects": ("de.key/t0",)}
    told(sentinel, [use("red-1", EARLY + number, **moved) for number in range(60)])
    assert sentinel.homes.of("de.key/t0") == "de.key"
    told(
        sentinel,
        [use("red-1", MORNING + n, segment="us.key", objects=(f"q{n}",)) for n in range(2_000)],
    )
    told(sentinel, [use("red-1", MORNING + HOUR + n, **moved) for n in range(60)])
    assert sentinel.homes.of("de.key/t0") == "de.key", (
        "not when too much was touched to be told apart"
    )


def test_what_a_team_takes_up_in_a_day_is_bounded():
    sentinel = watched()
    told(sentinel, [use("red-1", EARLY + n, objects=(f"q{n}/t",)) for n in range(3_000)])
    assert len(sentinel.circles["t/red"].now) <= sentinel.settings.most_today


def test_five_of_ones_own_hide_no_sixth():
    own = ("us.key/t0", "us.key/t1", "us.key/t2", "us.chat/t0", "us.chat/t1")
    joined = use("red-1", MORNING, action="dataset.join", objects=(*own, "de.key/t0"))
    assert "join" in {alert.signal for alert in told(watched(), [joined])}


def test_names_that_come_once_do_not_stop_what_a_day_brings_from_being_learned():
    """What is new to others is a mean by days of those who are there: whoever invents names must not freeze it."""
    sentinel = watched()
    known = sum(who.kind == "human" and who.active > 5 for who in sentinel.people.values())
    before = sentinel.many["human"]
    assert 0 < before <= known
    flood = [
        replace(use("red-1", MORNING + number), principal=f"name-{number}", kind="workload")
        for number in range(900)
    ]
    told(sentinel, flood)
    sentinel.observe(use("red-1", MORNING + DAY_US))
    assert sentinel.many["human"] == before
    assert sentinel.many.get("workload", 0) <= 1
    again = Sentinel.restore(sentinel.snapshot(), sentinel.settings)
    assert again.many == sentinel.many
