"""Whoever fills a server with connections that wait keeps nobody out of it."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ledger_desk import ORIGIN, START_US
from tests.unit.test_ledger_witness import LOG, head, proof
from tests.web_desk import certificate

from safehold.canonical import b64
from safehold.clock import FixedClock
from safehold.ledger import Witness
from safehold.ledger.places import Places, house_of
from safehold.ledger.web import Limits, Request, Response, WebServer, tls_context
from safehold.ledger.witness_server import WitnessService

MARK = hashlib.sha256(ORIGIN.encode()).hexdigest()
HALF = b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nold"


def lines(url: str, count: int, *addresses: str, say: bytes = b"") -> list[socket.socket]:
    """Open connections from each address that wait, after some bytes or none."""
    place = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
    made = []
    for address in addresses:
        for _ in range(count):
            link = socket.create_connection(place, 30, source_address=(address, 0))
            link.sendall(say)
            made.append(link)
    return made


def ask(url: str, address: str, method: str = "GET", path: str = "/", body: bytes = b"") -> int:
    port = int(url.rsplit(":", 1)[1])
    link = http.client.HTTPConnection("127.0.0.1", port, 30, source_address=(address, 0))
    with contextlib.closing(link):
        link.request(method, path, body=body or None)
        return link.getresponse().status


def ended(link: socket.socket) -> bool:
    """Wait until the server ends a connection."""
    try:
        return link.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness.create(
        tmp_path / "w", name="dpo.example", logs=[LOG.vkey.text()], clock=FixedClock(START_US)
    )


@pytest.fixture
def hoard() -> Iterator[list[socket.socket]]:
    kept: list[socket.socket] = []
    yield kept
    for link in kept:
        link.close()


@pytest.mark.parametrize("say", [b"", HALF], ids=["silent", "halfway"])
def test_a_witness_whose_places_are_all_taken_still_cosigns(
    witness: Witness, hoard: list[socket.socket], say: bytes
) -> None:
    """With the limits as they are: four addresses, each with as many connections as it may have."""
    limits = Limits(idle_s=600, request_s=600)
    assert (limits.connections, limits.each) == (256, 64)
    with WebServer(WitnessService(witness), "127.0.0.1:0", limits=limits).running() as url:
        hoard += lines(url, 64, "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", say=say)
        path, first = "/add-checkpoint", b"old 0\n\n" + head(3)
        assert ask(url, "127.0.0.6", "POST", path, first) == 200
        more = [b"old 3", *(b64(one).encode() for one in proof(3, 5))]
        body = b"\n".join([*more, b"", head(5)])
        assert ask(url, "127.0.0.6", "POST", path, body) == 200
        assert ask(url, "127.0.0.7", path=f"/{MARK}/checkpoint") == 200
        assert ended(hoard[0]), "the one that has waited longest"


def test_a_handshake_that_never_comes_keeps_nobody_out(
    tmp_path: Path, hoard: list[socket.socket]
) -> None:
    chain, key = certificate(tmp_path, "localhost")
    tls = tls_context(str(chain), str(key))
    limits = Limits(connections=4, each=2, request_s=600)
    handler = lambda _: Response(status=200)  # noqa: E731
    with WebServer(handler, "127.0.0.1:0", tls=tls, limits=limits).running() as url:
        hoard += lines(url, 2, "127.0.0.2", "127.0.0.3")
        hoard += lines(url, 1, "127.0.0.4")
        assert ended(hoard[0])


def test_who_holds_most_gives_way_and_a_patient_log_keeps_its_line(
    hoard: list[socket.socket],
) -> None:
    limits = Limits(connections=5, each=4, idle_s=600)
    with WebServer(lambda _: Response(status=200), "127.0.0.1:0", limits=limits).running() as url:
        hoard += lines(url, 1, "127.0.0.2")  # it came first, and waits longest
        hoard += lines(url, 4, "127.0.0.3")
        log, *greedy = hoard
        for number in range(3):
            hoard += lines(url, 1, f"127.0.0.{100 + number}")
            assert ended(greedy[number])
        for link in (log, greedy[3], *hoard[5:]):
            link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert link.recv(12) == b"HTTP/1.1 200"


def test_a_request_that_is_being_answered_is_never_ended(hoard: list[socket.socket]) -> None:
    gate, inside = threading.Event(), threading.Semaphore(0)

    def wait(_request: Request) -> Response:
        inside.release()
        gate.wait(60)
        return Response(status=200)

    limits = Limits(connections=2, each=2)
    with WebServer(wait, "127.0.0.1:0", limits=limits).running() as url:
        asked = lines(url, 2, "127.0.0.2", say=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        hoard += asked
        for _ in asked:
            assert inside.acquire(timeout=60)
        (late,) = lines(url, 1, "127.0.0.3")
        hoard.append(late)
        assert ended(late)
        gate.set()
        assert [one.recv(12) for one in asked] == [b"HTTP/1.1 200"] * 2


def test_places_are_counted_by_house() -> None:
    """An address of IPv6 is one of 2^64 that its owner has."""
    assert house_of("127.0.0.1") == house_of("::ffff:127.0.0.1") == "127.0.0.1"
    assert house_of("2001:db8::1") == house_of("2001:db8::ffff:0:1%eth0") != house_of("2001:db9::1")
    assert house_of("no address") == "no address"
    gone: list[int] = []
    places = Places(connections=3, each=2)
    first = places.take("2001:db8::1", lambda: gone.append(1))
    second = places.take("2001:db8::2", lambda: gone.append(2))
    assert first is not None
    assert second is not None
    assert places.take("2001:db8::3", lambda: gone.append(3)) is None
    assert places.take("10.0.0.1", lambda: gone.append(4)) is not None
    first.answering = True
    assert places.take("10.0.0.2", lambda: gone.append(5)) is not None
    assert gone == [2], "of the house that holds most, and not the one that is being answered"
    places.free(second)  # it has gone already
    places.free(first)
    assert places.take("2001:db8::1", lambda: None) is not None
    assert len(gone) == 1
