"""What signals are made of: words, sizes, circles, grants, thresholds, the table of responses, and limits of memory."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from tests.sentinel_desk import HOUR, NOW, SETTINGS, START, raised, routine, use, watched

from safehold.errors import InvalidError
from safehold.sentinel import Alert, Sentinel, Settings
from safehold.sentinel.crowd import Circle, near_hour, share_of
from safehold.sentinel.grants import Grants
from safehold.sentinel.measure import Running, rarity, too_many
from safehold.sentinel.profile import Profile
from safehold.sentinel.response import ACTIONS, RESPONSES, actions_for
from safehold.sentinel.sentence import SEVERITY
from safehold.sentinel.settings import CHANNELS
from safehold.sentinel.sizes import Sizes, Spread, bucket_of
from safehold.sentinel.threshold import Thresholds, bearing
from safehold.sentinel.volume import Usual
from safehold.sentinel.words import (
    ARTIFACT,
    DOWNLOAD,
    EMBEDDING,
    EXPORT,
    JOIN,
    PAPER,
    family_of,
    meaning_of,
)


@pytest.mark.parametrize(
    ("action", "meaning"),
    [
        *((word, EXPORT) for word in ("embedding.export", "embed.export", "export_vectors", "vectors.dump", "exportEmbedding", "embeddings/download", "dataset.export", "copy-out")),
        *((word, ARTIFACT) for word in ("artifact.download", "artifact.pull", "artifact.get", "pullModel", "model_download", "checkpoint.fetch", "GetArtifact")),
        ("download", DOWNLOAD),
        *((word, JOIN) for word in ("dataset.join", "join", "JOIN", "tables.merge", "record_linkage", "psi-sum")),
        *((word, EMBEDDING) for word in ("embedding.search", "vector.query", "embed")),
        *((word, PAPER) for word in ("grant.request", "grant.approve", "catalog.read", "requestAccess", "proposal")),
        *((word, "") for word in ("dataset.read", "feature.build", "run", "train", "artifact.list", "access.intent", "query", "upload", "", "x" * 9_999)),
    ],
)  # fmt: skip
def test_words_are_told_apart(action, meaning):
    assert meaning_of(action) == meaning


def test_families_are_what_stands_before_the_last_mark():
    assert [family_of(name) for name in ("ds/a/t1", "model/a@3", "ns:x", "plain", "/x", "")] == [
        "ds/a",
        "model/a",
        "ns",
        "",
        "",
        "",
    ]


def test_rarity_is_in_powers_of_ten():
    assert rarity(0.001) == pytest.approx(3.0)
    assert rarity(0.0) == 9.0
    assert rarity(1.0) == 0.0


def test_too_many_grows_with_the_count_and_is_nothing_below_the_usual():
    assert too_many(2, 2.5) == 0.0
    assert 0 < too_many(5, 2) < too_many(9, 2)


def test_a_running_mean_follows_and_knows_how_far_away_something_is():
    habit = Running()
    assert habit.far(100, 1.0) == 0.0, "nothing is far from nothing"
    for value in [1.0, 2.0, 3.0] * 20:
        habit.learn(value)
    assert habit.far(2.0, 0.1) == pytest.approx(0, abs=0.5)
    assert habit.far(10.0, 0.1) > 5
    assert Running.from_json(habit.to_json()).to_json() == habit.to_json()


def test_whoever_has_no_habit_is_judged_by_the_others():
    others = Running()
    for value in [1.0, 1.5] * 20:
        others.learn(value)
    assert Running().far(6.0, 0.3, others) > 5


def test_a_share_is_one_of_the_others_and_the_team_weighs_most():
    everybody, team = Circle(), Circle()
    for number in range(20):
        everybody.learn(f"p{number}", ["s:here"] if number < 4 else [], 1, 0)
    for number in range(4):
        team.learn(f"p{number}", ["s:here"], 1, 0)
    assert share_of([everybody], "p9", "s:here") == pytest.approx(0.2, abs=0.03)
    assert share_of([everybody, team], "p9", "s:here") > 0.7
    assert share_of([everybody, team], "p9", "s:there") < 0.01
    only = Circle()
    only.learn("me", ["s:mine"], 1, 0)
    assert only.others("me", "s:mine") == (0, 0), (
        "what somebody does explains nothing of what they do"
    )


def test_two_who_start_the_same_today_explain_nothing_and_a_third_does():
    team = Circle()
    for name in ("a", "b", "c", "d"):
        team.learn(name, [], 1, 0)
    for name in ("a", "b"):
        team.touch(name, "s:new", 2)
    assert team.others("b", "s:new")[0] == 0
    assert team.others("c", "s:new")[0] == 1
    team.touch("a", "s:other", 3)
    assert team.others("c", "s:new")[0] == 0, "that was yesterday"


def test_a_circle_forgets():
    circle = Circle()
    circle.learn("old", ["s:x"], 1, 1)
    circle.learn("young", ["s:x"], 50, 1)
    circle.forget(10, 0.5)
    assert circle.others("me", "s:x") == (1, 1)
    assert circle.days == 1.0


def test_large_is_what_was_large_before_the_last_week():
    sizes = Sizes()
    for day in range(30):
        sizes.roll(day, {"read": dict.fromkeys(range(10), 4), "write": {40: 1}}, fade=0.97)
    assert sizes.cut in (7, 8)
    assert sizes.old["read"].at_least(9) / sizes.old["read"].total == pytest.approx(0.05)
    assert sizes.old["write"].at_least(41) == 0.0
    again = Sizes.from_json(orjson.loads(orjson.dumps(sizes.to_json())))
    assert again.to_json() == sizes.to_json()


def test_what_is_new_this_week_is_no_measure_of_itself():
    sizes = Sizes()
    for day in range(20):
        gone = sizes.roll(day, {"read": {5 if day < 10 else 50: 10}}, fade=0.97)
        assert len(gone) <= 3
    assert sizes.old["read"].at_least(50) == pytest.approx(15.0, rel=0.1)
    assert len(sizes.week) == 7


def test_large_is_what_is_large_for_the_action_by_somebody_and_by_all_of_the_kind():
    usual, who = Usual(), Profile("me", "human", 1)
    assert usual.chance(who, "read", 40) == 0.3
    for _ in range(50):
        usual.learn("human", {"read": {20: 2, 30: 2}, "copy": {90: 2}})
    assert usual.chance(who, "read", 40) < 0.01 < 0.5 < usual.chance(who, "copy", 40)
    who.sizes.old["read"] = Spread({40: 30.0})
    assert 0.3 < usual.chance(who, "read", 40) < 0.5
    kept = Usual.from_json(orjson.loads(orjson.dumps(usual.to_json())))
    assert kept.chance(who, "read", 40) == usual.chance(who, "read", 40)


def test_an_hour_counts_by_how_far_it_lies_from_those_that_are_usual():
    hours = [0.0] * 24
    hours[23] = 8.0
    assert [near_hour(hours, hour) for hour in (23, 0, 1, 11)] == [8.0, 4.0, 2.0, 8.0 / 4096]


def test_sizes_are_of_rows_and_bytes():
    assert bucket_of(0, 0) == 0
    assert (
        bucket_of(1_000, 0)
        < bucket_of(2_000, 0)
        == bucket_of(2_000, 2_000)
        < bucket_of(2_000, 9_000)
    )


def test_a_grant_explains_what_it_was_made_for():
    grants = Grants(100)
    assert grants.evidence(None, "a", "s", 1) == 0.0
    assert grants.evidence("new", "a", "s", 1) == 1.0
    grants.learn("new", "a", "s", "why", 1)
    assert grants.evidence("new", "a", "s", 2) == 1.0
    assert grants.evidence("new", "a", "t", 2) == 0.4
    assert grants.evidence("new", "b", "s", 2) == 0.0, "it is somebody else's"
    assert grants.evidence("new", "a", "s", 20) == 0.0, "it is old"
    grants.learn("new", "a", "t", "why", 2)
    assert grants.evidence("new", "a", "u", 2) == 0.0, "it covers more and more"


def test_a_grant_knows_what_is_off_it():
    grants = Grants(100)
    for _ in range(40):
        grants.learn("g", "a", "s", "why", 1)
    for number in range(
        80
    ):  # one that was used once says nothing of how many are for several things
        grants.learn(f"other{number % 40}", f"p{number % 40}", "s", "why", 1)
    assert grants.strange("g", "a", "s", "why") == 0.0
    assert grants.strange("g", "a", "s", "other") > 1
    assert grants.strange("g", "b", "s", "why") > 1
    assert grants.strange("unknown", "b", "s", "why") == 0.0
    for number in range(40):
        grants.learn(f"other{number}", f"q{number}", "s", "why", 1)
    assert grants.strange("g", "b", "s", "why") < 0.5, (
        "where grants are shared, a second holder is nothing"
    )


def test_grants_are_bounded():
    grants = Grants(100)
    for number in range(1_000):
        grants.learn(f"g{number}", "a", "s", "why", number)
    assert len(grants.seen) <= 100
    assert "g999" in grants.seen


def test_a_threshold_bears_what_the_budget_bears():
    scores = [9.0, 8.0, 7.0, 6.0]
    assert bearing(scores, 2.5, 1.0) == pytest.approx(7.02)
    assert bearing(scores, 0.1, 1.0) > 9.5
    assert bearing(scores, 0.9, 1.0) < bearing(scores, 0.2, 1.0)
    assert bearing(scores, 10, 1.0) == 1.0
    assert bearing([], 0.1, 1.0) == 1.0


def filled(settings: Settings, score: float) -> Thresholds:
    thresholds = Thresholds(settings)
    for day in range(14):
        for number in range(50):
            thresholds.note("export", f"p{number}", day, score + number / 1000)
    return thresholds


def test_thresholds_are_set_from_past_days_within_floor_and_cap():
    channel = CHANNELS["export"]
    for score, expected in ((0.1, channel.floor), (99.0, channel.cap)):
        thresholds = filled(Settings(), score)
        thresholds.turn(14, 0, 50.0)
        assert thresholds.now["export"] == expected


def test_a_threshold_rises_slowly_so_that_noise_hides_little():
    thresholds = filled(Settings(), 2.5)
    thresholds.turn(14, 0, 50.0)
    before = thresholds.now["export"]
    for day in range(14, 21):
        for number in range(50):
            thresholds.note("export", f"p{number}", day, 99.0)
    thresholds.turn(21, 0, 50.0)
    assert before < thresholds.now["export"] <= before * 1.05 + 1e-9


def test_the_shares_of_the_budget_add_up_to_about_one():
    shares = [channel.share for channel in CHANNELS.values()]
    assert min(shares) > 0.0, "a statistic without a share could tell nothing"
    assert 0.9 <= sum(shares) <= 1.05, "all of the budget is spent, and hardly more"
    assert {channel.signal for channel in CHANNELS.values()} == set(SEVERITY)
    assert all(channel.floor < channel.cap for channel in CHANNELS.values())


def test_a_larger_budget_never_gives_a_higher_threshold():
    for budget in (0.5, 1.0, 4.0, 20.0):
        low, high = filled(Settings(budget=budget), 2.5), filled(Settings(budget=budget * 2), 2.5)
        low.turn(14, 0, 50.0)
        high.turn(14, 0, 50.0)
        assert high.now["export"] <= low.now["export"]


def alert(signal: str, severity: int) -> Alert:
    return Alert(t_us=0, principal="p", signal=signal, severity=severity, sentence="", events=(1,))


def test_the_table_of_responses_is_whole_and_suspends_a_runaway_agent():
    assert {line.signal for line in RESPONSES} == set(SEVERITY)
    assert {action for line in RESPONSES for action in line.actions} <= set(ACTIONS)
    assert all(line.actions[-1] == "review" for line in RESPONSES), "somebody always looks"
    assert actions_for(alert("agent", 4), "agent").actions[0] == "suspend_token"
    assert actions_for(alert("agent", 4), "human").actions == ("review",)
    assert actions_for(alert("export", 3), "human").actions[0] == "hold_result"
    assert actions_for(alert("off-hours", 1), "human").actions == ("review",)
    assert actions_for(alert("unheard of", 4), "agent").actions == ("review",)


@pytest.mark.parametrize(
    "wrong", [{"learn_days": -1}, {"learn_days": 999}, {"budget": 0.0}, {"budget": 1e9}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidError):
        Settings(**wrong)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"format": "safehold-sentinel/0"}', b"null", b"\x80\x04"]
)
def test_what_is_no_snapshot_is_refused(data):
    with pytest.raises(InvalidError, match="not a snapshot"):
        Sentinel.restore(data)


def test_a_snapshot_of_other_settings_is_refused():
    with pytest.raises(InvalidError, match="other settings"):
        Sentinel.restore(Sentinel(Settings(budget=1)).snapshot(), Settings(budget=2))


def test_a_snapshot_says_the_same_again():
    sentinel = watched()
    assert Sentinel.restore(sentinel.snapshot(), SETTINGS).snapshot() == sentinel.snapshot()


def test_what_is_kept_of_one_principal_is_bounded():
    settings = replace(SETTINGS, most_keys=200, most_today=50, learn_days=0)
    sentinel = Sentinel(settings)
    for number in range(4_000):
        name = f"o{number}"
        sentinel.observe(
            use("red-3", START + number * 600_000_000, objects=(name, "o"), segment=name)
        )
    who = sentinel.people["red-3"]
    assert len(who.known) <= 200
    assert max(len(who.today.scores), len(who.today.ok), len(who.today.rare)) <= 50
    assert len(who.broad_keys) <= 50
    assert max(len(who.new), len(who.large), len(who.recent), len(who.refused)) <= 64


def test_principals_are_bounded_and_those_with_habits_stay():
    sentinel = watched()
    sentinel.settings = replace(SETTINGS, most_principals=60)
    base = use("red-3", NOW + HOUR)
    for number in range(500):
        sentinel.observe(replace(base, principal=f"ghost-{number}"))
    assert len(sentinel.people) <= 61
    assert "red-3" in sentinel.people
    assert "bot-red" in sentinel.people


def test_who_is_not_seen_for_weeks_is_forgotten():
    sentinel = watched()
    raised([use("red-0", NOW + number * 24 * HOUR) for number in range(1, 70, 3)], sentinel)
    assert set(sentinel.people) == {"red-0"}


def test_thresholds_follow_what_was_seen_and_not_the_floor_alone():
    low = {name: replace(one, floor=one.floor / 4) for name, one in CHANNELS.items()}
    sentinel = Sentinel(replace(SETTINGS, channels=low))
    told = [alert for event in routine() for alert in sentinel.observe(event)]
    raised_above = {
        name for name, value in sentinel.thresholds.now.items() if value > low[name].floor * 1.2
    }
    assert len(raised_above) >= 3
    assert len(told) <= 8, "past days, and no floor, hold what is told of the routine down"
