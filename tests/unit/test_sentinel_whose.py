"""Whose a thing is: where objects are at home, who else uses them, and who is tied to whom by what they use."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.sentinel_desk import HOUR, NOW, score_of, signals, use, watched

from safehold.clock import DAY_US
from safehold.sentinel import Event, Sentinel
from safehold.sentinel.crowd import Circle
from safehold.sentinel.homes import SURE, Homes
from safehold.sentinel.profile import Profile
from safehold.sentinel.ties import distance

MORNING = NOW + 11 * HOUR


def at(name: str, segment: str) -> Event:
    return use("red-3", MORNING, objects=(name,), segment=segment)


def test_an_object_is_at_home_where_most_of_its_uses_say():
    homes = Homes()
    assert homes.of("t") == ""
    for segment in ("a", "a", "b", "a", "b"):
        homes.learn(at("t", segment))
        assert homes.of("t") == "a", "a few that say otherwise move nothing"
    for _ in range(3):
        homes.learn(at("t", "b"))
    assert homes.of("t") == "b"


def test_no_past_is_so_long_that_an_object_cannot_move():
    homes = Homes()
    for _ in range(1_000):
        homes.learn(at("t", "a"))
    for _ in range(int(SURE) - 1):
        homes.learn(at("t", "b"))
        assert homes.of("t") == "a"
    homes.learn(at("t", "b"))
    assert homes.of("t") == "b"


def test_objects_with_a_home_are_bounded_and_those_used_most_stay():
    homes = Homes(most=8)
    for _ in range(3):
        homes.learn(at("often", "a"))
    for number in range(100):
        homes.learn(at(f"once-{number}", "b"))
        assert len(homes.kept) <= 8
    assert homes.of("often") == "a"


def test_only_uses_of_one_object_that_came_about_tell_where_it_is_at_home():
    sentinel = watched()
    lone = at("k1", "de.key")
    for other in (
        replace(lone, outcome="denied"),
        replace(lone, action="grant.request"),
        replace(lone, segment=""),
        replace(lone, objects=("k1", "k2")),
    ):
        sentinel.observe(other)
        assert not {"k1", "k2"} & set(sentinel.homes.kept)
    fresh = watched()
    for _ in range(9):
        fresh.observe(lone)
    assert fresh.homes.kept["k1"] == ["de.key", 1.0], "once a day for each who uses it"
    fresh.observe(replace(lone, principal="red-2"))
    fresh.observe(replace(lone, t_us=MORNING + DAY_US))
    assert fresh.homes.kept["k1"] == ["de.key", 3.0]


def opaque() -> Sentinel:
    """A sentinel that knows three tables whose names tell nothing, and that red-1 uses all of them."""
    sentinel = watched()
    for name, home in (("k7", "us.key"), ("k8", "jp.metric"), ("k9", "us.chat")):
        for _ in range(9):
            sentinel.homes.learn(at(name, home))
        sentinel.people["red-1"].known[f"o:{name}"] = 12.0
    return sentinel


def joined(*names: str) -> Event:
    return use("red-1", MORNING, action="dataset.join", objects=names)


def test_a_join_across_segments_that_nobody_brings_together_is_told_though_the_names_tell_nothing():
    assert signals([joined("k7", "k8")], opaque()) == {"join"}
    assert signals([joined("k8", "k7")], opaque()) == {"join"}, "the order says nothing"
    assert signals([joined("k7", "k9")], opaque()) == set(), "their team joins these segments"
    homeless = opaque()
    homeless.homes.kept.clear()
    assert signals([joined("k7", "k8")], homeless) == set(), "it is the homes that tell"


def test_two_segments_that_would_have_met_by_chance_and_did_not_are_odder_together():
    sentinel = opaque()
    before = score_of(sentinel, joined("k7", "k8"), "join")
    often = sentinel.circles["*"].often
    often |= {"j:": 400.0, "j:us.key": 200.0, "j:jp.metric": 200.0}
    assert score_of(sentinel, joined("k7", "k8"), "join") > before + 0.5


def test_what_met_less_than_chance_would_have_it_is_unmet():
    circle = Circle()
    assert circle.unmet("a", "b") == 0.0, "nobody has joined anything"
    circle.often = {"j:": 100.0, "j:a": 50.0, "j:b": 50.0}
    assert circle.unmet("a", "b") == pytest.approx(1.415, abs=0.001)
    assert circle.unmet("a", "c") == 0.0, "what is in no joins would not have met"
    circle.often["x:a\x1fb"] = 25.0
    assert circle.unmet("a", "b") == 0.0
    circle.often["x:a\x1fb"] = 90.0
    assert circle.unmet("a", "b") == 0.0, "to meet oftener is nothing odd"


def used(users: int, days: int, name: str = "o:t") -> Circle:
    circle = Circle()
    for number in range(users):
        for day in range(days):
            circle.learn(f"p{number}", [name], day, 0)
    return circle


def test_a_thing_is_closed_if_it_is_much_used_but_always_by_the_same():
    assert used(3, 40).closed("o:t") == pytest.approx(1.54, abs=0.01)
    assert used(60, 2).closed("o:t") == pytest.approx(0.30, abs=0.01), "as many days, by many"
    assert used(3, 40).closed("o:other") == 0.0
    faded = used(3, 40)
    faded.forget(0, 0.1)
    assert faded.closed("o:t") < 0.6, "what was long ago is not much"
    faded.forget(99, 0.1)
    assert faded.often == {}


def test_a_first_use_of_a_closed_thing_counts_for_more():
    sentinel = watched()
    event = use("red-3", MORNING, segment="jp.screen", grant="g-red-3")
    before = score_of(sentinel, event, "segment")
    sentinel.circles["*"].often["s:jp.screen"] *= 10.0
    assert score_of(sentinel, event, "segment") == pytest.approx(before + 0.4, abs=0.02)


def kinds(*names: str) -> dict[str, Profile]:
    return {name: Profile(name, name.rstrip("0123456789"), 0) for name in names}


def test_what_is_used_by_none_of_ones_kind_is_apart():
    people = kinds("human0", "human1", "agent0", "workload0")
    who, circle = people["human0"], Circle()
    assert circle.apart_from(people, who, "o:t") == 0.0, "nobody uses it"
    for day in range(49):
        circle.learn("agent0", ["o:t"], day, 0)
    assert circle.apart_from(people, who, "o:t") == pytest.approx(2.0)
    assert circle.apart_from(people, people["workload0"], "o:t") == pytest.approx(2.0)
    circle.learn("human0", ["o:t"], 49, 0)
    assert circle.apart_from(people, who, "o:t") > 2.0, "nobody is their own kind"
    circle.learn("human1", ["o:t"], 49, 0)
    assert circle.apart_from(people, who, "o:t") == 0.0


def test_a_first_use_of_what_only_jobs_use_counts_for_more():
    sentinel = watched()
    event = use("red-3", MORNING, segment="jp.screen", grant="g-red-3")
    before = score_of(sentinel, event, "segment")
    for name, who in sentinel.people.items():
        if name.startswith("blue"):
            who.kind = "workload"
    assert score_of(sentinel, event, "segment") > before + 0.5


def team(*widths: int) -> tuple[dict[str, Profile], Profile, list[Circle]]:
    """Principals who use all that somebody does and one more table, and so many other things."""
    people = {f"p{number}": Profile(f"p{number}", "human", 0) for number in range(12)}
    who, circle = people["p0"], Circle()
    mine = [f"o:mine-{number}" for number in range(10)]
    for number, one in enumerate(people.values()):
        own = mine if number <= len(widths) else [f"o:{number}-{place}" for place in range(10)]
        if 0 < number <= len(widths):
            own = [*own, "o:there", *(f"o:x{place}" for place in range(widths[number - 1]))]
        one.known = dict.fromkeys(own, 5.0)
        one.width = len(own)
        circle.learn(one.name, own, 1, 0)
    return people, who, [circle]


def test_whoever_uses_everything_is_tied_to_nobody_by_it():
    people, who, ring = team(0)
    near = distance(people, who, "there", ring)
    people, who, ring = team(900)
    far = distance(people, who, "there", ring)
    assert near < 0.3 < 0.9 < far
    assert distance(people, who, "mine-3", ring) == 0.0


def test_what_nearly_everybody_uses_ties_nobody():
    near = distance(*arranged(common=False))
    far = distance(*arranged(common=True))
    assert near < 0.3 < 0.9 < far


def arranged(*, common: bool) -> tuple[dict[str, Profile], Profile, str, list[Circle]]:
    people, who, ring = team(0)
    if common:
        for one in people.values():
            ring[0].learn(one.name, list(who.known), 1, 0)
    return people, who, "there", ring


def test_how_many_objects_somebody_works_with_is_counted_when_a_day_ends():
    who = Profile("p", "human", 1)
    who.today.ok = {"o:a": 3, "o:b": 1, "s:c": 2, "f:d": 1}
    who.roll(2, learn=True, fade=0.85, most=100)
    assert who.width == 2
