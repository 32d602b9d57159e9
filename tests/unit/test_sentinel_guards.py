"""Guards of the sentinel, each by itself: families, echoes, the weekly correction, approvals, bursts, refusals, two minutes."""

from __future__ import annotations

from dataclasses import replace
from math import log

import orjson
import pytest
from tests.sentinel_desk import HOUR, MINUTE, NOW, SETTINGS, raised, signals, use, watched

from safehold.clock import DAY_US, SECOND_US
from safehold.sentinel import Alert, Sentinel, Settings
from safehold.sentinel.bursts import MOST, ROWS, Bursts, count_use
from safehold.sentinel.crowd import Circle
from safehold.sentinel.evidence import BARE, KIN, explained
from safehold.sentinel.grants import KNOWN, Grants
from safehold.sentinel.measure import Running
from safehold.sentinel.nights import count_night
from safehold.sentinel.profile import Profile
from safehold.sentinel.settings import CHANNELS
from safehold.sentinel.threshold import LEAST_GROWN, MOST_GROWN, Thresholds
from safehold.sentinel.volume import close
from safehold.sentinel.words import approves

MORNING = NOW + 11 * HOUR


def somebody() -> Profile:
    who = Profile("p", "human", 1)
    who.active = 12.0
    return who


def others(*keys: str) -> list[Circle]:
    circle = Circle()
    for number in range(20):
        circle.learn(f"other-{number}", list(keys) if number < 10 else [], 1, 0)
    return [circle]


PAIR = "p:ds/a/x\x1fds/b/y"


def test_a_pair_is_expected_where_its_families_are_brought_together_anyway():
    who = somebody()
    assert explained(who, PAIR, others()) < 0.05
    assert explained(who, PAIR, others("q:ds/a\x1fds/b")) > 0.4 * KIN, "half of the others do"
    who.known["q:ds/a\x1fds/b"] = 5.0
    assert explained(who, PAIR, others()) == KIN
    assert explained(who, "p:ds/a/x\x1fds/c/y", others()) < 0.05


def test_a_pair_within_one_family_is_no_matter_of_the_join():
    assert explained(somebody(), "p:ds/a/x\x1fds/a/y", others()) == KIN


def test_new_tables_of_families_that_the_team_joins_are_not_told():
    near = use("red-1", MORNING, action="dataset.join", objects=("us.key/t8", "us.chat/t9"))
    assert "join" not in signals([near])
    assert "join" in signals([replace(near, objects=("us.key/t8", "jp.metric/t9"))])


def test_a_day_with_a_severe_alert_leaves_no_echo_in_the_sizes_of_the_week():
    for severe, traces in ((True, 0), (False, 1)):
        who = somebody()
        who.today.sizes, who.today.severe = {"read": {40: 9}}, severe
        close(Sentinel(), who, learn=True)
        assert len(who.sizes.old) == traces


def test_a_day_with_a_severe_alert_leaves_no_echo_in_the_pace():
    who = somebody()
    who.today.sums, who.today.severe = {"n:read": [99.0, 0.0]}, True
    assert close(Sentinel(), who, learn=True) == {}
    assert not who.paces
    who.today.severe = False
    close(Sentinel(), who, learn=True)
    assert who.paces["n:read"].old.count == 1


def test_scores_in_the_week_after_a_severe_alert_set_no_threshold():
    sentinel = watched()
    assert raised([use("red-3", MORNING, action="embedding.export")], sentinel)
    after = [
        use("red-3", MORNING + number * DAY_US, action="embedding.export") for number in (1, 2, 10)
    ]
    raised(after, sentinel)
    noted = [block for block, kept in sentinel.thresholds.past["export"] if "red-3" in kept]
    first = MORNING // DAY_US
    assert not {first + 1, first + 2} & set(noted)
    assert first + 10 in noted


def week_by_week(told: int, weeks: int) -> Thresholds:
    thresholds = Thresholds(Settings())
    for day in range(14 + 7 * weeks + 1):
        thresholds.turn(day, 0, 100.0)
        if day >= 14 and day % 7 == 3:
            for _ in range(told):
                thresholds.tell("export", day)
    return thresholds


def test_a_statistic_that_tells_little_gets_more_of_the_budget_each_week_up_to_a_bound():
    assert "export" not in week_by_week(0, 0).grown
    assert week_by_week(0, 1).grown["export"] == pytest.approx(1.3)
    assert week_by_week(0, 9).grown["export"] == MOST_GROWN


def test_a_statistic_that_tells_much_gets_less_of_the_budget_down_to_a_bound():
    assert week_by_week(40, 1).grown["export"] == pytest.approx(1 / 1.3)
    assert week_by_week(40, 9).grown["export"] == LEAST_GROWN
    borne = Settings().budget * Settings().margin * CHANNELS["export"].share * 7
    assert week_by_week(round(borne), 3).grown["export"] == 1.0, (
        "as much as is borne changes nothing"
    )


