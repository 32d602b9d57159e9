"""Ways around the sentinel: teach it slowly, drown it, share the work, hide in a night, call things by another name."""

from __future__ import annotations

from collections.abc import Iterator
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
    signals,
    use,
    watched,
)

from safehold.sentinel import Alert, Event, Sentinel, Settings
from safehold.sentinel.settings import CHANNELS

DAY = 24 * HOUR
MORNING = NOW + 11 * HOUR


def told(sentinel: Sentinel, events: Iterator[Event] | list[Event]) -> list[Alert]:
    return [alert for event in events for alert in sentinel.observe(event)]


def export(t_us: int, principal: str = "red-3", **more: object) -> Event:
    return use(principal, t_us, action="embedding.export", rows=80_000, bytes=12_000_000, **more)


def flood(count: int, principals: int, begin: int) -> Iterator[Event]:
    base = use("red-1", begin)
    for number in range(count):
        name = "red-1" if principals == 1 else f"ghost-{number % principals}"
        yield replace(base, number=number, t_us=begin + number * 1_000, principal=name)


@pytest.mark.parametrize("principals", [1, 3_000])
def test_a_flood_of_what_is_ordinary_hides_no_attack(principals):
    sentinel = watched()
    told(sentinel, flood(15_000, principals, NOW + 9 * HOUR))
    assert "export" in {alert.signal for alert in told(sentinel, [export(MORNING)])}


def test_a_flood_of_ones_own_hides_no_attack():
    sentinel = watched()
    told(sentinel, [use("red-3", NOW + 9 * HOUR + number * 10_000) for number in range(15_000)])
    found = told(
        sentinel, [export(MORNING), use("red-3", MORNING + MINUTE, segment="fr.mail", grant=None)]
    )
    assert {"export", "first-time"} <= {alert.signal for alert in found}


def test_a_flood_of_things_of_ones_own_hides_no_new_one():
    sentinel = watched()
    junk = [use("red-3", NOW + 9 * HOUR + n * 10_000, objects=(f"junk{n}",)) for n in range(5_000)]
    told(sentinel, junk)
    found = told(
        sentinel,
        [use("red-3", MORNING, segment="fr.mail", grant=None, objects=()), export(MORNING + 1)],
    )
    assert {"export", "first-time"} <= {alert.signal for alert in found}


@pytest.mark.proof
@pytest.mark.parametrize("principals", [1, 20_000])
def test_a_million_ordinary_events_hide_no_attack(principals):
    sentinel = watched()
    told(sentinel, flood(1_000_000, principals, NOW + 9 * HOUR))
    assert len(sentinel.people) <= SETTINGS.most_principals + 1
    wild = [use("bot-red", MORNING + n * 500_000, segment=f"fr.{n % 7}") for n in range(240)]
    found = {alert.signal for alert in told(sentinel, [export(MORNING), *wild])}
    assert {"export", "agent"} <= found


def test_a_lesser_alert_never_silences_a_severe_one():
    sentinel = watched()
    told(
        sentinel,
        [
            use("red-3", NOW + 3 * HOUR + n * MINUTE, purpose="rate", segment="fr.mail")
            for n in range(20)
        ],
    )
    severe = told(sentinel, [export(MORNING)])
    assert [alert.signal for alert in severe if alert.severity >= 3] == ["export"]
    refused = [export(MORNING + n * MINUTE, outcome="denied") for n in (1, 2)]
    assert 4 in {alert.severity for alert in told(sentinel, refused)}, (
        "the same, and worse, is told in the episode"
    )


def test_alerts_about_others_use_up_nothing_of_mine():
    sentinel = watched()
    crowd = [f"{team}-{n}" for team in ("green", "blue") for n in range(6)]
    told(sentinel, [export(NOW + 9 * HOUR + n * MINUTE, name) for n, name in enumerate(crowd)])
    assert "export" in {alert.signal for alert in told(sentinel, [export(MORNING)])}


