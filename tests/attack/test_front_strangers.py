"""Whoever else speaks to the front: what is no request, who dribbles, forges, floods or looks for names gets nothing."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.keeper_desk import Bench
from tests.pair import eventually
from tests.stream_desk import Device, Line, Recorder, events_of, front, post
from tests.web_desk import certificate
from tests.world import raised

from safehold.access import prove_device
from safehold.access.gap import Mark, sign_mark
from safehold.app.network import Way, collect_from_afar
from safehold.canonical import b64, unb64
from safehold.errors import (
    DeniedError,
    InvalidError,
    SafeholdError,
    TamperedError,
)
from safehold.ingest.network import combine
from safehold.ingest.network.answer import KIND, MOST, join_envelopes
from safehold.ingest.network.front import (
    ENVELOPES,
    JSON,
    LEASES,
    LIMITS,
    MARKS,
    NONCES,
    READY,
    Front,
)
from safehold.ingest.network.line import HttpLine
from safehold.ingest.network.queue import Place
from safehold.keeper.messages import obtain_message
from safehold.ledger.web import Limits, Request, tls_context
from safehold.signing import SigningKey


@pytest.fixture
def bench(stream_bench: Bench) -> Bench:
    return stream_bench


@pytest.mark.parametrize(
    ("path", "body", "kind", "status"),
    [
        (ENVELOPES, b"", KIND, 422),
        (ENVELOPES, b"\0\0\0\0", KIND, 422),
        (ENVELOPES, b"\0\0\0\5abc", KIND, 422),
        (ENVELOPES, b"\0\0\0\1a\0", KIND, 422),
        (ENVELOPES, join_envelopes([b"a"] * (MOST + 1)), KIND, 422),
        (ENVELOPES, join_envelopes([b"a"]), JSON, 422),
        (LEASES, b"[]", JSON, 422),
        (LEASES, b"{", JSON, 422),
        (LEASES, orjson.dumps({"person": "ana"}), JSON, 422),
        (LEASES, orjson.dumps({"person": 1, "device": "", "nonce": "", "proof": ""}), JSON, 422),
        (
            LEASES,
            orjson.dumps({"person": "", "device": "", "nonce": "", "proof": "", "caller": ""}),
            JSON,
            422,
        ),
        (MARKS, b"x" * 20_000, JSON, 422),
        ("/v1/people", b"{}", JSON, 404),
        ("/call", b"{}", JSON, 404),
    ],
    ids=lambda one: one if isinstance(one, str) and one.startswith("/") else "",
)
def test_what_is_no_request_never_reaches_the_keeper(
    bench: Bench, path: str, body: bytes, kind: str, status: int
) -> None:
    with front(bench) as (url, _, line):
        assert post(url, path, body, kind)[0] == status
    assert line.asked == []


def test_a_request_that_is_too_large_is_refused_before_it_is_read(bench: Bench) -> None:
    limits = Limits(**{name: getattr(LIMITS, name) for name in LIMITS.__slots__} | {"body": 50_000})
    with front(bench, limits=limits) as (url, _, line):
        assert post(url, ENVELOPES, join_envelopes([bytes(60_000)]), KIND)[0] == 413
    assert line.asked == []


def test_who_dribbles_is_cut_off_while_others_are_served(bench: Bench) -> None:
    limits = Limits(
        **{name: getattr(LIMITS, name) for name in LIMITS.__slots__}
        | {"request_s": 1.0, "each": 100}
    )
    with front(bench, limits=limits) as (url, _, _):
        host, port = url.removeprefix("http://").split(":")
        slow = [socket.create_connection((host, int(port))) for _ in range(80)]
        for one in slow:
            one.sendall(b"POST /v1/envelopes HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n")
        assert post(url, READY, b"", method="GET")[0] == 200
        slow[0].settimeout(20)
        assert slow[0].recv(1) == b"", "it was cut off"
        for one in slow:
            one.close()


def test_a_forged_device_gets_nothing(bench: Bench) -> None:
    with front(bench) as (url, _, _):
        recorder = Recorder(bench, url)
        stranger = SigningKey.generate()
        line = HttpLine(url, person="ana", device=stranger, clock=bench.clock, sleep=recorder.sleep)
        assert raised(line.ask).rule == "lease.device"
        theirs = HttpLine(url, person="bo", device=recorder.key, clock=bench.clock)
        assert raised(theirs.ask).rule == "lease.device"
        theirs.close()
        recorder.line.close()
        device = Device(Line(bench), bench)
        assert raised(lambda: line.submit(device.seal(by=stranger))).rule == "lease.device"
        line.close()
    assert events_of(bench) == []


def test_a_refusal_tells_a_rule_and_ends_the_lease_on_the_device(bench: Bench) -> None:
    with front(bench) as (url, _, _):
        recorder = Recorder(bench, url)
        recorder.collector.feed(b"{}")
        bench.call("people.choose", person="ana", choice="pause")
        recorder.type()
        assert recorder.sealed == 0
        assert recorder.collector.unsettled is None
        assert recorder.slept == [], "what is refused for good is not asked again"
        error = raised(recorder.line.ask)
        assert isinstance(error, DeniedError)
        assert "ana" not in str(error.payload())
        recorder.line.close()


def test_without_tls_only_this_machine_is_served(bench: Bench) -> None:
    for bind in ("0.0.0.0:0", "[::]:0", "192.0.2.1:7460"):
        error = raised(lambda bind=bind: Front(Line(bench), bind=bind))
        assert error.rule == "ingest.tls"
    with pytest.raises(InvalidError):
        HttpLine("http://192.0.2.1:7460", person="ana", device=SigningKey.generate())


def test_with_tls_both_ends_agree_and_a_stranger_s_certificate_does_not_do(
    bench: Bench, tmp_path: Path
) -> None:
    chain, key = certificate(tmp_path, "localhost")
    with front(bench, tls=tls_context(str(chain), str(key))) as (url, _, _):
        at = f"https://localhost:{url.rpartition(':')[2]}"
        recorder = Recorder(bench, at, tls=ssl.create_default_context(cafile=chain))
        recorder.type()
        assert recorder.sealed > 0
        recorder.line.close()
        line = HttpLine(at, person="ana", device=recorder.key, clock=bench.clock)
        error = raised(line.ask)
        assert error.rule == "ingest.certificate"
        old = ssl.create_default_context(cafile=chain)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((OSError, SafeholdError)):
            link = http.client.HTTPSConnection("localhost", int(at.rpartition(":")[2]), context=old)
            link.request("GET", READY)


def test_the_front_says_nothing_of_what_a_keeper_says_inside(bench: Bench) -> None:
    """A verb's own failure is a word; what it held is not in it."""
    device = Device(Line(bench), bench)
    with front(bench) as (url, _, _):
        _, _, said = post(url, ENVELOPES, join_envelopes([device.seal(), b"nonsense"]), KIND)
    assert json.loads(said) == {
        "answers": [{"state": "stored"}, {"state": "refused", "rule": "envelope.shape"}]
    }
    assert b64(b"nonsense").encode() not in said


