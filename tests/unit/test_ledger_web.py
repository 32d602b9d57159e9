"""The witness behind HTTP: every status to the letter, and clients that misbehave."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import multiprocessing
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.ledger_desk import ORIGIN, START_US
from tests.unit.test_ledger_witness import LOG, head, proof, tree
from tests.web_desk import SLOW, ask, certificate

from safehold.clock import FixedClock
from safehold.errors import InvalidError
from safehold.ledger import LogSigner, Witness
from safehold.ledger.checkpoint import Checkpoint
from safehold.ledger.note import open_note
from safehold.ledger.tree import EMPTY
from safehold.ledger.vkey import VKey
from safehold.ledger.web import Limits, Request, Response, WebServer, tls_context
from safehold.ledger.witness import SIZE_TYPE
from safehold.ledger.witness_server import WitnessService

VECTORS = Path(__file__).parents[1] / "interop" / "vectors" / "ledger"
MARK = hashlib.sha256(ORIGIN.encode()).hexdigest()


def raw(url: str, data: bytes, *, timeout: float = 300) -> bytes:
    """Send bytes as they are and return all that comes until the server ends."""
    host, port = url.removeprefix("http://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout) as link:
        link.sendall(data)
        with contextlib.suppress(OSError):  # the server has refused it and gone
            link.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: link.recv(65_536), b""))


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness.create(
        tmp_path / "w", name="dpo.example", logs=[LOG.vkey.text()], clock=FixedClock(START_US)
    )


@pytest.fixture
def url(witness: Witness) -> Iterator[str]:
    with WebServer(WitnessService(witness, prefix="/w"), "127.0.0.1:0").running() as url:
        yield url


def add(old: int, proof: list[bytes], note: bytes) -> bytes:
    from safehold.canonical import b64

    return "\n".join([f"old {old}", *map(b64, proof), ""]).encode() + b"\n" + note


def test_the_transcript_through_the_server(tmp_path: Path) -> None:
    script = json.loads((VECTORS / "witness_transcript_min.json").read_text("utf-8"))
    witness = Witness.create(tmp_path, name="example.com/witness", logs=[script["log_vkey"]])
    with WebServer(WitnessService(witness), "127.0.0.1:0").running() as url:
        for step in script["steps"]:
            status, headers, said = ask(url, "POST", "/add-checkpoint", step["body"].encode())
            assert status == step["status"]
            if status == 200:
                assert said.startswith("— example.com/witness ".encode())
        assert (status, said, headers["content-type"]) == (409, b"3\n", "text/x.tlog.size")
        mark = hashlib.sha256(script["log_origin"].encode()).hexdigest()
        status, _, note = ask(url, "GET", f"/{mark}/checkpoint")
        keys = [VKey.parse(one) for one in (script["log_vkey"], *witness.vkeys)]
        text, held = open_note(note, keys)
        assert (status, Checkpoint.parse(text).size, len(held)) == (200, 3, 3)


def test_every_status(url: str, witness: Witness) -> None:
    def post(body: bytes) -> tuple[int, str, bytes]:
        status, headers, said = ask(url, "POST", "/w/add-checkpoint", body)
        return status, headers["content-type"], said

    stranger = LogSigner(b"t" * 32, name="example.com/other")
    forged = LogSigner(b"t" * 32, name=ORIGIN).sign(Checkpoint(ORIGIN, 1, EMPTY).text())
    assert ask(url, "GET", f"/w/{MARK}/checkpoint")[0] == 404  # never cosigned
    assert post(add(0, [], head(3)))[0] == 200
    assert post(add(4, [], head(3)))[0] == 400  # an old size that is larger
    assert post(add(0, [], forged))[0] == 403
    assert (
        post(add(0, [], stranger.sign(Checkpoint("example.com/other", 0, EMPTY).text())))[0] == 404
    )
    assert post(add(0, [], head(5))) == (409, SIZE_TYPE, b"3\n")
    assert post(add(3, [], head(5)))[0] == 422  # a proof that does not hold
    assert post(add(3, [], head(3, word=b"fork")))[0] == 422  # one size, two roots
    assert post(add(3, proof(3, 5), head(5)))[0] == 200
    for junk in (b"", b"\0", b"old 5\n", b"old 05\n\n" + head(5), b"old 5\nAA==\n\n" + head(6)):
        assert post(junk)[0] == 400, junk
    status, headers, note = ask(url, "GET", f"/w/{MARK}/checkpoint")
    assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert headers["cache-control"] == "no-store"
    assert note == witness.head(ORIGIN)
    assert ask(url, "HEAD", f"/w/{MARK}/checkpoint")[2] == b""
    kept = [(one["status"], one["size"]) for one in witness.evidence()]
    assert sorted(kept) == [(409, 5), (422, 3), (422, 5)]


def test_other_paths_and_methods(url: str) -> None:
    assert ask(url, "GET", "/w/add-checkpoint")[:1] == (405,)
    assert ask(url, "DELETE", f"/w/{MARK}/checkpoint")[0] == 405
    for path in (
        "/",
        "/w",
        "/w/",
        "/add-checkpoint",
        "/w/key",
        "/w/../w/key",
        f"/w/{MARK.upper()}/checkpoint",
    ):
        assert ask(url, "GET", path)[0] == 404, path
    for prefix in ("w", "/w/", "/../x", "/a b"):
        with pytest.raises(InvalidError):
            WitnessService(Witness.__new__(Witness), prefix=prefix)


def test_evidence_cannot_be_filled_with_noise(witness: Witness) -> None:
    witness.add_checkpoint(0, [], head(3))
    for number in range(5):  # anybody can send other proofs around a head that is public
        noise = hashlib.sha256(b"%d" % number).digest()
        assert witness.add_checkpoint(3, [noise], head(5)).status == 422
    assert len(witness.evidence()) == 1


def test_heads_that_were_published_leave_room_for_a_contradiction(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may send old heads again: each is signed, each is refused, none contradicts."""
    monkeypatch.setattr("safehold.ledger.witness.MOST_EVIDENCE", 16)
    witness.add_checkpoint(0, [], head(40))
    for size in range(1, 40):
        assert witness.add_checkpoint(1, [], head(size)).status == 409
    assert 0 < len(witness.evidence()) < 16
    assert witness.add_checkpoint(40, [], head(40, word=b"other")).status == 422
    found = [one for one in witness.evidence() if one["status"] == 422]
    assert [one["size"] for one in found] == [40]
    assert found[0]["known"]


