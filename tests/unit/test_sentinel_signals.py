"""Every signal: what raises it, and what is near and does not."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from tests.sentinel_desk import (
    DAYS,
    HOUR,
    MINUTE,
    NOW,
    SETTINGS,
    START,
    day,
    raised,
    routine,
    signals,
    told_in_routine,
    use,
    watched,
)

from safehold.sentinel import Event, Sentinel, Settings

DAY = 24 * HOUR
MORNING = NOW + 11 * HOUR
FOREIGN = ("fr.mail", "fr.call", "br.mail", "br.call", "in.mail")


def many(
    count: int, step: int, principal: str, start: int = MORNING, **more: object
) -> list[Event]:
    return [use(principal, start + number * step, **more) for number in range(count)]


def days(first: int, count: int) -> list[Event]:
    random = Random(5)
    return [event for number in range(first, first + count) for event in day(number, random)]


def test_the_routine_raises_nothing():
    assert told_in_routine() == ()
    assert not watched().learning


def test_an_export_by_somebody_who_never_does_is_told_at_once():
    (alert,) = raised([use("red-3", MORNING, action="embedding.export")])
    assert (alert.signal, alert.severity, alert.events) == ("export", 3, (100_000,))
    assert "usual: 0 of their" in alert.sentence


def test_an_export_many_times_the_size_is_told_even_of_who_exports():
    assert "export" in signals(
        [use("red-0", MORNING, action="embedding.export", rows=90_000, bytes=14_000_000)]
    )


def test_an_ordinary_export_is_not_told():
    assert signals([use("red-0", MORNING, action="embedding.export")]) == set()


def test_an_export_that_was_refused_and_is_tried_again_is_the_worst():
    tried = many(2, MINUTE, "red-3", action="embedding.export", outcome="denied", rows=0, bytes=0)
    assert [alert.severity for alert in raised(tried) if alert.signal == "export"] == [3, 4]


def test_a_join_that_nobody_makes_is_told_at_once():
    odd = use("red-1", MORNING, action="dataset.join", objects=("us.chat/t0", "jp.metric/t0"))
    assert [alert.signal for alert in raised([odd])] == ["join"]


def test_a_join_that_the_team_makes_is_not_told():
    usual = use("red-1", MORNING, action="dataset.join", objects=("us.key/t0", "us.chat/t0"))
    assert signals([usual]) == set()
    turned = replace(usual, objects=tuple(reversed(usual.objects)))
    assert signals([turned]) == set(), "the order of the objects says nothing"


def test_an_artifact_of_another_team_is_told_at_once():
    taken = use(
        "red-3", MORNING, action="artifact.download", objects=("model-blue",), segment="", rows=0
    )
    assert "artifact" in signals([taken])


def test_an_artifact_that_somebody_fetches_every_week_is_not_told():
    taken = use(
        "red-0", MORNING, action="artifact.download", objects=("model-red",), segment="", rows=0
    )
    assert signals([taken]) == set()


def test_a_download_of_another_teams_model_is_an_artifact_with_a_habit_of_its_own():
    """The word alone does not tell what was downloaded: it is judged as an artifact, and is no habit of fetching any."""
    sentinel = watched()
    taken = use("red-3", MORNING, action="download", objects=("model-blue",), segment="", rows=0)
    assert "artifact" in signals([taken], sentinel)
    assert sentinel.people["red-3"].today.counts == {"download": 1}
    fetches = use("red-0", MORNING, action="download", objects=("model-red",), segment="", rows=0)
    assert "artifact" in signals([replace(fetches, objects=("model-blue",))])
    assert signals([replace(fetches, action="artifact.download")]) == set()


def test_a_runaway_agent_is_told_within_two_minutes():
    wild = [
        use("bot-red", MORNING + number * 500_000, segment=FOREIGN[number % 5])
        for number in range(600)
    ]
    first = next(alert for alert in raised(wild) if alert.signal == "agent")
    assert first.severity == 4
    assert first.t_us - MORNING <= 2 * MINUTE
    assert len(first.events) > 1


def test_an_agent_at_twice_its_pace_is_not_told():
    assert "agent" not in signals(many(8, 30_000_000, "bot-red"))


def test_nights_are_told_of_whoever_has_none():
    night = many(6, 9 * MINUTE, "red-3", NOW + 2 * HOUR)
    found = [alert for alert in raised(night) if alert.signal == "off-hours"]
    assert len(found) == 1, "one night is one alert"
    assert found[0].severity <= 1


def test_an_early_morning_is_not_told():
    assert "off-hours" not in signals([use("red-3", NOW + 8 * HOUR - MINUTE)])


def test_a_segment_that_nobody_around_uses_is_told():
    assert "first-time" in signals([use("red-3", MORNING, segment="fr.mail", grant=None)])


def test_a_segment_of_the_own_team_is_not_told():
    assert signals([use("red-3", MORNING, segment="us.chat")]) == set()


def test_a_new_grant_for_the_segment_counts_for_something_and_an_old_one_for_nothing():
    """Another team's segment: that it is new is one sign, whose it is another; a new grant takes off."""
    approved = use("red-3", MORNING, segment="jp.screen", grant="g-new")
    assert signals([approved]) == set()
    assert "first-time" in signals([replace(approved, grant="g-red-3")])
    assert "first-time" in signals([replace(approved, grant=None)])


