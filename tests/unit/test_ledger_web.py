"""The witness and the static log behind HTTP: every status to the letter, and clients that misbehave."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import multiprocessing
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.ledger_desk import ORIGIN, START_US, Desk, entry
from tests.unit.test_ledger_witness import LOG, head, proof, tree
from tests.web_desk import certificate

import safehold_verify as verifier
from safehold.clock import FixedClock
from safehold.errors import InvalidError, UnavailableError
from safehold.ledger import LogSigner, Witness
from safehold.ledger.checkpoint import Checkpoint
from safehold.ledger.note import open_note
from safehold.ledger.static import StaticLog
from safehold.ledger.tree import EMPTY, leaf_hash
from safehold.ledger.vkey import VKey
from safehold.ledger.web import Limits, Request, Response, WebServer, tls_context
from safehold.ledger.witness import SIZE_TYPE
from safehold.ledger.witness_client import HttpWitness, check_url
from safehold.ledger.witness_server import WitnessService

VECTORS = Path(__file__).parents[1] / "interop" / "vectors" / "ledger"
MARK = hashlib.sha256(ORIGIN.encode()).hexdigest()
SLOW = 0.5  # seconds


def ask(
    url: str, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    host = url.removeprefix("http://")
    link = http.client.HTTPConnection(host, timeout=300)
    try:
        link.request(method, path, body=body or None, headers=headers)
        answer = link.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, named, answer.read()
    finally:
        link.close()


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


# --- the client


def client(url: str, witness: Witness, **changes: Any) -> HttpWitness:
    return HttpWitness(url, **{"vkeys": witness.vkeys, "timeout_s": 300, **changes})


def test_the_client_is_a_witness_like_the_local_one(url: str, witness: Witness) -> None:
    far = client(f"{url}/w", witness)
    assert (far.name, far.vkey) == (witness.name, witness.vkey)
    assert far.head(ORIGIN) is None
    answer = far.add_checkpoint(0, [], head(3))
    assert answer.status == 200
    _, held = open_note(head(3) + answer.body, [VKey.parse(one) for one in witness.vkeys])
    assert set(held.values()) == {START_US // 1_000_000}
    assert far.head(ORIGIN) == witness.head(ORIGIN)
    assert (far.add_checkpoint(0, [], head(5)).status, far.add_checkpoint(0, [], head(5)).body) == (
        409,
        b"3\n",
    )
    assert far.add_checkpoint(3, [], head(5)).status == 422
    only_one = client(f"{url}/w", witness, vkeys=[witness.vkey])
    answer = only_one.add_checkpoint(3, proof(3, 5), head(5))
    assert answer.body.count(b"\n") == 1  # lines of keys that are not pinned are left out


def test_another_witness_in_its_place_is_not_believed(
    url: str, witness: Witness, tmp_path: Path
) -> None:
    other = Witness.create(tmp_path / "x", name=witness.name, logs=[LOG.vkey.text()])
    far = client(f"{url}/w", witness, vkeys=other.vkeys)
    with pytest.raises(UnavailableError, match="pinned key"):
        far.add_checkpoint(0, [], head(3))
    with pytest.raises(UnavailableError, match="pinned key"):
        far.head(ORIGIN)


def body(data: bytes, status: int = 200, kind: str = "text/plain") -> Response:
    return Response(status=status, body=data, kind=kind)


def test_strange_answers_are_unavailable(witness: Witness) -> None:
    witness.add_checkpoint(0, [], head(3))
    right = witness.head(ORIGIN) or b""
    swapped = witness.add_checkpoint(3, proof(3, 5), head(5)).body  # cosigns another head
    says = [body(b"")]

    with WebServer(lambda _request: says[0], "127.0.0.1:0").running() as url:
        far = client(url, witness)
        for strange in (
            body(b""),
            body(b"x" * 300_000),
            body("— dpo.example AAAAAAA=\n".encode()),
            body(swapped),
            body(right, status=301),
            body(b"", status=204),
            body(b"3\n", status=409),  # not the content type
            body(b"03\n", status=409, kind=SIZE_TYPE),
            body(b"\xff", status=409, kind=SIZE_TYPE),
            body(b"", status=500),
        ):
            says[0] = strange
            with pytest.raises(UnavailableError):
                far.add_checkpoint(0, [], head(3))
        for strange in (
            body(b""),
            body(right, status=301),
            body(right.replace(b"\n3\n", b"\n4\n")),
        ):
            says[0] = strange
            with pytest.raises(UnavailableError):
                far.head(ORIGIN)
        says[0] = body(right)
        assert far.head(ORIGIN) == right
        with pytest.raises(UnavailableError, match="another log"):
            far.head("example.com/other")


def test_a_witness_that_drips_is_given_up(witness: Witness) -> None:
    """Each byte comes in time, the whole never: the deadline is over the whole."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def drip() -> None:
            link, _ = listener.accept()
            with link:
                while not ended.wait(SLOW / 10):
                    try:
                        link.sendall(b"HTTP/1.1 200 OK\r\n"[:1])
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        far = client(f"http://127.0.0.1:{listener.getsockname()[1]}", witness, timeout_s=SLOW)
        with pytest.raises(UnavailableError):
            far.head(ORIGIN)
        ended.set()
        thread.join()