MALFORMED = (
    b"",
    b"\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /w/add-checkpoint HTTP/1.1\r\n\r\n",  # no host
    b"POST /w/add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /w/add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /w/add-checkpoint HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /w/add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nshort",
    b"GET /\xff\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 8_000 + b"\r\n",
    b"POST /w/add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"
    + b"a" * 300_000,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    bytes(range(256)) * 50,
)


def test_malformed_requests_crash_nothing(url: str) -> None:
    for data in MALFORMED:
        try:
            said = raw(url, data)
        except (ConnectionResetError, BrokenPipeError):
            said = b""  # it was too much, and the server had heard enough
        assert said == b"" or said.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200")), data[:60]
        assert not said.startswith(b"HTTP/1.1 200"), data[:60]
    assert ask(url, "POST", "/w/add-checkpoint", add(0, [], head(1)))[0] == 200


def test_bodies_have_a_largest_size(url: str) -> None:
    status, _, _ = ask(url, "POST", "/w/add-checkpoint", b"a" * 131_072)
    assert status == 400  # read whole, and no request
    assert ask(url, "POST", "/w/add-checkpoint", b"a" * 131_073)[0] == 413


def test_a_connection_serves_many_requests_and_not_without_end(witness: Witness) -> None:
    limits = Limits(requests=3)
    with WebServer(WitnessService(witness), "127.0.0.1:0", limits=limits).running() as url:
        one = f"GET /{MARK}/checkpoint HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        assert raw(url, one * 5).count(b"HTTP/1.1 404") == 3