def test_one_new_grant_does_not_cover_everything():
    spread = [
        use("red-3", MORNING + number * HOUR // 4, segment=segment, grant="g-new")
        for number, segment in enumerate(FOREIGN)
    ]
    assert {"first-time", "scope"} & signals(spread)


def test_a_new_grant_for_each_of_many_segments_is_scope():
    spread = [
        use("red-3", MORNING + number * DAY, segment=segment, grant=f"g-{segment}")
        for number, segment in enumerate((*FOREIGN, "in.call", "cn.mail"))
    ]
    assert "scope" in signals(spread)


def test_one_new_segment_is_no_scope():
    assert "scope" not in signals([use("red-3", MORNING, segment="jp.metric", grant="g-new")])


def test_a_little_more_every_day_is_told_within_days():
    slow = [
        use("red-3", START + number * DAY + (9 + hour) * HOUR, rows=4_500, bytes=700_000)
        for number in range(DAYS, DAYS + 9)
        for hour in range(8)
    ]
    alerts = [alert for alert in raised(slow + days(DAYS, 9)) if alert.principal == "red-3"]
    assert "slow" in {alert.signal for alert in alerts}


def test_nine_more_ordinary_days_are_not_slow():
    assert "slow" not in signals(days(DAYS, 9))


def test_refusals_in_a_row_are_told_and_one_is_not():
    refused = many(9, MINUTE, "red-3", outcome="denied", rows=0, bytes=0)
    alert = next(one for one in raised(refused) if one.signal == "denied")
    assert alert.severity == 3, "they were tried again"
    assert signals(refused[:2]) == set()


def test_a_purpose_that_nobody_states_is_drift():
    assert "drift" in signals([use("red-3", MORNING, purpose="rate_people")])
    assert signals([use("red-3", MORNING, purpose="train")]) == set()


def test_nothing_is_told_while_it_learns():
    sentinel = Sentinel(SETTINGS)
    assert raised([use("red-3", START, action="embedding.export")], sentinel) == []
    assert sentinel.learning


def test_without_days_to_learn_it_watches_at_once():
    sentinel = Sentinel(Settings(learn_days=0))
    wild = [
        use("bot-red", START + number * 300_000, segment=FOREIGN[number % 5])
        for number in range(600)
    ]
    assert raised(wild, sentinel)


def test_a_newcomer_who_does_what_the_team_does_is_not_told():
    morning = [
        replace(
            use("red-3", MORNING + number * MINUTE * 20), principal="red-new", grant="g-red-new"
        )
        for number in range(20)
    ]
    assert signals(morning) == set()


def test_a_newcomer_is_told_with_less_certainty():
    odd = replace(
        use("red-3", MORNING, action="embedding.export", segment="fr.mail", grant=None),
        principal="red-new",
    )
    settled = replace(odd, principal="red-3")
    new, old = raised([odd]), raised([settled])
    assert max((one.severity for one in new), default=0) < max(one.severity for one in old)
    assert all("are known" in one.sentence for one in new)


def test_after_a_move_the_new_team_explains_what_is_new():
    moved = [
        replace(use("red-3", MORNING + number * HOUR // 2, segment=segment), team="blue")
        for number, segment in enumerate(("jp.screen", "jp.metric") * 4)
    ]
    assert signals(moved) == set()
    stayed = [replace(event, team="red") for event in moved]
    assert "first-time" in signals(stayed)


def test_an_episode_is_told_once_and_again_when_it_is_worse():
    sentinel = watched()
    quiet = raised(many(3, MINUTE, "red-3", segment="fr.mail", grant=None), sentinel)
    assert [alert.signal for alert in quiet].count("first-time") == 1
    later = raised(
        many(1, MINUTE, "red-3", NOW + 40 * HOUR, segment="br.mail", grant=None), sentinel
    )
    assert "first-time" in {alert.signal for alert in later}, "a day later it is a new one"


def test_sentences_name_no_object_purpose_or_grant():
    odd = use("red-3", MORNING, action="embedding.export", objects=("secretplan",), segment="fr.mail",
              purpose="rate_people", grant="g-odd")  # fmt: skip
    bare = replace(odd, objects=("secretplan", "other"), t_us=MORNING + 1, grant=None)
    alerts = raised([odd, bare])
    assert len(alerts) >= 3
    for alert in alerts:
        assert not any(
            word in alert.sentence for word in ("secretplan", "rate_people", "g-odd", "fr.mail")
        )


@pytest.mark.parametrize("back", [1, HOUR, 3 * DAY])
def test_an_event_that_says_it_is_older_counts_as_of_now(back):
    sentinel = watched()
    before = sentinel.last_us
    sentinel.observe(use("red-3", before - back))
    assert sentinel.last_us == before


def test_the_routine_is_long_enough_to_mean_something():
    assert len(routine()) > 5_000


def test_to_ask_for_data_is_no_use_of_it_and_teaches_nothing_about_it():
    sentinel = watched()
    asked = [
        use(
            "red-3",
            MORNING + n * DAY,
            action="grant.request",
            segment="fr.mail",
            grant=None,
            rows=0,
            bytes=0,
        )
        for n in range(3)
    ]
    assert signals(asked, sentinel) == set()
    assert "first-time" in signals(
        [use("red-3", MORNING + 4 * DAY, segment="fr.mail", grant=None)], sentinel
    )


def test_whoever_approves_a_grant_does_not_hold_it():
    approved = use(
        "red-2",
        MORNING,
        action="grant.approve",
        segment="fr.mail",
        objects=(),
        grant="g-new",
        rows=0,
        bytes=0,
    )
    first = use("red-3", MORNING + HOUR, segment="fr.mail", objects=(), grant="g-new")
    assert signals([approved, first]) == set()


def test_a_grant_of_somebody_else_is_drift():
    sentinel = watched()
    sentinel.grants.all = 4_000  # of so many grants hardly one had a second holder
    assert "drift" in signals([use("red-3", MORNING, grant="g-blue-3")], sentinel)


def test_a_new_table_of_a_family_of_ones_own_is_nothing_and_of_another_is_something():
    assert signals([use("red-3", MORNING, objects=("us.key/t9",))]) == set()
    assert "first-time" in signals([use("red-3", MORNING, objects=("fr.mail/t9",), grant=None)])
