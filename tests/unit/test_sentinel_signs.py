"""Exports, artifacts and first uses as sums of signs, and one use that is far larger than anybody's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.sentinel_desk import DAY_US, HOUR, MINUTE, NOW, raised, score_of, signals, use, watched

from safehold.sentinel import Event, Sentinel, Settings
from safehold.sentinel.crowd import Circle
from safehold.sentinel.evidence import Held
from safehold.sentinel.newness import first_time, odd_use
from safehold.sentinel.profile import Profile
from safehold.sentinel.settings import CHANNELS
from safehold.sentinel.signals import together
from safehold.sentinel.threshold import UNSET
from safehold.sentinel.weights import WEIGHTS, weigh

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
    return use(who, **{"t_us": MORNING, "action": "embedding.export", **more})


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


VAST = use("red-3", MORNING, rows=1_500_000, bytes=225_000_000)


def test_no_tiny_use_makes_a_vast_one_usual():
    for tiny in (1, 2, 5):
        before = [
            use("red-3", MORNING - (tiny - number) * MINUTE, rows=1, bytes=1)
            for number in range(tiny)
        ]
        assert "export" in signals([*before, VAST])


def test_a_vast_use_hides_no_export_that_follows():
    sent = export("red-3", t_us=MORNING + HOUR)
    assert len([one for one in raised([VAST, sent]) if one.signal == "export"]) == 2
    assert raised([VAST])[0].severity == 2, "it must not keep the day out of what is slow"


def test_a_vast_use_is_found_beside_things_that_nobody_knows():
    for names in (("us.key/new", "us.key/t0"), ("x", "y", "us.key/t0")):
        assert score_of(watched(), replace(VAST, objects=names), "bulk") > CHANNELS["bulk"].floor


def test_what_is_large_for_a_thing_is_not_told_of_whoever_always_takes_so_much():
    sentinel = watched()
    told = score_of(sentinel, VAST, "bulk")
    spread = sentinel.people["red-3"].sizes.old["dataset.read"]
    spread.add({110: 60, 40: 60})
    spread.settle()
    assert score_of(sentinel, VAST, "bulk") < CHANNELS["bulk"].floor < told


def test_a_large_download_of_anything_is_judged_against_downloads_alone():
    sentinel = watched()
    event = replace(VAST, action="dataset.download")
    for _ in range(6):
        sentinel.observe(replace(event, rows=20, bytes=3_000, t_us=MORNING - 2 * HOUR))
    assert score_of(sentinel, event, "bulk") == 0.0


@pytest.mark.parametrize(("make", "channel"), [(fetch, "artifact"), (export, "export")])
def test_whoever_leaves_out_the_grant_is_not_quieter_for_it(make, channel):
    sentinel = watched()
    own = score_of(sentinel, make("red-0", segment="us.key"), channel)
    assert score_of(sentinel, make("red-0", segment="us.key", grant=None), channel) > own + 0.5


def test_how_far_a_use_is_off_its_grant_counts_for_no_more_than_so_much():
    sentinel = watched()
    sentinel.grants.all, sentinel.grants.spread = 10**6, [0.0] * len(sentinel.grants.spread)
    event = fetch("red-0", grant="g-green-0", segment="jp.screen", purpose="other")
    other = replace(event, grant="g-red-0", segment="us.key", purpose="train")
    assert score_of(sentinel, event, "artifact") - score_of(sentinel, other, "artifact") < 2.2 + 2.5


@pytest.mark.parametrize(("make", "channel"), [(fetch, "artifact"), (export, "export")])
def test_a_refused_attempt_counts_by_how_rare_refusals_are(make, channel):
    sentinel = watched()
    use_of = {"artifact": "artifact", "export": "export"}[channel]
    habit = sentinel.habit(f"{use_of}-/human")
    event = make("red-0", outcome="denied", rows=0, bytes=0)
    habit.count, habit.mean = 1_000, 0.0
    rare = score_of(sentinel, event, channel)
    habit.mean = 0.9
    assert rare > score_of(sentinel, event, channel) + 0.4


@pytest.mark.parametrize("channel", ["artifact", "export", "object"])
def test_what_is_apart_or_closed_is_a_sign(channel):
    sentinel = watched()
    thing = {"artifact": ("model-blue",), "export": ("us.key/odd",), "object": ("us.key/odd",)}[
        channel
    ]
    more = {
        "object": {},
        "export": {"action": "embedding.export"},
        "artifact": {"action": "artifact.download", "segment": ""},
    }
    event = use("red-0", MORNING, objects=thing, **more[channel])
    bare = score_of(sentinel, event, channel)
    wide = sentinel.circles["*"]
    for name in ("blue-1", "blue-2"):
        for day in range(16):
            wide.learn(name, ["o:" + thing[0]], NOW // DAY_US - 2 + day // 8, 0)
    closed = score_of(sentinel, event, channel)
    for name, who in sentinel.people.items():
        if name.startswith("blue"):
            who.kind = "workload"
    assert closed != bare
    assert score_of(sentinel, event, channel) > closed + 0.1


def test_a_row_of_exports_adds_a_little_to_one():
    sentinel = watched()
    alone = score_of(sentinel, export("red-0"), "export")
    for number in range(3):
        sentinel.observe(export("red-0", t_us=MORNING - (4 - number) * MINUTE))
    assert alone < score_of(sentinel, export("red-0"), "export") < alone + 0.8


def test_an_action_that_nobody_uses_is_judged_apart_from_exports():
    event = use("red-3", MORNING, action="blorp", rows=0, bytes=10**12, grant=None)
    sentinel = watched()
    assert score_of(sentinel, event, "export") == 0.0
    assert score_of(sentinel, event, "renamed") > CHANNELS["renamed"].floor
    assert "export" in signals([event])


def test_nobody_alone_sets_a_threshold():
    from safehold.sentinel.threshold import ALONE, ranked

    blocks = [[1, {"a": 900.0, "b": 2.0, "c": 1.0}], [2, {"a": 800.0, "c": 1.5}]]
    assert ranked(blocks) == [2.0 * ALONE, 2.0 * ALONE, 2.0, 1.5, 1.0]
    assert ranked([[1, {"a": 9.0}]]) == [9.0], "of one alone nobody can say more"
    thresholds = Sentinel(Settings()).thresholds
    for name in ("reach", "papers", "bulk"):
        for day in range(7, 14):
            for number in range(6):
                thresholds.note(name, f"p{number}", day, 6.0)
        thresholds.note(name, "p0", 10, 1_000.0)
    thresholds.turn(14, 0, 20.0)
    for name in ("reach", "papers", "bulk"):
        assert thresholds.now[name] < 6.0 * ALONE + 1.5


@pytest.mark.parametrize("statistic", sorted(WEIGHTS))
def test_every_sign_counts_by_its_weight_and_none_may_be_left_out(statistic):
    signs = dict.fromkeys(WEIGHTS[statistic], 1.0)
    whole = weigh(statistic, signs)
    for name, weight in WEIGHTS[statistic].items():
        assert weigh(statistic, signs | {name: 3.0}) == pytest.approx(whole + 2.0 * weight)
        assert weigh(statistic, signs | {"beside": 9.0}) == whole
        with pytest.raises(KeyError):
            weigh(statistic, {other: 1.0 for other in signs if other != name})


def handmade(**more: object) -> Held:
    """Return a refused second try of an agent at a model, every part of it odd by another number."""
    event = replace(
        fetch("bot-red"), outcome="denied", rows=0, bytes=0, segment="s1", objects=("a", "b")
    )
    felt = {"s:s1": 1.1, "o:a": 1.3, "o:b": 1.2, "f:fam": 0.7, "a:artifact": 2.1, "g:none": 5.0,
            "p:a\x1fb": 1.9, "q:fam\x1fother": 1.4, "x:h1\x1fh2": 1.6, "j:h1": 0.1, "j:h2": 0.2}  # fmt: skip
    who = Profile("bot-red", "agent", 0)
    who.known["o:b"] = 1.0
    base = {"hour": 0.6, "extra": 0.8, "approved": 0.9, "again": True, "strange": 1.5, "amiss": 2.2,
            "far": {"o:a": 0.4, "o:b": 0.3}, "unasked": 1.7}  # fmt: skip
    return Held(event, who, MORNING, MORNING // DAY_US, "artifact", felt, [], ["p:a\x1fb"], None, **base | more)  # fmt: skip


def test_signs_are_what_the_table_says(monkeypatch):
    """Each by its own number: none is another's, none is forgotten, and what is bounded is."""
    given = {}
    monkeypatch.setattr(
        "safehold.sentinel.newness.weigh", lambda name, signs: given.update({name: signs}) or 9.0
    )
    monkeypatch.setattr(
        "safehold.sentinel.signals.weigh", lambda name, signs: given.update({name: signs}) or 9.0
    )
    sentinel = Sentinel(Settings())
    monkeypatch.setattr(
        "safehold.sentinel.newness._apart_of", lambda _, __, key: {"s:s1": 2.5, "o:a": 2.4}[key]
    )
    monkeypatch.setattr(Circle, "closed", lambda _, key: {"s:s1": 3.1, "o:a": 3.3}[key])
    monkeypatch.setattr(Circle, "unmet", lambda _, one, other: {("h1", "h2"): 0.55}[one, other])
    whole = {"segment": 1.1, "object": 1.3, "family": 0.7, "apart": 2.5, "closed": 3.3, "far": 0.4, "unasked": 1.7,
             "amiss": 2.2, "bare": 3.0, "strange": 1.5, "off": 1.0, "extra": 0.8, "action": 2.1, "hour": 0.6,
             "denied": 1.0, "again": 1.0, "machine": 1.0, "approved": 0.9}  # fmt: skip
    odd_use(sentinel, handmade(), "artifact", refused=0.35)
    assert given.pop("artifact") == whole | {"refused": 0.35}
    held = handmade()
    found = list(first_time(sentinel, held))
    assert given.pop("segment") == whole | {"family": 0.0}, "of what is new alone"
    assert (found[0].channel, found[0].facts["key"]) == ("segment", "s:s1")
    held.who.known["s:s1"] = 1.0
    found = list(first_time(sentinel, held))
    assert given.pop("object") == whole | {"family": 0.0, "segment": 0.0, "apart": 2.4}
    assert (found[0].channel, found[0].facts["key"]) == ("object", "o:a")
    together(sentinel, handmade(), 1.9, 2.1)
    assert given.pop("join") == {"pair": 1.9, "homes": 1.6, "families": 1.4, "unmet": 0.55, "many": 2.0, "object": 1.3,
                                 "closed": 3.3, "far": 0.4, "extra": 0.8, "action": 2.1, "approved": 0.9}  # fmt: skip
    assert not given


def test_a_search_counts_by_three_quarters_of_what_an_export_does(monkeypatch):
    monkeypatch.setattr("safehold.sentinel.newness.weigh", lambda _statistic, _signs: 4.0)
    for action, score in (("embedding.export", 4.0), ("embedding.search", 3.0)):
        assert score_of(watched(), export("red-0", action=action), "export") == score


def test_visits_of_nights_before_count_by_two_fifths():
    from safehold.sentinel.nights import CARRY_US, count_night
    from safehold.sentinel.profile import Profile

    who = Profile("p", "human", 0)
    for number in range(4):
        count_night(who, number * 5 * MINUTE, 2.0)
    assert count_night(who, CARRY_US // 5, 2.0) == pytest.approx(1.0 + 0.4 * 4 * 0.82, abs=0.05)