def known_grants() -> Grants:
    grants = Grants(1_000)
    for number in range(2 * KNOWN):
        for _ in range(2):
            grants.learn(f"other-{number}", f"p{number}", "s", "why", 1)
    return grants


def test_an_approval_tells_what_a_grant_is_for_before_its_first_use():
    grants = known_grants()
    assert grants.strange("g", "me", "elsewhere", "why") == 0.0, "nothing is known of it"
    grants.approve("g", "lead", "s", "why", 2)
    assert grants.strange("g", "me", "s", "why") == 0.0
    assert grants.strange("g", "me", "elsewhere", "why") > 2
    assert grants.strange("g", "me", "s", "other") > 2


def test_nobody_approves_for_themselves():
    grants = Grants(100)
    grants.approve("g", "me", "s", "why", 1)
    assert not grants.backed("g", "me")
    assert grants.backed("g", "somebody")
    grants.learn("mine", "me", "s", "why", 1)
    grants.approve("mine", "me", "elsewhere", "why", 1)
    assert not grants.backed("mine", "somebody")
    assert grants.strange("mine", "me", "elsewhere", "why") == 0.0, "too little is known of it"
    grants.approve("g", "lead", "s", "why", 1)
    assert grants.backed("g", "me")


def test_where_few_grants_are_known_it_takes_uses_to_tell_what_one_is_for():
    grants = Grants(100)
    grants.learn("g", "me", "s", "why", 1)
    assert grants.strange("g", "me", "elsewhere", "why") == 0.0
    many = known_grants()
    many.learn("g", "me", "s", "why", 1)
    assert many.strange("g", "me", "elsewhere", "why") > 2


@pytest.mark.parametrize(
    ("action", "told"),
    [("grant.approve", True), ("grant.approved", True), ("grantApproved", True), ("grant.request", False),
     ("grant.revoked", False), ("grant.disapproved", False), ("", False)],
)  # fmt: skip
def test_what_approves(action, told):
    assert approves(action) is told


def test_a_new_grant_without_an_approval_explains_little_where_all_have_one():
    """The same first use, under a new grant: with an approval, without one, and where nobody ever has one."""
    new = use("red-3", MORNING, segment="jp.screen", grant="g-new")
    approval = use(
        "red-2",
        MORNING - HOUR,
        action="grant.approve",
        objects=(),
        segment="jp.screen",
        grant="g-new",
    )
    assert signals([new]) == set(), "in this company no approval is ever seen"
    strict = watched()
    for who in strict.people.values():
        who.known.pop(BARE, None)
    for circle in strict.circles.values():
        circle.who.pop(BARE, None)
    for day in strict.people.values():
        day.today.ok.pop(BARE, None)
    again = strict.snapshot()
    assert "first-time" in signals([new], Sentinel.restore(again, SETTINGS))
    assert signals([approval, new], Sentinel.restore(again, SETTINGS)) == set()


def test_how_many_come_within_an_hour_is_held_against_the_hours_of_other_days():
    bursts, who = Bursts(), somebody()
    other = Profile("q", "human", 1)
    assert bursts.chance(who, "export", 1) == 1.0
    assert bursts.chance(who, "export", 2) == 0.5, "nobody has shown anything"
    for _ in range(40):
        bursts.learn(other, {"export": 1})
    rare = bursts.chance(who, "export", 2)
    assert rare < 0.06
    for _ in range(20):
        bursts.learn(who, {"export": 3})
    assert bursts.chance(who, "export", 2) > 0.5, "their own days count most"
    assert bursts.chance(who, "export", 99) <= bursts.chance(who, "export", MOST)
    bursts.fade(0.001)
    assert bursts.seen == {}


def counted(who: Profile, what: str, *at: tuple[int, str]) -> list[int]:
    """How many in a row there are after each use, at so many minutes, of so named things."""
    return [
        count_use(
            who, ROWS[what][-1], use("red-0", NOW, objects=tuple(names.split())), minute * MINUTE
        )
        for minute, names in at
    ]


def test_exports_of_an_hour_are_a_row_whatever_is_exported():
    who = somebody()
    at = tuple((minute, "same") for minute in (0, 30, 59, 61, 200))
    assert counted(who, "export", *at) == [1, 2, 3, 3, 1]
    assert who.today.fullest == {"export": 3}
    assert counted(who, "export", *((201, "same"),) * 50)[-1] == MOST
    assert len(who.lately["export"]) == MOST


def test_different_artifacts_of_ten_minutes_are_a_row_and_the_same_again_is_none():
    who = somebody()
    assert counted(who, "artifact", (0, "m@3"), (1, "m@3"), (2, "m@2"), (9, "m@1")) == [1, 1, 2, 3]
    assert counted(who, "artifact", (11, "m@1"), (12, "m@4")) == [2, 2], "m@3 and m@2 are too old"
    assert who.today.fullest == {"artifact/other": 3}
    assert counted(who, "artifact", (40, "m@1 m@2 m@1"), (60, "")) == [2, 1], "one use names two"
    assert counted(who, "artifact", *((61, f"m@{n}") for n in range(50)))[-1] == MOST
    assert len(who.lately["artifact/other"]) == MOST