def test_nothing_there_is_unavailable(witness: Witness) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError):
            WebServer(lambda _request: Response(status=200), f"127.0.0.1:{port}")
    with socket.socket() as deaf:  # keeps its port, and nobody listens
        deaf.bind(("127.0.0.1", 0))
        with pytest.raises(UnavailableError):
            client(f"http://127.0.0.1:{deaf.getsockname()[1]}", witness).head(ORIGIN)


def test_certificates_are_verified(witness: Witness, tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, "localhost")
    service = WitnessService(witness)
    with WebServer(service, "127.0.0.1:0", tls=tls_context(str(chain), str(key))).running() as url:
        here = url.replace("127.0.0.1", "localhost")
        with pytest.raises(UnavailableError):
            client(here, witness).head(ORIGIN)  # nobody vouches for it
        trusting = ssl.create_default_context(cafile=str(chain))
        assert client(here, witness, tls=trusting).add_checkpoint(0, [], head(3)).status == 200
        with pytest.raises(UnavailableError):
            client(url, witness, tls=trusting).head(ORIGIN)  # another host's certificate
    with pytest.raises(InvalidError):
        tls_context(str(key), str(key))


def test_urls_and_keys_of_a_witness(witness: Witness) -> None:
    assert check_url("https://w.example/a/") == ("w.example", 443, "/a", True)
    assert check_url("http://[::1]:81") == ("::1", 81, "", False)
    for wrong in (
        "http://w.example",
        "ftp://x",
        "https://",
        "https://u@x",
        "https://x/?q",
        "https://x/#f",
        "https://x:y",
        "w.example",
        "https://x/\r\nA: b",
    ):
        with pytest.raises(InvalidError):
            check_url(wrong)
    for keys in ([], [LOG.vkey.text()], [witness.vkey, LOG.lattice.text()]):
        with pytest.raises(InvalidError):
            HttpWitness("https://x", vkeys=keys)
    for wrong in ("7380", "x:", ":1", "x:99999", "x:-1"):
        with pytest.raises(InvalidError):
            WebServer(lambda _request: Response(status=200), wrong)


# --- the static log


