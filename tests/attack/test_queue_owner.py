"""Whoever runs the queue, or stands before it, learns nothing, forges nothing and loses nothing for us."""

from __future__ import annotations

import asyncio
import json
import socket
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench
from tests.nats import Nats, find_nats
from tests.queue_desk import KEY, SHORT, TOKEN, drain, put
from tests.stream_desk import (
    Device,
    Line,
    Recorder,
    events_of,
    front,
)
from tests.web_desk import Authority
from tests.world import raised

from safehold.access.cover import BUCKET, cover, uncover
from safehold.access.envelope import LeaseKey
from safehold.errors import (
    ConflictError,
    InvalidError,
    TamperedError,
    UnavailableError,
)
from safehold.ingest.network.answer import Answer, prove_answer
from safehold.ingest.network.broker import Broker
from safehold.ingest.network.consumer import Consumer
from safehold.ingest.network.queue import ANSWER_TO, MESSAGE_ID, Place
from safehold.ingest.network.sender import QueueLine


@pytest.fixture
def bench(stream_bench: Bench) -> Bench:
    return stream_bench


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
    flipped = made[:50] + bytes([made[50] ^ 1]) + made[51:]
    for data in (b"", made[:-1], b"SHC2" + made[4:], flipped, made + b"\0"):
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
