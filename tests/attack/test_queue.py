"""The queue of envelopes, with a real NATS server: at least once in, once stored, and whoever runs it learns nothing."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tests.keeper_desk import Bench
from tests.nats import Nats, find_nats
from tests.queue_desk import KEY, SHORT, TOKEN, answers, drain, put
from tests.stream_desk import (
    Device,
    Line,
    RecipeWorkshop,
    Recorder,
    events_of,
    front,
)
from tests.world import raised

from safehold.access.cover import cover
from safehold.access.envelope import name_of
from safehold.errors import (
    DeniedError,
    UnavailableError,
)
from safehold.ingest.network.broker import Broker
from safehold.ingest.network.consumer import Consumer
from safehold.ingest.network.queue import FullError, Limits
from safehold.ingest.network.sender import QueueLine


@pytest.fixture
def bench(stream_bench: Bench) -> Bench:
    return stream_bench


def test_envelopes_go_through_the_queue_and_are_answered(bench: Bench, broker: Broker) -> None:
    device, other = Device(Line(bench), bench), Device(Line(bench), bench, "bo")
    sealed = [device.seal(), other.seal(), device.seal()]
    bad = device.seal(lease="lea_0")
    heard = broker.listen(TOKEN)
    put(broker, *sealed, bad)
    line = Line(bench)
    consumer = Consumer(broker, line, key=KEY)
    drain(consumer, broker)
    assert answers(heard, 4) == {
        **{name_of(one): ("stored", "") for one in sealed},
        name_of(bad): ("refused", "lease.dead"),
    }
    assert consumer.counted == {"stored": 3, "refused": 1, "refused.lease.dead": 1}
    assert line.asked == ["lease.hand-in"], "one call for all of them"
    assert len(events_of(bench)) == device.first + other.first


def test_the_same_message_is_in_the_queue_once(bench: Bench, broker: Broker) -> None:
    sealed = Device(Line(bench), bench).seal()
    put(broker, sealed, sealed, sealed)
    assert broker.waiting() == 1


class Dying:
    """A queue's end, and a line, that end before one step: what a kill there leaves is what the next one finds."""

    def __init__(self, broker: Broker, at: str) -> None:
        self.broker, self.at, self.limits = broker, at, broker.limits

    def pull(self, most: int, wait_s: float) -> Sequence[Any]:
        return [_Dying(one, self.at) for one in self.broker.pull(most, wait_s)]

    def answer(self, token: str, data: bytes) -> None:
        if self.at == "answer":
            raise Killed
        self.broker.answer(token, data)


class _Dying:
    def __init__(self, one: Any, at: str) -> None:
        self._one, self._at = one, at
        self.data, self.headers, self.times = one.data, one.headers, one.times
        self.working, self.later = one.working, one.later

    def done(self) -> None:
        if self._at == "done":
            raise Killed
        self._one.done()


class Killed(BaseException):
    """The process is gone."""


class Cut(Line):
    def __init__(self, bench: Bench, at: str) -> None:
        super().__init__(bench)
        self.at = at

    def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        if self.at == "before":
            raise Killed
        answer = super().call(verb, **arguments)
        if self.at == "after":
            raise Killed
        return answer


@pytest.mark.parametrize("at", ["before", "after", "answer", "done"])
def test_a_consumer_that_dies_between_any_two_steps_loses_and_doubles_nothing(
    bench: Bench, broker: Broker, at: str
) -> None:
    device = Device(Line(bench), bench)
    put(broker, *(device.seal() for _ in range(3)))
    with pytest.raises(Killed):
        Consumer(Dying(broker, at), Cut(bench, at), key=KEY).turn()
    assert broker.waiting() == 3
    time.sleep(SHORT.wait_s)  # whoever was silent for so long has none of them any more
    drain(Consumer(broker, Line(bench), key=KEY), broker)
    assert [seq for _, seq in events_of(bench)] == list(range(device.first))