def test_the_second_model_in_ten_minutes_is_told_and_the_same_again_or_a_slow_one_later():
    """red-0 fetches one model, about every other day; none of these is new to them, and others fetched them just now."""
    sentinel = watched()
    for number in (2, 1):
        sentinel.idle.note(f"model-red@{number}", "red-4", MORNING - HOUR)
    known = {f"o:model-red@{number}": 6.0 for number in range(3)} | {"f:model-red": 9.0}
    sentinel.people["red-0"].known |= known
    kept = sentinel.snapshot()

    def told(names: str, minutes: int) -> list[Alert]:
        events = [
            use("red-0", MORNING + place * minutes * MINUTE, action="artifact.download", segment="",
                objects=(f"model-red@{name}",), rows=0, bytes=4_000_000)
            for place, name in enumerate(names)
        ]  # fmt: skip
        found = raised(events, Sentinel.restore(kept, SETTINGS))
        return [one for one in found if one.signal == "artifact"]

    (one,) = told("21", 2)
    assert "2 different ones within ten minutes (usual: on 0 of their" in one.sentence
    assert told("22", 2) == told("21", 11) == []
    assert "3 within an hour (usual: on 0 of their" in told("222", 2)[0].sentence


def test_a_row_goes_on_after_a_restart():
    who = somebody()
    counted(who, "artifact", (0, "b"), (0, "a"))
    other = Profile.from_json(
        orjson.loads(orjson.dumps(who.to_json(), option=orjson.OPT_SORT_KEYS))
    )
    later = tuple((0, f"m{n}") for n in range(12))
    assert counted(who, "artifact", *later) == counted(other, "artifact", *later)
    assert who.lately == other.lately


def test_the_second_export_in_ten_minutes_is_told_of_whoever_exports_seldom():
    """red-0 exports about every other day, and hardly ever twice within an hour."""
    two = [use("red-0", MORNING + n * 4 * MINUTE, action="embedding.export") for n in range(4)]
    found = [alert for alert in raised(two) if alert.signal == "export"]
    assert found
    assert found[0].t_us <= two[2].t_us


def test_a_refused_export_weighs_as_much_as_refusals_of_exports_are_rare():
    tried = use("red-0", MORNING, action="embedding.export", outcome="denied", rows=0, bytes=0)
    again = use("red-0", MORNING + MINUTE, action="embedding.export", rows=200, bytes=30_000)
    assert "export" in signals([tried, again])
    assert "export" not in signals([replace(again, t_us=MORNING)])


def test_two_minutes_of_a_machine_are_counted_apart_from_five():
    who = somebody()
    for second in range(0, 200, 10):
        who.count_rate(second * 1_000_000)
    assert (who.soon_sum, who.slot_sum) == (12, 20)
    who.count_rate(3_600_000_000)
    assert (who.soon_sum, who.slot_sum) == (1, 1)
    assert who.today.soon == 12


def test_two_minutes_beyond_what_was_ever_there_are_told_though_five_minutes_are_not():
    """Days of at most 24 uses in five minutes and five in two, and then 24 in two."""
    sentinel = watched()
    who = sentinel.people["bot-red"]
    for name in ("most_soon", "most_rate", "most_hourly"):
        most: Running = getattr(who, name)
        for _ in range(60):
            most.learn(log(1.0 + (5 if name == "most_soon" else 24)), 0.2)
    going = [use("bot-red", MORNING + number * 5_000_000) for number in range(24)]
    found = [one for event in going for one in sentinel.observe(event) if one.signal == "agent"]
    assert found
    assert found[0].t_us - MORNING <= 2 * MINUTE


def test_one_purpose_after_another_is_scope():
    one = [
        use("red-3", MORNING + number * HOUR // 2, purpose=f"why-{number}", grant=f"g-{number}")
        for number in range(7)
    ]
    found = [alert for alert in raised(one) if alert.signal == "scope"]
    assert found
    assert "new purposes in seven days" in found[0].sentence


def test_the_first_days_say_nothing_of_how_often_something_new_comes():
    who = somebody()
    who.active, nobody = 0.0, Running()
    for day in range(1, 24):
        if day < 5:
            who.today.new["S"] = 4.0
        who.roll(day + 1, learn=True, fade=1.0, most=100)
    assert who.came_of("S", nobody) < 0.05
    assert who.came[-1] > 10


def test_a_job_that_is_late_is_one_visit_however_much_it_does():
    who = somebody()
    assert [count_night(who, second * SECOND_US, 2.0) for second in range(40)][-1] == 1.0
    assert count_night(who, 200 * SECOND_US, 2.0) == 2.0
    assert who.night[6] == 41
