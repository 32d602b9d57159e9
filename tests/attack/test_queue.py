"""The queue of envelopes, with a real NATS server: at least once in, once stored, and whoever runs it learns nothing."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, copy_bench
from tests.nats import Nats, find_nats
from tests.stream_desk import (
    Device,
    Line,
    RecipeWorkshop,
    Recorder,
    begin,
    events_of,
    found_stream,
    front,
)
from tests.web_desk import Authority
from tests.world import raised

from safehold.access.cover import BUCKET, cover, uncover
from safehold.access.envelope import LeaseKey, name_of
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    TamperedError,
    UnavailableError,
)
from safehold.ingest.network.answer import Answer, prove_answer
from safehold.ingest.network.broker import Broker
from safehold.ingest.network.consumer import Consumer
from safehold.ingest.network.queue import ANSWER_TO, MESSAGE_ID, FullError, Limits, Place
from safehold.ingest.network.sender import QueueLine

KEY = LeaseKey(b"q" * 32)
TOKEN = "ab" * 16
SHORT = Limits(bytes=16 << 20, age_s=600, same_s=600, wait_s=2.0, deliveries=4)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_stream(tmp_path_factory.mktemp("stream"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    one = begin(copy_bench(made, tmp_path))
    yield one
    one.stop()


@pytest.fixture
def broker(nats_server: Nats) -> Iterator[Broker]:
    one = Broker(nats_server.place(), limits=SHORT)
    one.prepare()
    yield one
    one.close()


def put(broker: Broker, *envelopes: bytes, token: str = TOKEN) -> None:
    for one in envelopes:
        broker.publish(cover(one, KEY.public), name=name_of(one), token=token)


def drain(consumer: Consumer, broker: Broker, *, seconds: float = 30) -> None:
    """Take until the queue is empty."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        consumer.turn(wait_s=0.3)
        time.sleep(0.05)
        if not broker.waiting():
            return
    raise AssertionError(f"{broker.waiting()} messages are left")


def answers(heard: Any, many: int) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    end = time.monotonic() + 20
    while len(found) < many and time.monotonic() < end:
        if (said := heard.next(1.0)) is not None:
            found[said["name"]] = (said["state"], said.get("rule", ""))
    return found


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


def test_an_answer_goes_to_a_random_word_and_nowhere_else(bench: Bench, broker: Broker) -> None:
    """Or a sender could have the consumer write into the queue, for ever."""
    device = Device(Line(bench), bench)
    for number, token in enumerate(("", ">", "*", f"{broker.place.name}.in", "AB" * 16, "ab" * 17)):
        sealed = device.seal()
        put(broker, sealed, token=token)
        drain(Consumer(broker, Line(bench), key=KEY), broker)
        assert broker.waiting() == 0, number
        assert raised(lambda token=token: broker.place.answers(token)).rule == "queue.answer"


def test_whoever_runs_the_queue_learns_no_person_no_device_and_no_size(
    bench: Bench, nats_server: Nats, broker: Broker
) -> None:
    device = Device(Line(bench), bench)
    short = device.seal()
    long = device.seal(device.table(5_000).slice(0, len(device.table()) - 2))
    put(broker, short, long)
    seen: list[Any] = []

    async def look() -> None:
        import nats

        link = await nats.connect(broker.place.url)
        stream = link.jetstream()
        for number in (1, 2):
            seen.append(await stream.get_msg(broker.place.stream, number))
        await link.close()

    asyncio.run(look())
    for one in seen:
        text = one.data + json.dumps(one.headers).encode() + one.subject.encode()
        for secret in (device.key.public.text(), device.lease.id, "good morning", "sealed_us"):
            assert secret.encode() not in text
        assert set(one.headers) == {MESSAGE_ID, ANSWER_TO}
        assert one.subject == f"{broker.place.name}.in"
    assert len(short) != len(long)
    assert len(seen[0].data) == len(seen[1].data)
    assert device.key.public.text().encode() in short, "the header itself would tell"
    # what lies on its disk neither
    for file in (nats_server.path / "streams").rglob("*"):
        if file.is_file():
            assert device.key.public.text().encode() not in file.read_bytes()


def test_a_cover_opens_for_one_key_and_whole_or_not_at_all() -> None:
    made = cover(b"x" * 5000, KEY.public)
    assert uncover(made, KEY) == b"x" * 5000
    assert len(cover(b"", KEY.public)) == len(cover(bytes(BUCKET - 4), KEY.public))
    for data in (b"", made[:-1], b"SHC2" + made[4:], made[:50] + b"\0" + made[51:], made + b"\0"):
        assert isinstance(raised(lambda data=data: uncover(data, KEY)), TamperedError)
    assert raised(lambda: uncover(made, LeaseKey(b"r" * 32))).rule == "cover.seal"
    assert isinstance(raised(lambda: cover(b"", bytes(32))), InvalidError)


@pytest.mark.parametrize(
    "url",
    [
        "nats://user:secret@127.0.0.1:4222",
        "nats://token@127.0.0.1:4222",
        "nats://192.0.2.1:4222",
        "nats://queue.example:4222",
        "http://127.0.0.1:4222",
        "tls://queue.example",
        "tls://queue.example:4222/x",
        "tls://queue.example:notaport",
        "",
    ],
)
def test_a_url_holds_no_password_and_leads_nowhere_without_tls(url: str) -> None:
    error = raised(lambda: Place(url=url))
    assert isinstance(error, InvalidError)
    assert "secret" not in str(error.payload())


