"""The HTTP front of collectors: what it lets through, what it holds back, and whom it waits for."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from tests.keeper_desk import Bench
from tests.pair import eventually
from tests.stream_desk import Device, Line, Recorder, events_of, front, post

from safehold.access.lease import LONGEST_US
from safehold.errors import (
    UnavailableError,
)
from safehold.ingest.collector import Unsettled
from safehold.ingest.network import combine
from safehold.ingest.network.answer import KIND, join_envelopes
from safehold.ingest.network.front import (
    ENVELOPES,
    READY,
)
from safehold.ingest.network.line import HttpLine
from safehold.signing import SigningKey


@pytest.fixture
def bench(stream_bench: Bench) -> Bench:
    return stream_bench


def test_a_collector_hands_in_over_http_and_says_how_far_it_counted(bench: Bench) -> None:
    with front(bench) as (url, _, line):
        recorder = Recorder(bench, url)
        recorder.type()
        recorder.line.say(recorder.collector.mark())
        recorder.type()
        recorder.line.close()
    assert recorder.sealed > 0
    assert [seq for _, seq in events_of(bench)] == list(range(recorder.sealed))
    assert set(line.asked) == {"nonce", "lease.obtain-many", "lease.hand-in", "lease.mark"}


@pytest.mark.parametrize("how", ["before", "after"])
def test_what_was_not_heard_is_asked_again_and_stored_once(bench: Bench, how: str) -> None:
    with front(bench) as (url, _, line):
        recorder = Recorder(bench, url)
        line.fails = [how] * 3
        recorder.type()
        recorder.type()
        recorder.line.close()
    assert len(recorder.slept) == 3
    assert all(one >= 2 for one in recorder.slept), "as long as the server asked for"
    assert len(set(recorder.slept)) == 3, "and never the same for all who wait"
    assert [seq for _, seq in events_of(bench)] == list(range(recorder.sealed))
    assert recorder.collector.counters.discarded == 0


@pytest.mark.parametrize("how", ["before", "after"])
def test_when_the_lease_ends_first_it_is_found_out_before_anything_is_recorded(
    bench: Bench, how: str
) -> None:
    """The answer was lost for the whole length of the lease: the numbers go on where the keeper has them."""
    with front(bench) as (url, _, line):
        recorder = Recorder(bench, url)
        line.fails = [how] * 400
        recorder.type()
        assert recorder.sealed == 0
        assert recorder.collector.unsettled is not None
        assert sum(recorder.slept) * 1_000_000 <= LONGEST_US
        bench.clock.advance(2 * LONGEST_US)
        recorder.type("nobody knows yet")
        assert recorder.collector.counters.not_recorded > 0
        line.fails = []
        recorder.type()
        recorder.line.close()
    assert recorder.collector.unsettled is None
    assert [seq for _, seq in events_of(bench)] == list(range(recorder.sealed))
    assert bool(recorder.collector.counters.discarded) == (how == "before")


def test_an_envelope_that_waits_is_settled_by_the_next_run_of_the_collector(bench: Bench) -> None:
    with front(bench) as (url, _, line):
        recorder = Recorder(bench, url)
        line.fails = ["after"] * 400
        recorder.type()
        left = recorder.collector.unsettled
        assert isinstance(left, Unsettled)
        line.fails = []
        recorder.collector = recorder.made(unsettled=left)
        assert recorder.collector.settle()
        recorder.type()
        recorder.line.close()
    assert [seq for _, seq in events_of(bench)] == list(range(recorder.sealed))


def test_many_requests_at_once_are_one_batch(bench: Bench) -> None:
    """While one batch is under way the others gather."""
    devices = [Device(Line(bench), bench, who) for who in ("ana", "bo", "cy")]
    sealed = [one.seal() for one in devices for _ in range(4)]
    with front(bench) as (url, made, line):
        came, real = [], made.combiner.hand_in
        made.combiner.hand_in = lambda given: came.append(given) or real(given)  # type: ignore[method-assign,func-returns-value]
        with line.lock:  # the keeper is at something
            threads = [
                threading.Thread(target=post, args=(url, ENVELOPES, join_envelopes([one]), KIND))
                for one in sealed
            ]
            for one in threads:
                one.start()
            eventually(lambda: len(came) == len(sealed))
            time.sleep(0.1)  # from there into the queue
        for one in threads:
            one.join()
    assert line.asked.count("lease.hand-in") <= 3
    assert len(events_of(bench)) == sum(one.first for one in devices)


def test_what_waits_is_bounded_and_whoever_comes_then_is_told_when_to_come_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(combine.Combiner.__init__, "__kwdefaults__", {"waiting": 1})
    device = Device(Line(bench), bench)
    sealed = [join_envelopes([device.seal()]) for _ in range(4)]
    found: list[Any] = []
    with front(bench) as (url, _, line):
        with line.lock:
            threads = [
                threading.Thread(
                    target=lambda one=one: found.append(post(url, ENVELOPES, one, KIND))
                )
                for one in sealed
            ]
            for one in threads:
                one.start()
                time.sleep(0.2)
            deadline = time.monotonic() + 20
            while len(found) < 2 and time.monotonic() < deadline:
                time.sleep(0.05)
            full = [(status, headers.get("retry-after")) for status, headers, _ in found]
        for one in threads:
            one.join()
    assert full == [(503, "2")] * 2
    assert sorted(status for status, _, _ in found) == [200, 200, 503, 503]


def test_a_keeper_that_is_away_is_said_to_be_so(bench: Bench) -> None:
    device = Device(Line(bench), bench)
    with front(bench) as (url, _, line):
        assert post(url, READY, b"", method="GET")[0] == 200
        line.fails = ["before"]
        status, headers, said = post(url, ENVELOPES, join_envelopes([device.seal()]), KIND)
    assert (status, headers["retry-after"]) == (503, "2")
    assert json.loads(said)["error"]["rule"] == "keeper.reachable"


def test_who_asks_too_often_waits_and_nobody_else_does(bench: Bench) -> None:
    def wait(seconds: float) -> None:
        bench.clock.advance(round(seconds * 1_000_000))

    with front(bench, a_minute=3, clock=bench.clock) as (url, _, _):
        assert [post(url, READY, b"", method="GET")[0] for _ in range(4)] == [200, 200, 200, 429]
        status, headers, _ = post(url, READY, b"", method="GET")
        assert (status, headers["retry-after"]) == (429, "21")
        bench.clock.advance(21_000_000)
        assert post(url, READY, b"", method="GET")[0] == 200
    with front(bench, a_minute=1) as (url, _, _):
        # a client gives up in the end, and is not told that it was refused
        line = HttpLine(
            url, person="ana", device=SigningKey.generate(), clock=bench.clock, sleep=wait
        )
        with pytest.raises(UnavailableError):
            line.ask()
        line.close()