def test_another_keeper_than_the_one_that_was_met_first_is_not_believed(
    bench: Bench, tmp_path: Path
) -> None:
    """As the command does it: what waits is settled, and nothing is sealed for a stranger."""
    device, events = tmp_path / "device.key", tmp_path / "events.jsonl"
    key = SigningKey.generate()
    key.write(device)
    bench.call("source.add", person="ana", device=key.public.text(), evidence="a form")
    events.write_bytes(b"")
    with front(bench) as (url, _, _):
        way = Way(front=url)
        told = collect_from_afar(way, person="ana", device=device, events=events)
        assert told["unsettled"] == 0
        pinned = tmp_path / "device.key.keeper"
        assert pinned.read_text("ascii").strip() == Device(Line(bench), bench).keeper.text()
        pinned.write_text(SigningKey.generate().public.text())
        error = raised(lambda: collect_from_afar(way, person="ana", device=device, events=events))
        assert isinstance(error, TamperedError)
        assert error.rule == "ingest.keeper"
        place = Place(url="nats://127.0.0.1:1")
        error = raised(
            lambda: collect_from_afar(
                Way(front=url, queue=place), person="ana", device=device, events=events
            )
        )
        assert error.rule == "cover.key", "nothing is put into a queue without a cover"
        missing = tmp_path / "none.key"
        error = raised(lambda: collect_from_afar(way, person="ana", device=missing, events=events))
        assert "source add" in str(error.fix)