def test_a_stream_that_would_drop_what_it_was_given_is_not_used(nats_server: Nats) -> None:
    place = nats_server.place()

    async def make() -> None:
        import nats

        link = await nats.connect(place.url)
        await link.jetstream().add_stream(name=place.stream, subjects=[place.subject])
        await link.close()

    asyncio.run(make())
    broker = Broker(place, limits=SHORT)
    assert isinstance(raised(broker.prepare), ConflictError)
    broker.close()


GUIDE = Path(__file__).parents[2] / "docs/how-to/take-in-over-the-network.md"


def test_a_queue_is_reached_over_tls_with_a_certificate_of_ours_and_devices_do_nothing_but_hand_in(
    tmp_path: Path,
) -> None:
    """With the very configuration that the guide shows."""
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    chain, key = ours.issue("localhost")
    shown = textwrap.dedent(GUIDE.read_text("utf-8").partition("```\n    max_payload")[2])
    lines = f"max_payload{shown.partition('```')[0]}".splitlines()
    wanted = "\n".join(
        one for one in lines if not one.strip().startswith(("max_payload", "jetstream"))
    )
    for name, file in (("server.pem", chain), ("server.key", key), ("ca.pem", ours.root)):
        assert f'"{name}"' in wanted
        wanted = wanted.replace(f'"{name}"', f'"{file}"')
    server = find_nats(wanted)
    try:
        url = f"tls://localhost:{server.port}"

        def place(by: Authority, name: str, root: Path = ours.root) -> Place:
            chain, secret = by.issue(name)
            return Place(url=url, authority=root, certificate=chain, key=secret)

        consumer = Broker(place(ours, "consumer"), limits=SHORT)
        consumer.prepare()
        device = Broker(place(ours, "device"), limits=SHORT)
        heard = device.listen(TOKEN)
        device.publish(b"x", name="0" * 64, token=TOKEN)
        (one,) = consumer.pull(1, 5)
        consumer.answer(TOKEN, b'{"name": "0"}')
        assert heard.next(5) == {"name": "0"}
        one.done()
        # a device can neither look into the queue, nor take from it, nor hear what others put there
        for attempt in (device.waiting, device.prepare):
            assert isinstance(raised(attempt), UnavailableError)
        device.close()
        consumer.close()
        for bad in (
            Place(url=url, authority=ours.root),
            place(theirs, "device"),
            place(ours, "nobody"),
            place(ours, "device", theirs.root),
            Place(url=url.replace("tls", "nats").replace("localhost", "127.0.0.1")),
        ):
            assert isinstance(raised(lambda bad=bad: Broker(bad)), UnavailableError)
    finally:
        server.remove()


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


class Lying:
    """A queue whose owner drops what is published, and answers in the consumer's place."""

    def __init__(self, state: str, proof: Callable[[bytes], str]) -> None:
        self.state, self.proof = state, proof
        self.said: list[dict[str, Any]] = []
        self.asked = 0

    def listen(self, _token: str) -> Lying:
        return self

    def publish(self, data: bytes, *, name: str, token: str) -> None:
        said = {"name": name, "state": self.state, "proof": self.proof(data), "rule": token[:0]}
        self.said += [said, {**said, "proof": None}, {**said, "state": self.state, "proof": 5}]

    def next(self, wait_s: float) -> dict[str, Any] | None:
        self.asked += 1
        if self.said:
            return self.said.pop(0)
        time.sleep(wait_s)
        return None


@pytest.mark.parametrize("state", ["stored", "already", "refused"])
def test_whoever_runs_the_queue_cannot_say_that_an_envelope_was_stored(
    bench: Bench, state: str
) -> None:
    """They see the cover and the name; the proof is made from what is under the cover."""
    lying = Lying(state, lambda data: prove_answer(data, Answer(state)))
    with front(bench) as (url, _, web):
        recorder = Recorder(bench, url)
        recorder.line = QueueLine(  # type: ignore[assignment]
            recorder.line, lying, key=KEY.public, answer_s=0.5, clock=bench.clock, sleep=recorder.sleep
        )  # fmt: skip
        recorder.collector = recorder.made()
        recorder.type()
        recorder.line._front.close()  # type: ignore[attr-defined]
    assert lying.asked > 3, "all of it was heard"
    assert web.asked.count("lease.hand-in") == 1, "and the keeper was asked"
    assert [seq for _, seq in events_of(bench)] == list(range(recorder.sealed)) != []


def test_a_server_that_wants_no_tls_is_told_nothing_at_a_tls_address(tmp_path: Path) -> None:
    """Whoever stands between takes one word out of the server's greeting, and everything would follow in the clear."""
    ours = Authority(tmp_path / "ours")
    chain, secret = ours.issue("device")
    told = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]

        def greet() -> None:
            while True:
                try:
                    link, _ = door.accept()
                except OSError:
                    return
                with link:
                    link.settimeout(2)
                    link.sendall(
                        b'INFO {"server_id":"x","version":"2.9.10","headers":true,"max_payload":1048576}\r\n'
                    )
                    try:
                        while data := link.recv(4096):
                            told.extend(data)
                            link.sendall(b"PONG\r\n")
                    except OSError:
                        continue

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        place = Place(
            url=f"tls://localhost:{port}", authority=ours.root, certificate=chain, key=secret
        )
        assert isinstance(raised(lambda: Broker(place).close()), UnavailableError)
        door.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert bytes(told) == b""