def test_what_was_told_does_not_become_habit_within_a_week():
    sentinel = watched()
    for number in range(6):
        at = MORNING + number * DAY
        told(sentinel, [use("red-3", at, segment="fr.mail", grant=None), use("red-3", at + HOUR)])
    assert "s:fr.mail" not in sentinel.people["red-3"].known
    assert "s:us.key" in sentinel.people["red-3"].known


def test_noise_raises_no_threshold_above_its_cap():
    sentinel, random = Sentinel(Settings(learn_days=2)), Random(1)
    for number in range(30):
        loud = [
            export(START + number * DAY + n * HOUR, f"red-{n % 6}", segment=f"x{random.random()}")
            for n in range(23)
        ]
        told(sentinel, loud)
    assert all(value <= CHANNELS[name].cap for name, value in sentinel.thresholds.now.items())


def test_sizes_that_creep_up_for_weeks_are_told():
    random, slow = Random(9), []
    for number in range(DAYS, DAYS + 21):
        factor = 1.06 ** (number - DAYS)
        for event in day(number, random):
            mine = event.principal == "red-3" and event.rows
            slow.append(
                replace(event, rows=int(event.rows * factor), bytes=int(event.bytes * factor))
                if mine
                else event
            )
    assert "slow" in {alert.signal for alert in raised(slow) if alert.principal == "red-3"}


def test_small_uses_do_not_water_down_large_ones():
    slow = [
        use(
            "red-3",
            START + number * DAY + 9 * HOUR + n * MINUTE,
            rows=5_000 if n < 14 else 1,
            bytes=700_000 if n < 14 else 1,
        )
        for number in range(DAYS, DAYS + 8)
        for n in range(200)
    ]
    assert "slow" in signals(slow)


def test_work_that_is_shared_among_three_is_told_of_the_first_two():
    spread = [
        use(f"red-{n}", MORNING + n * MINUTE, segment="fr.mail", grant=None) for n in range(3)
    ]
    found = {alert.principal for alert in raised(spread) if alert.signal == "first-time"}
    assert {"red-0", "red-1"} <= found


def test_an_export_in_a_night_on_call_is_told():
    random = Random(2)
    sentinel, nights = watched(), []
    for number in range(DAYS, DAYS + 14):
        nights += day(number, random)
        if number % 3 == 0:
            nights += [
                use("red-2", START + number * DAY + 2 * HOUR + n * 7 * MINUTE) for n in range(4)
            ]
    raised(nights, sentinel)
    later = START + (DAYS + 16) * DAY + 2 * HOUR
    quiet = [use("red-2", later + n * 7 * MINUTE) for n in range(4)]
    assert told(sentinel, quiet) == [], "nights are usual for them by now"
    assert "export" in {
        alert.signal for alert in told(sentinel, [export(later + 40 * MINUTE, "red-2")])
    }


@pytest.mark.parametrize(
    "name",
    ["embeddings.offload", "dumpVectors", "vectors-download", "sync_embeddings_out", "x.exfil"],
)
def test_an_export_by_another_word_is_told(name):
    assert "export" in signals([replace(export(MORNING), action=name)])


def test_an_export_by_a_word_that_nobody_knows_is_told_by_its_size():
    assert "export" in signals([replace(export(MORNING), action="misc.op7")])


@pytest.mark.parametrize("name", ["dataset.read", "run", "train", "misc.op7"])
def test_a_join_by_another_word_is_told_by_what_it_brings_together(name):
    assert "join" in signals(
        [use("red-1", MORNING, action=name, objects=("us.chat/t0", "jp.metric/t0"))]
    )


def test_an_agent_that_keeps_below_its_rate_is_told_by_its_breadth():
    broad = [
        use("bot-red", MORNING + n * 40_000_000, segment=f"fr.{n}", objects=(f"o{n}",))
        for n in range(80)
    ]
    assert "agent" in signals(broad) or "scope" in signals(broad)


def test_a_day_of_silence_before_changes_nothing():
    assert "export" in signals([export(MORNING + 2 * DAY)])