def test_slow_clients_lose_their_place(witness: Witness) -> None:
    """Two that say nothing, or stop halfway, take all places; both are put out, and others get in."""
    limits = Limits(connections=2, each=2, idle_s=SLOW, request_s=SLOW)
    with WebServer(WitnessService(witness), "127.0.0.1:0", limits=limits).running() as url:
        host, port = url.removeprefix("http://").rsplit(":", 1)
        silent = socket.create_connection((host, int(port)), 30)
        halfway = socket.create_connection((host, int(port)), 30)
        halfway.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nold")
        with silent, halfway:
            assert silent.recv(100) == b""  # blocks until the server has ended it
            assert halfway.recv(100) == b""
        assert ask(url, "GET", f"/{MARK}/checkpoint")[0] == 404


def test_one_address_has_so_many_connections(witness: Witness) -> None:
    gate, inside = threading.Event(), threading.Semaphore(0)

    def wait(_request: Request) -> Response:
        inside.release()
        gate.wait(300)
        return Response(status=200)

    with WebServer(wait, "127.0.0.1:0", limits=Limits(each=2)).running() as url:
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(ask(url, "GET", "/")[0]))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert inside.acquire(timeout=300)
        with pytest.raises((http.client.HTTPException, OSError)):
            ask(url, "GET", "/")  # the third is not even heard
        gate.set()
        for thread in threads:
            thread.join()
        assert statuses == [200, 200]


def test_who_never_greets_is_counted_too(tmp_path: Path) -> None:
    """Under TLS a place is taken from the first byte on, not only when the handshake is over."""
    chain, key = certificate(tmp_path, "localhost")
    server = WebServer(
        lambda _: Response(status=200),
        "127.0.0.1:0",
        tls=tls_context(str(chain), str(key)),
        limits=Limits(connections=4, each=2, request_s=600),
    )
    with server.running() as url:
        place = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
        silent = [socket.create_connection(place, 30) for _ in range(2)]
        with socket.create_connection(place, 30) as third:
            assert _ended(third)
        for one in silent:
            one.close()


def _ended(link: socket.socket) -> bool:
    try:
        return link.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_handler_that_fails_says_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_request: Request) -> Response:
        raise RuntimeError("a secret")

    with WebServer(fail, "127.0.0.1:0").running() as url:
        assert ask(url, "GET", "/")[::2] == (500, b"internal error\n")
    assert "a secret" not in caplog.text


def test_state_that_cannot_be_written_gives_no_cosignature(
    url: str, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safehold.ledger import witness as witness_module

    def full(_path: Path, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(witness_module, "replace_file", full)
        assert ask(url, "POST", "/w/add-checkpoint", add(0, [], head(1)))[0] == 500
    assert witness.head(ORIGIN) is None


def _race(directory: str, jobs: Any, results: Any) -> None:
    witness = Witness(Path(directory))
    while (job := jobs.get()) is not None:
        size, old_proof, note = job
        results.put((size, witness.add_checkpoint(3, old_proof, note).status))


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_only_one_of_many_that_race_is_cosigned(
    url: str, witness: Witness, tmp_path: Path, kind: str
) -> None:
    """All extend size 3; the witness may sign one, and ends where that one ends."""
    witness.add_checkpoint(0, [], head(3))
    jobs = [(size, proof(3, size), head(size)) for size in range(4, 20)]
    statuses: dict[int, int] = {}
    if kind == "threads":

        def go(size: int, one: list[bytes], note: bytes) -> None:
            statuses[size] = ask(url, "POST", "/w/add-checkpoint", add(3, one, note))[0]

        threads = [threading.Thread(target=go, args=job) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        spawn = multiprocessing.get_context("spawn")
        queue, results = spawn.Queue(), spawn.Queue()
        workers = [
            spawn.Process(target=_race, args=(str(tmp_path / "w"), queue, results))
            for _ in range(2)
        ]
        for worker in workers:
            worker.start()
        for job in [*jobs, None, None]:
            queue.put(job)
        statuses = dict(results.get(timeout=600) for _ in jobs)
        for worker in workers:
            worker.join()
    winners = [size for size, status in statuses.items() if status == 200]
    assert len(winners) == 1
    assert sorted(set(statuses.values())) == [200, 409]
    kept = witness.head(ORIGIN)
    assert kept is not None
    assert kept.startswith(Checkpoint(ORIGIN, winners[0], tree(winners[0]).root()).text())