def test_nobody_learns_from_the_front_who_is_enrolled(bench: Bench) -> None:
    """A stranger has a key of their own and a fresh nonce; a name that is there is answered as one that is not."""
    stranger = SigningKey.generate()
    heard: dict[str, list[Any]] = {"ana": [], "nobody-at-all": []}

    def told_of(who: str, path: str, asked: dict[str, str]) -> None:
        status, _, said = post(url, path, orjson.dumps(asked))
        error = orjson.loads(said)["error"]
        assert type(error.pop("entry")) is int  # a leaf of its own each time
        heard[who].append((status, error))

    with front(bench) as (url, _, _):
        for who in list(heard):
            for proved in (True, False):
                nonce = unb64(orjson.loads(post(url, NONCES, b"{}")[2])["nonce"])
                proof = prove_device(stranger, nonce, obtain_message(who))
                asked = {
                    "person": who, "device": stranger.public.text(), "nonce": b64(nonce),
                    "proof": b64(proof if proved else bytes(64)),
                }  # fmt: skip
                told_of(who, LEASES, asked)
            mark = sign_mark(Mark(at_us=1, event_us=0, positions={}), stranger)
            told = {"person": who, "device": stranger.public.text(), "mark": mark.decode()}
            told_of(who, MARKS, told)
    assert heard["ana"] == heard["nobody-at-all"]
    assert {status for status, _ in heard["ana"]} == {403}


class Poisoned:
    """A keeper that breaks over one envelope, whoever else's are in the batch."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.wait = threading.Event()

    def call(self, _verb: str, **arguments: Any) -> dict[str, Any]:
        given = arguments["envelopes"]
        self.asked.append(len(given))
        assert self.wait.wait(300)
        if b64(b"poison") in given:
            raise InvalidError("something broke", rule="keeper.internal")
        return {"answers": [{"state": "stored"} for _ in given]}


def test_what_breaks_a_batch_is_told_to_whoever_brought_it_and_to_nobody_else() -> None:
    line = Poisoned()
    combiner = combine.Combiner(line)
    found: dict[bytes, Any] = {}

    def bring(data: bytes) -> None:
        try:
            found[data] = combiner.hand_in([data])[0].state
        except SafeholdError as error:
            found[data] = error.rule

    threads = [
        threading.Thread(target=bring, args=(one,)) for one in (b"first", b"a", b"poison", b"b")
    ]
    for number, one in enumerate(threads):
        one.start()
        # the first is at the keeper, and the others wait behind it
        eventually(lambda number=number: line.asked and len(combiner._queue) >= number)
    line.wait.set()
    for one in threads:
        one.join()
    combiner.close()
    assert line.asked[:2] == [1, 3], "three of them were one batch"
    assert found == {
        b"first": "stored",
        b"a": "stored",
        b"poison": "keeper.internal",
        b"b": "stored",
    }


def test_bodies_that_come_at_once_fill_no_more_than_is_given_to_them(bench: Bench) -> None:
    """Many connections send a large body each, and none of them ever ends."""
    limits = replace(LIMITS, body=1 << 20, bodies=2 << 20)
    with front(bench, limits=limits) as (url, server, _):
        host, port = url.removeprefix("http://").split(":")
        links, said = [], []
        for _ in range(4):
            link = socket.create_connection((host, int(port)), 20)
            head = f"POST {ENVELOPES} HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 20}\r\n\r\n"
            link.sendall(head.encode() + bytes((1 << 20) - 1))
            links.append(link)
            held = min(len(links), 2) * ((1 << 20) - 1)
            eventually(lambda held=held: server.web._bytes >= held)
        assert server.web._bytes <= 2 << 20
        for link in links[2:]:
            link.settimeout(60)
            said.append(link.recv(4096))
        assert all(b" 503 " in one and b"retry-after: 2" in one.lower() for one in said), said
        for link in links:
            link.close()
        end = time.monotonic() + 10
        while server.web._bytes:
            assert time.monotonic() < end, "what was let go still counts"
            time.sleep(0.05)
        assert post(url, READY, b"", method="GET")[0] == 200


def test_one_site_of_many_addresses_is_one_client() -> None:
    class Still:
        def call(self, _verb: str, **_arguments: Any) -> dict[str, Any]:
            return {}

    one = Front(Still(), bind="127.0.0.1:0", a_minute=2)
    said = [
        one._answer(Request("GET", READY, b"", host=f"2001:db8::{at:x}")).status for at in range(3)
    ]
    one.close()
    assert said == [200, 200, 429]
    one.web._socket.close()
