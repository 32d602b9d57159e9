"""The made-up access log with planted attacks keeps its promises, whoever judges by it."""

from collections import Counter
from datetime import datetime
from itertools import pairwise

import pytest
from tests.access_bed import Log, live

KINDS = {"export", "join", "artifact", "runaway", "off_hours", "first_time", "slow", "scope"}
LEARN = 4  # few days to learn keep this cheap; the days after are always fifteen


@pytest.fixture(scope="module")
def log() -> Log:
    return live(11, LEARN)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others(log):
    again, other = live(11, LEARN), live(12, LEARN)
    assert log == again
    assert log.truths != other.truths
    assert log.events[:500] != other.events[:500]
    assert [e.line() for e in log.events[::97]] == [e.line() for e in again.events[::97]]


def test_events_are_in_order_of_time(log):
    moments = [e.moment for e in log.events]
    assert moments == sorted(moments)


def test_there_are_five_of_each_kind_after_the_days_to_learn(log):
    assert Counter(t.kind for t in log.truths) == dict.fromkeys(KINDS, 5)
    first = log.events[0].line()[7:17]
    begun = datetime.fromisoformat(first)
    assert all((datetime.fromisoformat(t.start[:10]) - begun).days >= LEARN for t in log.truths)


def test_lines_are_by_the_principal_and_inside_the_window(log):
    for truth in log.truths:
        start, end = datetime.fromisoformat(truth.start), datetime.fromisoformat(truth.end)
        events = [log.events[number - 1] for number in truth.lines]
        assert {e.principal for e in events} == {truth.principal}
        # the log's own form is rounded to milliseconds
        moments = [e.moment for e in events]
        assert start.timestamp() - 0.001 <= min(moments)
        assert max(moments) + 3599 <= end.timestamp()
        assert truth.kind in {"slow", "scope"} or 1 <= len(events) <= 12


def test_nobody_attacks_twice_within_a_day(log):
    for name in {t.principal for t in log.truths}:
        own = sorted((t for t in log.truths if t.principal == name), key=lambda t: t.start)
        for one, next_one in pairwise(own):
            last = log.events[one.lines[-1] - 1].moment
            assert log.events[next_one.lines[0] - 1].moment - last >= 86_400
