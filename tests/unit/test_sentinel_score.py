"""The rule by which the sentinel and its rivals are compared: it favours nobody, and the rivals cannot see ahead."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.access_world import live
from tests.access_world.__main__ import write
from tests.bench.sentinel_peers import DAY, episodes, features, parse, raw, threshold
from tests.bench.sentinel_score import judge

HOUR = 3600


def at(hours):
    return f"2026-04-{1 + int(hours) // 24:02d}T{int(hours) % 24:02d}:00:00+00:00"


EVENTS = [{"t": at(hour), "principal": "a" if hour % 2 else "b"} for hour in range(48)]
TRUTH = [
    {
        "kind": "join",
        "variant": "x",
        "principal": "a",
        "lines": [12, 14],
        "from": at(11),
        "to": at(14),
    }
]


def alert(line, events=None, principal="a", **more):
    return {"t": at(line - 1), "principal": principal, "events": events or [line], **more}


@pytest.mark.parametrize(
    ("alerts", "found", "false"),
    [
        ([], 0, 0),
        ([alert(12)], 1, 0),
        ([alert(14, [10, 12, 14])], 1, 0),
        ([alert(12), alert(14)], 1, 0),
        ([alert(14, [13])], 0, 0),  # in the window, about something else: neither
        ([alert(12, principal="b")], 0, 1),  # right moment, wrong principal
        ([alert(16, [12, 14, 16])], 0, 1),  # too late
        ([alert(20), alert(20), alert(22)], 0, 3),  # every alert counts, not only one a day
        ([alert(2, [2, 12], growing=True)], 1, 0),  # an episode that begins before it
        ([alert(2, [2, 4], growing=True)], 0, 1),
    ],
)
def test_what_is_found_and_what_is_false(alerts, found, false):
    score = judge(EVENTS, TRUTH, alerts, learn_days=0)
    assert (len(score.found), len(score.false), len(score.missed)) == (found, false, 1 - found)


def test_how_late_and_at_which_event():
    (one,) = judge(EVENTS, TRUTH, [alert(14, [14])], learn_days=0).found
    assert (one.seconds, one.event) == (2 * HOUR, 2)


def test_days_and_principals_are_counted_after_the_days_of_learning():
    score = judge(EVENTS, TRUTH, [alert(20)], learn_days=1)
    assert score.false_a_day == pytest.approx(1 / ((47 / 24 - 1) * 2 / 100))


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    write(live(3, people=40, days=45), folder)
    return folder / "events.jsonl"


def test_what_a_rival_knows_of_an_event_comes_from_the_events_before_it(log):
    events = parse(log)[:4_000]
    for columns in (raw, features):
        whole, part = columns(events), columns(events[:2_500])
        assert np.array_equal(whole[:2_500], part)


def test_a_threshold_bears_no_more_episodes_than_it_may(log):
    events = parse(log)[:4_000]
    scores = features(events)[:, 0]
    chosen = np.array([one["day"] < 3 for one in events])
    for most in (0, 1, 5, 20):
        limit = threshold(events, scores, chosen, most)
        found = episodes(events, scores, limit, chosen)
        assert len(found) <= most
        for one in found:
            times = [events[line - 1]["s"] for line in one["events"]]
            assert max(times) - min(times) < DAY


def test_an_attack_shifts_no_line_of_anybody_elses_life(tmp_path):
    calm, attacked = live(3, people=40, days=45, attacked=False), live(3, people=40, days=45)
    swollen = {"slow"}  # its lines are ordinary deeds that carry more
    kinds = {one.number: one.kind for one in attacked.attacks}
    kept = [json.dumps(one.line()) for one in attacked.deeds if one.attack is None]
    same = {json.dumps(one.line()) for one in calm.deeds}
    assert set(kept) <= same
    extra = sum(kinds.get(one.attack) in swollen for one in attacked.deeds)
    assert len(calm.deeds) - len(kept) <= extra