@pytest.mark.parametrize("at", ["begin", "chunk", "live"])
def test_a_keeper_that_dies_between_any_two_steps_loses_and_doubles_nothing(
    bench: Bench, broker: Broker, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """What it had made durable is known to the next one; of the rest the leases died with it, and the sender is told."""
    device = Device(Line(bench), bench)
    sealed = [device.seal() for _ in range(3)]
    heard = broker.listen(TOKEN)
    put(broker, *sealed)
    append = type(bench.desk.ledger).append

    def dying(log: Any, entries: Any) -> Any:
        if any(one.kind == "ingest" and one.detail["step"] == at for one in entries):
            raise Killed
        return append(log, entries)

    with monkeypatch.context() as patch:
        patch.setattr(type(bench.desk.ledger), "append", dying)
        with pytest.raises(Killed):
            Consumer(broker, Line(bench), key=KEY).turn()
    bench.restart()
    time.sleep(SHORT.wait_s)
    drain(Consumer(broker, Line(bench), key=KEY), broker)
    stored = at == "live"
    assert set(answers(heard, 3).values()) == {
        ("already", "") if stored else ("refused", "lease.dead")
    }
    assert [seq for _, seq in events_of(bench)] == (list(range(device.first)) if stored else [])
    assert bench.desk.catalog.unnoted() == []


def test_a_server_that_is_killed_keeps_what_it_took(bench: Bench, made: Bench) -> None:
    server = find_nats()
    try:
        place = server.place()
        broker = Broker(place, limits=SHORT)
        broker.prepare()
        device = Device(Line(bench), bench)
        put(broker, device.seal(), device.seal())
        server.kill()
        with pytest.raises(UnavailableError):
            put(broker, device.seal(sealed_us=1))
        broker.close()
        server.start()
        second = Broker(place, limits=SHORT)
        second.prepare()
        assert second.waiting() == 2
        with pytest.raises(Killed):
            Consumer(Dying(second, "done"), Line(bench), key=KEY).turn()
        server.kill()
        second.close()
        server.start()
        third = Broker(place, limits=SHORT)
        third.prepare()
        time.sleep(SHORT.wait_s)
        drain(Consumer(third, Line(bench), key=KEY), third)
        third.close()
    finally:
        server.remove()
    assert [seq for _, seq in events_of(bench)] == list(range(device.first))


def test_while_the_keeper_is_away_nothing_is_pulled_and_no_delivery_used_up(
    bench: Bench, broker: Broker
) -> None:
    device = Device(Line(bench), bench)
    put(broker, device.seal())
    line = Line(bench)
    call, pull = line.call, broker.pull
    began = time.monotonic()
    pulls, others = [], []

    def away(verb: str, **arguments: Any) -> dict[str, Any]:
        if time.monotonic() - began < 1.5 * SHORT.wait_s:  # longer than a message may be left alone
            raise UnavailableError("no keeper answers", rule="keeper.reachable")
        others.extend(pull(1, 0.5))
        return call(verb, **arguments)

    def counting(most: int, wait_s: float) -> Any:
        pulls.append(most)
        return pull(most, wait_s)

    line.call = away  # type: ignore[method-assign]
    broker.pull = counting  # type: ignore[method-assign]
    consumer = Consumer(broker, line, key=KEY)
    consumer.turn()
    assert len(pulls) == 1
    assert others == [], "nobody else got it meanwhile"
    assert consumer.counted == {"stored": 1}


def test_a_full_queue_refuses_and_drops_nothing(bench: Bench, nats_server: Nats) -> None:
    limits = Limits(bytes=100_000, wait_s=2.0)
    broker = Broker(nats_server.place(), limits=limits)
    broker.prepare()
    device = Device(Line(bench), bench)
    taken = []
    with pytest.raises(FullError):
        for _ in range(100):
            sealed = device.seal()
            put(broker, sealed)
            taken.append(sealed)
    assert broker.waiting() == len(taken) > 1
    drain(Consumer(broker, Line(bench), key=KEY), broker)
    assert len(events_of(bench)) == device.first - len(device.table())
    put(broker, sealed)
    broker.close()


def test_poison_leaves_the_queue_with_a_rule_and_is_in_nobody_s_way(
    bench: Bench, broker: Broker
) -> None:
    device = Device(Line(bench), bench)
    good = [device.seal() for _ in range(3)]
    bad = {
        "leased.person": device.seal(device.table(10_000, person="bo")),
        "leased.body": device.seal(body=b"no table"),
        "envelope.shape": b"nonsense",
    }
    heard = broker.listen(TOKEN)
    put(broker, bad["leased.person"], good[0], bad["leased.body"], good[1])
    put(broker, bad["envelope.shape"], good[2])
    broker.publish(b"junk", name="1" * 64, token=TOKEN)
    broker.publish(cover(device.seal(), b"\x09" + bytes(31)), name="2" * 64, token=TOKEN)
    broker.publish(cover(good[0], KEY.public), name="3" * 64, token=TOKEN)
    consumer = Consumer(broker, Line(bench), key=KEY)
    drain(consumer, broker)
    said = answers(heard, 9)
    assert {said[name_of(one)] for one in good} == {("stored", "")}
    assert {rule: said[name_of(one)] for rule, one in bad.items()} == {
        rule: ("refused", rule) for rule in bad
    }
    assert said["1" * 64] == said["2" * 64] == ("refused", "cover.seal")
    assert said["3" * 64] == ("refused", "queue.id")


def test_what_kills_the_sandbox_each_time_is_given_up_and_the_queue_goes_on(
    bench: Bench, broker: Broker
) -> None:
    device, other = Device(Line(bench), bench), Device(Line(bench), bench, "bo")
    assert isinstance(bench.workshop, RecipeWorkshop)

    def die(spec: Any) -> None:
        if "ana" in spec["people"]:
            raise UnavailableError("the job died", rule="sandbox.failed")

    bench.workshop.during = die  # type: ignore[method-assign]
    poison = device.seal()
    heard = broker.listen(TOKEN)
    put(broker, poison, other.seal())
    consumer = Consumer(broker, Line(bench), key=KEY)
    consumer.turn()
    assert {who for who, _ in events_of(bench)} == {"bo"}
    put(broker, other.seal())
    drain(consumer, broker, seconds=60)
    assert len(events_of(bench)) == other.first
    assert answers(heard, 3)[name_of(poison)] == ("refused", "queue.deliveries")


class Shuffled:
    """A broker that hands out again, in another order, cut in other ways, and loses acknowledgements."""

    def __init__(self, broker: Broker, choose: Callable[[int], int]) -> None:
        self.broker, self.choose, self.limits = broker, choose, broker.limits
        self.kept: list[Any] = []

    def pull(self, most: int, wait_s: float) -> Sequence[Any]:
        found = [*self.broker.pull(most, wait_s), *self.kept]
        self.kept = found[: self.choose(3)]
        for at in range(len(found)):
            to = self.choose(len(found))
            found[at], found[to] = found[to], found[at]
        return found

    def answer(self, token: str, data: bytes) -> None:
        if self.choose(2):
            self.broker.answer(token, data)


@pytest.mark.parametrize("seed", range(3))
def test_a_queue_that_redelivers_and_reorders_changes_nothing(
    bench: Bench, broker: Broker, seed: int
) -> None:
    dice = random.Random(seed)
    devices = [Device(Line(bench), bench, who) for who in ("ana", "bo")]
    sealed = [one.seal() for one in devices for _ in range(6)]
    shuffled = Shuffled(broker, lambda most: dice.randrange(max(most, 1)))
    consumer = Consumer(shuffled, Line(bench), key=KEY, most=5)
    put(broker, *sealed[:7])
    consumer.turn(wait_s=0.3)
    put(broker, *sealed[5:])
    drain(consumer, broker)
    assert len(events_of(bench)) == sum(one.first for one in devices)
    assert len(set(events_of(bench))) == len(events_of(bench))


def test_a_refused_sender_hears_it_and_an_unheard_one_asks_by_http(
    bench: Bench, broker: Broker
) -> None:
    line = Line(bench)
    consumer = Consumer(broker, line, key=KEY)
    thread = threading.Thread(target=consumer.run)
    with front(bench) as (url, _, web):
        recorder = Recorder(bench, url)
        sender = QueueLine(
            recorder.line, broker, key=KEY.public, answer_s=1.0, clock=bench.clock, sleep=recorder.sleep
        )  # fmt: skip
        recorder.line = sender  # type: ignore[assignment]
        recorder.collector = recorder.made()
        recorder.type()  # nobody takes from the queue: it is handed in by HTTP
        assert recorder.sealed > 0
        assert web.asked.count("lease.hand-in") == 1
        thread.start()
        recorder.type()
        assert web.asked.count("lease.hand-in") == 1, "the queue was enough"
        bad = Device(line, bench, "bo").seal(lease="lea_0")
        error = raised(lambda: sender.submit(bad))
        assert isinstance(error, DeniedError)
        assert error.rule == "lease.dead"
        consumer.close()
        thread.join()
        sender._front.close()
    assert [seq for _, seq in events_of(bench)] == list(range(recorder.sealed))
    assert consumer.counted["already"] == 1