class Follower:
    """A client written from tlog-tiles alone: it fetches what a checkpoint names and checks it all."""

    def __init__(self, url: str, keys: list[str]) -> None:
        self.url, self.keys = url, keys

    def get(self, path: str) -> bytes:
        status, headers, data = ask(self.url, "GET", path)
        assert status == 200, path
        if path == "/checkpoint":
            assert headers["content-type"] == "text/plain; charset=utf-8"
            assert headers["cache-control"] == "no-store"
        else:
            assert headers["content-type"] == "application/octet-stream"
            assert "immutable" in headers["cache-control"]
        return data

    def head(self) -> tuple[int, bytes]:
        note = verifier.open_note(self.get("/checkpoint"), self.keys)
        known = verifier.parse_checkpoint(note.text)
        return known.size, known.root

    def leaves(self, size: int) -> list[bytes]:
        found: list[bytes] = []
        for number in range(-(-size // 256)):
            width = min(256, size - number * 256)
            data, at = self.get(f"/tile/entries/{number:03d}" + self.part(width)), 0
            while at < len(data):
                end = at + 2 + int.from_bytes(data[at : at + 2], "big")
                found.append(data[at + 2 : end])
                at = end
            assert len(found) == number * 256 + width
            hashes = self.get(f"/tile/0/{number:03d}" + self.part(width))
            assert hashes == b"".join(
                hashlib.sha256(b"\0" + one).digest() for one in found[number * 256 :]
            )
        if size > 256:
            ups = self.get("/tile/1/000" + self.part(size // 256))
            for number in range(size // 256):
                assert ups[number * 32 : number * 32 + 32] == self.root(
                    [leaf_hash(one) for one in found[number * 256 : number * 256 + 256]]
                )
        return found

    @staticmethod
    def part(width: int) -> str:
        return "" if width == 256 else f".p/{width}"

    @staticmethod
    def root(hashes: list[bytes]) -> bytes:
        """RFC 6962 2.1, without a thought for speed."""
        if len(hashes) < 2:
            return hashes[0] if hashes else hashlib.sha256(b"").digest()
        half = 1 << ((len(hashes) - 1).bit_length() - 1)
        return hashlib.sha256(
            b"\1" + Follower.root(hashes[:half]) + Follower.root(hashes[half:])
        ).digest()


def test_a_foreign_client_follows_while_the_log_grows(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with desk.open() as ledger:
        ledger.append([entry(at) for at in range(40)])
        ledger.publish()
        with WebServer(StaticLog(desk.directory), "127.0.0.1:0").running() as url:
            follower = Follower(url, [desk.signer.vkey.text()])
            seen: list[bytes] = []
            for grow in (3, 200, 1, 20, 300):
                size, root = follower.head()
                ledger.append([entry(at) for at in range(grow)])
                ledger.publish()  # what the checkpoint above names is dropped from the export
                found = follower.leaves(size)
                assert Follower.root([leaf_hash(one) for one in found]) == root
                assert found[: len(seen)] == seen
                seen = found
            assert follower.head()[0] == ledger.size == 564


def test_the_static_log_serves_nothing_else(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with desk.open() as ledger:
        ledger.append([entry(at) for at in range(300)])
    secret = tmp_path / "secret"
    secret.write_bytes(b"not for you")
    (desk.directory / "tile" / "0" / "005").symlink_to(secret)
    (desk.directory / "tile" / "2").symlink_to(tmp_path)
    (desk.directory / "tile" / "3").mkdir()
    (desk.directory / "tile" / "3" / "000").mkdir()
    with WebServer(StaticLog(desk.directory), "127.0.0.1:0").running() as url:
        assert ask(url, "GET", "/tile/0/000")[0] == 200
        assert ask(url, "GET", "/tile/0/001.p/44")[0] == 200
        assert ask(url, "GET", "/tile/entries/001.p/7")[0] == 200
        for path in (
            "/",
            "/journal.db",
            "/journal.lock",
            "/.export/lock",
            "/tile",
            "/tile/",
            "/tile/0/000/",
            "/tile/0/005",
            "/tile/2/secret",
            "/tile/2/000",
            "/tile/3/000",
            "/tile/0/../../journal.db",
            "/tile/0/..%2f..%2fjournal.db",
            "//checkpoint",
            "/checkpoint?x",
            "/CHECKPOINT",
            "/tile/0/x000/000",
            "/tile/00/000",
            "/tile/0/0",
            "/tile/64/000",
            "/tile/0/000.p/256",
            "/tile/0/000.p/0",
            "/tile/0/001.p/45",
            "/tile/0/001",
            "/tile/0/x999/x999/x999/x999/x999/999",
            "/tile/entries/001.p/07",
        ):
            assert ask(url, "GET", path)[0] == 404, path
        assert ask(url, "POST", "/checkpoint", b"x")[0] == 405
    from safehold.errors import MissingError

    with pytest.raises(MissingError):
        StaticLog(tmp_path / "w")


def test_what_was_asked_before_the_end_is_answered():
    came = threading.Event()

    def slow(_request: Request) -> Response:
        came.set()
        time.sleep(0.3)
        return Response(status=200, body=b"still\n")

    server = WebServer(slow, "127.0.0.1:0")
    said: list[bytes] = []

    def ask() -> None:
        with urllib.request.urlopen(server.url, timeout=60) as page:  # noqa: S310
            said.append(page.read())

    asking = threading.Thread(target=ask)
    with server.running():
        asking.start()
        assert came.wait(60)
    asking.join(60)
    assert said == [b"still\n"]
