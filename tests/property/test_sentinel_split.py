"""However a stream is cut by restarts, the alerts are the same; and whatever comes, the sentinel goes on."""

from __future__ import annotations

from functools import lru_cache
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sentinel_desk import DAYS, HOUR, MINUTE, NOW, SETTINGS, day, numbered, use, watched

from safehold.sentinel import Event, Sentinel, Settings

ODD = ("fr.mail", "br.mail", "in.mail")


@lru_cache(maxsize=1)
def stream() -> tuple[Event, ...]:
    """Three days with something of everything, some of it odd."""
    random = Random(11)
    events = [event for number in range(DAYS, DAYS + 3) for event in day(number, random)]
    events += [
        use("bot-red", NOW + 12 * HOUR + n * 700_000, segment=ODD[n % 3]) for n in range(200)
    ]
    events += [
        use("red-3", NOW + 26 * HOUR + n * 9 * MINUTE, outcome="denied" if n % 3 else "ok")
        for n in range(9)
    ]
    events += [
        use("blue-3", NOW + 34 * HOUR + n * MINUTE, action="export_vectors", rows=90_000)
        for n in range(4)
    ]
    events += [use("red-1", NOW + 35 * HOUR, action="join", objects=("us.chat/t0", "jp.metric/t0"))]
    return tuple(numbered(events, 50_000))


@lru_cache(maxsize=1)
def whole():
    sentinel = watched()
    alerts = tuple(alert for event in stream() for alert in sentinel.observe(event))
    return alerts, sentinel.snapshot()


def test_the_stream_raises_many_kinds_of_alerts():
    assert len({alert.signal for alert in whole()[0]}) >= 5


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 1_500), max_size=6))
def test_restarts_change_nothing(cuts):
    sentinel, alerts = watched(), []
    for place, event in enumerate(stream()):
        if place in cuts:
            sentinel = Sentinel.restore(sentinel.snapshot(), SETTINGS)
        alerts += sentinel.observe(event)
    assert (tuple(alerts), sentinel.snapshot()) == whole()


def test_a_restart_within_the_days_that_teach_changes_nothing():
    random, short = Random(3), Settings(learn_days=4)
    events = numbered([event for number in range(9) for event in day(number, random)])
    one, other = Sentinel(short), Sentinel(short)
    for place, event in enumerate(events):
        if place % 211 == 0:
            other = Sentinel.restore(other.snapshot(), short)
        assert one.observe(event) == other.observe(event)
    assert one.snapshot() == other.snapshot()


texts = st.text(max_size=12)
wild = st.builds(
    Event,
    number=st.integers(1, 9),
    t_us=st.integers(0, 2**52),
    principal=st.sampled_from(("red-3", "bot-red", "x", "")),
    kind=st.sampled_from(("human", "agent", "workload")),
    role=texts,
    team=texts,
    action=texts,
    objects=st.lists(texts, max_size=9).map(tuple),
    segment=texts,
    purpose=texts,
    rows=st.integers(0, 2**53 - 1),
    bytes=st.integers(0, 2**53 - 1),
    grant=st.none() | texts,
    outcome=st.sampled_from(("ok", "denied")),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(wild, max_size=30), st.booleans())
def test_nothing_that_fits_an_event_stops_it(events, learned):
    sentinel = watched() if learned else Sentinel(Settings(learn_days=0))
    for event in events:
        for alert in sentinel.observe(event):
            assert 0 <= alert.severity <= 4
            assert alert.events[-1] == event.number
    kept = Sentinel.restore(sentinel.snapshot(), sentinel.settings)
    assert kept.snapshot() == sentinel.snapshot()
